// A hall to draw: places, rows and labels of all seats. From the date's plan; a date without one gets sections as blocks
// of rows before a stage.

import { t } from './i18n.js';

const HUNDREDTHS = 100;
const PITCH = 24;
const RADIUS = 9.5;
const GAP = 54;

/** What the seats of one section are: arrays by seat number, from 1. */
class Section {
  /** @param {{name: string, label?: string, count: number, block: string}} facts */
  constructor({ name, label, count, block }) {
    this.name = name;
    this.label = label ?? name;
    this.count = count;
    this.block = block;
    this.x = new Float32Array(count + 1);
    this.y = new Float32Array(count + 1);
    this.radius = new Float32Array(count + 1).fill(RADIUS);
    /** Index into the hall's categories. */
    this.category = new Uint8Array(count + 1);
    /** `{label, number, seats: [number…], runs: [[number…]…]}`, front first. */
    this.rows = [];
    this.rowOf = new Uint32Array(count + 1);
    this.printed = null;
    this.wheelchair = new Set();
    this.companion = new Map();
    this.restricted = new Set();
    this.aisle = new Set();
    /** Around its seats, once they are placed: its hall says so. */
    this.box = null;
  }

  /** What is printed on the chair. */
  seatNumber(number) {
    return this.printed?.[number - 1] ?? String(number - (this.rows[this.rowOf[number]]?.base ?? 0));
  }

  /** Upper edge of the seats in the middle: in curved rows the outer ones lie higher. */
  frontOfMiddle() {
    const { left, right, top } = this.box;
    const [middle, near] = [(left + right) / 2, Math.max(30, (right - left) * 0.12)];
    let front = Infinity;
    for (let number = 1; number <= this.count; number += 1) {
      if (Math.abs(this.x[number] - middle) < near) front = Math.min(front, this.y[number] - this.radius[number]);
    }
    return Number.isFinite(front) ? front : top;
  }

  /** The convex hull of its seats' middles, made when it is first asked for. */
  outline() {
    if (this.hull) return this.hull;
    const points = Array.from({ length: this.count }, (_, index) => [this.x[index + 1], this.y[index + 1]]).sort(([ax, ay], [bx, by]) => ax - bx || ay - by);
    const turnsRight = ([ax, ay], [bx, by], [cx, cy]) => (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) <= 0;
    const half = (from) => {
      const line = [];
      for (const point of from) {
        while (line.length > 1 && turnsRight(line.at(-2), line.at(-1), point)) line.pop();
        line.push(point);
      }
      return line.slice(0, -1);
    };
    this.hull = points.length > 2 ? [...half(points), ...half(points.toReversed())] : points;
    return this.hull;
  }

  bounds() {
    const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
    for (let number = 1; number <= this.count; number += 1) {
      const r = this.radius[number];
      box.left = Math.min(box.left, this.x[number] - r);
      box.right = Math.max(box.right, this.x[number] + r);
      box.top = Math.min(box.top, this.y[number] - r);
      box.bottom = Math.max(box.bottom, this.y[number] + r);
    }
    return box;
  }
}

/** All of a hall. */
export class Hall {
  constructor(sections, categories, areas, drawn) {
    this.sections = sections;
    this.categories = categories;
    this.areas = areas;
    this.drawn = drawn;
    this.byName = new Map(sections.map((section, index) => [section.name, index]));
    for (const section of sections) {
      section.box = section.bounds();
      section.front = section.frontOfMiddle();
    }
    // A caption in front of a section would lie on the stage, where there is one.
    for (const section of sections) {
      const middle = (section.box.left + section.box.right) / 2;
      section.captioned = !areas.some((area) => within(areaBox(area), middle, section.front - 16));
    }
    this.box = around([...sections.map((section) => section.box), ...areas.map(areaBox)]);
    this.prices = new Map();
    this.seats = sections.reduce((sum, section) => sum + section.count, 0);
  }

  /** `A-12` → its section and number, or null. The number follows the last hyphen. */
  place(seat) {
    const at = seat.lastIndexOf('-');
    const section = this.sections[this.byName.get(seat.slice(0, at))];
    const number = Number(seat.slice(at + 1));
    return section && number >= 1 && number <= section.count ? { section, number } : null;
  }

  categoryOf(section, number) {
    return this.categories[section.category[number]];
  }

  /** Of one seat: what its section asks for its category, as amended last. */
  priceOf(section, number) {
    const category = this.categoryOf(section, number);
    return this.prices.get(section.name)?.get(category.name) ?? category.low;
  }

  /** Takes over the prices of the date as it is now. */
  reprice(schedule) {
    this.prices = new Map(schedule.sections.map((sold) => [sold.name, new Map(sold.categories.map((category) => [category.name, category.price]))]));
  }

  /** For people: `Stalls, row C, seat 12`. */
  label(seat) {
    const [section, row, chair] = this.parts(seat);
    return chair ? t('seat.full', { section, row, seat: chair }) : plainLabel(seat, section);
  }

