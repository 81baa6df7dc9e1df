// Dates as staff and tickets need them: which there are, and what the seats of one are called.

import * as api from './api.js';
import * as clock from './clock.js';
import { hallOfPlan, plainParts } from './plan.js';

const CONCERTS = 100;
/** A show that began longer ago is over. */
const PAST_MS = 12 * 3_600_000;

/** `[{id, title, zone, starts}]` of all concerts, the next first. */
export async function upcoming() {
  const { concerts } = await api.read(`/v1/concerts?limit=${CONCERTS}`, { anonymous: true });
  const lists = await Promise.all(concerts.map((each) => api.read(`/v1/concerts/${each.id}/schedules`, { anonymous: true })));
  const from = clock.now() - PAST_MS;
  return concerts.flatMap((concert, index) => lists[index].schedules.map((schedule) => ({
    id: schedule.id, title: concert.title, zone: concert.time_zone, starts: Date.parse(schedule.starts_at),
  }))).filter((date) => date.starts > from).sort((a, b) => a.starts - b.starts);
}

/** Concert, date and hall of a schedule; the hall is null where none is drawn. */
export async function aboutDate(id, signal) {
  const options = { signal, anonymous: true };
  const schedule = await api.read(`/v1/schedules/${id}`, options);
  const [concert, plan] = await Promise.all([api.read(`/v1/concerts/${schedule.concert_id}`, options),
    schedule.plan && api.readIfAny(`/v1/plans/${schedule.plan}`, { ...options, cache: 'default' })]);
  return { schedule, concert, hall: plan?.sections ? hallOfPlan(plan, schedule) : null };
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
