// A seating plan before anything is made of it: imported, with what was odd in it, and shown as a hall.

import * as api from '../api.js';
import { h, say } from '../dom.js';
import { number, t } from '../i18n.js';
import { SeatList } from '../list.js';
import { SeatMap } from '../map.js';
import { hallOfPlan } from '../plan.js';
import { BLOCKED, Seats } from '../seats.js';
import { guidsOf } from './guids.js';

/** The server's word on a file. `extending`: the date whose hall it draws larger. */
export async function imported(file, extending) {
  const type = file.name.endsWith('.csv') ? 'text/csv' : 'application/json';
  const query = new URLSearchParams({ name: file.name.replace(/\.\w+$/, ''), ...(extending && { extends: extending }) });
  const answer = await api.send('POST', `/v1/plans?${query}`, { raw: file, headers: { 'Content-Type': type } });
  const body = await answer.json();
  if (!answer.ok) throw api.problemOf(answer, body);
  return body;
}

export const warningsOf = (warnings) => warnings.length > 0 && h('div', { class: 'notice warn' }, h('strong', {}, t('org.warnings')),
  h('ul', { class: 'warnings' }, warnings.map((each) => h('li', {}, `${each.at}: ${each.message}${each.count > 1 ? ` (×${each.count})` : ''}`))));

/** Categories that seats of the plan are of. */
export function usedCategories(plan) {
  const used = new Set(plan.sections.flatMap((section) => section.categories.map(([, , category]) => category)));
  return plan.categories.filter((_, index) => used.has(index));
}

/** The hall with its seats free; a seat that is chosen is not for sale. `had`: how many seats of each section a date has. */
export class Preview {
  constructor(plan, categories = usedCategories(plan), had = new Map()) {
    const priced = categories.map((category, index) => ({ name: category.name, price: categories.length - index, available_seats: 0 }));
    const schedule = { sections: plan.sections.map((section) => ({ name: section.name, block: 'main', seats: section.x.length, price: 0, categories: priced })) };
    this.had = had;
    this.guids = guidsOf(plan);
    this.hall = hallOfPlan(plan, schedule);
    this.seats = new Seats();
    const letters = ({ name, count }) => 'H'.repeat(had.get(name) ?? 0).padEnd(count, 'A');
    this.seats.take(Object.fromEntries(this.hall.sections.map((section) => [section.name, letters(section)])), true);
    const common = { hall: this.hall, seats: this.seats, priced: false, onToggle: (seat) => this.#toggle(seat) };
    this.map = new SeatMap(common);
    this.list = new SeatList(common);
    this.count = h('p', { class: 'hint', id: 'blocked-count' });
    this.root = h('div', { class: 'form' }, h('div', { class: 'preview' }, this.map.root), this.count, this.list.root);
    this.#say();
  }

  #toggle(seat) {
    const { section, number: n } = this.hall.place(seat);
    if (n <= (this.had.get(section.name) ?? 0)) return;
    this.seats.take({ [section.name]: { [this.seats.of(seat) === BLOCKED ? 'A' : 'X']: [n] } }, false);
    this.#say();
  }

  #say() {
    say(this.count, t('org.blockedOnMap', { count: number(this.seats.counts()[BLOCKED]) }));
  }

  /** Guids of what is not for sale. */
  blocked() {
    return [...this.guids].filter(([seat]) => this.seats.of(seat) === BLOCKED).map(([, guid]) => guid);
  }

  close() {
    this.map.close();
    this.list.close();
  }
}
