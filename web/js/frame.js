// What stands around every page: header with the server's clock, language and user; trouble with the connection; footer.

import * as announce from './announce.js';
import * as clock from './clock.js';
import { button, fill, h, icon, say } from './dom.js';
import { chosenElsewhere, clockTime, current, languages, speak, t, useCurrency } from './i18n.js';
import { askName, needName } from './login.js';
import * as session from './session.js';

export const main = h('main', { id: 'main', tabindex: '-1' });
let top = null;
let links = () => [];
/** @type {(fresh?: boolean) => any} */
let show = () => {};

function header() {
  const time = h('time', { class: 'server-clock', title: t('nav.clock') });
  clock.onTick((now) => say(time, clockTime(now)));
  say(time, clockTime(clock.now()));
  const name = session.name();
  const who = name
    ? h('button', { type: 'button', class: 'who', onclick: () => session.known().auth === 'dev' && askName(), 'aria-label': t('nav.who', { name }) }, icon('user'), h('span', {}, name))
    : h('button', { type: 'button', class: 'who', onclick: () => needName() }, icon('user'), h('span', {}, t('login.title')));
  const pick = h('select', { class: 'language', 'aria-label': t('nav.language'), onchange: async (event) => {
    await speak(event.target.value);
    frame();
    show(true);
  } }, Object.entries(languages).map(([tag, own]) => h('option', { value: tag, lang: tag, selected: tag === current() }, own)));
  return h('header', { class: 'top' },
    h('a', { class: 'skip', href: '#main' }, t('nav.skip')),
    h('a', { class: 'brand', href: '/', 'data-link': true }, h('img', { src: '/web/icon.svg', alt: '', width: 28, height: 28 }), h('span', {}, 'Turnstile')),
    h('nav', { class: 'nav', 'aria-label': t('nav.label') }, links(), time, pick, who));
}

/** No connection, or a server that is too busy: said once, on top, and taken back when it is over. */
function trouble() {
  const text = h('p', {});
  const root = h('div', { class: 'trouble', role: 'status', hidden: true }, text,
    button(t('trouble.now'), () => {
      dispatchEvent(new Event('ts.retry'));
      clock.sync();
    }, { kind: 'quiet' }));
  addEventListener('ts.connection', (/** @type {CustomEvent} */ event) => {
    const { trouble: what, since } = event.detail;
    root.hidden = what === null;
    document.documentElement.dataset.connection = what ?? 'fine';
    if (what) say(text, t(what === 'no_connection' ? 'trouble.offline' : 'trouble.busy', { time: clockTime(since) }));
  });
  return root;
}

function frame() {
  top = header();
  fill(document.body, top, trouble(), main, announce.regions(),
    h('footer', { class: 'foot' }, h('p', {}, t('foot.promise')), h('p', {}, h('a', { href: '/docs' }, t('foot.docs')))));
}

/** Puts the frame up. `links()`: of the header. `show(fresh)`: shows the page, anew after a change of language or user. */
export async function begin(options) {
  ({ links, show } = options);
  await Promise.all([speak(), session.begin()]);
  useCurrency(session.known().currency);
  frame();
  clock.start();
  addEventListener('pageshow', (event) => {
    // The browser kept this page, and somebody else logged in on another one, or chose a language.
    if (event.persisted && (session.changedElsewhere() || chosenElsewhere())) location.reload();
  });
  session.onChange((_name, before) => {
    const old = top;
    top = header();
    old.replaceWith(top);
    // A first name changes nothing that a buyer is shown; another user sees another page.
    if (before || options.personal) show(true);
  });
  await show();
}
