// A new date: when, which seats at which prices, how they are sold. A seating plan is shown before anything is made of it.

import * as api from '../api.js';
import { fill, h } from '../dom.js';
import { number, sum, t } from '../i18n.js';
import { SeatMap } from '../map.js';
import { hallOfPlan } from '../plan.js';
import { Seats } from '../seats.js';
import { notice } from '../screens/parts.js';
import { field, formOf, instant, keys, whole, wrong, zoneHint } from './forms.js';

export async function newDate(concert, go) {
  const box = notice('warn');
  const { plans } = await api.read('/v1/plans?limit=50');
  const seats = seatFields(plans, concert.currency);
  const keyOf = keys();
  const queue = h('fieldset', {}, h('legend', {}, t('concerts.queue')),
    h('label', { class: 'check' }, h('input', { type: 'checkbox', name: 'queue' }), t('org.withQueue')),
    h('div', { class: 'fields' },
      field('max_active', t('org.maxActive'), { type: 'number', min: 1, value: 200 }),
      field('active_ttl', t('org.turnMinutes'), { type: 'number', min: 1, max: 1440, value: 5 }),
      field('max_waiting', t('org.maxWaiting'), { type: 'number', min: 1, value: 100000 }),
      field('admit_per_minute', t('org.perMinute'), { type: 'number', min: 1, hint: t('org.emptyNoLimit') })));
  const terms = h('fieldset', {}, h('legend', {}, t('org.terms')), zoneHint(concert.time_zone), h('div', { class: 'fields' },
    field('starts_at', t('org.startsAt'), { type: 'datetime-local', required: true }),
    field('duration', t('org.durationMinutes'), { type: 'number', min: 1, value: 120 }),
    field('sales_open_at', t('org.opensAt'), { type: 'datetime-local', hint: t('org.emptyNow') }),
    field('hold_ttl', t('org.holdMinutes'), { type: 'number', min: 1, max: 1440, value: 5 }),
    field('max_seats', t('org.maxSeats'), { type: 'number', min: 1, max: 100, value: 4 })));
  const form = formOf(t('org.newDate'), [terms, seats.root, queue], t('org.open'), async (values) => {
    const body = bodyOf(values, seats, concert.time_zone);
    const made = await api.call('POST', `/v1/concerts/${concert.id}/schedules`, { body, key: keyOf(body), wait: 30 });
    go(`?date=${made.body.id}`);
  }, box);
  return h('details', { class: 'card' }, h('summary', {}, t('org.newDate')), form);
}

function bodyOf(values, seats, zone) {
  const body = {
    starts_at: instant(values.starts_at, zone),
    duration: whole(values.duration) && whole(values.duration) * 60,
    hold_ttl_seconds: whole(values.hold_ttl) * 60,
    max_seats_per_user: whole(values.max_seats),
    ...(values.sales_open_at && { sales_open_at: instant(values.sales_open_at, zone) }),
    ...seats.body(values),
  };
  if (values.queue) {
    const perMinute = whole(values.admit_per_minute);
    body.queue = { max_active: whole(values.max_active), active_ttl_seconds: whole(values.active_ttl) * 60, max_waiting: whole(values.max_waiting), ...(perMinute && { admit_per_minute: perMinute }) };
  }
  return body;
}