  /** The same as it is printed in the hall: section, row, seat; without a row section and seat. */
  parts(seat) {
    const place = this.place(seat);
    if (!place) return plainParts(seat);
    const { section, number } = place;
    const row = section.rows[section.rowOf[number]];
    if (!this.drawn || !row?.number) return plainParts(seat, section.label);
    return [section.label, rowName(row), seatName(row, section.seatNumber(number))];
  }
}

/** A seat of a date without a drawing. The number follows the last hyphen. */
export const plainLabel = (seat, section = seat.slice(0, seat.lastIndexOf('-'))) =>
  t('seat.plain', { section, seat: seat.slice(seat.lastIndexOf('-') + 1) });

export const plainParts = (seat, section = seat.slice(0, seat.lastIndexOf('-'))) =>
  [section, t('seat.number', { seat: seat.slice(seat.lastIndexOf('-') + 1) })];

export const rowName = (row) => (row.label ? row.label.replace('%s', row.number) : t('seat.row', { row: row.number }));
const seatName = (row, number) =>
  row.seatLabel ? row.seatLabel.replace('%s', number) : t('seat.number', { seat: number });

function around(boxes) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const each of boxes) {
    box.left = Math.min(box.left, each.left);
    box.top = Math.min(box.top, each.top);
    box.right = Math.max(box.right, each.right);
    box.bottom = Math.max(box.bottom, each.bottom);
  }
  return box;
}

function areaBox({ at: [x, y], shape }) {
  if (shape.rectangle) return { left: x, top: y, right: x + shape.rectangle[0], bottom: y + shape.rectangle[1] };
  if (shape.polygon) return around(shape.polygon.map(([px, py]) => ({ left: x + px, right: x + px, top: y + py, bottom: y + py })));
  const [rx, ry] = shape.ellipse ?? [shape.circle ?? 0, shape.circle ?? 0];
  return { left: x - rx, right: x + rx, top: y - ry, bottom: y + ry };
}

const within = ({ left, right, top, bottom }, x, y) => x > left - 20 && x < right + 20 && y > top - 20 && y < bottom + 20;

/** The price categories of a date, in order of price, dearest first; the same name in two sections is one category. */
export function categoriesOf(schedule) {
  const found = new Map();
  for (const section of schedule.sections) {
    for (const category of section.categories) {
      const known = found.get(category.name);
      if (known) {
        known.available += category.available_seats;
        known.low = Math.min(known.low, category.price);
        known.high = Math.max(known.high, category.price);
      } else {
        const { name, price, available_seats: available } = category;
        found.set(name, { name, low: price, high: price, available });
      }
    }
  }
  const sorted = [...found.values()].sort((a, b) => b.high - a.high || a.name.localeCompare(b.name, undefined, { numeric: true }));
  // Plain sections have one category each of the same empty name: then the section is the category.
  return sorted.map((category, index) => ({ ...category, index, letter: letterOf(category.name, index) }));
}

const letterOf = (name, index) => ([...name].length <= 2 ? name : String.fromCharCode(65 + (index % 26)));

/** From the plan's own format. It may show seats that the date has not got. */
export function hallOfPlan(plan, schedule) {
  const categories = categoriesOf(schedule);
  const indexOf = new Map(categories.map((category) => [category.name, category.index]));
  const sold = new Map(schedule.sections.map((section) => [section.name, section]));
  const sections = plan.sections.filter((drawn) => sold.has(drawn.name)).map((drawn) => {
    const section = new Section({ ...drawn, count: Math.min(drawn.x.length, sold.get(drawn.name).seats), block: sold.get(drawn.name).block });
    for (let number = 1; number <= section.count; number += 1) {
      section.x[number] = drawn.x[number - 1] / HUNDREDTHS;
      section.y[number] = drawn.y[number - 1] / HUNDREDTHS;
    }
    for (const [first, count, category] of drawn.categories) {
      section.category.fill(indexOf.get(plan.categories[category].name) ?? 0, first, first + count);
    }
    for (const [first, count, radius] of drawn.radius ?? []) section.radius.fill(radius, first, first + count);
    section.printed = drawn.seat_numbers ?? null;
    tags(section, drawn.tags ?? {});
    rows(section, drawn);
    return section;
  });
  const hall = new Hall(sections, categories, plan.areas?.map(areaOf) ?? [], true);
  hall.reprice(schedule);
  return hall;
}

function tags(section, { wheelchair = [], companion = {}, restricted_view: restricted = [], aisle = [] }) {
  section.wheelchair = new Set(wheelchair);
  section.companion = new Map(Object.entries(companion).map(([seat, place]) => [Number(seat), place]));
  section.restricted = new Set(restricted);
  section.aisle = new Set(aisle);
}

