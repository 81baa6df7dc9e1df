// A new date: when, which seats at which prices, how they are sold. A seating plan is shown before anything is made of it.

import * as api from '../api.js';
import { h } from '../dom.js';
import { t } from '../i18n.js';
import { notice } from '../screens/parts.js';
import { choice, field, formOf, instant, keys, whole, zoneHint } from './forms.js';
import { seatFields } from './seat_fields.js';

export async function newDate(concert, go) {
  const box = notice('warn');
  const seats = seatFields(await api.all('/v1/plans', 'plans'), concert.currency);
  const keyOf = keys();
  const form = formOf(t('org.newDate'), [terms(concert), seats.root, queue()], t('org.open'), async (values) => {
    const body = { ...termsOf(values, concert.time_zone), ...seats.body(values), ...(values.queue && { queue: queueOf(values) }) };
    const made = await api.call('POST', `/v1/concerts/${concert.id}/schedules`, { body, key: keyOf(body), wait: 30 });
    go(`?date=${made.body.id}`);
  }, box);
  return h('details', { class: 'card' }, h('summary', {}, t('org.newDate')), form);
}

function terms(concert) {
  return h('fieldset', {}, h('legend', {}, t('org.terms')), zoneHint(concert.time_zone), h('div', { class: 'fields' },
    field('starts_at', t('org.startsAt'), { type: 'datetime-local', required: true }),
    field('duration', t('org.durationMinutes'), { type: 'number', min: 1, value: 120 }),
    field('sales_open_at', t('org.opensAt'), { type: 'datetime-local', hint: t('org.emptyNow') }),
    field('sales_close_at', t('org.closesAt'), { type: 'datetime-local', hint: t('org.emptyStart') }),
    field('companions_free_at', t('org.companionsFree'), { type: 'datetime-local', hint: t('org.emptyNever') }),
    field('hold_ttl', t('org.holdMinutes'), { type: 'number', min: 1, max: 1440, value: 5 }),
    field('max_seats', t('org.maxSeats'), { type: 'number', min: 1, max: 100, value: 4 })));
}

function queue() {
  return h('fieldset', {}, h('legend', {}, t('concerts.queue')),
    h('label', { class: 'check' }, h('input', { type: 'checkbox', name: 'queue' }), t('org.withQueue')),
    h('div', { class: 'fields' },
      field('max_active', t('org.maxActive'), { type: 'number', min: 1, value: 200 }),
      field('active_ttl', t('org.turnMinutes'), { type: 'number', min: 1, max: 1440, value: 5 }),
      field('max_waiting', t('org.maxWaiting'), { type: 'number', min: 1, value: 100000 }),
      field('admit_per_minute', t('org.perMinute'), { type: 'number', min: 1, hint: t('org.emptyNoLimit') }),
      choice('on_timeout', t('org.onTimeout'), ['requeue', 'expire'].map((value) => [value, t(`org.onTimeout.${value}`)])),
      field('claim_after', t('org.claimAfter'), { type: 'number', min: 1, max: 86400, value: 60 }),
      field('abandon_after', t('org.abandonAfter'), { type: 'number', min: 12, max: 86400, value: 180 }),
      field('absent_max', t('org.absentMax'), { type: 'number', min: 1, max: 1440, value: 60 })));
}

function termsOf(values, zone) {
  const times = ['sales_open_at', 'sales_close_at', 'companions_free_at'].filter((name) => values[name]);
  return {
    starts_at: instant(values.starts_at, zone),
    duration: whole(values.duration) && whole(values.duration) * 60,
    hold_ttl_seconds: whole(values.hold_ttl) * 60,
    max_seats_per_user: whole(values.max_seats),
    ...Object.fromEntries(times.map((name) => [name, instant(values[name], zone)])),
  };
}

function queueOf(values) {
  const perMinute = whole(values.admit_per_minute);
  const minutes = (text) => whole(text) && whole(text) * 60;
  return {
    max_active: whole(values.max_active),
    active_ttl_seconds: minutes(values.active_ttl),
    max_waiting: whole(values.max_waiting),
    ...(perMinute && { admit_per_minute: perMinute }),
    on_timeout: values.on_timeout,
    claim_after_seconds: whole(values.claim_after),
    abandon_after_seconds: whole(values.abandon_after),
    absent_max_seconds: minutes(values.absent_max),
  };
}
