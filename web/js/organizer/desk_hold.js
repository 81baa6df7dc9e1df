// Seats for a customer at the box office: the best together, or chosen on the map or in the list. No queue, also before
// sales open; the limit of the date holds.

import { aboutDate } from '../dates.js';
import { button, fill, h } from '../dom.js';
import { clockTime, money, number, plural, t } from '../i18n.js';
import * as intent from '../intent.js';
import { SeatList } from '../list.js';
import { SeatMap } from '../map.js';
import { hallOfSections } from '../plan.js';
import { notice, problemText } from '../screens/parts.js';
import { Seats } from '../seats.js';
import { followSeats } from '../seats_feed.js';

export class DeskHold {
  constructor(customer, id, done) {
    this.customer = customer;
    this.id = id;
    this.done = done;
    this.seats = new Seats();
    this.ending = new AbortController();
    this.box = notice('warn');
    this.choice = h('div', { class: 'choice' });
    this.root = h('div', { class: 'stack' });
  }

  /** Resolves when there is something to choose from. */
  async open() {
    const { signal } = this.ending;
    const { schedule, concert, hall } = await aboutDate(this.id, signal);
    const plain = schedule.sections.every((section) => section.categories.length === 1);
    this.feed = followSeats({ id: this.id, seats: this.seats, compact: Boolean(hall) || plain, signal });
    await this.feed.known;
    this.hall = hall ?? hallOfSections(schedule, this.seats.prices);
    this.schedule = schedule;
    this.currency = concert.currency;
    const common = { hall: this.hall, seats: this.seats, currency: this.currency, onToggle: (seat) => this.toggle(seat) };
    this.map = new SeatMap(common);
    this.list = new SeatList(common);
    this.seats.addEventListener('chosen', () => this.#choice(), { signal });
    fill(this.root, this.#best(), h('div', { class: 'preview' }, this.map.root), this.list.root, this.choice, this.box.root);
    this.#choice();
  }

  close() {
    this.ending.abort();
    this.feed?.stop();
    this.map?.close();
    this.list?.close();
  }

  #best() {
    const count = h('input', { id: 'desk-count', type: 'number', min: 1, max: this.schedule.max_seats_per_user, value: Math.min(2, this.schedule.max_seats_per_user) });
    const category = h('select', { id: 'desk-category' }, h('option', { value: '' }, t('desk.anyCategory')), this.hall.categories.map(({ name, low }) =>
      h('option', { value: name }, `${name} · ${money(low, this.currency)}`)));
    const blocks = new Set(this.schedule.sections.map((section) => section.block));
    const take = (event) => {
      event.preventDefault();
      const choice = { best_available: Number(count.value), ...(category.value && { category: category.value }), ...(blocks.size > 1 && { section: this.list.section.name }) };
      this.hold(choice);
    };
    return h('form', { class: 'inline-form', 'aria-label': t('best.title'), onsubmit: take },
      h('label', { class: 'field', for: 'desk-count' }, h('span', {}, t('desk.count')), count),
      h('label', { class: 'field', for: 'desk-category' }, h('span', {}, t('org.category')), category),
      h('button', { class: 'button plain', 'data-act': 'desk-best' }, t('best.title')));
  }

  toggle(seat) {
    this.box.clear();
    if (!this.seats.toggle(seat, this.schedule.max_seats_per_user) && this.seats.of(seat) === 0) this.box.show(h('p', {}, t('choice.most', { most: number(this.schedule.max_seats_per_user) })));
  }

  #choice() {
    const chosen = [...this.seats.chosen];
    this.root.dataset.chosen = chosen.join(' ');
    const total = chosen.reduce((sum, seat) => {
      const { section, number: n } = this.hall.place(seat);
      return sum + this.hall.priceOf(section, n);
    }, 0);
    fill(this.choice, chosen.length > 0 && [h('ul', { class: 'chosen' }, chosen.map((seat) => h('li', {}, h('span', { class: 'chosen-name' }, this.hall.label(seat))))),
      h('p', { class: 'total' }, h('span', {}, t('choice.total')), h('strong', {}, money(total, this.currency))),
      button(plural('choice.hold', chosen.length), () => this.hold({ seats: [...this.seats.chosen] }), { kind: 'primary wide', 'data-act': 'desk-hold' })]);
  }

  async hold(choice) {
    if (this.busy) return;
    this.busy = true;
    this.box.clear();
    const outcome = await intent.perform({ kind: 'hold', scope: `${this.id}.${this.customer}`, method: 'POST', path: `/v1/schedules/${this.id}/holds`, body: { ...choice, user_id: this.customer } });
    this.busy = false;
    if (this.ending.signal.aborted) return;
    if (outcome.ok) {
      this.seats.choose([]);
      const names = outcome.result.seats.map((seat) => this.hall.label(seat)).join(' · ');
      this.box.show(h('p', {}, t('desk.held', { seats: names, time: clockTime(Date.parse(outcome.result.expires_at)) })));
    } else {
      this.box.show(h('p', {}, outcome.busy ? t('deciding.otherTab') : problemText(outcome.problem, (seat) => this.hall.label(seat))));
    }
    this.box.root.focus();
    await this.done().catch(() => {});
  }
}
