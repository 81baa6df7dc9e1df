import assert from 'node:assert/strict';
import test from 'node:test';
import * as clock from '../../web/js/clock.js';

test('each answer narrows the difference, and a device whose clock was set starts anew', () => {
  assert.equal(clock.offset(), 0);
  assert.equal(clock.uncertainty(), Infinity);
  // The device is 600 s behind; the header has whole seconds, the request took 80 ms.
  clock.observeHeader(new Date(1_600_000).toUTCString(), 1_000_000, 1_000_080);
  assert.ok(clock.uncertainty() <= 540 && Math.abs(clock.offset() - 600_000) <= clock.uncertainty() + 500);
  clock.observe(1_700_040, 1_700_041, 1_100_000, 1_100_080);
  assert.ok(Math.abs(clock.offset() - 600_000) <= 41, String(clock.offset()));
  assert.ok(clock.uncertainty() <= 41);
  const before = clock.uncertainty();
  clock.observe(1_800_000, 1_800_900, 1_200_000, 1_200_900);
  assert.equal(clock.uncertainty(), before, 'a slower answer takes nothing away');
  // Set by ten minutes: what was known contradicts it.
  clock.observe(1_900_000, 1_900_001, 1_900_000, 1_900_010);
  assert.ok(Math.abs(clock.offset()) <= 10, String(clock.offset()));
  clock.observeHeader(null, 0, 0);
  clock.observeHeader('nonsense', 0, 0);
  assert.ok(Math.abs(clock.now() - Date.now()) <= 20);
});
