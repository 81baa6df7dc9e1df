// What is on: concerts with their dates, what is left, and when sales open.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { fill, h, icon, say } from '../dom.js';
import { dateTile, duration, longDate, money, number, plural, t } from '../i18n.js';
import { categoriesOf } from '../plan.js';

const CONCERTS = 24;

export async function concerts({ concert }) {
  const root = h('div', { class: 'concerts', 'data-screen': 'concerts' });
  const ending = new AbortController();
  const options = { signal: ending.signal, anonymous: true };
  const list = concert
    ? [await api.read(`/v1/concerts/${encodeURIComponent(concert)}`, options)]
    : (await api.read(`/v1/concerts?limit=${CONCERTS}`, options)).concerts;
  const dates = await Promise.all(list.map((each) => api.read(`/v1/concerts/${each.id}/schedules`, options)));
  const ticks = [];
  const cards = list.map((each, index) => card(each, dates[index].schedules, ticks));
  fill(root,
    !concert && h('header', { class: 'hero' }, h('h1', {}, t('concerts.title')), h('p', {}, t('concerts.promise'))),
    cards.length ? h('div', { class: 'cards' }, cards) : empty());
  const stop = clock.onTick((now) => ticks.forEach((tick) => tick(now)));
  return {
    root,
    title: concert ? list[0].title : t('concerts.title'),
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

function card(concert, schedules, ticks) {
  const upcoming = schedules.filter((each) => Date.parse(each.starts_at) > clock.now());
  return h('article', { class: 'card concert' },
    h('div', { class: 'concert-head' },
      h('h2', {}, h('a', { href: `/c/${concert.id}`, 'data-link': true }, concert.title)),
      concert.description && h('p', { class: 'muted' }, concert.description)),
    upcoming.length
      ? h('ul', { class: 'dates' }, upcoming.map((each) => date(concert, each, ticks)))
      : h('p', { class: 'muted' }, t('concerts.noDates')));
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
