// How it goes: the verdict, the pace, partitions and processes.

import * as api from '../api.js';
import { button, fill, h, say } from '../dom.js';
import { dayAndTime, has, number, t } from '../i18n.js';
import { figures, liveTable, panel, sparkline } from './live.js';
import { stepOver } from './acts.js';

const rate = (value) => (value < 10 ? number(Math.round(value * 10) / 10) : number(Math.round(value)));
const seconds = (value) => (value === null || value === undefined ? '–' : t('ops.seconds', { seconds: number(Math.round(value * 10) / 10) }));

/** A trouble in the language of the page; its values are part of what the server says. */
function troubleText({ code, values, text }) {
  const key = `ops.trouble.${code}`;
  return has(key) ? t(key, values) : text;
}

function sentence({ troubles, count }, counts) {
  if (troubles.length) {
    const worst = troubleText(troubles[0]);
    return count > 1 ? t('ops.verdict.more', { trouble: worst, count: number(count - 1) }) : worst;
  }
  if (!counts || counts.lag_seconds === null) return t('ops.verdict.fine', { count: number(counts?.partitions ?? 0) });
  return t('ops.verdict.deciding', { count: number(counts.partitions), ms: number(Math.round(counts.lag_seconds * 1000)) });
}

export function glance() {
  const word = h('span', { class: 'level' });
  const text = h('p', { class: 'verdict' });
  const troubles = h('ul', { class: 'troubles' });
  const numbers = figures(['ops.arrived', 'ops.decided', 'ops.refused', 'ops.p99', 'ops.lag', 'ops.outbox', 'ops.letters', 'ops.processes'].map((key) => t(key)));
  const audit = h('p', { class: 'muted' });
  const root = h('section', { class: 'card stack glance', 'data-panel': 'glance', 'aria-label': t('ops.verdict') }, h('div', { role: 'status', class: 'said' }, word, text), troubles, numbers.root, audit);
  let shown = '';
  let ends = null;
  /** Records that came to the lanes in a second, since the look before. */
  function arrived(at, all) {
    const before = ends;
    ends = all === null || all === undefined ? null : { at: Date.parse(at), all };
    const passed = before && ends ? (ends.at - before.at) / 1000 : 0;
    return passed > 0 ? rate((ends.all - before.all) / passed) : '–';
  }
  return {
    root,
    async look(signal) {
      const { at, verdict, counts, pace, audit: last } = await api.read('/v1/ops/overview', { signal });
      root.dataset.level = verdict.level;
      say(word, t(`ops.level.${verdict.level}`));
      say(text, sentence(verdict, counts));
      const lines = verdict.troubles.length > 1 ? verdict.troubles.map(troubleText) : [];
      if (shown !== lines.join('\n')) {
        shown = lines.join('\n');
        fill(troubles, lines.map((line) => h('li', {}, line)));
      }
      numbers.update([
        arrived(at, counts?.appended),
        pace ? rate(pace.seats + pace.wallets + pace.queues) : '–',
        pace ? rate(pace.refused) : '–',
        pace?.p99_ms ? t('ops.ms', { ms: number(pace.p99_ms) }) : '–',
        counts?.lag_records === null || !counts ? '–' : number(counts.lag_records),
        counts ? number(counts.outbox) : '–',
        counts ? number(counts.dead_letters) : '–',
        counts ? number(counts.processes) : '–',
      ]);
      say(audit, last ? t(last.differences ? 'ops.audit.differs' : 'ops.audit.clean', { time: dayAndTime(Date.parse(last.at)), records: number(last.records), count: number(last.differences) }) : t('ops.audit.never'));
    },
  };
}

