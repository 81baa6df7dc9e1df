// Which seats a new date has, at which prices, and which are not for sale: from a seating plan, or sections written by hand.

import * as api from '../api.js';
import { fill, h } from '../dom.js';
import { number, sum, t } from '../i18n.js';
import { notice } from '../screens/parts.js';
import { field, textField, wrong } from './forms.js';
import { Preview, imported, usedCategories, warningsOf } from './preview.js';
import { blockedOf, sectionsOf } from './spans.js';

/** `{root, body(values)}`; the body is that part of a new date. */
export function seatFields(plans, currency) {
  const box = notice('warn');
  // Amounts are in the currency's smallest unit.
  const unit = currency ? h('p', { class: 'hint' }, t('org.unit', { amount: number(12_000), as: sum(12_000, currency) })) : null;
  const about = h('div', { class: 'form' });
  let drawn = null;
  const pick = h('select', { id: 'f-plan', onchange: () => use(pick.value) }, h('option', { value: '' }, t('org.noPlan')),
    plans.map((each) => h('option', { value: each.id }, t('org.planOption', { name: each.name, seats: number(each.seats) }))));
  const file = h('input', { type: 'file', id: 'f-file', accept: '.json,.csv,application/json,text/csv', onchange: () => upload(file.files[0]) });
  const byHand = h('div', { class: 'form' },
    textField('sections', t('org.sections'), { value: 'A 50 12000\nB 50 9000\nC 100 6000', hint: t('org.sectionsHint') }),
    textField('blocked', t('org.blocked.title'), { rows: 2, hint: t('org.blockedHint') }));
  fill(about, byHand);

  async function upload(chosen) {
    if (!chosen) return;
    box.clear();
    try {
      await taken(await imported(chosen));
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
    drawn?.close();
    drawn = null;
    if (!id) {
      fill(about, byHand);
      return;
    }
    const plan = await api.read(`/v1/plans/${id}`);
    const categories = usedCategories(plan);
    drawn = new Preview(plan, categories);
    fill(about, drawn.root,
      warningsOf(warnings),
      h('div', { class: 'fields' }, categories.map((category, index) => field(`price-${category.name}`, t('org.priceOf', { category: category.name }), { type: 'number', min: 0, required: true, value: (categories.length - index) * 3000 + 3000 }))));
  }

  const root = h('fieldset', {}, h('legend', {}, t('org.seats')),
    h('div', { class: 'fields' }, h('label', { class: 'field', for: 'f-plan' }, h('span', {}, t('org.plan')), pick),
      h('label', { class: 'field', for: 'f-file' }, h('span', {}, t('org.upload')), file)), box.root, unit, about);
  const body = (values) => {
    if (drawn) {
      const prices = Object.entries(values).filter(([name]) => name.startsWith('price-'));
      const blocked = drawn.blocked();
      return { plan: pick.value, prices: Object.fromEntries(prices.map(([name, price]) => [name.slice(6), Number(price)])), ...(blocked.length && { blocked }) };
    }
    const sections = sectionsOf(values.sections);
    const blocked = blockedOf(values.blocked, sections.map((section) => section.name));
    return { sections: sections.map((section) => ({ ...section, ...(blocked.has(section.name) && { not_for_sale: blocked.get(section.name) }) })) };
  };
  return { root, body };
}
