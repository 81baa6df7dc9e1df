// The hall on a canvas: pan, zoom, choose. Everything it can do the list beside it can do too, so it is hidden from
// screen readers. Halls of tens of thousands of seats are painted once per zoom and then seat by seat.

import { h, icon } from './dom.js';
import { money, number, t } from './i18n.js';
import * as paint from './paint.js';
import { FREE, HELD, SOLD } from './seats.js';

const PADDING = 18;
const ZOOM_MAX_RADIUS = 20;
/** More seats in sight than this are kept as one picture. */
const PICTURE_FROM = 6_000;
const CELL = 48;
const ZOOM = 1.6;
/** CSS pixels that an arrow key moves the map by. */
const STEP = 60;

export class SeatMap {
  /** @param {{hall: import('./plan.js').Hall, seats: import('./seats.js').Seats, currency?: string, onToggle: (seat: string) => void, priced?: boolean}} options */
  constructor({ hall, seats, currency, onToggle, priced = true }) {
    this.hall = hall;
    this.seats = seats;
    this.currency = currency;
    this.onToggle = onToggle;
    this.priced = priced;
    /** @type {(section: any, number: number) => boolean} */
    this.filter = () => false;
    this.canvas = h('canvas', { class: 'map-canvas', 'aria-hidden': 'true' });
    // For those who see it and use keys.
    this.hand = h('div', { class: 'map-hand', tabindex: '0', role: 'application', 'aria-label': t('map.move') }, this.canvas);
    this.tip = h('div', { class: 'map-tip', hidden: true, 'aria-hidden': 'true' });
    const tool = (name, key, act) =>
      h('button', { type: 'button', class: 'map-tool', 'aria-label': t(key), title: t(key), onclick: act }, icon(name));
    this.root = h('div', { class: 'map' }, this.hand, this.tip,
      h('div', { class: 'map-tools', role: 'group', 'aria-label': t('map.tools') },
        tool('plus', 'map.closer', () => this.zoom(ZOOM)),
        tool('minus', 'map.farther', () => this.zoom(1 / ZOOM)),
        tool('fit', 'map.fit', () => this.fit())));
    this.view = { scale: 1, x: 0, y: 0 };
    this.ending = new AbortController();
    this.picture = null;
    this.#index();
    this.#listen();
  }

  close() {
    this.ending.abort();
    this.observer.disconnect();
  }

  /** Draws all of it again, as after a change of theme. */
  repaint() {
    this.colors = paint.palette();
    this.picture = null;
    this.#dirty();
  }

  setFilter(filter) {
    this.filter = filter;
    this.repaint();
  }

