// The organizer's page: concerts, their dates, and how a date sells. Everything here is the public API as an admin.

import * as api from '../api.js';
import { currentDatesPath } from '../dates.js';
import { button, fill, h, icon } from '../dom.js';
import { begin, main } from '../frame.js';
import { longDate, number, t } from '../i18n.js';
import { needName } from '../login.js';
import * as session from '../session.js';
import { lines, notice, problemText } from '../screens/parts.js';
import { desk } from './desk.js';
import { deed, field, formOf, keys } from './forms.js';
import { newDate } from './new_date.js';
import { sales } from './sales.js';

const CONCERTS = 50;
const DATES = 50;

let open = null;

function go(query) {
  history.pushState(null, '', `/organizer${query}`);
  return show();
}

async function show() {
  open?.close?.();
  open = null;
  document.title = `${t('org.title')} · Turnstile`;
  main.dataset.state = 'loading';
  const query = new URLSearchParams(location.search);
  try {
    const wantsDesk = query.has('desk');
    if (wantsDesk) session.assume('box_office');
    if (session.has('box_office') && (wantsDesk || !session.isAdmin())) {
      document.title = `${t('desk.title')} · Turnstile`;
      open = await desk(query.get('desk') ?? '', go);
      fill(main, open.root);
    } else if (!session.isAdmin()) fill(main, stranger());
    else if (query.get('date')) {
      open = await sales(query.get('date'), go);
      fill(main, open.root);
    } else if (query.get('concert')) fill(main, await concert(query.get('concert')));
    else fill(main, await overview());
  } catch (problem) {
    if (!(problem instanceof api.Problem)) throw problem;
    fill(main, h('div', { class: 'card empty' }, h('h1', {}, t('trouble.title')), h('p', {}, problemText(problem.body)), button(t('trouble.now'), show)));
  }
  main.dataset.state = 'shown';
  scrollTo(0, 0);
}

function stranger() {
  return h('div', { class: 'card empty', 'data-screen': 'stranger' }, icon('user'), h('h1', {}, t('org.title')), h('p', {}, t('org.onlyAdmins')),
    button(t('login.title'), async () => {
      if (session.known().auth === 'dev') session.become('admin');
      else await needName();
    }, { kind: 'primary' }));
}

async function overview() {
  const concerts = await lines({
    read: (after) => api.page('/v1/concerts', 'concerts', { limit: CONCERTS, after }),
    row: (each) => h('li', {}, link(`?concert=${each.id}`, [h('strong', {}, each.title)])),
    none: h('p', { class: 'muted' }, t('concerts.none')),
  });
  const box = notice('warn');
  const keyOf = keys();
  const form = formOf(t('org.newConcert'), [
    field('title', t('org.concertTitle'), { type: 'text', required: true, maxlength: 200 }),
    field('description', t('org.description'), { type: 'text', maxlength: 5000 }),
    h('div', { class: 'fields' },
      field('currency', t('org.currency'), { type: 'text', pattern: '[A-Z]{3}', maxlength: 3, placeholder: session.known().currency ?? 'EUR', hint: t('org.currencyHint') }),
      zoneField()),
  ], t('org.add'), async ({ title, description, currency, time_zone: zone }) => {
    const body = { title, ...(description && { description }), ...(currency && { currency }), ...(zone && { time_zone: zone }) };
    const made = await api.call('POST', '/v1/concerts', { body, key: keyOf(body) });
    go(`?concert=${made.body.id}`);
  }, box);
  return h('div', { class: 'forms', 'data-screen': 'overview' }, h('h1', {}, t('org.title')),
    h('div', { class: 'two' },
      h('section', { class: 'card' }, h('h2', {}, t('concerts.title')), concerts.root),
      h('section', { class: 'card' }, h('h2', {}, t('org.newConcert')), form)));
}

/** The venue's, at first the organizer's own. */
function zoneField() {
  const zones = Intl.supportedValuesOf('timeZone');
  return [field('time_zone', t('org.zone'), { type: 'text', list: 'zones', value: Intl.DateTimeFormat().resolvedOptions().timeZone, hint: t('org.zoneOf') }),
    h('datalist', { id: 'zones' }, zones.map((zone) => h('option', { value: zone })))];
}

/** A row that leads on within this page. */
function link(query, children) {
  return h('a', { class: 'row', href: `/organizer${query}`, onclick: (event) => {
    event.preventDefault();
    go(query);
  } }, children);
}

async function concert(id) {
  const own = await api.read(`/v1/concerts/${id}`);
  return h('div', { class: 'forms', 'data-screen': 'concert' },
    h('a', { class: 'crumb', href: '/organizer', onclick: (event) => {
      event.preventDefault();
      go('');
    } }, icon('back'), t('org.title')),
    h('h1', {}, own.title),
    await dates(own), await newDate(own, go));
}

/** The dates to come, and on demand all that there have been. */
async function dates(concert) {
  const body = h('div', {});
  const box = notice('warn');
  const show = async (path) => fill(body, (await lines({
    read: (after) => api.page(path, 'schedules', { limit: DATES, after }),
    row: (each) => dateRow(each, concert.time_zone),
    none: h('p', { class: 'muted' }, t('concerts.noDates')),
  })).root);
  await show(currentDatesPath(concert.id));
  const past = deed(t('org.pastDates'), async () => {
    await show(`/v1/concerts/${concert.id}/schedules`);
    past.hidden = true;
    body.querySelector('a')?.focus();
  }, box, { 'data-act': 'past-dates' });
  return h('section', { class: 'card stack' }, h('h2', {}, t('org.dates')), body, h('div', { class: 'actions' }, past), box.root);
}

function dateRow(date, zone) {
  return h('li', { 'data-date': date.id }, link(`?date=${date.id}`, [
    h('span', { class: 'row-main' }, h('strong', {}, longDate(Date.parse(date.starts_at), zone)),
      h('span', { class: 'muted' }, t('concerts.left', { left: number(date.available_seats), total: number(date.total_seats) }))),
    h('span', { class: 'row-side' }, date.cancelled_at ? h('span', { class: 'badge' }, t('concerts.cancelled')) : date.queue && h('span', { class: 'badge' }, t('concerts.queue'))),
  ]));
}

addEventListener('popstate', show);
const links = () => [h('a', { href: '/' }, t('concerts.title')), session.isAdmin() && h('a', { href: '/organizer' }, t('org.title')),
  session.has('box_office') && h('a', { href: '/organizer?desk' }, t('desk.title')), session.has('door') && h('a', { href: '/door' }, t('door.title'))];
begin({ links, show, personal: true });
