// More seats for a drawn hall: the larger drawing is shown with what is new in it before the date is changed.

import * as api from '../api.js';
import { fill, h } from '../dom.js';
import { number, sum, t } from '../i18n.js';
import { notice } from '../screens/parts.js';
import { choice, field, wrong } from './forms.js';
import { Preview, imported, warningsOf } from './preview.js';

/** `{root, body(values)}`; the body is that part of an amendment. */
export function largerPlan(schedule, currency) {
  const box = notice('warn');
  const about = h('div', { class: 'form' });
  const had = new Map(schedule.sections.map((section) => [section.name, section.seats]));
  const blocks = [...new Set(schedule.sections.map((section) => section.block))];
  let shown = null;
  const file = h('input', { type: 'file', id: 'f-larger', accept: '.json,.csv,application/json,text/csv', onchange: () => take(file.files[0]) });

  async function take(chosen) {
    shown?.preview.close();
    shown = null;
    box.clear();
    fill(about);
    if (!chosen) return;
    try {
      const { id, warnings } = await imported(chosen, schedule.id);
      show(id, await api.read(`/v1/plans/${id}`), warnings);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      // The same file, mended, is another choice.
      file.value = '';
      wrong(box, problem.body);
    }
  }

  function show(id, plan, warnings) {
    const grown = plan.sections.filter((section) => section.x.length > (had.get(section.name) ?? 0));
    if (!grown.length) {
      box.show(h('p', {}, t('org.larger.nothing')));
      return;
    }
    const added = grown.filter((section) => !had.has(section.name));
    const preview = new Preview(plan, undefined, had);
    shown = { id, preview, added };
    const unit = currency && h('p', { class: 'hint' }, t('org.unit', { amount: number(12_000), as: sum(12_000, currency) }));
    const prices = unpriced(plan, grown);
    fill(about, warningsOf(warnings), h('p', { id: 'larger-new' }, t('org.larger.new', { seats: grown.map((section) => t('org.larger.of', { section: section.label ?? section.name, count: number(section.x.length - (had.get(section.name) ?? 0)) })).join(', ') })),
      prices.length > 0 && unit,
      h('div', { class: 'fields' }, prices.map((name) => field(`larger-price-${name}`, t('org.larger.price', { category: name }), { type: 'number', min: 0, required: true, value: usual(name) })),
        blocks.length > 1 && added.map(({ name }) => choice(`larger-block-${name}`, t('org.larger.block', { section: name }), blocks.map((block) => [block, block])))),
      preview.root);
  }

  /** Categories of new seats in sections that have no price for them. */
  function unpriced(plan, grown) {
    const needed = new Set();
    for (const section of grown) {
      const known = new Set(schedule.sections.find((own) => own.name === section.name)?.categories.map((category) => category.name));
      const first = (had.get(section.name) ?? 0) + 1;
      for (const [from, count, category] of section.categories) {
        const { name } = plan.categories[category];
        if (from + count > first && !known.has(name)) needed.add(name);
      }
    }
    return [...needed];
  }

  /** What the category costs elsewhere. */
  const usual = (name) => schedule.sections.flatMap((section) => section.categories).find((category) => category.name === name)?.price ?? '';

  const valuesOf = (values, prefix, read) => Object.fromEntries(Object.entries(values).filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), read(value)]));
  const body = (values) => {
    if (!shown) return {};
    const prices = valuesOf(values, 'larger-price-', Number);
    const blocked = shown.preview.blocked();
    const where = blocks.length > 1 ? valuesOf(values, 'larger-block-', String) : Object.fromEntries(shown.added.map(({ name }) => [name, blocks[0]]));
    return { plan: shown.id, ...(Object.keys(prices).length && { prices }), ...(blocked.length && { blocked }), ...(Object.keys(where).length && { blocks: where }) };
  };
  const root = h('div', { class: 'form' }, h('label', { class: 'field', for: 'f-larger' }, h('span', {}, t('org.larger')), file, h('span', { class: 'hint' }, t('org.larger.hint'))), box.root, about);
  return { root, body };
}
