// What this browser keeps for a user, by slot. Where it keeps nothing (private windows, a full disk), this page does.

/** What the browser refused. */
const memory = new Map();

export function get(slot) {
  try {
    return memory.get(slot) ?? JSON.parse(localStorage.getItem(slot));
  } catch {
    return null;
  }
}

export function keep(slot, value) {
  memory.set(slot, value);
  try {
    localStorage.setItem(slot, JSON.stringify(value));
    memory.delete(slot);
  } catch {
    // The server's own answers are asked for at every load.
  }
}

export function drop(slot) {
  memory.delete(slot);
  try {
    localStorage.removeItem(slot);
  } catch {
    // As above.
  }
}
