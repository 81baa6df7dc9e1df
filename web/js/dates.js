// Dates as staff and tickets need them: which there are, and what the seats of one are called.

import * as api from './api.js';
import * as clock from './clock.js';
import { hallOfPlan, plainParts } from './plan.js';

/** A show that began longer ago is over. */
const PAST_MS = 12 * 3_600_000;
const MINUTE_MS = 60_000;

/** The address of a concert's dates that begin now or later, or began at most `past` ms ago. By the minute: all ask alike. */
export function datesPath(concert, past = 0) {
  const from = Math.floor((clock.now() - past) / MINUTE_MS) * MINUTE_MS;
  return `/v1/concerts/${encodeURIComponent(concert)}/schedules?from=${new Date(from).toISOString()}`;
}

/** The same for those who work there: a show that has begun still has a door. */
export const currentDatesPath = (concert) => datesPath(concert, PAST_MS);

/** `[{id, title, zone, starts}]` of all concerts, the next first. */
export async function upcoming() {
  const options = { anonymous: true };
  const concerts = await api.all('/v1/concerts', 'concerts', options);
  const lists = await Promise.all(concerts.map((each) => api.all(currentDatesPath(each.id), 'schedules', options)));
  return concerts.flatMap((concert, index) => lists[index].map((schedule) => ({
    id: schedule.id, title: concert.title, zone: concert.time_zone, starts: Date.parse(schedule.starts_at),
  }))).sort((a, b) => a.starts - b.starts);
}

/** Concert, date and hall of a schedule; the hall is null where none is drawn. */
export async function aboutDate(id, signal) {
  const options = { signal, anonymous: true };
  const schedule = await api.read(`/v1/schedules/${id}`, options);
  const [concert, plan] = await Promise.all([api.read(`/v1/concerts/${schedule.concert_id}`, options),
    schedule.plan && api.readIfAny(`/v1/plans/${schedule.plan}`, { ...options, cache: 'default' })]);
  return { schedule, concert, hall: plan?.sections ? hallOfPlan(plan, schedule) : null };
}

/** `{schedule, concert}`, or null where the catalog has none. `concerts`: those that are known. */
export async function dateOf(id, concerts = new Map()) {
  const options = { anonymous: true };
  const schedule = await api.readIfAny(`/v1/schedules/${id}`, options);
  if (!schedule) return null;
  const { concert_id: concert } = schedule;
  if (!concerts.has(concert)) concerts.set(concert, await api.read(`/v1/concerts/${concert}`, options));
  return { schedule, concert: concerts.get(concert) };
}

const known = new Map();

/** The same, read once; null if it cannot be had now. */
export function about(id) {
  if (!known.has(id)) {
    known.set(id, aboutDate(id).catch(() => {
      known.delete(id);
      return null;
    }));
  }
  return known.get(id);
}

/** Section, row and seat, as printed in the hall. */
export const partsOf = (hall, seat) => hall?.parts(seat) ?? plainParts(seat);
