// One reservation, by its status: pay, paying, tickets, ended.

import * as announce from '../announce.js';
import * as api from '../api.js';
import * as clock from '../clock.js';
import { button, fill, h, icon, say } from '../dom.js';
import { clockTime, duration, longDate, money, plural, sum, t } from '../i18n.js';
import * as intent from '../intent.js';
import { confirm } from '../login.js';
import * as session from '../session.js';
import { notice, problemText, progress, proof } from './parts.js';

export function reservation({ sale, detail, go }) {
  return new Reservation(sale, detail, go);
}

class Reservation {
  constructor(sale, id, go) {
    this.sale = sale;
    this.id = id;
    this.go = go;
    this.balance = null;
    this.box = notice('warn');
    this.body = h('div', { class: 'stack' });
    this.root = h('div', { class: 'narrow' }, this.body);
    this.rest = h('strong', { class: 'countdown', role: 'timer' });
    this.sayRest = announce.countdown();
    this.stop = clock.onTick((now) => this.#tick(now));
    this.update();
  }

  close() {
    this.closed = true;
    this.stop();
  }

  get own() {
    return this.sale.reservation(this.id);
  }

  update() {
    const own = this.own;
    if (!own || this.status === own.status) return;
    this.status = own.status;
    this.root.dataset.status = own.status;
    const build = { HELD: () => this.#held(), PAYING: () => this.#paying(), CONFIRMED: () => this.#confirmed() }[own.status];
    fill(this.body, build ? build() : this.#ended());
    this.#tick(clock.now());
    if (own.status === 'HELD') this.#wallet();
    if (own.status === 'PAYING') this.#ask();
    if (own.status === 'CONFIRMED') announce.call(t('done.title'));
  }

  #seats(own) {
    return h('ul', { class: 'tickets' }, this.sale.names(own).map((name) => h('li', {}, icon('chair'), h('span', {}, name))));
  }

  #amount(own) {
    return h('p', { class: 'total' }, h('span', {}, t('choice.total')), h('strong', {}, money(own.amount, this.sale.concert.currency)));
  }

  #held() {
    const own = this.own;
    const { currency } = this.sale.concert;
    this.purse = h('div', { class: 'purse' });
    this.payButton = button(own.amount ? t('pay.pay', { amount: money(own.amount, currency) }) : t('pay.take'), () => this.pay(), { kind: 'primary wide large', 'data-act': 'pay' });
    return h('section', { class: 'card pay' }, h('h2', {}, t('hold.yours')),
      h('p', { class: 'ends' }, t('hold.until', { time: clockTime(Date.parse(own.expires_at)) }), ' ', this.rest),
      this.#seats(own), this.#amount(own), own.amount ? this.purse : null, this.payButton, this.box.root,
      h('div', { class: 'actions' },
        button(t('hold.others'), () => this.go(`/s/${this.sale.id}`), { kind: 'quiet' }),
        button(t('hold.giveBack'), () => this.giveBack(), { kind: 'quiet', 'data-act': 'give-back' })));
  }

