// Times at the venue, whatever clock this machine has.
import assert from 'node:assert/strict';
import test from 'node:test';
import { duration, exactTime, since } from '../../web/js/i18n.js';
import { instant, local } from '../../web/js/organizer/forms.js';

test('a time at the venue is the same moment everywhere', () => {
  for (const [text, zone, moment] of [
    ['2026-11-21T19:00', 'Asia/Seoul', '2026-11-21T10:00:00.000Z'],
    ['2026-07-01T20:00', 'Europe/Berlin', '2026-07-01T18:00:00.000Z'],
    ['2026-12-01T20:00', 'Europe/Berlin', '2026-12-01T19:00:00.000Z'],
    ['2026-07-01T00:15', 'Asia/Kathmandu', '2026-06-30T18:30:00.000Z'],
    // Shown twice that night: the first one. Skipped that night: an hour later.
    ['2026-10-25T02:30', 'Europe/Berlin', '2026-10-25T00:30:00.000Z'],
    ['2026-03-29T02:30', 'Europe/Berlin', '2026-03-29T01:30:00.000Z'],
    ['2026-11-01T01:30', 'America/New_York', '2026-11-01T05:30:00.000Z'],
  ]) assert.equal(instant(text, zone), moment, `${text} ${zone}`);
  assert.equal(instant('', 'Asia/Seoul'), null);
});

test('what is shown in a field is read from it again', () => {
  let seed = 99;
  const roll = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (const zone of ['Asia/Seoul', 'America/St_Johns', 'Pacific/Chatham', 'Europe/Berlin', 'UTC']) {
    for (let round = 0; round < 200; round += 1) {
      const moment = new Date(Date.UTC(2026, 0, 1) + roll(365 * 1440) * 60_000).toISOString();
      const shown = local(moment, zone);
      assert.match(shown, /^\d{4}-\d\d-\d\dT\d\d:\d\d$/);
      const again = instant(shown, zone);
      // An hour that clocks show twice is read as the first one.
      assert.ok(again === moment || (Date.parse(moment) - Date.parse(again) === 3_600_000 && local(again, zone) === shown), `${moment} ${zone}`);
    }
  }
  assert.equal(local(null, 'UTC'), '');
});

test('what is left of a time, and since when something is', () => {
  for (const [ms, text] of [[0, '0:00'], [-5, '0:00'], [1, '0:01'], [298_000, '4:58'], [3_600_000, '1:00:00'], [4_325_000, '1:12:05'], [172_800_000, '2 days']]) {
    assert.equal(duration(ms), text);
  }
  const at = (hours, minutes, day = 21) => new Date(2026, 10, day, hours, minutes, 7).getTime();
  assert.equal(since(at(20, 3), at(21, 10)), '20:03');
  assert.match(since(at(20, 3), at(0, 10, 22)), /Nov 21.*8:03/, 'of the day before, with its date');
  assert.equal(exactTime(new Date(2026, 10, 21, 20, 0, 27, 72).getTime()), '20:00:27.072');
});
