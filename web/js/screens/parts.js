// Parts that several screens have.

import { fill, h } from '../dom.js';
import { clockTime, exactTime, has, money, number, t } from '../i18n.js';

/** Categories with color, letter, price and what is left. Each a switch of a filter if `onPick`. */
export function priceList(sale, { onPick, picked } = {}) {
  const currency = sale.concert.currency;
  const total = new Map(totals(sale));
  return h('ul', { class: 'prices' }, sale.categories().map((category) => {
    const range = category.low === category.high ? money(category.low, currency)
      : t('price.range', { low: money(category.low, currency), high: money(category.high, currency) });
    const row = [
      h('span', { class: `swatch category-${category.index % 6}`, 'aria-hidden': 'true' }, category.letter),
      h('span', { class: 'price-name' }, category.name),
      h('span', { class: 'price-left' }, category.available ? t('price.left', { left: number(category.available), total: number(total.get(category.name) ?? 0) }) : t('price.gone')),
      h('span', { class: 'price' }, range),
    ];
    if (!onPick) return h('li', { class: 'price-row' }, row);
    return h('li', {}, h('button', { type: 'button', class: 'price-row', 'aria-pressed': String(picked === category.name), onclick: () => onPick(category.name) }, row));
  }));
}

/** Seats of each category, free or not: only a hall knows; without one the sections of one category do. */
function totals(sale) {
  const sums = new Map();
  const add = (name, count) => sums.set(name, (sums.get(name) ?? 0) + count);
  if (sale.hall) {
    for (const section of sale.hall.sections) {
      for (let n = 1; n <= section.count; n += 1) add(sale.hall.categories[section.category[n]].name, 1);
    }
  } else {
    for (const section of sale.schedule.sections) {
      if (section.categories.length === 1) add(section.categories[0].name, section.seats);
      else section.categories.forEach((category) => add(category.name, category.seats ?? category.available_seats));
    }
  }
  return sums;
}

/** `seats.3.1234` */
export const positionText = ({ lane, partition, offset }) => `${lane}.${partition}.${offset}`;

/** Where the log has it: the proof of one's turn. */
export function proof(decided) {
  if (!decided) return null;
  return h('p', { class: 'proof' }, t('proof.decided', { position: positionText(decided), time: exactTime(Date.parse(decided.at)) }));
}

/** What a refusal or error says to a person. */
export function problemText(problem, label = (seat) => seat) {
  const { code, detail } = problem;
  if (code === 'seat_taken' && problem.taken) {
    const { seat, at, position } = problem.taken;
    const parts = { seat: label(seat), time: exactTime(Date.parse(at)), position: positionText(position) };
    const ms = problem.decided ? Date.parse(problem.decided.at) - Date.parse(at) : null;
    return ms !== null && ms < 60_000 ? t('problem.seat_taken_by', { ...parts, ms: number(Math.max(0, ms)) }) : t('problem.seat_taken_at', parts);
  }
  if (code === 'hold_cooldown' && problem.again_at) return t('problem.hold_cooldown_until', { time: clockTime(Date.parse(problem.again_at)) });
  return has(`problem.${code}`) ? t(`problem.${code}`) : t('problem.other', { code, detail: detail ?? '' });
}

/** A box for what happened; empty it takes no room. */
export function notice(kind = 'plain') {
  const root = h('div', { class: `notice ${kind}`, hidden: true, tabindex: '-1' });
  return {
    root,
    show(...children) {
      root.hidden = false;
      fill(root, ...children);
    },
    clear() {
      root.hidden = true;
      root.replaceChildren();
    },
  };
}

/** While a command is on its way: what it is, then where the log has it. Never a spinner alone. */
export function progress(box, what) {
  let since = 0;
  return (stage, details) => {
    if (stage === 'asking') {
      since = Date.now();
      box.show(h('p', { class: 'busy' }, h('span', { class: 'pulse', 'aria-hidden': 'true' }), what));
    } else if (stage === 'safe' && Date.now() - since > 1500) {
      const key = details.ahead === undefined ? t('deciding.safe', { position: details.position ?? '' })
        : t('deciding.safeAhead', { position: details.position ?? '', ahead: number(details.ahead) });
      box.show(h('p', { class: 'busy' }, h('span', { class: 'pulse', 'aria-hidden': 'true' }), what), h('p', { class: 'muted' }, key));
    } else if (stage === 'trouble') {
      box.show(h('p', { class: 'busy' }, what), h('p', {}, t('deciding.trouble')));
    }
  };
}
