// One date in parts: seats by section and by category, and how old its unpaid holds are.

import * as api from '../api.js';
import { button, fill, h, say } from '../dom.js';
import { number, sum, t } from '../i18n.js';
import { figures, liveTable } from './live.js';

const COUNTS = ['org.free', 'org.held', 'ops.paying', 'org.sold', 'org.blocked', 'ops.total', 'ops.share', 'org.worth'];

/** What a date's row has as well, for any part of it. */
export const share = ({ sold, total }) => t('ops.percent', { percent: number(total ? Math.round((sold / total) * 100) : 0) });

function ageOf({ from_seconds: from, below_seconds: below }) {
  if (below === null) return t('ops.age.old', { minutes: number(from / 60) });
  return from ? t('ops.age.between', { from: number(from / 60), to: number(below / 60) }) : t('ops.age.young', { minutes: number(below / 60) });
}

/** Of one date at a time. `show(date)`: which; it is closed when the date is shown already. */
export function saleParts(titleOf) {
  let date = null;
  const title = h('h3', { tabindex: '-1' });
  const cells = ({ name, seats }) => [name, number(seats.free), number(seats.held), number(seats.paying), number(seats.sold), number(seats.blocked), number(seats.total), share(seats), sum(seats.worth, date.currency ?? null)];
  const table = (caption, first) => liveTable(caption, [first, ...COUNTS].map((key) => t(key)), { key: (of) => of.key, cells });
  const [bySection, byCategory] = [table(t('org.bySection'), 'list.section'), table(t('org.byCategory'), 'org.category')];
  const ages = h('div', {});
  let holds = null;
  const root = h('div', { class: 'letter', 'data-parts': '', hidden: true }, title,
    h('h4', {}, t('org.bySection')), bySection.root, h('h4', {}, t('org.byCategory')), byCategory.root,
    h('h4', {}, t('ops.holdsByAge')), ages, h('div', { class: 'actions' }, button(t('dialog.close'), () => close())));
  function close() {
    date = null;
    root.hidden = true;
  }
  async function look(signal) {
    if (!date) return;
    const asked = date;
    const parts = await api.read(`/v1/ops/sales/${asked.schedule_id}`, { signal });
    if (date !== asked) return;
    say(title, titleOf(asked));
    // A section of several categories has a line for each.
    bySection.update(parts.sections.flatMap(({ section, seats, categories }) => [{ key: section, name: section, seats },
      ...(categories.length > 1 ? categories.map(({ category, seats: own }) => ({ key: `${section} ${category}`, name: `${section} · ${category}`, seats: own })) : [])]));
    byCategory.update(parts.categories.map(({ category, seats }) => ({ key: category, name: category, seats })));
    if (!holds) {
      holds = figures(parts.holds.map(ageOf));
      fill(ages, holds.root);
    }
    holds.update(parts.holds.map((age) => number(age.holds)));
    root.hidden = false;
  }
  return {
    root,
    look,
    async show(wanted) {
      if (date?.schedule_id === wanted.schedule_id) return close();
      date = wanted;
      await look();
      title.focus();
    },
  };
}
