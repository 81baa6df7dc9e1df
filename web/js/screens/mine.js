// Everything one has: tickets, holds, payments, wallet.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { dateOf } from '../dates.js';
import { button, fill, h, icon } from '../dom.js';
import { clockTime, dayAndTime, money, plural, sum, t } from '../i18n.js';
import * as intent from '../intent.js';
import { needName } from '../login.js';
import { plainLabel } from '../plan.js';
import * as session from '../session.js';
import { lines, notice, problemText } from './parts.js';

const RESERVATIONS = 50;
const ENTRIES = 20;
const PAYMENTS = 20;

export async function mine({ go }) {
  const root = h('div', { class: 'mine', 'data-screen': 'mine' });
  const page = { root, title: t('nav.mine'), close() {} };
  if (!session.name()) {
    fill(root, h('div', { class: 'card empty' }, icon('user'), h('h1', {}, t('nav.mine')), h('p', {}, t('mine.login')),
      button(t('login.title'), async () => (await needName()) && go('/me'), { kind: 'primary' })));
    return page;
  }
  const [reservations, payments, wallet, entries] = await Promise.all([owned(), paid(), api.read('/v1/wallet'), history()]);
  fill(root, h('h1', { tabindex: '-1' }, t('mine.title')),
    h('div', { class: 'two' },
      h('section', { class: 'card' }, h('h2', {}, t('mine.reservations')), reservations.root),
      h('div', { class: 'stack' }, purse(wallet, go), entries, payments)));
  return page;
}

/** Reservations, each with its date. */
function owned() {
  const dates = new Map();
  const concerts = new Map();
  return lines({
    read: async (after) => {
      const page = await api.page('/v1/reservations', 'reservations', { limit: RESERVATIONS, after });
      for (const own of page.rows) if (!dates.has(own.schedule_id)) dates.set(own.schedule_id, await dateOf(own.schedule_id, concerts));
      return page;
    },
    row: (own) => row(own, dates.get(own.schedule_id)),
    none: h('p', { class: 'muted' }, t('mine.none')),
  });
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

/** What came into the wallet and what went. */
async function history() {
  const list = await lines({
    read: (after) => api.page('/v1/wallet/entries', 'entries', { limit: ENTRIES, after }),
    row: (entry) => h('li', { class: 'row' },
      h('span', { class: 'row-main' }, h('span', {}, t(`entry.${entry.kind}`)), h('span', { class: 'muted' }, dayAndTime(Date.parse(entry.at)))),
      h('span', { class: 'row-side' }, h('span', { class: 'price' }, `${['CHARGE', 'REFUND'].includes(entry.kind) ? '+' : '−'}${sum(entry.amount)}`), h('span', { class: 'muted' }, sum(entry.balance_after)))),
    list: h('ul', { class: 'rows plain' }),
  });
  return list.count > 0 && h('section', { class: 'card', 'data-list': 'entries' }, h('h2', {}, t('mine.history')), list.root);
}

/** Payments, with what became of each. */
async function paid() {
  const list = await lines({
    read: (after) => api.page('/v1/payments', 'payments', { limit: PAYMENTS, after }),
    row: (payment) => h('li', { class: 'row', 'data-payment': payment.status },
      h('span', { class: 'row-main' }, h('span', {}, t(`payment.${payment.status}`)),
        payment.failure && h('span', { class: 'muted' }, problemText({ code: payment.failure })), h('span', { class: 'muted' }, dayAndTime(Date.parse(payment.created_at)))),
      h('span', { class: 'row-side' }, h('span', { class: 'price' }, sum(payment.amount)))),
    list: h('ul', { class: 'rows plain' }),
  });
  return list.count > 0 && h('section', { class: 'card', 'data-list': 'payments' }, h('h2', {}, t('mine.payments')), list.root);
}
