// What each seat is now, and which ones the user has chosen. Choosing is local: nothing is held before it is asked for.

export const FREE = 0;
export const HELD = 1;
export const SOLD = 2;
export const BLOCKED = 3;

const CODES = { AVAILABLE: FREE, HELD, SOLD, NOT_FOR_SALE: BLOCKED };
const LETTERS = { A: FREE, F: FREE, H: HELD, S: SOLD, X: BLOCKED };

export class Seats extends EventTarget {
  constructor() {
    super();
    /** By section: a status for each number, from 1. */
    this.status = new Map();
    this.prices = new Map();
    this.chosen = new Set();
    /** Seats of the user's own reservations. */
    this.own = new Set();
    this.loaded = false;
  }

  /** Takes the readable form or the compact one; `all`: what is not named is not there. */
  take(message, all) {
    const list = Array.isArray(message) ? message : message.seats;
    const changed = Array.isArray(list) ? this.#readable(list, all) : this.#compact(message, all);
    if (all) this.loaded = true;
    this.#drop();
    this.dispatchEvent(new CustomEvent('change', { detail: all ? null : changed }));
  }

  #readable(list, all) {
    if (all) this.#size(list);
    const changed = [];
    for (const { section, number, status, price } of list) {
      if (!this.status.has(section) || number >= this.status.get(section).length) this.#grow(section, number);
      const own = this.status.get(section);
      own[number] = CODES[status] ?? BLOCKED;
      this.prices.get(section)[number] = price;
      changed.push([section, number]);
    }
    return changed;
  }

  #size(list) {
    const last = new Map();
    for (const { section, number } of list) last.set(section, Math.max(number, last.get(section) ?? 0));
    for (const [section, count] of last) {
      this.status.set(section, new Uint8Array(count + 1));
      this.prices.set(section, new Float64Array(count + 1));
    }
  }

  /** A section was enlarged, or is new. */
  #grow(section, count) {
    const larger = (Kind, known) => {
      const all = new Kind(count + 1);
      all.set(known ?? []);
      return all;
    };
    this.status.set(section, larger(Uint8Array, this.status.get(section)));
    this.prices.set(section, larger(Float64Array, this.prices.get(section)));
  }

  #compact(sections, all) {
    const changed = [];
    for (const [section, seats] of Object.entries(sections)) {
      if (typeof seats === 'string') {
        this.status.set(section, Uint8Array.from([0, ...[...seats].map((letter) => LETTERS[letter] ?? BLOCKED)]));
        if (!all) for (let number = 1; number <= seats.length; number += 1) changed.push([section, number]);
        continue;
      }
      for (const [letter, numbers] of Object.entries(seats)) {
        for (const number of numbers) {
          const own = this.status.get(section);
          if (own && number < own.length) own[number] = LETTERS[letter] ?? BLOCKED;
          changed.push([section, number]);
        }
      }
    }
    return changed;
  }

  of(seat) {
    const at = seat.lastIndexOf('-');
    return this.status.get(seat.slice(0, at))?.[Number(seat.slice(at + 1))] ?? BLOCKED;
  }

  /** Chosen seats that somebody else got meanwhile leave the choice, by name. */
  #drop() {
    const lost = [...this.chosen].filter((seat) => this.of(seat) !== FREE);
    if (!lost.length) return;
    for (const seat of lost) this.chosen.delete(seat);
    const gone = lost.filter((seat) => !this.own.has(seat));
    if (gone.length) this.dispatchEvent(new CustomEvent('lost', { detail: gone }));
    this.dispatchEvent(new CustomEvent('chosen'));
  }

  /** Chooses or leaves a seat. False if it cannot be chosen. */
  toggle(seat, most) {
    if (this.chosen.delete(seat)) {
      this.dispatchEvent(new CustomEvent('chosen', { detail: seat }));
      return true;
    }
    if (this.of(seat) !== FREE || this.chosen.size >= most) return false;
    this.chosen.add(seat);
    this.dispatchEvent(new CustomEvent('chosen', { detail: seat }));
    return true;
  }

  choose(seats) {
    this.chosen = new Set(seats.filter((seat) => this.of(seat) === FREE));
    this.dispatchEvent(new CustomEvent('chosen'));
  }

  setOwn(seats) {
    this.own = new Set(seats);
    this.dispatchEvent(new CustomEvent('change', { detail: null }));
  }

  /** Free seats of a section. */
  free(section) {
    const own = this.status.get(section) ?? [];
    let count = 0;
    for (let number = 1; number < own.length; number += 1) count += own[number] === FREE ? 1 : 0;
    return count;
  }

  counts() {
    const counts = [0, 0, 0, 0];
    for (const own of this.status.values()) for (let number = 1; number < own.length; number += 1) counts[own[number]] += 1;
    return counts;
  }
}

/** The free seats nearest to one that is gone, in the same section. */
export function nearest(hall, seats, gone, count) {
  const place = hall.place(gone);
  if (!place) return [];
  const { section, number } = place;
  const own = seats.status.get(section.name) ?? [];
  const distance = (other) => (section.x[other] - section.x[number]) ** 2 + (section.y[other] - section.y[number]) ** 2;
  const free = [];
  for (let other = 1; other <= section.count; other += 1) {
    const plain = !section.wheelchair.has(other) && !section.companion.has(other);
    if (own[other] === FREE && plain && !seats.chosen.has(`${section.name}-${other}`)) free.push(other);
  }
  return free.sort((a, b) => distance(a) - distance(b)).slice(0, count).map((other) => `${section.name}-${other}`);
}
