// Parts that several screens have.

import { Problem } from '../api.js';
import { fill, h } from '../dom.js';
import { clockTime, exactTime, has, money, number, t } from '../i18n.js';

/**
 * Categories with color, letter, price and what is left. Each a switch of a filter if `onPick`.
 * @param {import('../sale.js').Sale} sale
 * @param {{onPick?: (name: string) => void, picked?: string | null}} [options]
 */
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

/** The same in its box, anew: whoever was on a row of it still is. */
export function showPrices(box, sale, options) {
  const rows = () => [...box.querySelectorAll('button')];
  const focused = rows().indexOf(document.activeElement);
  fill(box, priceList(sale, options));
  if (focused >= 0) rows()[focused]?.focus();
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

/**
 * A list that goes on: `read(after)` gives `{rows, next}`, `row(each)` an element; a button asks for more while there is
 * more. Resolves to `{root, count}` when the first page is there.
 */
export async function lines({ read, row, list = h('ul', { class: 'rows' }), none = null }) {
  const box = notice('warn');
  const more = h('button', { type: 'button', class: 'button plain', 'data-act': 'more', onclick: further }, t('list.further'));
  const root = h('div', { class: 'stack' }, list, more, box.root);
  let after = null;
  async function go() {
    const { rows, next } = await read(after);
    const added = rows.map(row);
    list.append(...added);
    after = next ?? null;
    more.hidden = after === null;
    return added;
  }
  async function further() {
    more.disabled = true;
    box.clear();
    try {
      const [first] = await go();
      // Whoever reads by keys or by ear goes on where the list does.
      first?.querySelector('a, button')?.focus();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      box.show(h('p', {}, problemText(problem.body)));
    } finally {
      more.disabled = false;
    }
  }
  const first = await go();
  if (!first.length && none) fill(root, none);
  return { root, count: first.length };
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
      // Without an answer nobody knows; an answer says why it is not done yet.
      const why = details.status ? problemText(details.body) : t('deciding.noAnswer');
      box.show(h('p', { class: 'busy' }, what), h('p', {}, why), h('p', {}, t('deciding.again')));
    }
  };
}
