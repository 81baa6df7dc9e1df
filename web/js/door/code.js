// What a ticket's code says, and whether one of the house's keys signed it: both without asking the server
// (docs/tickets.md has the layout).

import * as api from '../api.js';

const PREFIX = 'TS1.';
const SIGNATURE_BYTES = 64;
const KEYS = 'ts.door.keys';

/** `{schedule, reservation, seat, key}`, or null for what is no ticket. */
export function parse(code) {
  const data = bytes(code);
  if (!data || data.length < 50 + SIGNATURE_BYTES || data[0] !== 1) return null;
  const view = new DataView(data.buffer);
  try {
    const section = new TextDecoder('utf-8', { fatal: true }).decode(data.subarray(49, data.length - SIGNATURE_BYTES));
    return { schedule: uuid(data.subarray(5, 21)), reservation: uuid(data.subarray(21, 37)), seat: `${section}-${view.getUint32(37)}`, key: hex(data.subarray(1, 5)) };
  } catch {
    return null;
  }
}

function bytes(code) {
  if (!code.startsWith(PREFIX)) return null;
  try {
    return Uint8Array.from(atob(code.slice(PREFIX.length).replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
}

const hex = (part) => [...part].map((byte) => byte.toString(16).padStart(2, '0')).join('');

const uuid = (part) => hex(part).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

/** Keeps the public keys for when there is no connection. */
export async function learnKeys() {
  const { keys } = await api.read('/v1/tickets/keys', { anonymous: true });
  try {
    localStorage.setItem(KEYS, JSON.stringify(keys));
  } catch {
    // Then only the server can tell.
  }
}

/** True or false; null where this browser cannot tell: no keys yet, or no Ed25519. */
export async function genuine(code, ticket) {
  let keys = null;
  try {
    keys = JSON.parse(localStorage.getItem(KEYS));
  } catch {
    return null;
  }
  const own = keys?.filter((key) => key.kid === ticket.key) ?? [];
  if (!keys) return null;
  if (!own.length) return false;
  try {
    const data = bytes(code);
    const signed = new Uint8Array([...new TextEncoder().encode(PREFIX), ...data.subarray(0, data.length - SIGNATURE_BYTES)]);
    for (const { kty, crv, x } of own) {
      const key = await crypto.subtle.importKey('jwk', { kty, crv, x }, { name: 'Ed25519' }, false, ['verify']);
      if (await crypto.subtle.verify('Ed25519', key, data.subarray(data.length - SIGNATURE_BYTES), signed)) return true;
    }
    return false;
  } catch {
    return null;
  }
}
