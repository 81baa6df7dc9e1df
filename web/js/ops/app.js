// The operators' page: how the system goes, and what can be done about it. Everything here is `/v1/ops` as an admin.

import * as api from '../api.js';
import { button, fill, h, icon } from '../dom.js';
import { begin, main } from '../frame.js';
import { t } from '../i18n.js';
import { needName } from '../login.js';
import * as session from '../session.js';
import { problemText } from '../screens/parts.js';
import { glance, partitions, processes, throughput } from './health.js';
import { letters } from './letters.js';
import { queues, sales } from './selling.js';
import { lookup } from './lookup.js';
import { webhooks } from './webhooks.js';

const TICK_MS = 1_000;
let running = null;

/** Each panel is asked for again every `every` ticks, while the page is seen. */
function panels() {
  return [
    { panel: glance(), every: 1 },
    { panel: partitions(), every: 1 },
    { panel: processes(), every: 1 },
    { panel: throughput(), every: 5 },
    { panel: letters(), every: 3 },
    { panel: queues(), every: 3 },
    { panel: sales(), every: 10 },
    { panel: webhooks(), every: 5 },
  ];
}

async function show() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  document.title = `${t('ops.title')} · Turnstile`;
  main.dataset.state = 'loading';
  if (!session.isAdmin()) fill(main, stranger());
  else {
    try {
      await api.read('/v1/ops/overview');
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (problem.status === 403) fill(main, stranger());
      else fill(main, h('div', { class: 'card empty' }, h('h1', {}, t('trouble.title')), h('p', {}, problemText(problem.body)), button(t('trouble.now'), show)));
      main.dataset.state = 'shown';
      return;
    }
    const all = panels();
    const find = lookup();
    fill(main, h('div', { class: 'ops', 'data-screen': 'ops' }, h('h1', {}, t('ops.title')), all.slice(0, 1).map(({ panel }) => panel.root), find.root, all.slice(1).map(({ panel }) => panel.root)));
    follow(all, signal);
  }
  main.dataset.state = 'shown';
}

async function follow(all, signal) {
  for (let tick = 0; !signal.aborted; tick += 1) {
    if (document.visibilityState === 'visible') {
      const due = all.filter(({ every }) => tick % every === 0);
      await Promise.all(due.map(({ panel }) => look(panel, signal)));
      main.dataset.ticks = String(tick + 1);
    }
    await new Promise((resolve) => { setTimeout(resolve, TICK_MS); });
  }
}

/** What cannot be read now stays as it is, marked as old; the next round may get through. */
async function look(panel, signal) {
  try {
    await panel.look(signal);
    panel.root.classList.remove('old');
  } catch (problem) {
    if (signal.aborted) return;
    if (!(problem instanceof api.Problem)) throw problem;
    panel.root.classList.add('old');
  }
}

function stranger() {
  return h('div', { class: 'card empty', 'data-screen': 'stranger' }, icon('user'), h('h1', {}, t('ops.title')), h('p', {}, t('ops.onlyAdmins')),
    button(t('login.title'), async () => {
      if (session.known().auth === 'dev') session.become('admin');
      else await needName();
    }, { kind: 'primary' }));
}

begin({ links: () => [h('a', { href: '/organizer' }, t('org.title'))], show, personal: true });
