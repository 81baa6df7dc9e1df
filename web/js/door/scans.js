// The last scans at this door, newest first; they outlast a reload.

import * as clock from '../clock.js';

const KEPT = 30;
const SLOT = 'ts.door.scans';

let list = read();
let count = list.count ?? 0;
list = list.scans ?? [];

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(SLOT)) ?? {};
  } catch {
    return {};
  }
}

function write() {
  try {
    sessionStorage.setItem(SLOT, JSON.stringify({ scans: list, count }));
  } catch {
    // Then a reload begins with none.
  }
}

export const all = () => list;
/** How many were admitted at this door. */
export const admitted = () => count;
/** Those whose outcome is not known. */
export const waiting = () => list.filter((scan) => ['away', 'asking'].includes(scan.kind));

export function begin(code) {
  const scan = { code, kind: 'asking', scanned: clock.now() };
  list = [scan, ...list].slice(0, KEPT);
  write();
  return scan;
}

/** Its outcome, or what is known so far. */
export function keep(scan) {
  if (scan.kind === 'admitted' && !scan.counted) {
    scan.counted = true;
    count += 1;
  }
  write();
}
