import assert from 'node:assert/strict';
import test from 'node:test';
import { guidsOf } from '../../web/js/organizer/guids.js';
import { categoriesOf, hallOfPlan, hallOfSections, plainLabel } from '../../web/js/plan.js';

const section = (name, seats, categories, block = 'main') => ({ name, seats, block, price: categories[0][1], categories: categories.map(([category, price, free = seats]) => ({ name: category, price, available_seats: free })) });
/** A row of three with an aisle after the second seat, and one in front of it that the date has not got. */
const plan = {
  categories: [{ name: 'S' }, { name: 'R' }], zones: [{ name: 'Parkett', id: 'P' }],
  sections: [{
    name: 'Parkett', label: 'Stalls', zone: 0, rows: [{ number: '0' }, { number: 'C' }],
    runs: [[1, 2, 1, 0], [3, 1, 1, 2], [4, 2, 0, 0]], x: [5000, 7500, 12000, 5000, 7500], y: [14000, 14000, 14000, 11000, 11000],
    seat_numbers: ['11', '12', '13', '1', '2'], categories: [[1, 3, 1], [4, 2, 0]], tags: { wheelchair: [3], companion: { 2: 3 } },
  }, { name: 'Closed', zone: 0, rows: [{ number: '1' }], runs: [[1, 1, 0, 0]], x: [0], y: [0], categories: [[1, 1, 0]] }],
};

test('a hall has the seats that the date has, where the plan draws them', () => {
  const hall = hallOfPlan(plan, { sections: [section('Parkett', 3, [['R', 900]])] });
  assert.deepEqual(hall.sections.map(({ name, count }) => [name, count]), [['Parkett', 3]]);
  const [stalls] = hall.sections;
  assert.deepEqual([stalls.x[1], stalls.y[3]], [50, 140]);
  assert.deepEqual(hall.parts('Parkett-2'), ['Stalls', 'seat.row', 'seat.number']);
  assert.deepEqual([stalls.seatNumber(3), stalls.rows[0].seats, stalls.rows[1].seats], ['13', [], [1, 2, 3]]);
  assert.deepEqual([hall.place('Parkett-3').number, hall.place('Parkett-4'), hall.place('Closed-1')], [3, null, null]);
  assert.ok(stalls.wheelchair.has(3) && stalls.companion.get(2) === 3);
  assert.equal(hall.priceOf(stalls, 1), 900);
  // Enlarged: the row in front is there, before the others, of its own category.
  const larger = hallOfPlan(plan, { sections: [section('Parkett', 5, [['R', 900], ['S', 500]])] });
  assert.deepEqual(larger.sections[0].rows.map((row) => row.seats), [[4, 5], [1, 2, 3]]);
  assert.deepEqual([1, 4].map((number) => larger.priceOf(larger.sections[0], number)), [900, 500]);
});

test('seats have the guids of the file, or those that it implies', () => {
  assert.equal(guidsOf(plan).get('Parkett-3'), 'P-C-13');
  assert.equal(guidsOf({ ...plan, sections: [{ ...plan.sections[0], guids: ['a', 'b', 'c', 'd', 'e'] }] }).get('Parkett-3'), 'c');
});

test('categories of the same name are one, dearest first', () => {
  const found = categoriesOf({ sections: [section('A', 10, [['S', 500, 4]]), section('B', 10, [['R', 900, 5], ['S', 400, 1]])] });
  assert.deepEqual(found.map(({ name, low, high, available, letter }) => [name, low, high, available, letter]), [['R', 900, 900, 5, 'R'], ['S', 400, 500, 5, 'S']]);
});

test('without a plan sections are blocks of rows that do not lie on each other', () => {
  const hall = hallOfSections({ sections: ['A', 'B', 'C', 'D'].map((name, at) => section(name, 30 + 40 * at, [[name, 100 * at + 100]])) });
  assert.equal(hall.seats, 30 + 70 + 110 + 150);
  const places = new Set();
  for (const each of hall.sections) for (let number = 1; number <= each.count; number += 1) places.add(`${Math.round(each.x[number] / 8)}:${Math.round(each.y[number] / 8)}`);
  assert.equal(places.size, hall.seats);
  assert.equal(plainLabel('Box 1-6'), 'seat.plain');
});
