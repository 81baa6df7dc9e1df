// How a date sells: seats by category and by section, and what was taken for them.

import { h } from '../dom.js';
import { money, number, sum, t } from '../i18n.js';

const KINDS = ['free', 'held', 'sold', 'blocked'];

const none = () => ({ free: 0, held: 0, sold: 0, blocked: 0, worth: 0 });

function add(to, from) {
  for (const key of Object.keys(to)) to[key] += from[key];
}

/** `{all, categories: Map(index → counts), sections: [{section, counts, categories: Map}]}` of the seats as they are. */
export function tally(hall, seats) {
  const all = none();
  const categories = new Map();
  const sections = hall.sections.map((section) => {
    const own = new Map();
    const status = seats.status.get(section.name);
    for (let n = 1; n <= section.count; n += 1) {
      const index = section.category[n];
      if (!own.has(index)) own.set(index, none());
      const counts = own.get(index);
      const kind = KINDS[status?.[n] ?? 3];
      counts[kind] += 1;
      if (kind === 'sold') counts.worth += hall.priceOf(section, n);
    }
    const counts = none();
    for (const [index, part] of own) {
      add(counts, part);
      if (!categories.has(index)) categories.set(index, none());
      add(categories.get(index), part);
    }
    add(all, counts);
    return { section, counts, categories: own };
  });
  return { all, categories, sections };
}

/** The figures, and a table each by category and by section. */
export function salesTable(hall, seats, currency) {
  const { all, categories, sections } = tally(hall, seats);
  const cells = (counts) => [...KINDS.map((kind) => h('td', {}, number(counts[kind]))), h('td', {}, sum(counts.worth, currency))];
  const heads = ['org.free', 'org.held', 'org.sold', 'org.blocked', 'org.worth'];
  const figure = (value, key) => h('div', { class: 'figure' }, h('b', {}, value), h('span', {}, t(key)));
  const sorted = [...categories].sort(([a], [b]) => a - b);
  const rowOfSection = ({ section, counts, categories: own }) => {
    const only = own.size === 1 ? money(seatPrice(hall, section, own.keys().next().value), currency) : '';
    const row = h('tr', {}, h('th', { scope: 'row' }, section.label), h('td', {}, only), cells(counts));
    if (own.size < 2) return [row];
    return [row, ...[...own].sort(([a], [b]) => a - b).map(([index, part]) => {
      const price = seatPrice(hall, section, index);
      return h('tr', { class: 'part' }, h('th', { scope: 'row' }, hall.categories[index].name), h('td', {}, money(price, currency)), cells(part));
    })];
  };
  return h('section', { class: 'card form', 'data-sold': all.sold, 'data-held': all.held, 'data-free': all.free }, h('h2', {}, t('org.sales')),
    h('div', { class: 'figures' }, figure(number(all.sold), 'org.sold'), figure(number(all.held), 'org.held'), figure(number(all.free), 'org.free'), figure(sum(all.worth, currency), 'org.worth')),
    table('org.byCategory', ['org.category', 'org.price', ...heads], sorted.map(([index, counts]) => h('tr', { 'data-category': hall.categories[index].name },
      h('th', { scope: 'row' }, hall.categories[index].name), h('td', {}, priceOf(hall.categories[index], currency)), cells(counts))), all, cells),
    table('org.bySection', ['list.section', 'org.price', ...heads], sections.flatMap(rowOfSection), all, cells));
}

function seatPrice(hall, section, index) {
  const n = section.category.indexOf(index, 1);
  return hall.priceOf(section, n);
}

const priceOf = ({ low, high }, currency) =>
  (low === high ? money(low, currency) : t('price.range', { low: money(low, currency), high: money(high, currency) }));

function table(name, heads, rows, all, cells) {
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': t(name) }, h('table', { class: 'sales' },
    h('caption', {}, t(name)),
    h('thead', {}, h('tr', {}, heads.map((key) => h('th', { scope: 'col' }, t(key))))),
    h('tbody', {}, rows),
    h('tfoot', {}, h('tr', {}, h('th', { scope: 'row' }, t('choice.total')), h('td', {}), cells(all)))));
}
