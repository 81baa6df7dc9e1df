// Commands, each kept with its key before it is sent. Whatever happens in between (a reload, a lost answer, a second tap,
// a second tab), the same command goes out under the same key until its outcome is known.

import * as api from './api.js';
import { locked } from './locks.js';
import * as session from './session.js';
import { drop, get, keep } from './stored.js';
import { onLeave } from './wake.js';

const WAIT_SECONDS = 10;
/** A key is not used again once the server may have forgotten it. */
const AGE_MAX_MS = 6 * 24 * 3600 * 1000;

/** Nobody sees sooner what another tab got: a tap by then is the same tap. */
const GLANCE_MS = 3_000;
/** This tab, among those of the browser. */
const TAB = Math.random().toString(36).slice(2);
/** Secure contexts have `crypto.randomUUID`; plain HTTP in a test network does not. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const slotOf = (kind, scope) => `ts.intent.${session.name()}.${kind}.${scope}`;

/**
 * Runs alone among all tabs of this browser; `null` if another one is at it. A page that is left lets go at once: the
 * browser may keep it, and would keep the lock with it. Should it come back, both send the same, under one key.
 */
async function alone(name, run) {
  let running = null;
  const over = new AbortController();
  await locked(name, { ifAvailable: true }, (lock) => {
    if (!lock) return null;
    running = run();
    return Promise.race([running, new Promise((left) => onLeave(() => left(null), over.signal))]);
  }).finally(() => over.abort());
  return running;
}

/**
 * Sends a command until its outcome is known.
 *
 * `command`: `{kind, scope, method, path, body, token, key}`. `tell(stage, details)` hears `asking`, `safe` (the log has it:
 * position, records ahead) and `trouble` (problem). With `seenAt`, when this tab last asked for what the user has: what
 * another tab has asked for since, and got, is the outcome of the same command here too. Resolves to
 * `{ok, result, problem, decided}`, or to `{busy: true}` if another tab is sending for the same slot.
 */
export async function perform(command, tell = () => {}) {
  const slot = slotOf(command.kind, command.scope);
  const outcome = await alone(slot, async () => {
    const kept = get(slot);
    const fresh = kept && Date.now() - kept.at < AGE_MAX_MS;
    const same = fresh && kept.path === command.path && JSON.stringify(kept.body) === JSON.stringify(command.body);
    // What was sent before is finished first, so that nothing is held unseen.
    if (fresh && !same) return { ...(await settle(slot, kept, command, tell)), earlier: true };
    const { kind, scope, method, path, body, seenAt } = command;
    const done = seenAt === undefined ? null : get(`ts.done.${slot}`);
    if (done && done.tab !== TAB && done.at > Math.min(seenAt, Date.now() - GLANCE_MS) && done.path === path && JSON.stringify(done.body) === JSON.stringify(body)) {
      return done.outcome;
    }
    const intent = same ? kept : { kind, scope, method, path, body, key: command.key ?? newKey(), at: Date.now() };
    keep(slot, intent);
    const outcome = await settle(slot, intent, command, tell);
    if (seenAt !== undefined && outcome.ok) keep(`ts.done.${slot}`, { path, body, outcome, at: Date.now(), tab: TAB });
    return outcome;
  });
  return outcome ?? { busy: true };
}

/** The command that was sent from this slot and whose outcome is not known, or null. */
export function unsettled(kind, scope) {
  const kept = get(slotOf(kind, scope));
  return kept && Date.now() - kept.at < AGE_MAX_MS ? kept : null;
}

/** Its outcome is known from elsewhere. */
export const forget = (kind, scope) => drop(slotOf(kind, scope));

async function settle(slot, intent, { token, signal }, tell) {
  tell('asking', intent);
  for (let failures = 0; ; failures += 1) {
    try {
      const outcome = await once(intent, token, tell, signal);
      drop(slot);
      return outcome;
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (problem.status === 401) {
        // It may have been taken before the login ran out: it is sent again after the next one.
        return { ok: false, problem: problem.body };
      }
      if (!problem.passes) {
        drop(slot);
        return { ok: false, problem: problem.body, decided: problem.body.decided };
      }
      tell('trouble', problem);
      await api.pause(failures, problem, signal);
    }
  }
}

/** One try: the outcome, or a Problem. */
async function once(intent, token, tell, signal) {
  const { method, path, body, key } = intent;
  const sent = await api.call(method, path, { body, key, token, wait: WAIT_SECONDS, signal });
  let request = sent.body;
  while (request.status === 'PENDING') {
    const place = sent.location ?? `/v1/requests/${request.request_id}`;
    tell('safe', { position: new URLSearchParams(place.split('?')[1]).get('position'), ahead: request.ahead });
    const again = await api.call('GET', place, { wait: WAIT_SECONDS, signal });
    request = again.body;
  }
  if (request.status === 'REJECTED') {
    return { ok: false, problem: request.problem, decided: request.decided };
  }
  return { ok: true, result: request.result, decided: request.decided };
}

/** A number that is kept under a name, for keys that follow from what they pay. */
export function counter(name) {
  const slot = `ts.count.${session.name()}.${name}`;
  return { get: () => get(slot)?.n ?? 1, raise: () => keep(slot, { n: (get(slot)?.n ?? 1) + 1 }) };
}
