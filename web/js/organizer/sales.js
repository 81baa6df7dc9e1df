// How one date sells, live, and what can be done about it: prices and times, the queue, the whole show.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { fill, h, icon, say } from '../dom.js';
import { longDate, number, sum, t } from '../i18n.js';
import { newKey } from '../intent.js';
import { confirm } from '../login.js';
import { categoriesOf } from '../plan.js';
import { notice } from '../screens/parts.js';
import { deed, field, formOf, instant, local, saved, whole } from './forms.js';

const EVERY_MS = 3_000;

export async function sales(id, go) {
  const schedule = await api.read(`/v1/schedules/${id}`);
  const concert = await api.read(`/v1/concerts/${schedule.concert_id}`);
  const live = h('div', { class: 'stack' });
  const root = h('div', { class: 'forms', 'data-screen': 'sales' },
    h('a', { class: 'crumb', href: `/organizer?concert=${concert.id}`, onclick: (event) => {
      event.preventDefault();
      go(`?concert=${concert.id}`);
    } }, icon('back'), concert.title),
    h('h1', {}, longDate(Date.parse(schedule.starts_at), concert.time_zone)),
    h('p', {}, h('a', { href: `/s/${id}` }, t('org.customerView'))), live);
  let running = true;
  let timer = null;
  async function look() {
    try {
      const [now, seats] = await Promise.all([api.read(`/v1/schedules/${id}`), api.read(`/v1/schedules/${id}/seats`)]);
      if (running) fill(live, table(now, seats.seats, concert));
      await line?.look();
    } catch {
      // The next round may get through.
    }
    if (running) timer = setTimeout(look, EVERY_MS);
  }
  const line = schedule.queue ? await queue(id) : null;
  if (line) root.append(line.root);
  await look();
  if (!schedule.cancelled_at) root.append(amend(schedule, go), ending(schedule, go));
  return {
    root,
    close() {
      running = false;
      clearTimeout(timer);
    },
  };
}

/** Seats by section and status, with what was taken in at today's prices. */
function table(schedule, seats, concert) {
  const rows = new Map(schedule.sections.map((section) => [section.name, { free: 0, held: 0, sold: 0, blocked: 0, worth: 0 }]));
  const kinds = { AVAILABLE: 'free', HELD: 'held', SOLD: 'sold', NOT_FOR_SALE: 'blocked' };
  for (const { section, status, price } of seats) {
    const row = rows.get(section);
    if (!row) continue;
    row[kinds[status]] += 1;
    if (status === 'SOLD') row.worth += price;
  }
  const all = { free: 0, held: 0, sold: 0, blocked: 0, worth: 0 };
  for (const row of rows.values()) for (const key of Object.keys(all)) all[key] += row[key];
  const cells = ({ free, held, sold, blocked, worth }) => [free, held, sold, blocked].map((count) => h('td', {}, number(count))).concat(h('td', {}, sum(worth, concert.currency)));
  const figure = (value, key) => h('div', { class: 'figure' }, h('b', {}, value), h('span', {}, t(key)));
  return [
    schedule.cancelled_at && h('p', { class: 'notice warn' }, t('org.cancelled', { due: number(schedule.refunds?.due ?? 0), done: number(schedule.refunds?.done ?? 0) })),
    h('section', { class: 'card form', 'data-sold': all.sold, 'data-held': all.held }, h('h2', {}, t('org.sales')),
      h('div', { class: 'figures' }, figure(number(all.sold), 'org.sold'), figure(number(all.held), 'org.held'), figure(number(all.free), 'org.free'), figure(sum(all.worth, concert.currency), 'org.worth')),
      h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': t('org.sales') }, h('table', { class: 'sales' },
        h('thead', {}, h('tr', {}, ['list.section', 'org.free', 'org.held', 'org.sold', 'org.blocked', 'org.worth'].map((key) => h('th', { scope: 'col' }, t(key))))),
        h('tbody', {}, [...rows].map(([name, row]) => h('tr', {}, h('th', { scope: 'row' }, name), cells(row)))),
        h('tfoot', {}, h('tr', {}, h('td', {}, t('choice.total')), cells(all)))))),
  ];
}

