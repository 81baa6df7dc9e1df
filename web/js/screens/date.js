// One date: picks what the user needs now from what the server says, and keeps their hold in sight on all of it.

import * as announce from '../announce.js';
import * as alerts from '../alerts.js';
import { Problem } from '../api.js';
import * as clock from '../clock.js';
import { fill, h, icon } from '../dom.js';
import { clockTime, longDate, t } from '../i18n.js';
import { Sale } from '../sale.js';
import { before, ended, gate } from './arrival.js';
import { choose } from './choose.js';
import { holdBar } from './hold_bar.js';
import { reservation } from './reservation.js';
import { waiting } from './waiting.js';

const SCREENS = { before, ended, gate, waiting, choose, reservation };

/** Which screen, from the server's state alone. */
function wanted(sale, query) {
  const own = query.get('r');
  if (own && sale.reservation(own)) return `reservation:${own}`;
  if (sale.isCancelled) return 'ended:cancelled';
  if (sale.isOver) return 'ended:over';
  if (sale.schedule.queue) {
    const status = sale.place?.status;
    if (status === 'ACTIVE') return 'choose';
    if (status === 'WAITING' || status === 'ABSENT') return 'waiting';
    return 'gate';
  }
  return sale.isOpen ? 'choose' : 'before';
}

export async function date({ schedule, go }) {
  const sale = new Sale(schedule);
  try {
    await sale.open(!new URLSearchParams(location.search).has('r'));
  } catch (problem) {
    sale.close();
    if (problem instanceof Problem && [400, 404].includes(problem.status)) return notFound();
    throw problem;
  }
  return new DatePage(sale, go);
}

function notFound() {
  return {
    root: h('div', { class: 'card empty', 'data-screen': 'not-found' }, icon('ticket'), h('h1', {}, t('date.notFound')),
      h('a', { class: 'button plain', href: '/', 'data-link': true }, t('date.all'))),
    title: t('date.notFound'),
    close() {},
  };
}

class DatePage {
  constructor(sale, go) {
    this.sale = sale;
    this.go = go;
    this.title = sale.concert.title;
    this.stage = h('div', { class: 'stage' });
    this.bar = holdBar(sale, go);
    this.root = h('div', { class: 'date-page' }, this.#head(), this.bar.root, this.stage);
    sale.addEventListener('change', () => this.update());
    sale.addEventListener('turn', () => this.#turn());
    sale.addEventListener('hall', () => this.#redraw());
    this.stop = clock.onTick(() => this.#tick());
    this.ready = this.update();
  }

  #head() {
    const { concert, schedule } = this.sale;
    return h('header', { class: 'date-title' },
      h('a', { class: 'crumb', href: `/c/${concert.id}`, 'data-link': true }, icon('back'), t('date.all')),
      h('h1', { tabindex: '-1' }, concert.title),
      h('p', { class: 'muted' }, longDate(Date.parse(schedule.starts_at), concert.time_zone)));
  }

  #turn() {
    const until = Date.parse(this.sale.place?.active_until ?? '');
    alerts.ring(t('turn.title'), until);
    announce.call(t('turn.call', { time: Number.isNaN(until) ? '' : clockTime(until) }));
  }

  #tick() {
    // Opening and end come by the clock; the server is asked by the screen that follows.
    if (this.kind && wanted(this.sale, new URLSearchParams(location.search)) !== this.kind) this.update();
  }

  /** Null if the page was left before it was there. */
  async #screen(name, detail) {
    try {
      return await SCREENS[name]({ sale: this.sale, detail, go: this.go });
    } catch (problem) {
      if (this.sale.signal.aborted) return null;
      throw problem;
    }
  }

  /** Called on every change, and when the address changed within the date. */
  async update() {
    const kind = wanted(this.sale, new URLSearchParams(location.search));
    this.bar.update(kind);
    if (kind === this.kind) {
      this.screen?.update?.();
      return;
    }
    this.kind = kind;
    const [name, detail] = kind.split(':');
    const before = this.screen;
    const next = await this.#screen(name, detail);
    if (!next) return;
    if (this.kind !== kind) {
      next.close?.();
      return;
    }
    before?.close?.();
    this.screen = next;
    fill(this.stage, next.root);
    this.root.dataset.screen = name;
    // Whoever reads by ear or by keys follows; at the first screen the page itself has just been opened.
    if (before) (next.focus ?? this.root.querySelector('h1')).focus({ preventScroll: false });
  }

  /** The map and the list are made anew; who is choosing stays where they are. */
  async #redraw() {
    if (!this.kind?.startsWith('choose')) return;
    const before = this.screen;
    const next = await this.#screen('choose');
    if (!next) return;
    if (this.screen !== before || !this.kind?.startsWith('choose')) {
      next.close?.();
      return;
    }
    before?.close?.();
    this.screen = next;
    fill(this.stage, next.root);
  }

  close() {
    this.kind = null;
    this.stop();
    this.screen?.close?.();
    this.bar.close();
    this.sale.close();
    alerts.release();
    alerts.quiet();
  }
}
