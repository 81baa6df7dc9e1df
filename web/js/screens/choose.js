// Choosing seats: the best together in one tap, on the map, or in the list. All three share one choice, which is local
// until it is asked for.

import * as announce from '../announce.js';
import * as clock from '../clock.js';
import { button, fill, h, icon, say } from '../dom.js';
import { clockTime, duration, money, number, plural, t } from '../i18n.js';
import { SeatList } from '../list.js';
import { needName } from '../login.js';
import { SeatMap } from '../map.js';
import { nearest } from '../seats.js';
import { notice, problemText, progress, showPrices } from './parts.js';
import { stepper, wishOf } from './wish.js';

export async function choose({ sale, go }) {
  await sale.followSeats();
  return new Choose(sale, go);
}

class Choose {
  constructor(sale, go) {
    this.sale = sale;
    this.go = go;
    this.seats = sale.seats;
    this.hall = sale.hall;
    this.picked = null;
    this.accessible = false;
    this.most = sale.schedule.max_seats_per_user;
    // What was asked while waiting.
    this.wish = wishOf(sale.id);
    if (this.hall.categories.some((category) => category.name === this.wish.category)) this.picked = this.wish.category;
    this.box = notice('warn');
    this.turn = h('section', { class: 'turn card', hidden: true, 'aria-label': t('turn.title') });
    this.map = new SeatMap({ hall: this.hall, seats: this.seats, currency: sale.concert.currency, onToggle: (seat) => this.toggle(seat) });
    this.list = new SeatList({ hall: this.hall, seats: this.seats, currency: sale.concert.currency, onToggle: (seat) => this.toggle(seat) });
    this.prices = h('div', {});
    this.choice = h('div', { class: 'choice' });
    this.live = h('span', { class: 'live' });
    this.root = h('div', { class: 'choose' }, this.turn, this.#best(), this.#mapCard(), this.list.root, this.#choiceCard());
    this.focus = null;
    this.listen = new AbortController();
    const options = { signal: this.listen.signal };
    this.seats.addEventListener('change', () => this.#left(), options);
    this.seats.addEventListener('chosen', () => this.#choice(), options);
    sale.addEventListener('facts', () => this.#prices(), options);
    this.seats.addEventListener('lost', (event) => this.#lost(event.detail), options);
    this.stop = clock.onTick((now) => this.#tick(now));
    this.sayTurn = announce.countdown();
    this.update();
    this.#filter();
    this.#choice();
    this.#prices();
    sale.resumed?.then((outcome) => this.#ended(outcome));
  }

  #mapCard() {
    const legend = [['free', 'status.free'], ['held', 'status.held'], ['sold', 'status.sold'], ['mine', 'status.own']];
    return h('section', { class: 'card map-card', 'aria-label': t('map.title') },
      h('div', { class: 'map-head' },
        h('ul', { class: 'legend', 'aria-hidden': 'true' }, legend.map(([look, key]) => h('li', {}, h('i', { class: `key ${look}` }), t(key)))), this.live),
      this.map.root, h('p', { class: 'hint unseen' }, t('map.readers')));
  }

  #best() {
    this.stepper = stepper(this.most, this.wish.count ?? 2, () => this.#bestText());
    this.best = button('', () => this.hold(this.#bestChoice()), { kind: 'primary wide', 'data-act': 'best' });
    this.#bestText();
    const hasWheelchairs = this.hall.sections.some((section) => section.wheelchair.size);
    return h('section', { class: 'card best-card', 'aria-labelledby': 'best-title' },
      h('h2', { id: 'best-title' }, t('best.title')),
      this.stepper.root, this.prices,
      hasWheelchairs && h('label', { class: 'check' }, h('input', { type: 'checkbox', onchange: (event) => {
        this.accessible = event.target.checked;
        this.#filter();
      } }), t('filter.accessible')),
      this.best);
  }

  #choiceCard() {
    this.choiceCard = h('section', { class: 'card choice-card', 'aria-labelledby': 'choice-title' },
      h('h2', { id: 'choice-title' }, t('choice.title')), this.choice, this.box.root);
    return this.choiceCard;
  }

  #bestText() {
    say(this.best, plural('best.go', this.stepper.count));
  }

  #bestChoice() {
    const choice = { best_available: this.stepper.count };
    if (this.picked) choice.category = this.picked;
    const blocks = new Set(this.sale.schedule.sections.map((section) => section.block));
    if (blocks.size > 1) choice.section = this.list.section.name;
    return choice;
  }

  #filter() {
    const index = this.hall.categories.findIndex((category) => category.name === this.picked);
    const filter = (section, number) =>
      (this.picked !== null && section.category[number] !== index) ||
      (this.accessible && !section.wheelchair.has(number) && !section.companion.has(number));
    this.map.setFilter(filter);
    this.list.setFilter(filter);
    this.#left();
  }

  /** Chooses or leaves a seat; says why it cannot be chosen. */
  toggle(seat) {
    if (this.seats.own.has(seat)) return;
    this.box.clear();
    if (this.seats.toggle(seat, this.most)) {
      const key = this.seats.chosen.has(seat) ? t('choice.added', { seat: this.hall.label(seat) }) : t('choice.removed', { seat: this.hall.label(seat) });
      announce.call(key);
    } else if (this.seats.of(seat) === 0) {
      this.box.show(h('p', {}, t('choice.most', { most: this.most })));
      announce.call(t('choice.most', { most: this.most }));
    } else {
      announce.call(t('choice.notFree', { seat: this.hall.label(seat) }));
    }
  }

  /** As amended meanwhile: what is chosen costs what it costs now. */
  #prices() {
    const prices = JSON.stringify(this.sale.schedule.sections.map((section) => section.categories.map((category) => category.price)));
    const changed = this.knownPrices !== undefined && this.knownPrices !== prices;
    this.knownPrices = prices;
    this.#left();
    if (!changed) return;
    this.list.repriced();
    this.#choice();
  }

  #left() {
    showPrices(this.prices, this.sale, { picked: this.picked, onPick: (name) => {
      this.picked = this.picked === name ? null : name;
      this.#filter();
    } });
    const [free, held] = this.seats.counts();
    // Known to whoever saw the last seat go.
    if (free) this.soldOutAt = null;
    else if (Number(this.root.dataset.free) > 0) this.soldOutAt = clock.now();
    const since = this.soldOutAt ? t('map.soldOutAt', { time: clockTime(this.soldOutAt) }) : t('map.soldOut');
    say(this.live, free ? t('map.free', { free: number(free) }) : `${since} ${plural('map.soldHeld', held)}`);
    this.root.dataset.free = free;
  }

  #choice() {
    const { concert } = this.sale;
    const chosen = [...this.seats.chosen];
    const total = chosen.reduce((sum, seat) => sum + this.#price(seat), 0);
    this.root.dataset.chosen = chosen.join(' ');
    this.choiceCard.classList.toggle('filled', chosen.length > 0);
    if (!chosen.length) {
      fill(this.choice, h('p', { class: 'muted' }, t('choice.none')));
      return;
    }
    this.holdButton = button(plural('choice.hold', chosen.length), () => this.hold({ seats: [...this.seats.chosen] }), { kind: 'primary wide', 'data-act': 'hold' });
    fill(this.choice,
      h('ul', { class: 'chosen' }, chosen.map((seat) => h('li', {},
        h('span', { class: `swatch category-${this.#category(seat).index % 6}`, 'aria-hidden': 'true' }, this.#category(seat).letter),
        h('span', { class: 'chosen-name' }, this.hall.label(seat)),
        h('span', { class: 'price' }, money(this.#price(seat), concert.currency)),
        h('button', { type: 'button', class: 'round small', 'aria-label': t('choice.remove', { seat: this.hall.label(seat) }), onclick: () => this.toggle(seat) }, icon('close'))))),
      h('p', { class: 'total' }, h('span', {}, t('choice.total')), h('strong', {}, money(total, concert.currency))),
      this.holdButton, h('p', { class: 'hint' }, t('choice.free')));
  }

  #category(seat) {
    const { section, number: n } = this.hall.place(seat);
    return this.hall.categoryOf(section, n);
  }

  #price(seat) {
    const { section, number: n } = this.hall.place(seat);
    return this.hall.priceOf(section, n);
  }

  #lost(gone) {
    const names = gone.map((seat) => this.hall.label(seat)).join(', ');
    this.box.show(h('p', {}, t('choice.lost', { seats: names })), this.#instead(gone[0]));
    announce.call(t('choice.lost', { seats: names }));
  }

  /** Free seats near one that is gone, each a tap. */
  #instead(seat) {
    const near = nearest(this.hall, this.seats, seat, 3);
    if (!near.length) return null;
    return h('div', { class: 'instead' }, h('p', {}, t('gone.instead')), near.map((other) => button(this.hall.label(other), () => {
      this.box.clear();
      this.seats.chosen.delete(seat);
      this.toggle(other);
      this.holdButton?.focus();
    }, { 'data-instead': other })));
  }

  async hold(choice) {
    if (this.root.dataset.deciding === 'true') return;
    // At once: a second tap finds the button switched off.
    this.#busy(true);
    if (!(await needName())) {
      this.#busy(false);
      return;
    }
    const names = choice.seats?.map((seat) => this.hall.label(seat)).join(', ') ?? plural('best.go', choice.best_available);
    const outcome = await this.sale.hold(choice, progress(this.box, t('deciding.asking', { what: names })));
    this.#busy(false);
    this.#ended(outcome);
  }

  #busy(is) {
    this.root.dataset.deciding = String(is);
    this.best.disabled = is;
    if (this.holdButton) this.holdButton.disabled = is;
  }

  #ended(outcome) {
    if (outcome.busy) {
      this.box.show(h('p', {}, t('deciding.otherTab')));
      return;
    }
    if (outcome.ok) {
      this.seats.choose([]);
      this.box.clear();
      announce.call(t('hold.got', { time: clockTime(Date.parse(outcome.result.expires_at)) }));
      this.go(`/s/${this.sale.id}?r=${outcome.result.reservation_id}`);
      return;
    }
    const { problem } = outcome;
    const gone = problem.code === 'seat_taken' ? problem.taken?.seat : null;
    if (gone) this.seats.chosen.delete(gone);
    const text = problemText(problem, (seat) => this.hall.label(seat));
    this.box.show(h('p', {}, text), gone && this.#instead(gone));
    this.#choice();
    announce.call(text);
    (this.box.root.querySelector('button') ?? this.box.root).focus();
  }

  #tick(now) {
    const until = Date.parse(this.sale.place?.active_until ?? '');
    this.turn.hidden = Number.isNaN(until);
    if (this.turn.hidden) return;
    const then = this.sale.place.on_timeout === 'expire' ? 'turn.thenOver' : 'turn.thenBack';
    say(this.turn, `${t('turn.until', { time: clockTime(until), rest: duration(until - now) })} ${t(then)}`);
    this.sayTurn(until - now);
  }

  update() {
    this.#tick(clock.now());
  }

  close() {
    this.listen.abort();
    this.stop();
    this.map.close();
    this.list.close();
    this.sale.unfollowSeats();
  }
}
