// Queues with what can be done about them, and what the dates have sold.

import * as api from '../api.js';
import { button, h, say } from '../dom.js';
import { dayAndTime, number, t } from '../i18n.js';
import { newKey } from '../intent.js';
import { problemText } from '../screens/parts.js';
import { liveTable, panel } from './live.js';

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
    const root = h('div', { class: 'actions' }, pause, button(t('org.admitTen'), () => change(current, { admit: 10 }), { kind: 'quiet' }),
      h('a', { class: 'button quiet', href: '#', onclick: (event) => { event.currentTarget.href = `/organizer?date=${current().schedule_id}`; } }, t('ops.limits')));
    return { root, update: ({ paused }) => say(pause, t(paused ? 'org.resume' : 'org.pause')) };
  };
  const table = liveTable(t('ops.queues'), ['ops.date', 'ops.state', 'org.waiting', 'ops.absent', 'org.active', 'org.admitted', 'org.perMinute'].map((key) => t(key)), {
    key: (of) => of.schedule_id,
    cells: (of) => [`${of.title} · ${dayAndTime(Date.parse(of.starts_at))}`, { text: of.paused ? t('org.paused') : t(`ops.sale.${of.sale}`), kind: of.paused ? 'state waiting' : 'state' }, number(of.waiting), number(of.absent), number(of.active), number(of.admitted), of.admit_per_minute === null ? t('ops.noLimit') : number(of.admit_per_minute)],
    act,
    none: t('ops.queues.none'),
  });
  async function look(signal) {
    table.update((await api.read('/v1/ops/queues', { signal })).queues);
  }
  return { root: panel('queues', t('ops.queues'), said, table.root), look };
}

export function sales() {
  const table = liveTable(t('org.sales'), ['ops.date', 'org.free', 'ops.taken', 'org.blocked', 'ops.total', 'ops.share'].map((key) => t(key)), {
    key: (of) => of.schedule_id,
    cells: (of) => [`${of.title} · ${dayAndTime(Date.parse(of.starts_at))}${of.cancelled ? ` · ${t('concerts.cancelled')}` : ''}`, number(of.free), number(of.taken), number(of.blocked), number(of.total), t('ops.percent', { percent: number(of.total ? Math.round((of.taken / of.total) * 100) : 0) })],
    act: (current) => h('a', { class: 'button quiet', href: '#', onclick: (event) => { event.currentTarget.href = `/organizer?date=${current().schedule_id}`; } }, t('ops.open')),
    none: t('concerts.none'),
  });
  return {
    root: panel('sales', t('org.sales'), table.root),
    async look(signal) {
      table.update((await api.read('/v1/ops/sales', { signal })).dates);
    },
  };
}
