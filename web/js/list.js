// The same seats as a list: section, row, seat. A grid with one Tab stop: arrows move, Home and End go to the ends of the
// row, a letter or digit goes to the row of that name, Enter or Space chooses.

import { fill, h } from './dom.js';
import { money, t } from './i18n.js';
import { rowName } from './plan.js';
import { BLOCKED, FREE, HELD, SOLD } from './seats.js';

/** Rows that are made at once; more come by a button. */
const ROWS_AT_ONCE = 40;
const CHUNK = 10;

export class SeatList {
  /**
   * `priced`: false where prices are not known yet.
   * @param {{hall: import('./plan.js').Hall, seats: import('./seats.js').Seats, currency?: string, onToggle: (seat: string) => void, priced?: boolean}} options
   */
  constructor({ hall, seats, currency, onToggle, priced = true }) {
    this.hall = hall;
    this.seats = seats;
    this.currency = currency;
    this.onToggle = onToggle;
    this.priced = priced;
    /** @type {(section: any, number: number) => boolean} */
    this.filter = () => false;
    this.cells = new Map();
    this.shown = ROWS_AT_ONCE;
    this.section = hall.sections.find((section) => this.#free(section) > 0) ?? hall.sections[0];
    this.picker = h('select', { id: 'section-of-list', onchange: (event) => this.open(hall.sections[event.target.value]) });
    this.body = h('div', { class: 'list-body' });
    this.root = h('section', { class: 'list card', 'aria-labelledby': 'list-title' },
      h('div', { class: 'list-head' },
        h('h2', { id: 'list-title' }, t('list.title')),
        h('label', { class: 'field inline', for: 'section-of-list' }, h('span', {}, t('list.section')), this.picker)),
      h('p', { class: 'hint', id: 'list-hint' }, t('list.hint')),
      this.body);
    this.ending = new AbortController();
    const options = { signal: this.ending.signal };
    seats.addEventListener('change', (/** @type {CustomEvent} */ event) => this.#changed(event.detail), options);
    seats.addEventListener('chosen', () => this.#refresh(), options);
    this.#pickerOptions();
    this.open(this.section);
  }

  close() {
    this.ending.abort();
  }

  #free(section) {
    return this.seats.free(section.name);
  }

  #pickerOptions() {
    const options = this.hall.sections.map((section, index) => h('option', { value: index, selected: section === this.section },
      t('list.option', { section: section.label, free: this.#free(section) })));
    fill(this.picker, options);
    this.optionsOf = this.hall.sections.map((section) => this.#free(section));
  }

  setFilter(filter) {
    this.filter = filter;
    this.#refresh();
  }

  open(section) {
    this.section = section;
    this.shown = ROWS_AT_ONCE;
    this.#build();
  }

  /** Prices were amended. */
  repriced() {
    for (const cell of this.cells.values()) cell.removeAttribute('aria-label');
    this.#refresh();
  }

  /** Rows as drawn; those of a section without a drawing are tens. */
  #rows() {
    if (this.hall.drawn) return this.section.rows.filter((row) => row.seats.length).map((row) => ({ name: rowName(row), key: row.number, seats: row.seats }));
    const all = Array.from({ length: this.section.count }, (_, index) => index + 1);
    const chunks = [];
    for (let at = 0; at < all.length; at += CHUNK) chunks.push(all.slice(at, at + CHUNK));
    return chunks.map((seats) => ({ name: t(seats.length > 1 ? 'list.range' : 'list.single', { first: seats[0], last: seats.at(-1) }), key: String(seats[0]), seats }));
  }

  #build() {
    this.cells.clear();
    const rows = this.#rows();
    this.rows = rows.slice(0, this.shown);
    const grid = h('div', { role: 'grid', class: 'grid', 'aria-label': this.section.label, 'aria-describedby': 'list-hint',
      'aria-multiselectable': 'true', onkeydown: (event) => this.#key(event), onclick: (event) => this.#click(event) });
    this.rows.forEach((row, index) => {
      const cells = row.seats.map((number) => this.#cell(row, number));
      grid.append(h('div', { role: 'row', class: 'grid-row', 'data-row': index },
        h('span', { role: 'rowheader', class: 'row-name' }, row.name), h('span', { class: 'cells', role: 'presentation' }, cells)));
    });
    const more = rows.length > this.shown && h('button', { type: 'button', class: 'button plain', onclick: () => {
      this.shown += ROWS_AT_ONCE;
      this.#build();
    } }, t('list.more'));
    fill(this.body, grid, more);
    this.#stop(this.cells.get(this.rows[0]?.seats.find((number) => this.#status(number) === FREE)) ?? this.cells.values().next().value);
  }

  #status(number) {
    return this.seats.status.get(this.section.name)?.[number] ?? BLOCKED;
  }

  #cell(row, number) {
    const cell = h('span', { role: 'gridcell', class: 'cell', tabindex: '-1', 'data-number': number, 'data-seat': `${this.section.name}-${number}` },
      this.section.seatNumber(number));
    cell.row = row;
    this.cells.set(number, cell);
    this.#dress(cell, number);
    return cell;
  }

  #dress(cell, number) {
    const seat = `${this.section.name}-${number}`;
    const status = this.#status(number);
    const own = this.seats.own.has(seat);
    const chosen = this.seats.chosen.has(seat);
    const category = this.hall.categoryOf(this.section, number);
    const word = own ? 'own' : { [FREE]: 'free', [HELD]: 'held', [SOLD]: 'sold' }[status] ?? 'blocked';
    const dim = !chosen && !own && this.filter(this.section, number);
    const price = this.hall.priceOf(this.section, number);
    const facts = [cell.row.name, t('seat.spoken', { seat: this.section.seatNumber(number) }), category.name, this.priced && money(price, this.currency), t(`status.${word}`),
      this.section.aisle.has(number) && t('seat.aisle'), this.section.wheelchair.has(number) && t('seat.wheelchair'),
      this.section.companion.has(number) && t('seat.companion'), this.section.restricted.has(number) && t('seat.restricted')];
    const look = `cell ${word} category-${category.index % 6}${chosen ? ' chosen' : ''}${dim ? ' dim' : ''}`;
    if (cell.className === look && cell.hasAttribute('aria-label')) return;
    cell.className = look;
    cell.setAttribute('aria-label', facts.filter(Boolean).join(', '));
    cell.setAttribute('aria-selected', String(chosen));
    if (status !== FREE) cell.setAttribute('aria-disabled', 'true');
    else cell.removeAttribute('aria-disabled');
  }

  #changed(changed) {
    if (changed) for (const [name, number] of changed) {
      const cell = name === this.section.name && this.cells.get(number);
      if (cell) this.#dress(cell, number);
    } else {
      this.#refresh();
    }
    const counts = this.hall.sections.map((section) => this.#free(section));
    if (counts.some((count, index) => count !== this.optionsOf[index]) && document.activeElement !== this.picker) this.#pickerOptions();
  }

  #refresh() {
    for (const [number, cell] of this.cells) this.#dress(cell, number);
  }

  /** The one cell that Tab goes to. */
  #stop(cell, focus = false) {
    if (!cell) return;
    this.stopAt?.setAttribute('tabindex', '-1');
    cell.setAttribute('tabindex', '0');
    this.stopAt = cell;
    if (focus) cell.focus();
  }

  #click(event) {
    const cell = event.target.closest('.cell');
    if (!cell) return;
    this.#stop(cell, true);
    this.onToggle(cell.dataset.seat);
  }

  #key(event) {
    const cell = event.target.closest('.cell');
    if (!cell || event.altKey || event.metaKey) return;
    const row = this.rows.indexOf(cell.row);
    const column = cell.row.seats.indexOf(Number(cell.dataset.number));
    const target = this.#target(event, row, column);
    if (event.key === 'Enter' || event.key === ' ') this.onToggle(cell.dataset.seat);
    else if (target === undefined) return;
    event.preventDefault();
    if (target) this.#stop(this.cells.get(target), true);
  }

  #target(event, row, column) {
    const at = (r, c) => {
      const seats = this.rows[Math.max(0, Math.min(this.rows.length - 1, r))].seats;
      return seats[Math.max(0, Math.min(seats.length - 1, c))];
    };
    switch (event.key) {
      case 'ArrowRight': return at(row, column + 1);
      case 'ArrowLeft': return at(row, column - 1);
      case 'ArrowDown': return at(row + 1, column);
      case 'ArrowUp': return at(row - 1, column);
      case 'PageDown': return at(row + 5, column);
      case 'PageUp': return at(row - 5, column);
      case 'Home': return event.ctrlKey ? at(0, 0) : at(row, 0);
      case 'End': return event.ctrlKey ? at(this.rows.length, Infinity) : at(row, Infinity);
      case 'Enter': case ' ': return null;
      default: break;
    }
    if (event.ctrlKey || event.key.length !== 1) return undefined;
    const named = this.rows.findIndex((each) => each.key.toLowerCase() === event.key.toLowerCase());
    return named < 0 ? undefined : at(named, column);
  }
}
