// How one date sells, live, and what can be done about it: prices and times, the queue, the whole show.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { aboutDate } from '../dates.js';
import { fill, h, icon, say } from '../dom.js';
import { longDate, number, since, t } from '../i18n.js';
import { newKey } from '../intent.js';
import { confirm } from '../login.js';
import { hallOfSections } from '../plan.js';
import { notice } from '../screens/parts.js';
import { Seats } from '../seats.js';
import { followSeats } from '../seats_feed.js';
import { amend } from './amend.js';
import { deed, field, formOf, saved, whole } from './forms.js';
import { salesTable } from './sales_table.js';

const EVERY_MS = 3_000;
/** A crowd changes seats many times a second. */
const DRAW_EVERY_MS = 400;

export async function sales(id, go) {
  const { schedule, concert, hall: drawn } = await aboutDate(id);
  const state = h('div', {});
  const live = h('div', { class: 'stack' });
  const root = h('div', { class: 'forms', 'data-screen': 'sales' },
    h('a', { class: 'crumb', href: `/organizer?concert=${concert.id}`, onclick: (event) => {
      event.preventDefault();
      go(`?concert=${concert.id}`);
    } }, icon('back'), concert.title),
    h('h1', {}, longDate(Date.parse(schedule.starts_at), concert.time_zone)),
    h('p', {}, h('a', { href: `/s/${id}` }, t('org.customerView'))), state, live);
  const ending = new AbortController();
  const seats = new Seats();
  // Which category a seat is of, an undrawn section of several does not say but by the price of each seat.
  const plain = schedule.sections.every((section) => section.categories.length === 1);
  const feed = followSeats({ id, seats, compact: Boolean(drawn) || plain, signal: ending.signal });
  await feed.known;
  const hall = drawn ?? hallOfSections(schedule, seats.prices);
  const draw = () => fill(live, salesTable(hall, seats, concert.currency));
  let pending = null;
  seats.addEventListener('change', () => {
    pending ??= setTimeout(() => {
      pending = null;
      draw();
    }, DRAW_EVERY_MS);
  }, { signal: ending.signal });
  const line = schedule.queue ? await queue(id) : null;
  let timer = null;
  async function look() {
    try {
      const now = await api.read(`/v1/schedules/${id}`, { signal: ending.signal });
      hall.reprice(now);
      fill(state, stateOf(now, concert.time_zone));
      await line?.look();
    } catch {
      // The next round may get through.
    }
    if (!ending.signal.aborted) timer = setTimeout(look, EVERY_MS);
  }
  if (line) root.append(line.root);
  draw();
  await look();
  if (!schedule.cancelled_at) root.append(amend(schedule, concert, go), cancelShow(schedule, go));
  return {
    root,
    close() {
      ending.abort();
      feed.stop();
      clearTimeout(timer);
      clearTimeout(pending);
    },
  };
}

/** Whether seats can be bought now, or how far paying back has come. */
function stateOf(schedule, zone) {
  if (schedule.cancelled_at) {
    const { due = 0, done = 0, complete = false } = schedule.refunds ?? {};
    return h('p', { class: 'notice warn', 'data-refunds': complete ? 'complete' : 'under way' }, t('org.cancelled', { due: number(due), done: number(done) }));
  }
  const now = clock.now();
  const opens = Date.parse(schedule.sales_open_at ?? '');
  const closes = Date.parse(schedule.sales_close_at ?? schedule.starts_at);
  const key = opens > now ? 'before' : closes <= now ? 'closed' : 'open';
  return h('p', { class: 'notice plain', 'data-sale': key }, t(`org.sale.${key}`, { time: longDate(key === 'before' ? opens : closes, zone) }));
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
  /** @type {any} */
  let stats = null;
  async function look() {
    stats = await api.read(`${path}/stats`);
    const figure = (value, key) => h('div', { class: 'figure' }, h('b', {}, value), h('span', {}, t(key)));
    fill(figures, figure(number(stats.waiting), 'org.waiting'), figure(number(stats.active), 'org.active'), figure(number(stats.admitted), 'org.admitted'),
      stats.paused && h('span', { class: 'badge', 'data-since': stats.paused_since }, t('org.paused', { time: since(Date.parse(stats.paused_since), clock.now()) })));
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

function cancelShow(schedule, go) {
  const box = notice('warn');
  return h('details', { class: 'card' }, h('summary', {}, t('org.cancel')), h('p', {}, t('org.cancelHint')),
    deed(t('org.cancel'), async () => {
      const sold = /** @type {HTMLElement | null} */ (document.querySelector('[data-sold]'))?.dataset.sold ?? '0';
      if (!(await confirm(t('org.cancelAsk', { sold: number(Number(sold)) }), t('org.cancel')))) return;
      // The key follows from the date: a repeat finishes what was begun.
      await api.call('DELETE', `/v1/schedules/${schedule.id}`, { key: `cancel-${schedule.id}`, wait: 30 });
      go(`?date=${schedule.id}`);
    }, box, { class: 'button danger', 'data-act': 'cancel-show' }), box.root);
}