/** A plan with a price for each category, or sections written by hand. */
function seatFields(plans, currency) {
  const box = notice('warn');
  // Amounts are in the currency's smallest unit.
  const unit = currency ? h('p', { class: 'hint' }, t('org.unit', { amount: number(12_000), as: sum(12_000, currency) })) : null;
  const about = h('div', { class: 'form' });
  let plan = null;
  let map = null;
  const pick = h('select', { id: 'f-plan', onchange: () => use(pick.value) }, h('option', { value: '' }, t('org.noPlan')),
    plans.map((each) => h('option', { value: each.id }, t('org.planOption', { name: each.name, seats: number(each.seats) }))));
  const file = h('input', { type: 'file', id: 'f-file', accept: '.json,.csv,application/json,text/csv', onchange: () => upload(file.files[0]) });
  const sections = h('textarea', { id: 'f-sections', name: 'sections', spellcheck: 'false' });
  sections.value = 'A 50 12000\nB 50 9000\nC 100 6000';
  const byHand = h('label', { class: 'field', for: 'f-sections' }, h('span', {}, t('org.sections')), sections, h('span', { class: 'hint' }, t('org.sectionsHint')));
  fill(about, byHand);

  async function upload(chosen) {
    if (!chosen) return;
    box.clear();
    const type = chosen.name.endsWith('.csv') ? 'text/csv' : 'application/json';
    try {
      const answer = await api.send('POST', `/v1/plans?name=${encodeURIComponent(chosen.name.replace(/\.\w+$/, ''))}`, { raw: chosen, headers: { 'Content-Type': type } });
      const body = await answer.json();
      if (!answer.ok) throw api.problemOf(answer, body);
      await taken(body);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      wrong(box, problem.body);
    }
  }

  async function taken(body) {
    if (![...pick.options].some((option) => option.value === body.id)) pick.append(h('option', { value: body.id }, t('org.planOption', { name: body.name, seats: number(body.seats) })));
    pick.value = body.id;
    await use(body.id, body.warnings);
  }

  async function use(id, warnings = []) {
    map?.close();
    map = null;
    plan = id ? await api.read(`/v1/plans/${id}`) : null;
    if (!plan) {
      fill(about, byHand);
      return;
    }
    const used = new Set(plan.sections.flatMap((section) => section.categories.map(([, , category]) => category)));
    const categories = plan.categories.filter((_, index) => used.has(index));
    map = preview(plan, categories);
    fill(about, h('div', { class: 'preview' }, map.root),
      warnings.length > 0 && h('div', { class: 'notice warn' }, h('strong', {}, t('org.warnings')), h('ul', { class: 'warnings' }, warnings.map((each) => h('li', {}, `${each.at}: ${each.message}${each.count > 1 ? ` (×${each.count})` : ''}`)))),
      h('div', { class: 'fields' }, categories.map((category, index) => field(`price-${category.name}`, t('org.priceOf', { category: category.name }), { type: 'number', min: 0, required: true, value: (categories.length - index) * 3000 + 3000 }))));
  }

  const root = h('fieldset', {}, h('legend', {}, t('org.seats')),
    h('div', { class: 'fields' }, h('label', { class: 'field', for: 'f-plan' }, h('span', {}, t('org.plan')), pick),
      h('label', { class: 'field', for: 'f-file' }, h('span', {}, t('org.upload')), file)), box.root, unit, about);
  const body = (values) => {
    if (plan) {
      const prices = Object.entries(values).filter(([name]) => name.startsWith('price-'));
      return { plan: pick.value, prices: Object.fromEntries(prices.map(([name, price]) => [name.slice(6), Number(price)])) };
    }
    return { sections: values.sections.split('\n').map((line) => line.trim()).filter(Boolean).map(sectionOf) };
  };
  return { root, body };
}

/** `A 50 12000`: name, seats, price. */
function sectionOf(line) {
  const [, name, seats, price] = line.match(/^(.*?)\s+(\d+)\s+(\d+)$/) ?? [null, line, '0', '0'];
  return { name, seats: Number(seats), price: Number(price) };
}

/** The hall with all seats free. */
function preview(plan, categories) {
  const priced = categories.map((category, index) => ({ name: category.name, price: categories.length - index, available_seats: 0 }));
  const schedule = { sections: plan.sections.map((section) => ({ name: section.name, block: 'main', seats: section.x.length, price: 0, categories: priced })) };
  const hall = hallOfPlan(plan, schedule);
  const seats = new Seats();
  seats.take(Object.fromEntries(hall.sections.map((section) => [section.name, 'A'.repeat(section.count)])), true);
  return new SeatMap({ hall, seats, onToggle: () => {} });
}
