// What can be changed about a date: its times, its prices for later holds, seats not for sale, further seats and sections.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { fill, h } from '../dom.js';
import { t } from '../i18n.js';
import { newKey } from '../intent.js';
import { categoriesOf } from '../plan.js';
import { notice } from '../screens/parts.js';
import { choice, deed, field, formOf, instant, local, textField, zoneHint } from './forms.js';
import { largerPlan } from './larger.js';
import { sectionsOf, spansOf, textOf, unreadable } from './spans.js';

const TIMES = ['starts_at', 'sales_open_at', 'sales_close_at'];

export function amend(schedule, concert, go) {
  const zone = concert.time_zone;
  const box = notice('plain');
  const patch = async (body) => {
    await api.call('PATCH', `/v1/schedules/${schedule.id}`, { body, key: newKey(), wait: 30 });
    go(`?date=${schedule.id}`);
  };
  const categories = categoriesOf(schedule).filter((category) => category.low === category.high);
  const seats = new SeatsOf(schedule);
  const larger = schedule.plan ? largerPlan(schedule, concert.currency) : null;
  const form = formOf(t('org.amend'), [zoneHint(zone), h('div', { class: 'fields' },
    field('starts_at', t('org.startsAt'), { type: 'datetime-local', required: true, value: local(schedule.starts_at, zone) }),
    field('sales_open_at', t('org.opensAt'), { type: 'datetime-local', value: local(schedule.sales_open_at, zone), hint: t('org.emptyNow') }),
    field('sales_close_at', t('org.closesAt'), { type: 'datetime-local', value: local(schedule.sales_close_at, zone), hint: t('org.emptyStart') }),
    categories.map((category) => field(`price-${category.name}`, t('org.priceOf', { category: category.name }), { type: 'number', min: 0, required: true, value: category.low }))),
  seats.root, larger?.root],
  t('org.save'), async (values) => {
    const times = TIMES.filter((name) => values[name] !== local(schedule[name], zone));
    const body = { ...Object.fromEntries(times.map((name) => [name, instant(values[name], zone)])), ...merged(pricesOf(schedule, categories, values), seats.change(values)), ...larger?.body(values) };
    if (Object.keys(body).length) await patch(body);
    else go(`?date=${schedule.id}`);
  }, box);
  const close = deed(t('org.closeNow'), () => patch({ sales_close_at: new Date(clock.now() + 1000).toISOString() }), box, { 'data-act': 'close-sales' });
  const open = deed(t('org.openNow'), () => patch({ sales_open_at: null, sales_close_at: null }), box, { 'data-act': 'open-sales' });
  return h('details', { class: 'card', ontoggle: () => seats.read() }, h('summary', {}, t('org.amend')), h('p', { class: 'hint' }, t('org.amendHint')), form, h('div', { class: 'actions' }, close, open));
}

/** Prices that differ, by section. */
function pricesOf(schedule, categories, values) {
  const changed = categories.filter((category) => Number(values[`price-${category.name}`]) !== category.low);
  return schedule.sections.map((section) => ({ name: section.name, prices: Object.fromEntries(changed
    .filter((category) => section.categories.some((own) => own.name === category.name))
    .map((category) => [category.name, Number(values[`price-${category.name}`])])) }))
    .filter((section) => Object.keys(section.prices).length);
}

/** A section whose prices and whose seats change is named once. */
function merged(prices, { section, added }) {
  const sections = prices.map((priced) => (priced.name === section?.name ? { ...priced, ...section } : priced));
  if (section && !prices.some((priced) => priced.name === section.name)) sections.push(section);
  return { ...(sections.length && { sections }), ...(added.length && { new_sections: added }) };
}

/** Seats of one section, and new sections. A drawn hall gets further ones by a larger drawing: nobody could find others on its map. */
class SeatsOf {
  constructor(schedule) {
    this.schedule = schedule;
    this.blocks = [...new Set(schedule.sections.map((section) => section.block))];
    this.own = h('div', { class: 'fields' });
    this.root = h('fieldset', {}, h('legend', {}, t('org.seats')));
  }

  /** How the seats lie is read when it is wanted. */
  read() {
    this.reading ??= this.#read().catch((problem) => {
      this.reading = null;
      throw problem;
    });
    return this.reading;
  }

  async #read() {
    const { sections } = await api.read(`/v1/schedules/${this.schedule.id}?layout=true`);
    this.sections = new Map(sections.map((section) => [section.name, section.layout]));
    const names = [...this.sections.keys()];
    const pick = choice('section', t('org.amendSection'), [['', t('org.noSection')], ...names.map((name) => [name, name])], { onchange: (event) => this.#pick(event.target.value) });
    fill(this.root, h('legend', {}, t('org.seats')), h('div', { class: 'fields' }, pick), this.own, !this.schedule.plan && [
      textField('new_sections', t('org.newSections'), { rows: 2, hint: t('org.newSectionsHint') }),
      this.blocks.length > 1 && choice('block', t('org.inBlock'), this.blocks.map((block) => [block, block]))]);
  }

  #pick(name) {
    const layout = this.sections.get(name);
    fill(this.own, layout && [
      !this.schedule.plan && field('seats', t('org.seatsTotal'), { type: 'number', min: layout.seats, max: 100_000, required: true, value: layout.seats, hint: t('org.seatsTotalHint') }),
      !this.schedule.plan && layout.categories.length > 1 && choice('appended', t('org.appendedCategory'), layout.categories.map((category, index) => [index, category.name])),
      field('not_for_sale', t('org.blockedSeats'), { type: 'text', value: textOf(layout.not_for_sale), hint: t('org.blockedSeatsHint') })]);
  }

  /** `{section, added}`: what is to change, if anything is. */
  change(values) {
    const added = sectionsOf(values.new_sections ?? '').map((section) => ({ ...section, block: values.block ?? this.blocks[0] }));
    const layout = this.sections?.get(values.section);
    if (!layout) return { section: null, added };
    const spans = spansOf(values.not_for_sale);
    if (!spans) throw unreadable(t('org.blockedSeats'), values.not_for_sale);
    const further = Number(values.seats ?? layout.seats) - layout.seats;
    const section = {
      ...(further > 0 && { layout: appended(layout, further, Number(values.appended ?? 0)) }),
      ...(textOf(spans) !== textOf(layout.not_for_sale) && { not_for_sale: spans }),
    };
    return { section: Object.keys(section).length ? { name: values.section, ...section } : null, added };
  }
}

/** So many seats more, in a run of their own. */
function appended(layout, count, category) {
  const first = layout.seats + 1;
  return { ...layout, seats: layout.seats + count, runs: [...layout.runs, [first, count]], category_runs: [...layout.category_runs, [first, count, category]] };
}