async function queue(id) {
  const path = `/v1/schedules/${id}/queue`;
  const box = notice('plain');
  const figures = h('div', { class: 'figures' });
  const patch = async (body) => {
    await api.call('PATCH', path, { body, key: newKey(), wait: 10 });
    await look();
    saved(box);
  };
  let stats = null;
  async function look() {
    stats = await api.read(`${path}/stats`);
    const figure = (value, key) => h('div', { class: 'figure' }, h('b', {}, value), h('span', {}, t(key)));
    fill(figures, figure(number(stats.waiting), 'org.waiting'), figure(number(stats.active), 'org.active'), figure(number(stats.admitted), 'org.admitted'),
      stats.paused && h('span', { class: 'badge' }, t('org.paused')));
    say(pause, t(stats.paused ? 'org.resume' : 'org.pause'));
  }
  const pause = deed('', () => patch({ paused: !stats.paused }), box, { 'data-act': 'pause' });
  await look();
  const limits = stats.limits;
  const form = formOf(t('concerts.queue'), [h('div', { class: 'fields' },
    field('max_active', t('org.maxActive'), { type: 'number', min: 1, value: limits.max_active }),
    field('admit_per_minute', t('org.perMinute'), { type: 'number', min: 1, value: limits.admit_per_minute ?? '', hint: t('org.emptyNoLimit') }),
    field('max_waiting', t('org.maxWaiting'), { type: 'number', min: 0, value: limits.max_waiting }))],
  t('org.save'), (values) => patch({ max_active: whole(values.max_active), max_waiting: whole(values.max_waiting), admit_per_minute: whole(values.admit_per_minute) ?? null }), box);
  const root = h('section', { class: 'card form' }, h('h2', {}, t('concerts.queue')), figures,
    h('div', { class: 'actions' }, pause, deed(t('org.admitTen'), () => patch({ admit: 10 }), box)), form);
  return { root, look };
}

/** Prices for later holds, and times. */
function amend(schedule, go) {
  const box = notice('plain');
  const categories = categoriesOf(schedule).filter((category) => category.low === category.high);
  const form = formOf(t('org.amend'), [h('div', { class: 'fields' },
    field('starts_at', t('org.startsAt'), { type: 'datetime-local', required: true, value: local(schedule.starts_at) }),
    field('sales_open_at', t('org.opensAt'), { type: 'datetime-local', value: local(schedule.sales_open_at), hint: t('org.emptyNow') }),
    field('sales_close_at', t('org.closesAt'), { type: 'datetime-local', value: local(schedule.sales_close_at), hint: t('org.emptyStart') }),
    categories.map((category) => field(`price-${category.name}`, t('org.priceOf', { category: category.name }), { type: 'number', min: 0, required: true, value: category.low })))],
  t('org.save'), async (values) => {
    const body = {};
    for (const name of ['starts_at', 'sales_open_at', 'sales_close_at']) {
      if (values[name] !== local(schedule[name])) body[name] = instant(values[name]);
    }
    const prices = categories.filter((category) => Number(values[`price-${category.name}`]) !== category.low);
    const sections = schedule.sections.map((section) => ({ name: section.name, prices: Object.fromEntries(prices
      .filter((category) => section.categories.some((own) => own.name === category.name))
      .map((category) => [category.name, Number(values[`price-${category.name}`])])) }))
      .filter((section) => Object.keys(section.prices).length);
    if (sections.length) body.sections = sections;
    if (Object.keys(body).length) await api.call('PATCH', `/v1/schedules/${schedule.id}`, { body, key: newKey(), wait: 30 });
    go(`?date=${schedule.id}`);
  }, box);
  const close = deed(t('org.closeNow'), async () => {
    const at = new Date(clock.now() + 1000).toISOString();
    await api.call('PATCH', `/v1/schedules/${schedule.id}`, { body: { sales_close_at: at }, key: newKey(), wait: 30 });
    go(`?date=${schedule.id}`);
  }, box, { 'data-act': 'close-sales' });
  return h('details', { class: 'card' }, h('summary', {}, t('org.amend')), h('p', { class: 'hint' }, t('org.amendHint')), form, close);
}

function ending(schedule, go) {
  const box = notice('warn');
  return h('details', { class: 'card' }, h('summary', {}, t('org.cancel')), h('p', {}, t('org.cancelHint')),
    deed(t('org.cancel'), async () => {
      const counts = await api.read(`/v1/schedules/${schedule.id}/seats?status=SOLD`);
      if (!(await confirm(t('org.cancelAsk', { sold: number(counts.seats.length) }), t('org.cancel')))) return;
      // The key follows from the date: a repeat finishes what was begun.
      await api.call('DELETE', `/v1/schedules/${schedule.id}`, { key: `cancel-${schedule.id}`, wait: 30 });
      go(`?date=${schedule.id}`);
    }, box, { class: 'button danger', 'data-act': 'cancel-show' }), box.root);
}
