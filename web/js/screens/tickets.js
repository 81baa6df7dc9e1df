// Tickets of a paid reservation: a code for each seat, for a screen or for paper. All of it is in the page, so it needs no
// connection once it is open.

import * as api from '../api.js';
import { aboutDate, partsOf } from '../dates.js';
import { button, fill, h, icon } from '../dom.js';
import { longDate, number, t } from '../i18n.js';
import { needName } from '../login.js';
import * as qr from '../qr.js';
import * as session from '../session.js';
import { onWake } from '../wake.js';

const SVG = 'http://www.w3.org/2000/svg';

/** `?user=`: the box office shows a customer's. */
export async function tickets({ reservation, go }) {
  const ending = new AbortController();
  const root = h('div', { class: 'ticket-page', 'data-screen': 'tickets' });
  const page = { root, title: t('ticket.title'), close: () => ending.abort() };
  if (!session.name()) {
    fill(root, h('div', { class: 'card empty' }, icon('user'), h('h1', {}, t('ticket.title')), h('p', {}, t('mine.login')),
      button(t('login.title'), async () => (await needName()) && go(location.pathname + location.search), { kind: 'primary' })));
    return page;
  }
  const customer = new URLSearchParams(location.search).get('user');
  if (customer) session.assume('box_office');
  const path = `/v1/reservations/${encodeURIComponent(reservation)}/tickets${customer ? `?user_id=${encodeURIComponent(customer)}` : ''}`;
  const list = await api.read(path, { signal: ending.signal });
  const about = await aboutDate(list.schedule_id, ending.signal);
  fill(root, list.tickets.length ? sheet(list, about, customer) : none(list, about));
  root.dataset.status = list.status;
  // Tickets that were given back elsewhere are no tickets any more.
  onWake(async () => {
    const now = await api.read(path, { signal: ending.signal }).catch(() => list);
    if (!ending.signal.aborted && now.status !== list.status) go(location.pathname + location.search);
  }, ending.signal);
  return page;
}

function sheet(list, about, customer) {
  const { concert } = about;
  return [
    h('header', { class: 'ticket-head' },
      h('a', { class: 'crumb', href: customer ? '/organizer?desk=' + encodeURIComponent(customer) : '/me', 'data-link': !customer }, icon('back'), customer ?? t('nav.mine')),
      h('h1', { tabindex: '-1' }, concert.title), h('p', {}, t('ticket.hint')),
      h('div', { class: 'actions' }, button(t('ticket.print'), () => print(), { kind: 'plain', 'data-act': 'print' }))),
    h('ol', { class: 'sheet' }, list.tickets.map((ticket, index) => h('li', {}, one(ticket, about, index, list)))),
  ];
}

function one(ticket, { concert, schedule, hall }, index, list) {
  const parts = partsOf(hall, ticket.seat);
  const title = `ticket-${index}`;
  return h('article', { class: 'ticket', 'aria-labelledby': title, 'data-code': ticket.code },
    h('div', { class: 'ticket-text' },
      h('p', { class: 'ticket-concert' }, concert.title),
      h('p', {}, longDate(Date.parse(schedule.starts_at), concert.time_zone)),
      h('h2', { id: title, class: 'ticket-seat' }, parts.map((part, at) => [at > 0 && ' ', h('span', {}, part)])),
      h('p', { class: 'muted' }, t('ticket.of', { number: number(index + 1), total: number(list.tickets.length) }), ' · ',
        h('span', { class: 'ticket-id' }, `${ticket.seat} · ${list.reservation_id}`))),
    code(ticket, parts));
}

/** Black on white whatever the theme: scanners want it so. */
function code(ticket, parts) {
  const rows = qr.modules(ticket.code);
  const size = rows.length + 8;
  const svg = document.createElementNS(SVG, 'svg');
  const attributes = { viewBox: `0 0 ${size} ${size}`, class: 'qr', role: 'img', 'aria-label': t('ticket.code', { seat: parts.join(', ') }), 'shape-rendering': 'crispEdges' };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  const part = (tag, more) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(more)) element.setAttribute(name, value);
    svg.append(element);
  };
  part('rect', { width: size, height: size, class: 'qr-light' });
  part('path', { d: qr.path(rows), class: 'qr-dark' });
  return svg;
}

function none(list, { concert }) {
  return h('div', { class: 'card empty' }, icon('ticket'), h('h1', {}, concert.title), h('p', {}, t(list.status === 'HELD' ? 'ticket.unpaid' : 'ticket.none')),
    h('a', { class: 'button plain', href: `/s/${list.schedule_id}?r=${list.reservation_id}`, 'data-link': true }, t('ticket.reservation')));
}
