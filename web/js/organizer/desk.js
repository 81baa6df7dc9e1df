// The box office: a customer, what they have, and what can be done for them. Each act is recorded with who did it.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { about, partsOf, upcoming } from '../dates.js';
import { button, fill, h, icon } from '../dom.js';
import { clockTime, dayAndTime, longDate, money, plural, t } from '../i18n.js';
import * as intent from '../intent.js';
import { confirm } from '../login.js';
import { notice, problemText } from '../screens/parts.js';
import * as session from '../session.js';
import { DeskHold } from './desk_hold.js';
import { deed, field, formOf } from './forms.js';

const EVERY_MS = 5_000;
const PAGE = 50;

/** `customer`: a user id, or empty while there is none. */
export async function desk(customer, go) {
  const find = formOf(t('desk.find'), [field('customer', t('desk.customer'), { required: true, maxlength: 128, value: customer })],
    t('desk.find'), async (values) => go(`?desk=${encodeURIComponent(values.customer.trim())}`), notice('warn'));
  const root = h('div', { class: 'forms', 'data-screen': 'desk' }, h('h1', {}, t('desk.title')), h('section', { class: 'card' }, find));
  if (!customer) return { root, close() {} };
  const dates = await upcoming();
  const list = new CustomerList(customer);
  await list.look();
  const sell = new Sell(customer, dates, () => list.look());
  root.append(h('div', { class: 'desk' }, sell.root, list.root));
  return {
    root,
    close() {
      list.close();
      sell.close();
    },
  };
}

/** A customer's reservations, newest first, each with what can be done about it. */
class CustomerList {
  constructor(customer) {
    this.customer = customer;
    this.box = notice('warn');
    this.rows = h('ul', { class: 'rows' });
    this.pages = 1;
    this.more = deed(t('list.further'), () => {
      this.pages += 1;
      return this.look();
    }, this.box, { 'data-act': 'more', hidden: true });
    this.root = h('section', { class: 'card stack', 'aria-labelledby': 'has-title' }, h('h2', { id: 'has-title' }, t('desk.has', { customer })), this.box.root, this.rows, this.more);
    this.timer = setInterval(() => this.look().catch(() => {}), EVERY_MS);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
  }

