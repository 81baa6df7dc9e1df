// One date for one user: what it offers, the place in its queue, the user's own reservations, and its seats as they change.
// The server is the only truth; this asks it and tells the screens.

import * as api from './api.js';
import * as clock from './clock.js';
import * as intent from './intent.js';
import * as session from './session.js';
import * as share from './share.js';
import { categoriesOf, hallOfPlan, hallOfSections, plainLabel } from './plan.js';
import { Seats } from './seats.js';
import { followSeats } from './seats_feed.js';
import * as stored from './stored.js';
import { onWake } from './wake.js';

const LIVE = ['HELD', 'PAYING'];
const IN_QUEUE = ['WAITING', 'ABSENT', 'ACTIVE'];
/** Below this many ahead the place is streamed, above it polled. */
const NEAR = 200;
const FACTS_MS = 10_000;
const BACK_MS = 1_500;
/** While another page sends what this one wants to finish. */
const BUSY_MS = 500;
/** Where the server does not say when to ask again. */
const POLL_MS = 5_000;

/** What a hall is drawn by. */
const sizeOf = ({ plan, sections }) => JSON.stringify([plan, sections.map(({ name, seats }) => [name, seats])]);

export class Sale extends EventTarget {
  constructor(id) {
    super();
    this.id = id;
    this.schedule = null;
    this.concert = null;
    this.hall = null;
    this.seats = new Seats();
    this.place = null;
    this.receipt = null;
    this.reservations = [];
    /** When this tab last asked what the user has. */
    this.seenAt = 0;
    this.ending = new AbortController();
    // What one tab did, the others show.
    this.others = 'BroadcastChannel' in window ? new BroadcastChannel(`ts.own.${id}`) : null;
    this.others?.addEventListener('message', () => this.sync());
  }

  get signal() {
    return this.ending.signal;
  }

  /** Reads all that the first screen needs; `choosing`: seats, if they can be bought. */
  async open(choosing) {
    const options = { signal: this.signal, anonymous: true };
    this.schedule = await api.read(`/v1/schedules/${this.id}`, options);
    this.drawn = this.#draw();
    // Seats that will be seen at once are on their way before the screen asks for them, which hears of a failure too.
    if (choosing && !this.schedule.queue && this.isOpen && !this.isOver && !this.isCancelled) this.followSeats().catch(() => {});
    [this.concert] = await Promise.all([api.read(`/v1/concerts/${this.schedule.concert_id}`, options), this.drawn, this.sync(true)]);
    this.#resume();
    onWake(() => this.sync(), this.signal);
    addEventListener('ts.connection', (/** @type {CustomEvent} */ event) => {
      if (event.detail.trouble === null) this.sync();
    }, { signal: this.signal });
    this.timer = setInterval(() => this.#facts(), FACTS_MS);
  }

  close() {
    this.ending.abort();
    this.others?.close();
    clearInterval(this.timer);
    this.stopSeats?.();
    this.#stopQueue();
  }

  #tell(name = 'change') {
    if (!this.signal.aborted) this.dispatchEvent(new Event(name));
  }

