// Queues with what can be done about them, and what the dates have sold.

import * as api from '../api.js';
import * as clock from '../clock.js';
import { button, h, say } from '../dom.js';
import { dayAndTime, number, since, sum, t } from '../i18n.js';
import { newKey } from '../intent.js';
import { problemText } from '../screens/parts.js';
import { csvLine, save } from './files.js';
import { liveTable, panel } from './live.js';
import { saleParts, share } from './sale_parts.js';

const duration = (seconds) => (seconds === null ? null : t('ops.seconds', { seconds: number(Math.round(seconds)) }));

export function queues() {
  const said = h('p', { role: 'status', class: 'notice', hidden: true });
  const change = async (current, body) => {
    said.hidden = true;
    try {
      await api.call('PATCH', `/v1/ops/queues/${current().schedule_id}`, { body, key: newKey(), wait: 10 });
      await look();
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      said.hidden = false;
      said.textContent = problemText(problem.body);
    }
  };
  const act = (current) => {
    const pause = button(t('org.pause'), () => change(current, { paused: !current().paused }), { 'data-act': 'pause' });
    const count = h('input', { type: 'number', min: 1, max: 1_000_000, value: 10, required: true, 'aria-label': t('ops.admit.count') });
    const admit = h('form', { class: 'admit', onsubmit: (event) => {
      event.preventDefault();
      change(current, { admit: Number(count.value) });
    } }, count, h('button', { class: 'button quiet', 'data-act': 'admit' }, t('ops.admit')));
    const root = h('div', { class: 'actions' }, pause, admit,
      h('a', { class: 'button quiet', href: '#', onclick: (event) => { event.currentTarget.href = `/organizer?date=${current().schedule_id}`; } }, t('ops.limits')));
    return { root, update: ({ paused }) => say(pause, t(paused ? 'org.resume' : 'org.pause')) };
  };
  const table = liveTable(t('ops.queues'), ['ops.date', 'ops.state', 'org.waiting', 'ops.absent', 'org.active', 'org.admitted', 'ops.pace', 'org.perMinute', 'ops.eta', 'ops.wait.p50', 'ops.wait.p90'].map((key) => t(key)), {
    key: (of) => of.schedule_id,
    cells: (of) => [`${of.title} · ${dayAndTime(Date.parse(of.starts_at))}`, { text: of.paused ? t('org.paused', { time: since(Date.parse(of.paused_since), clock.now()) }) : t(`ops.sale.${of.sale}`), kind: of.paused ? 'state waiting' : 'state' }, number(of.waiting), number(of.absent), number(of.active), number(of.admitted), of.admitted_per_minute === null ? null : number(Math.round(of.admitted_per_minute)), of.admit_per_minute === null ? t('ops.noLimit') : number(of.admit_per_minute), duration(of.eta_seconds), duration(of.wait_p50_seconds), duration(of.wait_p90_seconds)],
    act,
    none: t('ops.queues.none'),
  });
  async function look(signal) {
    table.update((await api.read('/v1/ops/queues', { signal })).queues);
  }
  return { root: panel('queues', t('ops.queues'), said, table.root), look };
}

const titleOf = (of) => `${of.title} · ${dayAndTime(Date.parse(of.starts_at))}${of.cancelled ? ` · ${t('concerts.cancelled')}` : ''}`;

export function sales() {
  const parts = saleParts(titleOf);
  const act = (current) => h('div', { class: 'actions' }, button(t('ops.show'), () => parts.show(current()), { 'data-act': 'parts' }),
    h('a', { class: 'button quiet', href: '#', onclick: (event) => { event.currentTarget.href = `/organizer?date=${current().schedule_id}`; } }, t('ops.open')));
  const table = liveTable(t('org.sales'), ['ops.date', 'org.free', 'org.held', 'ops.paying', 'org.sold', 'org.blocked', 'ops.total', 'ops.share', 'ops.revenue'].map((key) => t(key)), {
    key: (of) => of.schedule_id,
    cells: (of) => [titleOf(of), number(of.free), number(of.held), number(of.paying), number(of.sold), number(of.blocked), number(of.total), share(of), sum(of.revenue, of.currency ?? null)],
    act,
    none: t('concerts.none'),
  });
  let dates = [];
  const csv = button(t('ops.csv'), () => save('sales.csv', 'text/csv', `${[FIELDS, ...dates.map((of) => FIELDS.map((field) => of[field] ?? ''))].map(csvLine).join('\r\n')}\r\n`), { 'data-act': 'csv' });
  return {
    root: panel('sales', t('org.sales'), table.root, parts.root, h('div', { class: 'actions' }, csv)),
    async look(signal) {
      ({ dates } = await api.read('/v1/ops/sales', { signal }));
      csv.disabled = dates.length === 0;
      table.update(dates);
      await parts.look(signal);
    },
  };
}

/** Columns of the file, named as in the API; amounts in the smallest unit. */
const FIELDS = ['schedule_id', 'title', 'starts_at', 'free', 'held', 'paying', 'sold', 'blocked', 'total', 'revenue', 'currency', 'cancelled'];