  async look() {
    const reservations = [];
    let next = null;
    for (let page = 0; page < this.pages && next !== undefined; page += 1) {
      const found = await api.page(`/v1/reservations?user_id=${encodeURIComponent(this.customer)}`, 'reservations', { limit: PAGE, after: next });
      reservations.push(...found.rows);
      ({ next } = found);
    }
    this.more.hidden = next === undefined;
    const said = JSON.stringify(reservations);
    // Buttons that did not change stay under the finger.
    if (said === this.said || this.closed) return;
    const rows = await Promise.all(reservations.map((own) => this.#row(own)));
    this.said = said;
    fill(this.rows, rows.length ? rows : h('li', { class: 'muted' }, t('desk.nothing')));
  }

  async #row(own) {
    const date = await about(own.schedule_id);
    const currency = date?.concert.currency;
    const seats = own.seats.map((seat) => partsOf(date?.hall, seat).join(' ')).join(' · ');
    const deeds = { HELD: () => this.#held(own, currency), CONFIRMED: () => this.#sold(own, currency, date) }[own.status]?.();
    return h('li', { class: 'desk-row', 'data-reservation': own.reservation_id, 'data-status': own.status },
      h('div', { class: 'row' }, h('span', { class: 'row-main' }, h('strong', {}, seats),
        h('span', { class: 'muted' }, date ? `${date.concert.title} · ${dayAndTime(Date.parse(date.schedule.starts_at), date.concert.time_zone)}` : ''),
        own.by && h('span', { class: 'muted' }, t('desk.by', { name: own.by }))),
      h('span', { class: 'row-side' }, h('span', { class: `badge ${own.status.toLowerCase()}` }, t(`own.${own.status}`)), h('span', { class: 'price' }, money(own.amount, currency)),
        own.status === 'HELD' && h('span', { class: 'muted' }, t('hold.until', { time: clockTime(Date.parse(own.expires_at)) })))),
      deeds && h('div', { class: 'actions' }, deeds));
  }

  #held(own, currency) {
    const cash = session.has('cashier') && own.amount > 0;
    return [button(t('desk.wallet', { amount: money(own.amount, currency) }), (event) => this.#pay(own, false, event.target), { kind: cash ? 'plain' : 'primary', 'data-act': 'desk-pay' }),
      cash && button(t('desk.cash', { amount: money(own.amount, currency) }), (event) => this.#pay(own, true, event.target), { kind: 'primary', 'data-act': 'desk-cash' }),
      button(t('hold.giveBack'), (event) => this.#cancel(own, t('hold.giveBackAsk'), t('hold.giveBack'), event.target), { kind: 'quiet', 'data-act': 'desk-give-back' })];
  }

  #sold(own, currency, date) {
    const over = date && Date.parse(date.schedule.starts_at) <= clock.now();
    return [h('a', { class: 'button plain', href: `/t/${own.reservation_id}?user=${encodeURIComponent(this.customer)}`, 'data-act': 'desk-tickets' }, icon('ticket'), plural('ticket.show', own.seats.length)),
      !over && button(t('done.cancel'), (event) => this.#cancel(own, t('desk.cancelAsk', { amount: money(own.amount, currency) }), t('done.cancel'), event.target), { kind: 'quiet', 'data-act': 'desk-cancel' })];
  }

  /** From the customer's wallet; what was paid in cash is put there first, under a key that follows from the reservation. */
  async #pay(own, cash, button) {
    const id = own.reservation_id;
    const deeds = [{ kind: 'pay', scope: id, method: 'POST', path: `/v1/reservations/${id}/payment`, body: { amount: own.amount, user_id: this.customer } }];
    if (cash) deeds.unshift({ kind: 'cash', scope: id, method: 'POST', path: '/v1/wallet/charges', body: { amount: own.amount, user_id: this.customer, reason: `box office, reservation ${id}` }, key: `cash-${id}` });
    await this.#do(deeds, button);
  }

  async #cancel(own, question, yes, button) {
    if (!(await confirm(question, yes))) return;
    const id = own.reservation_id;
    await this.#do([{ kind: 'cancel', scope: id, method: 'DELETE', path: `/v1/reservations/${id}?user_id=${encodeURIComponent(this.customer)}` }], button);
  }

  /** One after the other, until one is refused. */
  async #do(deeds, button) {
    button.disabled = true;
    this.box.clear();
    for (const deed of deeds) {
      const outcome = await intent.perform(deed);
      if (outcome.ok) continue;
      this.box.show(h('p', {}, outcome.busy ? t('deciding.otherTab') : problemText(outcome.problem)));
      this.box.root.focus();
      break;
    }
    button.disabled = false;
    await this.look().catch(() => {});
  }
}

/** Chooses a date, then seats on it. */
class Sell {
  constructor(customer, dates, done) {
    this.customer = customer;
    this.done = done;
    this.hold = null;
    this.body = h('div', { class: 'stack' });
    const pick = h('select', { id: 'desk-date', onchange: () => this.#open(pick.value) }, h('option', { value: '' }, t('desk.pickDate')),
      dates.map((date) => h('option', { value: date.id }, `${longDate(date.starts, date.zone)} · ${date.title}`)));
    this.root = h('section', { class: 'card stack', 'aria-labelledby': 'sell-title' }, h('h2', { id: 'sell-title' }, t('desk.sell', { customer })),
      h('label', { class: 'field', for: 'desk-date' }, h('span', {}, t('desk.date')), pick), this.body);
  }

  async #open(id) {
    this.hold?.close();
    this.hold = null;
    fill(this.body);
    if (!id) return;
    const hold = new DeskHold(this.customer, id, this.done);
    this.hold = hold;
    await hold.open();
    if (this.hold === hold) fill(this.body, hold.root);
  }

  close() {
    this.hold?.close();
  }
}