  #index() {
    this.grid = new Map();
    for (const section of this.hall.sections) {
      for (let number = 1; number <= section.count; number += 1) {
        const key = `${Math.floor(section.x[number] / CELL)}:${Math.floor(section.y[number] / CELL)}`;
        if (!this.grid.has(key)) this.grid.set(key, []);
        this.grid.get(key).push([section, number]);
      }
    }
  }

  #listen() {
    const options = { signal: this.ending.signal };
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(this.root);
    for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
      matchMedia(query).addEventListener('change', () => this.repaint(), options);
    }
    this.seats.addEventListener('change', (/** @type {CustomEvent} */ event) => this.#changed(event.detail), options);
    this.seats.addEventListener('chosen', () => this.#dirty(), options);
    new Gestures(this, options);
  }

  #changed(changed) {
    this.free = null;
    if (this.picture && changed) {
      for (const [name, number] of changed) this.#intoPicture(name, number);
    } else {
      this.picture = null;
    }
    this.#dirty();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (!width || !height) return;
    const first = !this.width;
    this.width = width;
    this.height = height;
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = width * this.ratio;
    this.canvas.height = height * this.ratio;
    this.picture = null;
    this.colors ??= paint.palette();
    if (first || this.fitted) this.fit();
    this.#dirty();
  }

  fitScale() {
    const { left, right, top, bottom } = this.hall.box;
    return Math.min((this.width - 2 * PADDING - this.#side()) / (right - left), (this.height - 2 * PADDING - this.#foot()) / (bottom - top));
  }

  /** Room for the tools beside the hall, where the map is wide. */
  #side() {
    return this.width < 600 ? 0 : 56;
  }

  /** Room for the tools below the hall, where the map is narrow. */
  #foot() {
    return this.width < 600 ? 48 : 0;
  }

  fit() {
    const { left, right, top, bottom } = this.hall.box;
    const scale = this.fitScale();
    const middle = Math.min(this.width / 2, this.width - this.#side() - PADDING - ((right - left) / 2) * scale);
    this.view = { scale, x: middle - ((left + right) / 2) * scale, y: (this.height - this.#foot()) / 2 - ((top + bottom) / 2) * scale };
    this.fitted = true;
    this.picture = null;
    this.#dirty();
  }

  /** Around a point of the canvas, its middle if none. */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const { scale, x, y } = this.view;
    const largest = ZOOM_MAX_RADIUS / (this.hall.sections[0]?.radius[1] || 10);
    const next = Math.max(this.fitScale() * 0.9, Math.min(largest, scale * factor));
    this.view = { scale: next, x: px - ((px - x) / scale) * next, y: py - ((py - y) / scale) * next };
    this.fitted = false;
    this.picture = null;
    this.#keepInSight();
  }

  pan(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.fitted = false;
    this.#keepInSight();
  }

  #keepInSight() {
    const { scale } = this.view;
    const { left, right, top, bottom } = this.hall.box;
    const within = (at, low, high, size) => Math.min(size * 0.6 - low * scale, Math.max(size * 0.4 - high * scale, at));
    this.view.x = within(this.view.x, left, right, this.width);
    this.view.y = within(this.view.y, top, bottom, this.height);
    this.#dirty();
  }

  #dirty() {
    if (this.frame || !this.width) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      if (!this.ending.signal.aborted) this.#draw();
    });
  }

  #draw() {
    const context = this.canvas.getContext('2d');
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (this.#seen() > PICTURE_FROM) {
      this.picture ??= this.#paintPicture();
      context.drawImage(this.picture.canvas, this.view.x - this.picture.x, this.view.y - this.picture.y, this.picture.width, this.picture.height);
      for (const seat of [...this.seats.chosen, ...this.seats.own]) this.#one(context, this.hall.place(seat), this.view);
    } else {
      this.picture = null;
      this.#paint(context, this.view, true);
    }
    const far = this.#isFar();
    if (far) this.#overview(context);
    this.root.dataset.level = far ? '1' : '2';
    // When the first picture stood; the tests read it.
    if (!this.root.dataset.painted) performance.mark('ts.painted');
    this.root.dataset.painted = String(Number(this.root.dataset.painted ?? 0) + 1);
  }

  /** So far out that seats are dots: then sections say what is free in them. */
  #isFar() {
    const [first] = this.hall.sections;
    return this.hall.sections.length > 1 && paint.isDot(first.radius[1] * this.view.scale);
  }

  /** Each section filled by its share of free seats, and how many they are. */
  #overview(context) {
    this.free ??= this.hall.sections.map((section) => this.seats.free(section.name));
    const { scale, x, y } = this.view;
    this.hall.sections.forEach((section, index) => {
      if (!this.#inSight(section.box, this.view)) return;
      const outline = section.outline().map(([px, py]) => [px * scale + x, py * scale + y]);
      const free = this.free[index];
      paint.share(context, this.colors, outline, { share: free / section.count, text: number(free) });
    });
  }

  #seen() {
    return this.hall.sections.reduce((sum, section) => sum + (this.#inSight(section.box, this.view) ? section.count : 0), 0);
  }

  #inSight({ left, right, top, bottom }, { scale, x, y }) {
    return right * scale + x > 0 && left * scale + x < this.width && bottom * scale + y > 0 && top * scale + y < this.height;
  }

  /** The whole hall at this zoom on a canvas of its own. */
  #paintPicture() {
    const { left, right, top, bottom } = this.hall.box;
    const { scale } = this.view;
    const [width, height] = [(right - left) * scale + 2 * PADDING, (bottom - top) * scale + 2 * PADDING];
    const canvas = document.createElement('canvas');
    // Larger than this no browser likes; then it is a little less sharp.
    const ratio = Math.min(this.ratio, 8000 / Math.max(width, height));
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const view = { scale, x: PADDING - left * scale, y: PADDING - top * scale };
    this.#paint(context, view, false);
    return { canvas, context, view, width, height, x: view.x, y: view.y };
  }

  #intoPicture(name, number) {
    const section = this.hall.sections[this.hall.byName.get(name)];
    if (!section || number > section.count) return;
    const { context, view } = this.picture;
    const r = section.radius[number] * view.scale * 1.3 + 1;
    context.clearRect(section.x[number] * view.scale + view.x - r, section.y[number] * view.scale + view.y - r, 2 * r, 2 * r);
    this.#one(context, { section, number }, view);
  }

  #paint(context, view, clipped) {
    const project = { x: (value) => value * view.scale + view.x, y: (value) => value * view.scale + view.y, scale: view.scale };
    for (const area of this.hall.areas) paint.area(context, this.colors, area, project);
    for (const section of this.hall.sections) {
      if (clipped && !this.#inSight(section.box, view)) continue;
      this.#captions(context, section, view);
      for (let number = 1; number <= section.count; number += 1) this.#one(context, { section, number }, view, clipped);
    }
  }

  #captions(context, section, view) {
    const { left, right } = section.box;
    const [x, y] = [((left + right) / 2) * view.scale + view.x, section.front * view.scale + view.y - 12];
    if (section.captioned && this.hall.sections.length > 1 && (right - left) * view.scale > 46) {
      paint.caption(context, this.colors, section.label, x, y, Math.max(11, Math.min(15, 22 * view.scale)), Math.max(60, (right - left + PADDING) * view.scale));
    }
    if (!this.hall.drawn || section.radius[1] * view.scale < 4.5) return;
    for (const row of section.rows) {
      if (!row.seats.length || !row.number) continue;
      for (const [number, side] of [[row.seats[0], -1], [row.seats.at(-1), 1]]) {
        const at = section.x[number] + side * section.radius[number] * 2.6;
        paint.caption(context, this.colors, row.number, at * view.scale + view.x, section.y[number] * view.scale + view.y, Math.max(9, Math.min(13, 13 * view.scale)));
      }
    }
  }

  #one(context, place, view, clipped = false) {
    if (!place) return;
    const { section, number } = place;
    const [x, y] = [section.x[number] * view.scale + view.x, section.y[number] * view.scale + view.y];
    const r = section.radius[number] * view.scale;
    if (clipped && (x < -r || y < -r || x > this.width + r || y > this.height + r)) return;
    const look = paint.lookOf(this.seats, section, number, this.filter);
    paint.seat(context, this.colors, look, x, y, r, paint.isNumbered(r) ? section.seatNumber(number) : null);
  }

  /** The seat at a point of the canvas, a little outside it counts too. */
  at(px, py) {
    const { scale, x, y } = this.view;
    const [hx, hy] = [(px - x) / scale, (py - y) / scale];
    let best = null;
    let nearest = Infinity;
    for (let cx = -1; cx <= 1; cx += 1) {
      for (let cy = -1; cy <= 1; cy += 1) {
        const cell = this.grid.get(`${Math.floor(hx / CELL) + cx}:${Math.floor(hy / CELL) + cy}`) ?? [];
        for (const [section, number] of cell) {
          const distance = Math.hypot(section.x[number] - hx, section.y[number] - hy);
          if (distance < Math.max(section.radius[number] * 1.3, 12 / scale) && distance < nearest) {
            nearest = distance;
            best = { section, number };
          }
        }
      }
    }
    return best;
  }

  /** A tap: too far out to tell seats apart it zooms in first. */
  tap(px, py) {
    const place = this.at(px, py);
    const radius = (this.hall.sections[0]?.radius[1] ?? 10) * this.view.scale;
    if (radius < 5 && this.hall.seats > 200) {
      this.zoom(Math.max(2, 9 / radius), px, py);
      return;
    }
    if (place) this.onToggle(`${place.section.name}-${place.number}`);
  }

  hover(px, py) {
    const place = px === null ? null : this.at(px, py);
    this.tip.hidden = !place;
    this.canvas.style.cursor = place && this.seats.status.get(place.section.name)?.[place.number] === FREE ? 'pointer' : 'grab';
    if (!place) return;
    const { section, number } = place;
    const status = this.seats.status.get(section.name)?.[number];
    const category = this.hall.categoryOf(section, number);
    const words = { [FREE]: this.priced ? money(this.hall.priceOf(section, number), this.currency) : t('status.free'), [HELD]: t('status.held'), [SOLD]: t('status.sold') };
    this.tip.replaceChildren(h('strong', {}, this.hall.label(`${section.name}-${number}`)),
      h('span', {}, `${category.name} · ${words[status] ?? t('status.blocked')}`));
    const half = this.tip.offsetWidth / 2;
    this.tip.style.left = `${Math.max(half + 4, Math.min(this.width - half - 4, px))}px`;
    this.tip.style.top = `${Math.max(0, py - this.tip.offsetHeight - 16)}px`;
  }

}

