// One stream for all tabs of a browser: browsers open six connections to a host, and six tabs with a stream each would
// leave none for anything else. The tab that holds the lock reads; the others hear it.

import * as api from './api.js';
import { locked } from './locks.js';
import * as session from './session.js';
import { isSeen, onLeave, onWake } from './wake.js';

const HIDDEN_MS = 60_000;
/** Nothing heard for this long (the server sends a comment every 15 s): the connection is dead, or its reader is. */
const SILENCE_MS = 35_000;
const FIRST_WORD_MS = 2_000;
const POLL_MS = 5_000;
/** Browsers run the timers of a page that is out of sight once a minute at worst. */
const HIDDEN_POLL_MS = 10_000;
/** A page that is back and has heard nothing for longer than the server is silent asks anew: it may have slept. */
const FRESH_MS = 17_000;

/** Streams share one lock: one connection a browser. `keeps`: how long a tab out of sight leads on. */
const STREAM = { lock: 'ts.stream', keeps: HIDDEN_MS, hidden: HIDDEN_POLL_MS, first: FIRST_WORD_MS };
/** What is asked for now and then holds no connection, so each topic has a lock of its own, of a tab that is seen. */
const asking = (topic) => ({ lock: `ts.ask.${topic}`, keeps: 1_000, hidden: 20_000, first: SILENCE_MS });

/**
 * Follows a topic. `read(hear, signal)` streams until it fails or ends; `poll()` asks once and is used where another tab
 * reads another topic. `hear(message)` gets every message in every tab. `always`: asked for out of sight as well, as a
 * place in a queue must be.
 */
export function follow({ topic, read, poll, hear, always = false, how = STREAM }) {
  const ending = new AbortController();
  const { signal } = ending;
  const channel = 'BroadcastChannel' in window ? new BroadcastChannel(`ts.${topic}`) : null;
  let heardAt = Date.now() - SILENCE_MS + how.first;
  let leads = false;
  const take = (message) => {
    heardAt = Date.now();
    if (message !== null) hear(message);
  };
  const publish = (message) => {
    // To the others first: what is heard here may end the following.
    channel?.postMessage(message);
    take(message);
  };
  channel?.addEventListener('message', (event) => take(event.data));
  let attempt = new AbortController();
  lead(how, signal, async (until) => {
    leads = true;
    return readOn(read, publish, until, () => (attempt = new AbortController()).signal).finally(() => {
      leads = false;
    });
  });
  const ask = async (hidden) => {
    try {
      const message = await poll();
      if (hidden) heardAt = Date.now();
      if (signal.aborted || message === null) return;
      // Of a place the other tabs need not ask as well.
      if (always) publish(message);
      else hear(message);
    } catch {
      // The next one may get through.
    }
  };
  const timer = setInterval(() => {
    const hidden = document.visibilityState === 'hidden';
    const silent = Date.now() - heardAt > (hidden ? how.hidden : SILENCE_MS);
    if (!leads && silent && (!hidden || always)) ask(hidden);
  }, POLL_MS);
  let askedAt = Date.now();
  onWake((cached) => {
    // What other tabs said while another page was shown here, this one has not heard.
    if (!cached && Date.now() - Math.max(heardAt, askedAt) < FRESH_MS) return;
    askedAt = Date.now();
    // A connection that died in its sleep may look alive for long.
    if (leads) attempt.abort();
    else ask(false);
  }, signal);
  return () => {
    ending.abort();
    clearInterval(timer);
    channel?.close();
  };
}

/**
 * Follows a topic by asking: one tab asks, the others hear it. `ask(signal)` gives a message, `wait(message)` how long it is
 * good for, in ms; `known`: the message that is there already.
 */
export function askTogether({ topic, known, ask, wait, hear }) {
  let last = known;
  const read = async (publish, signal) => {
    for (;;) {
      const ms = last ? wait(last) : 0;
      last = null;
      await rest(ms, signal);
      last = await ask(signal);
      publish(last);
    }
  };
  return follow({ topic, read, poll: ask, hear, always: true, how: asking(topic) });
}