export function partitions() {
  let all = false;
  let known = [];
  const summary = h('p', {});
  const toggle = button('', () => {
    all = !all;
    draw();
  });
  const table = liveTable(t('ops.partitions'), ['ops.partition', 'ops.state', 'ops.owner', 'ops.lag', 'ops.waits', 'ops.outbox', 'ops.next', 'ops.end', 'ops.epoch', 'ops.decidedAt', 'ops.hash', 'ops.reason'].map((key) => t(key)), {
    key: (of) => of.partition,
    cells: (of) => [of.partition, { text: t(`ops.state.${of.state}`), kind: `state ${of.state}` }, of.owner, of.lag_records === null ? null : number(of.lag_records), seconds(of.lag_seconds), number(of.outbox), number(of.next_offset), of.end_offset === null ? null : number(of.end_offset), number(of.epoch), of.decided_at ? dayAndTime(Date.parse(of.decided_at)) : null, { text: of.state_hash ?? '–', kind: 'hash' }, { text: of.reason ?? '', kind: 'reason' }],
    act: (current) => stepOver(current),
    none: t('ops.partitions.allWell'),
  });
  function draw() {
    const owned = known.filter((of) => of.state === 'owned').length;
    say(summary, t('ops.partitions.owned', { owned: number(owned), count: number(known.length) }));
    say(toggle, t(all ? 'ops.partitions.fewer' : 'ops.partitions.all'));
    toggle.setAttribute('aria-expanded', String(all));
    table.update(all ? known : known.filter((of) => of.state !== 'owned' || of.reason || of.lag_records > 1000 || of.lag_seconds > 1 || of.outbox > 1000));
  }
  const root = panel('partitions', t('ops.partitions'), h('div', { class: 'actions spread' }, summary, toggle), table.root);
  return {
    root,
    async look(signal) {
      known = (await api.read('/v1/ops/partitions', { signal })).partitions;
      draw();
    },
  };
}

export function processes() {
  const table = liveTable(t('ops.processes'), ['ops.name', 'ops.state', 'ops.role', 'ops.version', 'ops.since', 'ops.partitions', 'ops.connections', 'ops.streams', 'ops.waiters', 'ops.memory', 'ops.cpu'].map((key) => t(key)), {
    key: (of) => of.name,
    cells: (of) => [of.name, { text: of.silent ? t('ops.silent', { seconds: number(Math.floor(of.seen_seconds_ago)) }) : t('ops.alive'), kind: of.silent ? 'state no_owner' : 'state owned' }, of.role, of.version, dayAndTime(Date.parse(of.started_at)), number(of.partitions.length), number(of.connections), number(of.streams), number(of.waiters), t('ops.mib', { mib: number(Math.round(of.memory_bytes / 1048576)) }), t('ops.percent', { percent: number(of.cpu_percent) })],
  });
  return {
    root: panel('processes', t('ops.processes'), table.root),
    async look(signal) {
      table.update((await api.read('/v1/ops/processes', { signal })).processes);
    },
  };
}

export function throughput() {
  const charts = h('div', { class: 'charts' });
  const codes = h('ul', { class: 'codes' });
  return {
    root: panel('throughput', t('ops.throughput'), charts, codes),
    async look(signal) {
      const { points, refused } = await api.read('/v1/ops/throughput', { signal });
      const top = (values) => Math.max(0, ...values.filter((value) => value !== null));
      const lanes = ['seats', 'wallets', 'queues'].map((lane) => {
        const decided = points.map((point) => point[lane]);
        return sparkline(decided, t(`ops.chart.${lane}`, { top: rate(top(decided)) }));
      });
      const times = ['p50', 'p99'].map((percentile) => {
        const took = points.map((point) => point[`${percentile}_ms`]);
        return sparkline(took, t('ops.chart.took', { percentile, top: number(top(took)) }));
      });
      fill(charts, lanes, times);
      fill(codes, Object.entries(refused).sort((a, b) => b[1] - a[1]).slice(0, 8).map(([code, count]) => h('li', {}, h('span', { class: 'badge' }, code), ` ${number(count)}`)));
    },
  };
}