  /** The other tabs ask too. */
  #tellOthers() {
    if (!this.signal.aborted) this.others?.postMessage('changed');
  }

  /** Prices and times as amended, and what is left while no stream of seats says it. */
  async #facts() {
    if (document.visibilityState === 'hidden') return;
    try {
      const before = sizeOf(this.schedule);
      this.schedule = await api.read(`/v1/schedules/${this.id}`, { signal: this.signal, anonymous: true });
      if (sizeOf(this.schedule) !== before) await this.#enlarged();
      this.hall?.reprice(this.schedule);
      this.#tell('facts');
    } catch {
      // The next round may get through.
    }
  }

  /** Seats were added: the hall is drawn anew, if it was drawn before. */
  async #enlarged() {
    if (this.schedule.plan) await this.#draw();
    else if (this.hall) this.hall = hallOfSections(this.schedule, this.seats.prices);
    if (this.hall) this.#tell('hall');
  }

  /** The user's own place and reservations, fresh. */
  async sync(first = false) {
    if (!session.name()) return this.#tell();
    const options = { signal: this.signal };
    const asked = Date.now();
    try {
      const me = await api.read(`/v1/schedules/${this.id}/me`, options);
      this.seenAt = asked;
      this.#reservations(me.reservations);
      const place = me.queue ?? null;
      // A place that was taken on another device comes with its token.
      if (place && IN_QUEUE.includes(place.status) && this.#kept()?.position !== place.position) stored.keep(this.tokenSlot, { token: place.token, position: place.position });
      this.#place(place);
    } catch (problem) {
      if (first && !(problem instanceof api.Problem && problem.passes)) throw problem;
    }
    return this.#tell();
  }

  #reservations(list) {
    this.reservations = list;
    // What became of a payment is known then, whoever sent it.
    for (const each of list) if (!LIVE.includes(each.status)) intent.forget('pay', each.reservation_id);
    this.seats.setOwn(list.filter((each) => LIVE.includes(each.status) || each.status === 'CONFIRMED').flatMap((each) => each.seats));
  }

  /** The reservation that waits for a payment, if there is one. */
  get live() {
    return this.reservations.find((each) => LIVE.includes(each.status)) ?? null;
  }

  reservation(id) {
    return this.reservations.find((each) => each.reservation_id === id) ?? null;
  }

  /** Reads one reservation again. */
  async refresh(id) {
    const before = this.reservation(id)?.status;
    const fresh = await api.readIfAny(`/v1/reservations/${id}`, { signal: this.signal });
    if (!fresh || this.signal.aborted) return null;
    this.#reservations([fresh, ...this.reservations.filter((each) => each.reservation_id !== id)]);
    if (fresh.status !== before) this.#tellOthers();
    this.#tell();
    return fresh;
  }

  /** When seats may be bought: ms, or null if at once. */
  get opensAt() {
    const at = Date.parse(this.place?.opens_at ?? this.schedule.sales_open_at ?? '');
    return Number.isNaN(at) ? null : at;
  }

  get isOpen() {
    return this.opensAt === null || clock.now() >= this.opensAt;
  }

  get isOver() {
    const end = Date.parse(this.schedule.sales_close_at ?? this.schedule.starts_at);
    return clock.now() >= end;
  }

  get isCancelled() {
    return Boolean(this.schedule.cancelled_at) || this.place?.sale === 'cancelled';
  }

  /** Categories with prices and what is left, live where the seats are followed. */
  categories() {
    const categories = categoriesOf(this.schedule);
    const left = this.place?.left;
    if (left && !this.stopSeats) for (const category of categories) category.available = left[category.name] ?? category.available;
    if (!this.seats.loaded || !this.hall || !this.stopSeats) return categories;
    for (const category of categories) category.available = 0;
    for (const section of this.hall.sections) {
      const status = this.seats.status.get(section.name);
      for (let number = 1; number <= section.count; number += 1) {
        if (status?.[number] === 0) categories[section.category[number]].available += 1;
      }
    }
    return categories;
  }

  get available() {
    return this.categories().reduce((sum, category) => sum + category.available, 0);
  }

  // ---- seats

  /** Follows the seats of the date; resolves when they are known. */
  followSeats() {
    this.following ??= this.#follow();
    return this.following;
  }

  async #follow() {
    // Which category a seat is of, an undrawn section of several does not say but by the price of each seat.
    const plain = this.schedule.sections.every((section) => section.categories.length === 1);
    const feed = followSeats({ id: this.id, seats: this.seats, compact: Boolean(this.schedule.plan) || plain, signal: this.signal });
    this.stopSeats = feed.stop;
    await Promise.all([feed.known, this.drawn]);
    this.hall ??= hallOfSections(this.schedule, this.seats.prices);
  }

  /** What the user's seats are called. */
  names(reservation) {
    return reservation.seats.map((seat, index) => this.hall?.label(seat) ?? reservation.labels?.[index] ?? plainLabel(seat));
  }

  unfollowSeats() {
    this.stopSeats?.();
    this.stopSeats = null;
    this.following = null;
  }

  /** The drawing of the hall, which the browser may keep: under its id it never changes. */
  async #draw() {
    if (!this.schedule.plan) return;
    const plan = await api.readIfAny(`/v1/plans/${this.schedule.plan}`, { signal: this.signal, anonymous: true, cache: 'default' });
    if (plan?.sections) this.hall = hallOfPlan(plan, this.schedule);
  }

  // ---- the queue

  get tokenSlot() {
    return `ts.place.${session.name()}.${this.id}`;
  }

  get token() {
    return this.#kept()?.token ?? null;
  }

  #kept() {
    return stored.get(this.tokenSlot);
  }

  /** Takes a place, or finds the one there is. Resolves to the outcome. */
  async join(tell) {
    const outcome = await intent.perform({ kind: 'join', scope: this.id, method: 'POST', path: `/v1/schedules/${this.id}/queue` }, tell);
    if (outcome.ok) {
      const kept = this.#kept();
      const same = kept?.position === outcome.result.position;
      // The first join of this place is its receipt; later ones only find it again.
      stored.keep(this.tokenSlot, { ...outcome.result, decided: same && kept.decided ? kept.decided : outcome.decided });
      this.#place(await api.readIfAny(`/v1/schedules/${this.id}/queue/position`, { token: this.token, signal: this.signal }).catch(() => outcome.result));
      this.#tell();
    }
    return outcome;
  }

  async leave(tell) {
    const outcome = await intent.perform({ kind: 'leave', scope: this.id, method: 'DELETE', path: `/v1/schedules/${this.id}/queue` }, tell);
    if (outcome.ok) {
      stored.drop(this.tokenSlot);
      // Answers that are a little older must not bring it back.
      this.leftAt = this.place?.position;
      this.#place({ ...this.place, status: 'LEFT' });
      this.#tell();
    }
    return outcome;
  }

  #place(place) {
    const was = this.place?.status;
    this.place = place && place.position === this.leftAt ? { ...place, status: 'LEFT' } : place;
    place = this.place;
    this.receipt = this.#kept()?.decided ?? null;
    if (place?.status === 'ACTIVE' && was && was !== 'ACTIVE') this.#tell('turn');
    if (place?.status === 'ABSENT' && was !== 'ABSENT') this.#back();
    const waits = place && ['WAITING', 'ABSENT'].includes(place.status);
    if (waits || place?.status === 'ACTIVE') this.#followQueue(waits && place.ahead < NEAR);
    else this.#stopQueue();
  }

  /** To ask for the place is to be back, which the queue hears of within a second. */
  async #back() {
    for (const wait of [0, BACK_MS]) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.signal.aborted || this.place?.status !== 'ABSENT') return;
      await this.#position().then((place) => this.#heard(place)).catch(() => {});
    }
  }

  #stopQueue() {
    this.stopQueue?.();
    this.stopQueue = null;
    this.near = null;
  }

  /** Near the front by a stream, else by asking when the server says so; never both, and one tab for all of a browser. */
  #followQueue(near) {
    if (this.near === near) return;
    this.#stopQueue();
    this.near = near;
    const hear = (place) => {
      if (place.status) this.#heard(place);
    };
    const topic = `queue.${session.name()}.${this.id}`;
    if (!near) {
      const wait = (place) => place.poll_after_ms ?? POLL_MS;
      this.stopQueue = share.askTogether({ topic: `${topic}.far`, known: this.place, ask: (signal) => this.#position(signal), wait, hear });
      return;
    }
    this.stopQueue = share.follow({
      topic,
      always: true,
      read: (publish, signal) => share.events(`/v1/schedules/${this.id}/queue/events`, {
        headers: { 'Queue-Token': this.token }, signal, beat: () => publish(null), event: ({ data }) => publish(data),
      }),
      poll: () => this.#position(),
      hear,
    });
  }

  #position(signal = this.signal) {
    return api.read(`/v1/schedules/${this.id}/queue/position`, { token: this.token, signal });
  }

  #heard(place) {
    this.#place(place);
    this.#tell();
  }

  // ---- commands

  /** `choice`: `{seats}` or `{best_available, category?, section?}`. */
  async hold(choice, tell) {
    const path = `/v1/schedules/${this.id}/holds`;
    const outcome = await intent.perform({ kind: 'hold', scope: this.id, method: 'POST', path, body: choice, token: this.token, signal: this.signal, seenAt: this.seenAt }, tell);
    if (!outcome.busy) await this.sync();
    this.#tellOthers();
    // The server may have gone right after its answer: what it said stands.
    if (outcome.ok && !this.reservation(outcome.result.reservation_id)) {
      this.#reservations([outcome.result, ...this.reservations]);
      this.#tell();
    }
    return outcome;
  }

  /**
   * Pays under a key that follows from the reservation, so that two tabs pay once. The key's number grows only after a
   * decided refusal. A refusal from before this tap (storage was wiped) is passed over, and so is one for want of money
   * that there is by now.
   */
  async pay(reservation, tell, affordable = false) {
    const id = reservation.reservation_id;
    const count = intent.counter(`pay.${id}`);
    const began = clock.now() - Math.min(2_000, clock.uncertainty());
    for (let tries = 0; ; tries += 1) {
      const command = { kind: 'pay', scope: id, method: 'POST', path: `/v1/reservations/${id}/payment`, body: { amount: reservation.amount }, key: `pay-${id}-${count.get()}` };
      const outcome = await intent.perform(command, tell);
      if (outcome.ok || outcome.busy || !outcome.decided) {
        await this.refresh(id).catch(() => {});
        return outcome;
      }
      count.raise();
      const old = Date.parse(outcome.decided.at) < began || (affordable && tries < 3 && outcome.problem.code === 'insufficient_balance');
      if (!old || tries > 20) {
        await this.refresh(id).catch(() => {});
        return outcome;
      }
    }
  }

  async giveBack(reservation, tell) {
    const id = reservation.reservation_id;
    const outcome = await intent.perform({ kind: 'cancel', scope: id, method: 'DELETE', path: `/v1/reservations/${id}` }, tell);
    await this.refresh(id).catch(() => {});
    return outcome;
  }

  /** What was sent before the page went away is finished now, or known by now. */
  #resume() {
    if (!session.name()) return;
    const kept = intent.unsettled('hold', this.id);
    if (kept) this.resumed = this.#finish('hold', this.id, () => this.hold(kept.body));
    for (const own of this.reservations) {
      const id = own.reservation_id;
      for (const [kind, again] of Object.entries({ pay: () => this.pay(own), cancel: () => this.giveBack(own) })) {
        if (!intent.unsettled(kind, id)) continue;
        if (LIVE.includes(own.status)) this.#finish(kind, id, again);
        else intent.forget(kind, id);
      }
    }
  }

  /** Another page that is at it may be one that was just left: it keeps the lock for a moment, and will not finish. */
  async #finish(kind, scope, again) {
    let outcome = await again();
    while (outcome.busy && !this.signal.aborted && intent.unsettled(kind, scope)) {
      await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
      if (!this.signal.aborted) outcome = await again();
    }
    return outcome;
  }
}
