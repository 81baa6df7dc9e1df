// Keeps the seats of a date as they are: all of them once, then what changes, by the one stream of this browser.

import * as api from './api.js';
import * as share from './share.js';

const COMPACT = 'application/vnd.turnstile.seats+json';

/** `known` resolves once `seats` is filled; `stop()` ends it. `compact`: a letter a seat, without prices. */
export function followSeats({ id, seats, compact, signal }) {
  const path = `/v1/schedules/${id}/seats`;
  const headers = compact ? { Accept: COMPACT } : {};
  const early = [];
  let last = null;
  const take = ({ all, data }) => seats.take(data, all);
  const load = async () => {
    const answer = await api.send('GET', path, { headers, signal, anonymous: true });
    const data = await answer.json();
    if (!answer.ok) throw api.problemOf(answer, data);
    // The tag is the id of an event: the stream goes on from there.
    const tag = answer.headers.get('etag')?.replace(/^W\//, '').replaceAll('"', '') ?? null;
    if (isOlder(tag, last)) return null;
    last = tag ?? last;
    return { all: true, data };
  };
  const known = until(load, signal).then((message) => {
    take(message);
    // What other tabs heard meanwhile is newer, or said again.
    early.splice(0).forEach(take);
  });
  const read = async (hear, ending) => {
    await known;
    return share.events(`${path}/events`, {
      headers: { ...headers, ...(last && { 'Last-Event-ID': last }) },
      signal: ending,
      beat: () => hear(null),
      event: ({ name, id: offsets, data }) => {
        last = offsets ?? last;
        hear({ all: name === 'snapshot', data });
      },
    });
  };
  const hear = (message) => (seats.loaded ? take(message) : early.push(message));
  const stop = share.follow({ topic: `seats.${compact ? 'compact.' : ''}${id}`, read, poll: load, hear });
  return { known, stop };
}

/**
 * Whether an answer was overtaken by events: ids are `partition:offset,…`, and offsets only grow. Of `partition:read-told`
 * the second counts, and the first where that is the same.
 */
export function isOlder(id, than) {
  const entry = (text) => {
    const [partition, read, told = read] = text.split(/[:-]/).map(Number);
    return [partition, { read, told }];
  };
  const offsets = (text) => new Map((text ?? '').split(',').map(entry));
  const own = offsets(id);
  return [...offsets(than)].some(([partition, { read, told }]) => {
    const mine = own.get(partition);
    return mine && (mine.told < told || (mine.told === told && mine.read < read));
  });
}

/** Tries until it succeeds or can never succeed. */
async function until(ask, signal) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await ask();
    } catch (problem) {
      if (signal.aborted || !(problem instanceof api.Problem) || !problem.passes) throw problem;
      await api.pause(failures, problem, signal);
    }
  }
}
