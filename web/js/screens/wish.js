// What a user wants, asked while they wait: how many seats, of which category. Kept in this browser for their turn.

import { h, icon } from '../dom.js';
import { plural, t } from '../i18n.js';
import * as session from '../session.js';
import * as stored from '../stored.js';

const slotOf = (date) => `ts.wish.${session.name()}.${date}`;

/** `{count, category}` as far as it was said. */
export const wishOf = (date) => stored.get(slotOf(date)) ?? {};
export const keepWish = (date, wish) => stored.keep(slotOf(date), wish);

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
