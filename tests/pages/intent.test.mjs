// Commands that are sent until their outcome is known, against a server and a browser of this file's own.
import assert from 'node:assert/strict';
import test, { beforeEach } from 'node:test';

const held = new Set();
const kept = new Map();
let sent = [];
/** What the server says next; the last one stays. */
let answers = [];
let storing = true;

function stored(use) {
  if (!storing) throw new DOMException('no storage', 'SecurityError');
  return use();
}

function define(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

const storage = {
  getItem: (name) => stored(() => kept.get(name) ?? null),
  setItem: (name, text) => stored(() => kept.set(name, text)),
  removeItem: (name) => stored(() => kept.delete(name)),
};
define('localStorage', storage);
define('sessionStorage', storage);
define('document', new EventTarget());
define('addEventListener', () => {});
define('dispatchEvent', () => {});
define('navigator', { locks: { async request(name, _options, run) {
  if (held.has(name)) return run(null);
  held.add(name);
  try {
    return await run({ name });
  } finally {
    held.delete(name);
  }
} } });
// What waits in the pages is a backoff here: it is over at once.
const real = setTimeout;
define('setTimeout', (run, ms, ...rest) => real(run, Math.min(ms, 1), ...rest));
define('fetch', async (path, { method, headers, body }) => {
  sent.push({ method, path, key: headers['Idempotency-Key'], body });
  const next = answers.length > 1 ? answers.shift() : answers[0];
  if (next === 'lost') throw new TypeError('failed to fetch');
  const { said, http = 200, location } = await next;
  return new Response(JSON.stringify(said), { status: http, headers: location ? { location } : {} });
});

const intent = await import('../../web/js/intent.js');
const hold = { kind: 'hold', scope: 'date', method: 'POST', path: '/v1/holds', body: { seats: ['A-1'] } };
const done = { said: { status: 'SUCCEEDED', result: { id: 'x' }, decided: { at: 't' } } };
const refused = { said: { status: 'REJECTED', problem: { code: 'seat_taken' }, decided: { at: 't' } } };
const keys = () => new Set(sent.map(({ key }) => key).filter(Boolean));

beforeEach(() => {
  kept.clear();
  [sent, answers, storing] = [[], [done], true];
});

test('a command is repeated under its key until its outcome is known', async () => {
  answers = ['lost', { said: { code: 'unavailable' }, http: 503 }, { said: { code: 'rate_limited' }, http: 429 },
    { said: { status: 'PENDING', request_id: 'r' }, http: 202, location: '/v1/requests/r?position=seats.3.12' }, 'lost', done];
  const stages = [];
  const outcome = await intent.perform(hold, (stage) => stages.push(stage));
  assert.deepEqual(outcome, { ok: true, result: { id: 'x' }, decided: { at: 't' } });
  assert.equal(keys().size, 1);
  assert.deepEqual(stages, ['asking', 'trouble', 'trouble', 'trouble', 'safe', 'trouble']);
  assert.equal(intent.unsettled('hold', 'date'), null, 'it is known now');
});

test('it is kept before it is sent, and a page that comes back goes on with it', async () => {
  let arrived;
  const here = new Promise((resolve) => (arrived = resolve));
  answers = [{ then(take) {
    arrived(JSON.parse(JSON.stringify([...kept])));
    take(done);
  } }];
  const performing = intent.perform(hold);
  const found = await here;
  assert.equal(found.length, 1);
  assert.equal(JSON.parse(found[0][1]).key, [...keys()][0]);
  await performing;
  // The same, and the page went away before the answer.
  kept.clear();
  for (const [slot, text] of found) kept.set(slot, text);
  sent = [];
  assert.deepEqual(intent.unsettled('hold', 'date').body, hold.body);
  await intent.perform(hold);
  assert.equal([...keys()][0], JSON.parse(found[0][1]).key);
});

test('a refusal is an outcome, and another choice is another command', async () => {
  answers = [refused];
  assert.deepEqual(await intent.perform(hold), { ok: false, problem: { code: 'seat_taken' }, decided: { at: 't' } });
  answers = [done];
  await intent.perform(hold);
  await intent.perform({ ...hold, body: { seats: ['A-2'] } });
  assert.equal(keys().size, 3);
});

test('what was sent before another choice is finished first', async () => {
  kept.set('ts.intent.null.hold.date', JSON.stringify({ ...hold, key: 'before', at: Date.now() }));
  const outcome = await intent.perform({ ...hold, body: { seats: ['A-2'] } });
  assert.deepEqual([outcome.ok, outcome.earlier], [true, true]);
  assert.deepEqual(sent.map(({ key, body }) => [key, body]), [['before', JSON.stringify(hold.body)]]);
});

test('a key that the server may have forgotten is not used again', async () => {
  kept.set('ts.intent.null.hold.date', JSON.stringify({ ...hold, key: 'old', at: Date.now() - 7 * 24 * 3_600_000 }));
  assert.equal(intent.unsettled('hold', 'date'), null);
  await intent.perform(hold);
  assert.ok(!keys().has('old'));
});

test('a second tap while the first is under way sends nothing', async () => {
  const both = await Promise.all([intent.perform(hold), intent.perform(hold)]);
  assert.deepEqual(both.map((outcome) => Boolean(outcome.busy)), [false, true]);
  assert.equal(sent.length, 1);
});

test('without storage a key lasts as long as the page', async () => {
  storing = false;
  answers = ['lost', done];
  assert.ok((await intent.perform(hold)).ok);
  assert.equal(keys().size, 1);
  const count = intent.counter('pay.x');
  count.raise();
  assert.equal(count.get(), 2);
});