  /** What the user has, and what is missing. */
  async #wallet() {
    const own = this.own;
    if (!own.amount) return;
    let wallet;
    try {
      wallet = await api.read('/v1/wallet');
    } catch {
      return;
    }
    if (this.closed || this.status !== 'HELD') return;
    this.balance = wallet.balance;
    const { currency } = this.sale.concert;
    const missing = own.amount - wallet.balance;
    this.root.dataset.missing = Math.max(0, missing);
    // A charge that was sent before the page went away.
    const sent = intent.unsettled('charge', this.id);
    if (sent && !this.charged) return this.charge(sent.body.amount, this.payButton);
    fill(this.purse, h('p', {}, t('pay.balance', { balance: sum(wallet.balance, currency) })),
      missing > 0 && h('p', {}, t('pay.missing', { missing: sum(missing, currency) })),
      missing > 0 && (session.known().self_charge
        ? button(t('pay.charge', { missing: sum(missing, currency) }), (event) => this.charge(missing, event.target), { kind: 'plain wide', 'data-act': 'charge' })
        : h('p', { class: 'hint' }, t('pay.cashier'))));
    this.payButton.disabled = missing > 0;
  }

  async charge(amount, button) {
    button.disabled = true;
    this.charged = true;
    const outcome = await intent.perform({ kind: 'charge', scope: this.id, method: 'POST', path: '/v1/wallet/charges', body: { amount } }, progress(this.box, t('pay.charging')));
    button.disabled = false;
    if (outcome.problem) this.box.show(h('p', {}, problemText(outcome.problem)));
    else this.box.clear();
    await this.#wallet();
    if (outcome.ok) this.payButton.focus();
  }

  async pay() {
    this.payButton.disabled = true;
    const outcome = await this.sale.pay(this.own, progress(this.box, t('pay.asking')), this.balance !== null && this.balance >= this.own.amount);
    if (this.closed) return;
    if (outcome.ok) this.box.clear();
    if (outcome.problem) {
      const text = problemText(outcome.problem);
      this.box.show(h('p', {}, text));
      announce.call(text);
      await this.#wallet();
    } else if (outcome.busy) {
      this.box.show(h('p', {}, t('deciding.otherTab')));
    }
    if (this.status === 'HELD') this.payButton.disabled = this.balance !== null && this.balance < this.own.amount;
  }

  async giveBack() {
    const confirmed = this.status === 'CONFIRMED';
    if (!(await confirm(t(confirmed ? 'done.cancelAsk' : 'hold.giveBackAsk'), t(confirmed ? 'done.cancel' : 'hold.giveBack')))) return;
    const outcome = await this.sale.giveBack(this.own, progress(this.box, t('hold.giving')));
    if (outcome.problem) this.box.show(h('p', {}, problemText(outcome.problem)));
    else if (!confirmed && !this.closed) this.go(`/s/${this.sale.id}`);
  }

  #paying() {
    return h('section', { class: 'card pay' }, h('h2', {}, t('pay.paying')), h('p', {}, t('pay.stopped')), this.#seats(this.own), this.#amount(this.own));
  }

  /** Until the wallet has answered. */
  async #ask() {
    while (!this.closed && this.status === 'PAYING') {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (!this.closed) await this.sale.refresh(this.id).catch(() => {});
    }
  }

  #confirmed() {
    const own = this.own;
    this.box.clear();
    const { concert, schedule } = this.sale;
    const starts = Date.parse(schedule.starts_at);
    return h('section', { class: 'card done' },
      h('div', { class: 'seal', 'aria-hidden': 'true' }, icon('check')),
      h('h2', {}, t('done.title')), h('p', { class: 'muted' }, `${concert.title} · ${longDate(starts, concert.time_zone)}`),
      this.#seats(own), this.#amount(own), proof(own.decided),
      h('div', { class: 'actions' },
        h('a', { class: 'button primary', href: `/t/${own.reservation_id}`, 'data-link': true, 'data-act': 'tickets' }, plural('ticket.show', own.seats.length)),
        h('a', { class: 'button plain', download: 'ticket.ics', href: calendar(concert, schedule, own, this.sale) }, t('done.calendar')),
        h('a', { class: 'button plain', href: '/me', 'data-link': true }, t('nav.mine')),
        starts > clock.now() && button(t('done.cancel'), () => this.giveBack(), { kind: 'quiet', 'data-act': 'cancel' })),
      this.box.root);
  }

  #ended() {
    const own = this.own;
    const key = { EXPIRED: 'expired', CANCELLED: 'cancelled', REFUNDED: 'refunded' }[own.status] ?? 'cancelled';
    const seats = own.seats;
    announce.call(t(`ended.${key}Title`));
    return h('section', { class: 'card' }, h('h2', {}, t(`ended.${key}Title`)),
      h('p', {}, t(`ended.${key}Text`, { time: clockTime(Date.parse(own.expires_at)), amount: money(own.amount, this.sale.concert.currency) })),
      this.#seats(own),
      h('div', { class: 'actions' },
        key === 'expired' && !this.sale.isOver && button(t('ended.again'), () => this.again(seats), { kind: 'primary', 'data-act': 'again' }),
        h('a', { class: 'button plain', href: `/s/${this.sale.id}`, 'data-link': true }, t('hold.others'))),
      this.box.root);
  }

  async again(seats) {
    const outcome = await this.sale.hold({ seats }, progress(this.box, t('deciding.asking', { what: seats.join(', ') })));
    if (outcome.ok) this.go(`/s/${this.sale.id}?r=${outcome.result.reservation_id}`);
    else if (outcome.problem) this.box.show(h('p', {}, problemText(outcome.problem)));
  }

  #tick(now) {
    const own = this.own;
    if (!own || own.status !== 'HELD') return;
    const ends = Date.parse(own.expires_at);
    say(this.rest, duration(ends - now));
    this.rest.classList.toggle('late', ends - now < 60_000);
    this.sayRest(ends - now);
    if (now < ends || this.asking) return;
    // The page decides nothing: it asks.
    this.asking = true;
    this.sale.refresh(this.id).catch(() => {}).finally(() => {
      this.asking = false;
    });
  }
}

/** An entry for a calendar, as a link. */
function calendar(concert, schedule, own, sale) {
  const stamp = (ms) => new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const starts = Date.parse(schedule.starts_at);
  const plain = (text) => text.replace(/([\\,;])/g, '\\$1').replace(/\n/g, '\\n');
  const lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//Turnstile//EN', 'BEGIN:VEVENT', `UID:${own.reservation_id}`,
    `DTSTAMP:${stamp(clock.now())}`, `DTSTART:${stamp(starts)}`, `DTEND:${stamp(starts + (schedule.duration ?? 7200) * 1000)}`,
    `SUMMARY:${plain(concert.title)}`, `DESCRIPTION:${plain(sale.names(own).join('\n'))}`,
    'END:VEVENT', 'END:VCALENDAR'];
  return `data:text/calendar;charset=utf-8,${encodeURIComponent(lines.join('\r\n'))}`;
}