function rows(section, drawn) {
  section.rows = drawn.rows.map((row) => ({
    number: row.number, label: row.label, seatLabel: row.seat_label, seats: [], runs: [],
  }));
  for (const [first, count, row, at] of drawn.runs.filter(([from]) => from <= section.count)) {
    const seats = Array.from({ length: count }, (_, index) => first + index);
    section.rows[row].runs.push({ at, seats });
    section.rowOf.fill(row, first, first + count);
  }
  if (!drawn.seat_numbers) {
    // Each row counts 1, 2, 3 …, whatever the order of its runs.
    section.printed = new Array(section.count);
    for (const row of section.rows) {
      for (const run of row.runs) run.seats.forEach((seat, index) => (section.printed[seat - 1] = String(run.at + index + 1)));
    }
  }
  for (const row of section.rows) {
    row.runs.sort((a, b) => a.at - b.at);
    row.seats = row.runs.flatMap((run) => run.seats);
  }
}

function areaOf({ at, shape, rotation = 0, color, border_color: border, text }) {
  const units = ([x, y]) => [x / HUNDREDTHS, y / HUNDREDTHS];
  const own = typeof shape === 'string' ? {} : { ...shape };
  if (own.polygon) own.polygon = own.polygon.map(units);
  if (own.ellipse) own.ellipse = units(own.ellipse);
  return {
    at: units(at), shape: own, rotation: rotation / HUNDREDTHS, color, border,
    text: text && { ...text, at: units(text.at) },
  };
}

/** Without a plan: each section a block of slightly curved rows, dearest first, before a stage. */
export function hallOfSections(schedule, seats) {
  const categories = categoriesOf(schedule);
  const sections = schedule.sections.map((sold) => new Section({ name: sold.name, count: sold.seats, block: sold.block }));
  const widest = Math.max(...sections.map(perRow));
  const ordered = sections
    .map((section, index) => ({ section, sold: schedule.sections[index] }))
    .sort((a, b) => b.sold.price - a.sold.price || a.section.name.localeCompare(b.section.name, undefined, { numeric: true }));
  const columns = columnsOf(ordered.map(({ section }) => section), widest);
  let top = 150;
  for (let from = 0; from < ordered.length; from += columns) {
    const side = ordered.slice(from, from + columns);
    side.forEach(({ section, sold }, index) => {
      arrange(section, (index - (side.length - 1) / 2) * (widest * PITCH + GAP), top, perRow(section));
      colorize(section, sold, categories, seats?.get(section.name));
    });
    top = Math.max(...side.map(({ section }) => section.bounds().bottom)) + GAP;
  }
  const stage = Math.max(widest, 12) * PITCH * 0.6;
  const area = { at: [-stage / 2, 0], shape: { rectangle: [stage, 78] }, rotation: 0, stage: true,
    text: { text: t('map.stage'), at: [stage / 2, 39], size: 20 } };
  const hall = new Hall(sections, categories, [area], false);
  hall.reprice(schedule);
  return hall;
}

/** Seats in a row of a section of so many. */
const across = (count) => Math.min(60, Math.max(10, Math.ceil(Math.sqrt(count * 2.6))));

const perRow = (section) => Math.max(14, across(section.count));

/** A few sections stand behind each other; many beside each other, so that the hall is about as wide as it is deep. */
function columnsOf(sections, widest) {
  if (sections.length < 4) return 1;
  const deepest = Math.max(...sections.map((section) => Math.ceil(section.count / perRow(section)))) * (PITCH + 3) + GAP;
  return Math.max(1, Math.round(Math.sqrt((sections.length * deepest * 1.3) / (widest * PITCH + GAP))));
}

function arrange(section, middle, top, most) {
  const rowCount = Math.ceil(section.count / most);
  for (let row = 0; row < rowCount; row += 1) {
    const first = row * most + 1;
    const seats = Array.from({ length: Math.min(most, section.count - first + 1) }, (_, index) => first + index);
    section.rows.push({ number: '', seats, runs: [{ at: 0, seats }], base: 0 });
    seats.forEach((number, index) => {
      const side = index - (seats.length - 1) / 2;
      section.x[number] = middle + side * PITCH;
      // Bent towards the stage, as rows are.
      section.y[number] = top + row * (PITCH + 3) - side * side * 0.16;
      section.rowOf[number] = row;
    });
  }
  const lift = top - section.bounds().top;
  for (let number = 1; number <= section.count; number += 1) section.y[number] += lift;
}

/** Of a section of several categories the price of each seat says which. */
function colorize(section, sold, categories, prices) {
  const index = (name) => categories.find((category) => category.name === name)?.index ?? 0;
  section.category.fill(index(sold.categories[0]?.name));
  if (sold.categories.length < 2 || !prices) return;
  const byPrice = new Map(sold.categories.map((category) => [category.price, index(category.name)]));
  for (let number = 1; number <= section.count; number += 1) {
    section.category[number] = byPrice.get(prices[number]) ?? section.category[number];
  }
}
