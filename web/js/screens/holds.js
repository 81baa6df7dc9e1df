// Holds of whatever date, on pages that are of none: each with its end, a way to pay and a way to give it back.

import * as api from '../api.js';
import { dateOf } from '../dates.js';
import { h } from '../dom.js';
import * as intent from '../intent.js';
import { plainLabel } from '../plan.js';
import * as session from '../session.js';
import { onWake } from '../wake.js';
import { holdBar } from './hold_bar.js';

const LIVE = ['HELD', 'PAYING'];
/** What is unpaid is among the newest. */
const NEWEST = 50;

/** `changed()`: a hold has ended, or a payment has. */
export function holds(go, changed) {
  const root = h('div', { class: 'hold-bars' });
  const ending = new AbortController();
  let bars = [];

  async function look() {
    if (!session.name()) return;
    const { rows } = await api.page('/v1/reservations', 'reservations', { limit: NEWEST, signal: ending.signal });
    const live = rows.filter((own) => LIVE.includes(own.status));
    const dates = await Promise.all(live.map((own) => dateOf(own.schedule_id)));
    if (ending.signal.aborted) return;
    const made = live.flatMap((own, index) => (dates[index] ? [new Held(own, dates[index].concert, go, changed)] : []));
    bars.forEach((bar) => bar.close());
    bars = made;
    root.replaceChildren(...bars.map((bar) => bar.root));
  }

  const again = () => look().catch(() => {});
  again();
  onWake(again, ending.signal);
  return {
    root,
    close() {
      ending.abort();
      bars.forEach((bar) => bar.close());
    },
  };
}

/** One hold, as its bar needs it. */
class Held {
  constructor(own, concert, go, changed) {
    this.own = own;
    this.concert = concert;
    this.changed = changed;
    this.id = own.schedule_id;
    this.bar = holdBar(this, go);
    this.root = this.bar.root;
    this.bar.update('');
  }

  close() {
    this.bar.close();
  }

  get live() {
    return LIVE.includes(this.own.status) ? this.own : null;
  }

  names(own) {
    return own.labels ?? own.seats.map((seat) => plainLabel(seat));
  }

  async refresh(id) {
    const before = this.own.status;
    this.own = await api.read(`/v1/reservations/${id}`);
    this.bar.update('');
    if (this.own.status !== before) this.changed();
  }

  async giveBack({ reservation_id: id }) {
    await intent.perform({ kind: 'cancel', scope: id, method: 'DELETE', path: `/v1/reservations/${id}` });
    await this.refresh(id).catch(() => {});
  }
}
