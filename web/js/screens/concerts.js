// What is on: concerts with their dates, what is left, and when sales open.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { datesPath } from '../dates.js';
import { fill, h, icon, say } from '../dom.js';
import { dateTile, duration, longDate, money, number, plural, t } from '../i18n.js';
import { categoriesOf } from '../plan.js';
import { lines } from './parts.js';

const CONCERTS = 24;
/** Of each concert where there are many, and of one alone. */
const DATES = 12;
const DATES_OF_ONE = 50;

export async function concerts({ concert }) {
  const root = h('div', { class: 'concerts', 'data-screen': 'concerts' });
  const ending = new AbortController();
  const options = { signal: ending.signal, anonymous: true };
  const ticks = [];
  const alone = concert ? await api.read(`/v1/concerts/${encodeURIComponent(concert)}`, options) : null;
  const cards = alone ? { root: h('div', { class: 'cards' }, await card(alone, ticks, { ...options, limit: DATES_OF_ONE })) }
    : await lines({
      read: async (after) => {
        const { rows, next } = await api.page('/v1/concerts', 'concerts', { ...options, limit: CONCERTS, after });
        return { rows: await Promise.all(rows.map((each) => card(each, ticks, { ...options, limit: DATES }))), next };
      },
      row: (made) => made,
      list: h('div', { class: 'cards' }),
      none: empty(),
    });
  fill(root,
    !concert && h('header', { class: 'hero' }, h('h1', {}, t('concerts.title')), h('p', {}, t('concerts.promise'))), cards.root);
  const stop = clock.onTick((now) => ticks.forEach((tick) => tick(now)));
  return {
    root,
    title: alone ? alone.title : t('concerts.title'),
    close() {
      stop();
      ending.abort();
    },
  };
}

function empty() {
  return h('div', { class: 'card empty' }, icon('ticket'), h('p', {}, t('concerts.none')),
    h('a', { href: '/organizer', class: 'button plain' }, t('concerts.organize')));
}

async function card(concert, ticks, options) {
  // What has begun since the whole minute is not on sale any more.
  const begun = (schedule) => Date.parse(schedule.starts_at) <= clock.now();
  const dates = await lines({
    read: async (after) => {
      let page = { rows: [], next: after };
      do {
        page = await api.page(datesPath(concert.id), 'schedules', { ...options, after: page.next });
        page.rows = page.rows.filter((each) => !begun(each));
      } while (!page.rows.length && page.next);
      return page;
    },
    row: (schedule) => date(concert, schedule, ticks),
    list: h('ul', { class: 'dates' }),
    none: h('p', { class: 'muted' }, t('concerts.noDates')),
  });
  return h('article', { class: 'card concert' },
    h('div', { class: 'concert-head' },
      h('h2', {}, h('a', { href: `/c/${concert.id}`, 'data-link': true }, concert.title)),
      concert.description && h('p', { class: 'muted' }, concert.description)),
    dates.root);
}

function date(concert, schedule, ticks) {
  const starts = Date.parse(schedule.starts_at);
  const opens = Date.parse(schedule.sales_open_at ?? '');
  const tile = dateTile(starts, concert.time_zone);
  const { available_seats: left, total_seats: total } = schedule;
  const state = h('span', { class: 'date-state' });
  const cancelled = Boolean(schedule.cancelled_at);
  const tick = (now) => {
    if (cancelled) say(state, t('concerts.cancelled'));
    else if (opens > now) say(state, t('concerts.opens', { time: longDate(opens, concert.time_zone), in: duration(opens - now) }));
    else say(state, left ? t('concerts.left', { left: number(left), total: number(total) }) : t('concerts.soldOut'));
  };
  tick(clock.now());
  ticks.push(tick);
  return h('li', {},
    h('a', { class: 'date', href: `/s/${schedule.id}`, 'data-link': true, 'data-schedule': schedule.id },
      h('span', { class: 'tile', 'aria-hidden': 'true' }, h('b', {}, tile.day), h('span', {}, tile.month)),
      h('span', { class: 'date-main' },
        h('strong', {}, longDate(starts, concert.time_zone)),
        h('span', { class: 'date-facts' }, state,
          schedule.queue && h('span', { class: 'badge' }, t('concerts.queue')))),
      h('span', { class: 'date-price' }, priceText(categoriesOf(schedule), concert.currency)),
      h('meter', { class: 'left', min: 0, max: total, value: left, 'aria-label': plural('concerts.seatsLeft', left) })));
}

/** One price, the lowest of several, or from nothing to the highest. */
function priceText(categories, currency) {
  const low = Math.min(...categories.map((category) => category.low));
  const high = Math.max(...categories.map((category) => category.high));
  const [lowest, highest] = [low, high].map((price) => money(price, currency));
  if (low === high) return lowest;
  return low ? t('concerts.from', { price: lowest }) : t('price.range', { low: lowest, high: highest });
}