/** Raises what the signal says if it aborts first. */
function rest(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/**
 * Runs `work` while this tab holds the lock and is seen. Out of sight for as long as it `keeps`, it lets another tab have it,
 * and left for another page at once: the browser may keep this one, and would keep the lock with it. Ends when the work says
 * that there is nothing more to read.
 */
async function lead({ lock, keeps }, signal, work) {
  const asked = (run) => locked(lock, { signal }, run).catch(() => {});
  while (!signal.aborted) {
    await visible(signal);
    if (signal.aborted) return;
    let over = false;
    await asked(async () => {
      const hidden = unseenFor(keeps);
      const until = AbortSignal.any([signal, hidden.signal]);
      over = await work(until).catch(() => false);
      hidden.stop();
    });
    if (over) return;
  }
}

function visible(signal) {
  if (isSeen()) return Promise.resolve();
  return new Promise((resolve) => {
    const seen = new AbortController();
    const check = () => {
      if (!isSeen() && !signal.aborted) return;
      seen.abort();
      resolve();
    };
    document.addEventListener('visibilitychange', check, { signal: seen.signal });
    addEventListener('pageshow', check, { signal: seen.signal });
    signal.addEventListener('abort', check, { once: true });
  });
}

/** A signal that comes when the page was out of sight for so long, or left. */
function unseenFor(ms) {
  const gone = new AbortController();
  const over = new AbortController();
  let timer = null;
  const watch = () => {
    clearTimeout(timer);
    if (document.visibilityState === 'hidden') timer = setTimeout(() => gone.abort(), ms);
  };
  document.addEventListener('visibilitychange', watch, { signal: over.signal });
  onLeave(() => gone.abort(), over.signal);
  watch();
  const stop = () => {
    clearTimeout(timer);
    over.abort();
  };
  return { signal: gone.signal, stop };
}

/**
 * Reads again after each end, slower after each failure. `attempted()`: a signal that cuts the attempt that begins short.
 * True: the server says that nothing more will come.
 */
async function readOn(read, publish, signal, attempted) {
  let failures = 0;
  while (!signal.aborted) {
    let problem = null;
    const cut = attempted();
    try {
      const ended = await read((message) => {
        failures = 0;
        publish(message);
      }, AbortSignal.any([signal, cut]));
      if (ended) return true;
    } catch (raised) {
      if (signal.aborted) return false;
      if (cut.aborted) continue;
      problem = raised instanceof api.Problem ? raised : null;
      if (problem && !problem.passes) return true;
      failures += 1;
    }
    await api.pause(failures, problem, signal);
  }
  return false;
}

/**
 * Reads server-sent events by fetch, so that the login travels in a header and not in the address.
 * `event({name, id, data})` per event, `beat()` per comment. True: the server says that nothing more will come.
 */
export async function events(path, { headers, event, beat, signal }) {
  const silence = new AbortController();
  const either = AbortSignal.any([signal, silence.signal]);
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const answer = await fetch(path, {
      headers: { ...session.credentials(), ...headers, Accept: headers?.Accept ?? 'text/event-stream' },
      cache: 'no-store',
      signal: either,
    }).catch((error) => {
      if (!either.aborted) api.connection('no_connection');
      throw error;
    });
    api.connection(answer.status === 503 ? 'unavailable' : null);
    if (!answer.ok) throw api.problemOf(answer, await answer.json().catch(() => null));
    if (answer.status === 204) return true;
    const parse = parser(event, beat);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return false;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      parse(value);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Takes the text of a stream in whatever pieces it comes. */
export function parser(event, beat) {
  let rest = '';
  return (piece) => {
    rest += piece;
    const blocks = rest.split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const parts = { event: 'message', id: null, data: [] };
      for (const line of block.split('\n')) {
        const [, field, value] = line.match(/^(event|id|data): ?(.*)$/) ?? [];
        if (field === 'data') parts.data.push(value);
        else if (field) parts[field] = value;
      }
      if (parts.data.length) event({ name: parts.event, id: parts.id, data: JSON.parse(parts.data.join('\n')) });
      else beat?.();
    }
  };
}
