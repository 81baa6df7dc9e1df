// Everything one has: tickets, holds, payments, wallet.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { button, fill, h, icon } from '../dom.js';
import { clockTime, dayAndTime, money, plural, sum, t } from '../i18n.js';
import * as intent from '../intent.js';
import { needName } from '../login.js';
import { plainLabel } from '../plan.js';
import * as session from '../session.js';
import { notice, problemText } from './parts.js';

export async function mine({ go }) {
  const root = h('div', { class: 'mine', 'data-screen': 'mine' });
  const page = { root, title: t('nav.mine'), close() {} };
  if (!session.name()) {
    fill(root, h('div', { class: 'card empty' }, icon('user'), h('h1', {}, t('nav.mine')), h('p', {}, t('mine.login')),
      button(t('login.title'), async () => (await needName()) && go('/me'), { kind: 'primary' })));
    return page;
  }
  const [reservations, payments, wallet, entries] = await Promise.all([
    pages('/v1/reservations', 'reservations'), api.read('/v1/payments?limit=50'), api.read('/v1/wallet'), api.read('/v1/wallet/entries?limit=20'),
  ]);
  const dates = await catalog(reservations);
  fill(root, h('h1', { tabindex: '-1' }, t('mine.title')),
    h('div', { class: 'two' },
      h('section', { class: 'card' }, h('h2', {}, t('mine.reservations')), reservations.length
        ? h('ul', { class: 'rows' }, reservations.map((each) => row(each, dates.get(each.schedule_id))))
        : h('p', { class: 'muted' }, t('mine.none'))),
      h('div', { class: 'stack' }, purse(wallet, go), history(entries.entries), paid(payments.payments))));
  return page;
}

/** At most the newest 200. */
async function pages(path, name) {
  let rows = [];
  let after = null;
  do {
    const page = await api.read(`${path}?limit=50${after ? `&after=${after}` : ''}`);
    rows = rows.concat(page[name]);
    after = page.next;
  } while (after && rows.length < 200);
  return rows;
}

async function catalog(reservations) {
  const ids = [...new Set(reservations.map((each) => each.schedule_id))];
  const found = new Map();
  const concerts = new Map();
  for (const id of ids) {
    const schedule = await api.readIfAny(`/v1/schedules/${id}`, { anonymous: true });
    if (!schedule) continue;
    const { concert_id: concert } = schedule;
    if (!concerts.has(concert)) concerts.set(concert, await api.read(`/v1/concerts/${concert}`, { anonymous: true }));
    found.set(id, { schedule, concert: concerts.get(concert) });
  }
  return found;
}

function row(own, date) {
  const seats = (own.labels ?? own.seats.map((seat) => plainLabel(seat))).join(' · ');
  const live = own.status === 'HELD' && Date.parse(own.expires_at) > clock.now();
  return h('li', {}, h('a', { class: 'row', href: `/s/${own.schedule_id}?r=${own.reservation_id}`, 'data-link': true },
    h('span', { class: 'row-main' }, h('strong', {}, date?.concert.title ?? ''), h('span', { class: 'muted' }, date ? dayAndTime(Date.parse(date.schedule.starts_at), date.concert.time_zone) : ''), h('span', {}, seats)),
    h('span', { class: 'row-side' }, h('span', { class: `badge ${own.status.toLowerCase()}` }, t(`own.${own.status}`)),
      h('span', { class: 'price' }, money(own.amount, date?.concert.currency)), live && h('span', { class: 'muted' }, t('hold.until', { time: clockTime(Date.parse(own.expires_at)) })))),
    own.status === 'CONFIRMED' && h('a', { class: 'button plain row-deed', href: `/t/${own.reservation_id}`, 'data-link': true, 'data-act': 'tickets' }, icon('ticket'), plural('ticket.show', own.seats.length)));
}

function purse(wallet, go) {
  const box = notice('warn');
  const field = h('input', { id: 'charge', type: 'number', min: 1, max: 1e12, step: 1, value: 10000, inputmode: 'numeric' });
  const charge = async (event) => {
    event.preventDefault();
    const outcome = await intent.perform({ kind: 'charge', scope: 'wallet', method: 'POST', path: '/v1/wallet/charges', body: { amount: Number(field.value) } });
    if (outcome.problem) box.show(h('p', {}, problemText(outcome.problem)));
    else go('/me');
  };
  return h('section', { class: 'card' }, h('h2', {}, t('mine.wallet')), h('p', { class: 'balance' }, sum(wallet.balance)),
    session.known().self_charge && h('form', { class: 'inline-form', onsubmit: charge },
      h('label', { class: 'field', for: 'charge' }, h('span', {}, t('mine.amount')), field), h('button', { class: 'button plain' }, t('mine.charge'))),
    box.root);
}

function history(entries) {
  if (!entries.length) return null;
  return h('section', { class: 'card' }, h('h2', {}, t('mine.history')), h('ul', { class: 'rows plain' }, entries.map((entry) => h('li', { class: 'row' },
    h('span', { class: 'row-main' }, h('span', {}, t(`entry.${entry.kind}`)), h('span', { class: 'muted' }, dayAndTime(Date.parse(entry.at)))),
    h('span', { class: 'row-side' }, h('span', { class: 'price' }, `${['CHARGE', 'REFUND'].includes(entry.kind) ? '+' : '−'}${sum(entry.amount)}`), h('span', { class: 'muted' }, sum(entry.balance_after)))))));
}

function paid(payments) {
  const failed = payments.filter((payment) => payment.status === 'FAILED');
  if (!failed.length) return null;
  return h('section', { class: 'card' }, h('h2', {}, t('mine.failed')), h('ul', { class: 'rows plain' }, failed.map((payment) => h('li', { class: 'row' },
    h('span', {}, problemText({ code: payment.failure ?? 'internal' })), h('span', { class: 'price' }, sum(payment.amount))))));
}