/** Mouse, touch and pen on the canvas. */
class Gestures {
  constructor(map, options) {
    this.map = map;
    this.points = new Map();
    this.moved = 0;
    const { canvas } = map;
    const on = (name, handle, extra) => canvas.addEventListener(name, handle, { ...options, ...extra });
    on('pointerdown', (event) => this.down(event));
    on('pointermove', (event) => this.move(event));
    on('pointerup', (event) => this.up(event));
    on('pointercancel', (event) => this.points.delete(event.pointerId));
    on('pointerleave', () => map.hover(null));
    on('wheel', (event) => {
      event.preventDefault();
      map.zoom(Math.exp(-event.deltaY * 0.0018), event.offsetX, event.offsetY);
    }, { passive: false });
    map.hand.addEventListener('keydown', (event) => this.key(event), options);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      ArrowLeft: () => this.map.pan(STEP, 0), ArrowRight: () => this.map.pan(-STEP, 0),
      ArrowUp: () => this.map.pan(0, STEP), ArrowDown: () => this.map.pan(0, -STEP),
      '+': () => this.map.zoom(ZOOM), '=': () => this.map.zoom(ZOOM), '-': () => this.map.zoom(1 / ZOOM), 0: () => this.map.fit(),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  down(event) {
    this.map.canvas.setPointerCapture(event.pointerId);
    this.points.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.moved = this.points.size > 1 ? Infinity : 0;
  }

  move(event) {
    const before = this.points.get(event.pointerId);
    const here = { x: event.offsetX, y: event.offsetY };
    if (!before) {
      if (event.pointerType === 'mouse') this.map.hover(here.x, here.y);
      return;
    }
    const others = [...this.points].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    this.points.set(event.pointerId, here);
    if (others.length) {
      const [other] = others;
      const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      this.map.zoom(apart(here) / apart(before), (here.x + other.x) / 2, (here.y + other.y) / 2);
      return;
    }
    this.moved += Math.hypot(here.x - before.x, here.y - before.y);
    if (this.moved > 6) this.map.pan(here.x - before.x, here.y - before.y);
  }

  up(event) {
    const known = this.points.delete(event.pointerId);
    if (known && this.moved <= 6) this.map.tap(event.offsetX, event.offsetY);
  }
}
