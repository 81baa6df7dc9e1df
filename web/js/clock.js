// One clock: the server's. Each answer bounds the difference between the device's clock and the server's; the bounds
// are intersected, so the difference gets sharper with every answer, also where an answer has whole seconds only.

import { onWake } from './wake.js';

const SYNC_MS = 60_000;

let low = -Infinity;
let high = Infinity;
const listeners = new Set();
let timer = null;

/** What an answer says: the server's time was in `from..to` ms at some moment between `t0` and `t1` of the device. */
export function observe(from, to, t0, t1) {
  const [newLow, newHigh] = [from - t1, to - t0];
  if (newLow > high || newHigh < low) {
    // The device's clock was set, or slept.
    [low, high] = [newLow, newHigh];
  } else {
    [low, high] = [Math.max(low, newLow), Math.min(high, newHigh)];
  }
}

/** The `Date` header has whole seconds. */
export function observeHeader(date, t0, t1) {
  const from = Date.parse(date ?? '');
  if (!Number.isNaN(from)) observe(from, from + 999, t0, t1);
}

const known = () => Number.isFinite(low);
export const offset = () => (known() ? (low + high) / 2 : 0);
/** How far `now` may be off, in ms. */
export const uncertainty = () => (known() ? (high - low) / 2 : Infinity);

/** The server's time in ms. */
export const now = () => Date.now() + offset();

let hasTime = true;

/** Asks the server a few times for its clock. */
export async function sync() {
  for (let probe = 0; probe < 3; probe += 1) {
    const t0 = Date.now();
    try {
      const answer = await fetch(hasTime ? '/v1/time' : '/web/facts.json', { cache: 'no-store' });
      const t1 = Date.now();
      observeHeader(answer.headers.get('date'), t0, t1);
      if (hasTime && answer.ok) {
        const at = Date.parse((await answer.json()).now);
        observe(at, at + 1, t0, t1);
      } else if (answer.status === 404) {
        hasTime = false;
      }
    } catch {
      return;
    }
  }
}

/** Calls back once a second, as the server's second begins. Returns a function that ends it. */
export function onTick(listener) {
  listeners.add(listener);
  if (timer === null) schedule();
  return () => listeners.delete(listener);
}

function schedule() {
  timer = setTimeout(() => {
    for (const listener of [...listeners]) listener(now());
    timer = null;
    if (listeners.size) schedule();
  }, 1000 - (now() % 1000) + 2);
}

export function start() {
  sync();
  setInterval(sync, SYNC_MS);
  onWake(sync);
}
