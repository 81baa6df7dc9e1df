// What a user wants, asked while they wait: how many seats, of which category. Kept in this browser for their turn.

import { h, icon } from '../dom.js';
import { plural, t } from '../i18n.js';
import * as session from '../session.js';

const slotOf = (date) => `ts.wish.${session.name()}.${date}`;
const memory = new Map();

/** `{count, category}` as far as it was said. */
export function wishOf(date) {
  try {
    return JSON.parse(localStorage.getItem(slotOf(date))) ?? memory.get(slotOf(date)) ?? {};
  } catch {
    return memory.get(slotOf(date)) ?? {};
  }
}

export function keepWish(date, wish) {
  memory.set(slotOf(date), wish);
  try {
    localStorage.setItem(slotOf(date), JSON.stringify(wish));
  } catch {
    // Without storage it holds for this page.
  }
}

/** A number of seats from 1 to `most`; `changed(count)`. */
export function stepper(most, first, changed) {
  const count = h('output', { class: 'count', id: 'best-count' }, String(Math.max(1, Math.min(most, first))));
  const step = (by) => () => {
    count.value = String(Math.max(1, Math.min(most, Number(count.value) + by)));
    changed(Number(count.value));
  };
  const root = h('div', { class: 'stepper' },
    h('button', { type: 'button', class: 'round', 'aria-label': t('best.fewer'), onclick: step(-1) }, icon('minus')), count,
    h('button', { type: 'button', class: 'round', 'aria-label': t('best.more'), onclick: step(1) }, icon('plus')),
    h('span', { class: 'muted' }, plural('before.limit', most)));
  return { root, get count() {
    return Number(count.value);
  } };
}
