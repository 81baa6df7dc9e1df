import assert from 'node:assert/strict';
import test from 'node:test';
import { blockedOf, runsOf, sectionsOf, spansOf, textOf } from '../../web/js/organizer/spans.js';

test('seats as people write them', () => {
  for (const [text, spans] of [
    ['', []], ['  ', []], ['9', [[9, 1]]], ['1-4, 9', [[1, 4], [9, 1]]], ['9 1–4', [[1, 4], [9, 1]]],
    ['1,2,3', [[1, 3]]], ['3,1-5,2', [[1, 5]]], ['5-5', [[5, 1]]],
    ['0', null], ['4-2', null], ['a', null], ['1-', null], ['-3', null], ['1.5', null], ['1234567', null],
  ]) assert.deepEqual(spansOf(text), spans, text);
});

test('numbers make runs, and runs are written so that they are read again', () => {
  let seed = 7;
  const roll = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 500; round += 1) {
    const numbers = [...new Set(Array.from({ length: roll(40) }, () => roll(60) + 1))].sort((a, b) => a - b);
    const runs = runsOf(numbers);
    assert.deepEqual(runs.flatMap(([first, count]) => Array.from({ length: count }, (_, at) => first + at)), numbers);
    assert.ok(runs.every(([first], at) => at === 0 || first > runs[at - 1][0] + runs[at - 1][1]), 'none could be longer');
    assert.deepEqual(spansOf(textOf(runs)), runs);
  }
});

test('sections by hand, and what of them is not for sale', () => {
  assert.deepEqual(sectionsOf('A 50 12000\n\n Box 1 6 20000 \nC'), [
    { name: 'A', seats: 50, price: 12000 }, { name: 'Box 1', seats: 6, price: 20000 }, { name: 'C', seats: 0, price: 0 },
  ]);
  const blocked = blockedOf('A 1-2, 9\nA 2 7', ['A', 'A 2']);
  assert.deepEqual([...blocked], [['A', [[1, 2], [9, 1]]], ['A 2', [[7, 1]]]]);
  for (const wrong of ['Z 1', 'A', 'A x']) {
    assert.throws(() => blockedOf(wrong, ['A']), (problem) => problem.code === 'invalid_fields' && problem.status === 422, wrong);
  }
});
