// Requests to the server: who asks, what went wrong, and what its clock says, in one place.

import * as clock from './clock.js';
import * as session from './session.js';
import { onWake } from './wake.js';

const TIMEOUT_MS = 45_000;
/** The longest page that the server gives. */
const PAGE_MAX = 200;

/** Raised for every answer that is none: a refusal, an error, no connection. */
export class Problem extends Error {
  constructor(body, status, retryAfter) {
    super(body.detail ?? body.code);
    this.body = body;
    this.code = body.code;
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Another try may succeed without the user doing anything. */
  get passes() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

let troubleSince = null;

/** Tells the page whether the server can be reached. */
export function connection(trouble) {
  if (trouble === null && troubleSince === null) return;
  troubleSince = trouble === null ? null : (troubleSince ?? Date.now());
  const since = troubleSince === null ? null : troubleSince + clock.offset();
  dispatchEvent(new CustomEvent('ts.connection', { detail: { trouble, since } }));
}

/**
 * @typedef {object} Options
 * @property {any} [body] as JSON
 * @property {BodyInit} [raw] as it is
 * @property {string} [key] the Idempotency-Key
 * @property {number} [wait] `Prefer: wait`, in seconds
 * @property {string | null} [token] of a place in a queue
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {boolean} [anonymous] nobody asks
 * @property {RequestCache} [cache]
 */

/**
 * The answer itself.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 */
export async function send(method, path, { body, raw, key, wait, token, headers = {}, signal, anonymous, cache = 'no-store' } = {}) {
  /** @type {Record<string, string>} */
  const all = { ...(anonymous ? {} : session.credentials()), ...headers };
  if (body !== undefined) all['Content-Type'] = 'application/json';
  if (key) all['Idempotency-Key'] = key;
  if (wait) all.Prefer = `wait=${wait}`;
  if (token) all['Queue-Token'] = token;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const t0 = Date.now();
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: all,
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
      cache,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    connection('no_connection');
    throw new Problem({ code: 'no_connection' }, 0, null);
  }
  connection(answer.status === 503 ? 'unavailable' : null);
  clock.observeHeader(answer.headers.get('date'), t0, Date.now());
  if (answer.status === 401) session.expired();
  return answer;
}

/**
 * The answer's JSON. Raises [`Problem`].
 * @param {Options} [options]
 */
export async function call(method, path, options = {}) {
  const answer = await send(method, path, options);
  let body;
  try {
    body = await answer.json();
  } catch {
    if (options.signal?.aborted) throw new DOMException('left', 'AbortError');
    throw new Problem({ code: 'no_connection' }, 0, null);
  }
  if (answer.status >= 400) throw problemOf(answer, body);
  return { status: answer.status, body, location: answer.headers.get('location') };
}

export function problemOf(answer, body) {
  const after = Number(answer.headers.get('retry-after'));
  return new Problem(body?.code ? body : { code: 'internal' }, answer.status, Number.isFinite(after) && after > 0 ? after : null);
}

/**
 * The JSON of a GET.
 * @param {Options} [options]
 */
export async function read(path, options = {}) {
  return (await call('GET', path, options)).body;
}

/**
 * The JSON of a GET, or null where the server says 404.
 * @param {Options} [options]
 */
export async function readIfAny(path, options = {}) {
  try {
    return await read(path, options);
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

/**
 * One page of a list: `{rows, next}`; `next` is undefined at its end.
 * @param {string} path
 * @param {string} name of the rows
 * @param {Options & {after?: string | null, limit?: number}} [options]
 */
export async function page(path, name, { after, limit, ...options } = {}) {
  const query = new URLSearchParams({ ...(limit && { limit: String(limit) }), ...(after && { after }) });
  const sign = path.includes('?') ? '&' : '?';
  const body = await read(`${path}${query.size ? `${sign}${query}` : ''}`, options);
  return { rows: body[name], next: body.next };
}

/**
 * All rows of a list, page after page.
 * @param {Options} [options]
 */
export async function all(path, name, options = {}) {
  const rows = [];
  let after = null;
  do {
    const found = await page(path, name, { limit: PAGE_MAX, ...options, after });
    rows.push(...found.rows);
    after = found.next;
  } while (after);
  return rows;
}

/** Waits, longer with each failure in a row, never in step with others, and never shorter than the server asks for. */
export function pause(failures, problem, signal) {
  const usual = Math.min(15_000, 500 * 2 ** Math.min(failures, 5)) * (0.75 + Math.random() / 2);
  const told = (problem?.retryAfter ?? 0) * 1000 * (1 + Math.random() / 2);
  const ms = Math.max(usual, told);
  return new Promise((resolve) => {
    const over = new AbortController();
    const timer = setTimeout(now, ms);
    function now() {
      over.abort();
      clearTimeout(timer);
      resolve();
    }
    onWake(now, over.signal);
    addEventListener('ts.retry', now, { signal: over.signal });
    signal?.addEventListener('abort', now, { signal: over.signal });
  });
}
