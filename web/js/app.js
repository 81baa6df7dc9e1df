// The customer's page: addresses, and one screen at a time.

import * as api from './api.js';
import { button, fill, h } from './dom.js';
import { begin, main } from './frame.js';
import { t } from './i18n.js';
import { concerts } from './screens/concerts.js';
import { date } from './screens/date.js';
import { holds } from './screens/holds.js';
import { mine } from './screens/mine.js';
import { tickets } from './screens/tickets.js';

/** @type {[RegExp, (options: any) => any, string[]][]} */
const ROUTES = [
  [/^\/$/, concerts, []],
  [/^\/c\/([^/]+)$/, concerts, ['concert']],
  [/^\/s\/([^/]+)$/, date, ['schedule']],
  [/^\/me$/, mine, []],
  [/^\/t\/([^/]+)$/, tickets, ['reservation']],
];

/** Pages that show what is held themselves. */
const OF_A_DATE = /^\/[st]\//;

let screen = null;
let bars = null;
let shown = null;
let turn = 0;

/** Goes to an address within these pages. */
export function go(address) {
  history.pushState(null, '', address);
  return show();
}

/** Shows what the address says. Within one date only its own screen changes. */
async function show(fresh = false) {
  const path = location.pathname;
  if (!fresh && path === shown && screen?.update && path.startsWith('/s/')) return screen.update();
  const mine = (turn += 1);
  const [pattern, make, names] = ROUTES.find(([each]) => each.test(path)) ?? [];
  /** @type {Record<string, any>} */
  const options = { go };
  names?.forEach((name, index) => (options[name] = path.match(pattern)[index + 1]));
  main.dataset.state = 'loading';
  try {
    const next = make ? await make(options) : { root: h('p', {}, t('date.notFound')), title: '', close() {} };
    await next.ready;
    if (mine !== turn) return next.close?.();
    screen?.close?.();
    bars?.close();
    screen = next;
    shown = path;
    bars = OF_A_DATE.test(path) ? null : holds(go, () => path === '/me' && shown === path && show(true));
    fill(main, bars?.root, next.root);
    document.title = next.title ? `${next.title} · Turnstile` : 'Turnstile';
    main.dataset.state = 'shown';
    scrollTo(0, 0);
  } catch (problem) {
    if (mine === turn) failed(problem);
  }
}

/** What could not be loaded is tried again by itself as soon as it may succeed. */
async function failed(problem) {
  if (!(problem instanceof api.Problem)) throw problem;
  main.dataset.state = 'failed';
  screen?.close?.();
  bars?.close();
  screen = null;
  bars = null;
  shown = null;
  const gone = problem.status === 404;
  fill(main, h('div', { class: 'card empty' }, h('h1', {}, t(gone ? 'date.notFound' : 'trouble.title')),
    h('p', {}, gone ? '' : t('trouble.load')), button(t('trouble.now'), () => show(true), { kind: 'plain' })));
  if (!problem.passes) return;
  const mine = turn;
  await api.pause(2, problem);
  if (mine === turn) show(true);
}

/** Links within these pages do not load them anew. */
function follow(event) {
  const link = event.target.closest?.('a[data-link]');
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute('href')).then(() => main.querySelector('h1')?.focus?.({ preventScroll: true }));
}

document.addEventListener('click', follow);
addEventListener('popstate', () => show());
begin({ links: () => [h('a', { href: '/me', 'data-link': true }, t('nav.mine'))], show });
