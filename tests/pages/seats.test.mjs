import assert from 'node:assert/strict';
import test from 'node:test';
import { BLOCKED, FREE, HELD, SOLD, Seats, nearest } from '../../web/js/seats.js';

const letters = (seats, section) => [...seats.status.get(section)].slice(1).map((status) => 'AHSX'[status]).join('');

test('the compact form: a letter a seat, then what changes', () => {
  const seats = new Seats();
  const heard = [];
  seats.addEventListener('change', (event) => heard.push(event.detail));
  seats.take({ A: 'AHSX?', 'B-1': 'FA' }, true);
  assert.deepEqual([letters(seats, 'A'), letters(seats, 'B-1'), seats.loaded], ['AHSXX', 'AA', true]);
  seats.take({ A: { H: [1], A: [2, 3] }, C: { H: [1] } }, false);
  assert.equal(letters(seats, 'A'), 'HAAXX');
  assert.deepEqual(heard, [null, [['A', 1], ['A', 2], ['A', 3], ['C', 1]]]);
  assert.deepEqual([seats.of('A-1'), seats.of('B-1-2'), seats.of('A-9'), seats.of('Z-1')], [HELD, FREE, BLOCKED, BLOCKED]);
  assert.deepEqual(seats.counts(), [4, 1, 0, 2]);
  assert.equal(seats.free('A'), 2);
});

test('a section that was enlarged comes whole, or seat by seat', () => {
  const seats = new Seats();
  seats.take({ A: 'AS' }, true);
  seats.take({ A: 'ASAA' }, false);
  assert.equal(letters(seats, 'A'), 'ASAA');
  const readable = new Seats();
  const seat = (number, status, section = 'A') => ({ section, number, status, price: number * 100 });
  readable.take({ seats: [seat(1, 'AVAILABLE'), seat(2, 'SOLD')] }, true);
  readable.take([seat(4, 'HELD'), seat(1, 'NOT_FOR_SALE', 'B')], false);
  assert.equal(letters(readable, 'A'), 'ASAH');
  assert.equal(letters(readable, 'B'), 'X');
  assert.deepEqual([...readable.prices.get('A')], [0, 100, 200, 0, 400]);
});

test('a chosen seat that somebody else got leaves the choice by name; one that became mine leaves it silently', () => {
  const seats = new Seats();
  seats.take({ A: 'AAAA' }, true);
  const lost = [];
  seats.addEventListener('lost', (event) => lost.push(...event.detail));
  for (const seat of ['A-1', 'A-2', 'A-3']) assert.ok(seats.toggle(seat, 3));
  assert.ok(!seats.toggle('A-4', 3), 'three are the most');
  seats.setOwn(['A-2']);
  seats.take({ A: { H: [1, 2] } }, false);
  assert.deepEqual([lost, [...seats.chosen]], [['A-1'], ['A-3']]);
  assert.ok(seats.toggle('A-3', 3) && seats.chosen.size === 0);
  assert.ok(!seats.toggle('A-1', 3), 'held');
  seats.choose(['A-1', 'A-3', 'A-4']);
  assert.deepEqual([...seats.chosen], ['A-3', 'A-4']);
});

test('whatever deltas come, the map is what the last word on each seat says', () => {
  let seed = 20_301;
  const roll = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const seats = new Seats();
  const size = 200;
  const kept = Array(size).fill('A');
  seats.take({ A: kept.join('') }, true);
  for (let round = 0; round < 500; round += 1) {
    if (roll(20) === 0) {
      seats.take({ A: kept.join('') }, roll(2) === 0);
      continue;
    }
    const delta = {};
    for (let change = roll(30); change >= 0; change -= 1) {
      const [number, letter] = [roll(size) + 1, 'AHSX'[roll(4)]];
      // One delta names a seat once.
      if (Object.values(delta).some((numbers) => numbers.includes(number))) continue;
      (delta[letter] ??= []).push(number);
      kept[number - 1] = letter;
    }
    seats.take({ A: delta }, false);
    assert.equal(letters(seats, 'A'), kept.join(''));
    assert.deepEqual(seats.counts(), [FREE, HELD, SOLD, BLOCKED].map((status) => kept.filter((letter) => letter === 'AHSX'[status]).length));
  }
});

test('the nearest free seats are offered, but no wheelchair place', () => {
  const section = { name: 'A', count: 5, x: [0, 0, 10, 20, 30, 40], y: [0, 0, 0, 0, 0, 0], wheelchair: new Set([2]), companion: new Map() };
  const hall = { place: (seat) => ({ section, number: Number(seat.split('-')[1]) }) };
  const seats = new Seats();
  seats.take({ A: 'AASAA' }, true);
  seats.choose(['A-1']);
  assert.deepEqual(nearest(hall, seats, 'A-3', 3), ['A-4', 'A-5']);
});
