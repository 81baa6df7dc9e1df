// Before there is anything to choose: sales have not opened, a queue stands before them, or they are over.

import * as clock from '../clock.js';
import { fill, h, say } from '../dom.js';
import { clockTime, duration, longDate, number, plural, t } from '../i18n.js';
import { needName } from '../login.js';
import { notice, priceList, problemText, progress } from './parts.js';

/** The server's clock, large, and when it opens. */
function openingClock(sale) {
  const time = h('time', { class: 'big-clock' });
  const rest = h('p', { class: 'opens-in', role: 'timer' });
  const own = h('p', { class: 'muted' });
  const tick = (now) => {
    say(time, clockTime(now, sale.concert.time_zone));
    say(rest, sale.isOpen ? t('before.open') : t('before.in', { time: duration(sale.opensAt - now) }));
    const off = Math.round(Math.abs(clock.offset()) / 1000);
    say(own, off >= 1 && Number.isFinite(clock.uncertainty()) ? t('before.clockOff', { seconds: number(off) }) : t('before.clock'));
  };
  tick(clock.now());
  const stop = clock.onTick(tick);
  const root = h('section', { class: 'card opening' },
    h('h2', {}, t('before.title', { time: longDate(sale.opensAt, sale.concert.time_zone) })), time, rest, own);
  return { root, stop };
}

export function before({ sale }) {
  const opening = openingClock(sale);
  const prices = h('div', {}, priceList(sale));
  const root = h('div', { class: 'two' }, opening.root,
    h('section', { class: 'card' }, h('h2', {}, t('price.title')), prices, h('p', { class: 'hint' }, plural('before.limit', sale.schedule.max_seats_per_user))));
  return { root, update: () => fill(prices, priceList(sale)), close: opening.stop };
}

export function gate({ sale }) {
  const early = sale.opensAt !== null && !sale.isOpen;
  const opening = early ? openingClock(sale) : null;
  const box = notice();
  const ended = sale.place?.status;
  const button = h('button', { type: 'button', class: 'button primary large', onclick: join }, t('gate.join'));
  const prices = h('div', {});
  const full = h('p', { class: 'notice warn' }, t('gate.soldOut'));
  const refresh = () => {
    fill(prices, priceList(sale));
    full.hidden = early || sale.available > 0;
  };
  const root = h('div', { class: 'two' },
    h('div', { class: 'stack' }, opening?.root,
      h('section', { class: 'card' }, h('h2', {}, t('gate.title')), full,
        ended && h('p', { class: 'notice plain' }, t(`gate.${ended}`)),
        h('p', {}, t('gate.explain')),
        h('ul', { class: 'points' }, ['gate.point1', 'gate.point2', 'gate.point3'].map((key) => h('li', {}, t(key)))),
        button, box.root)),
    h('section', { class: 'card' }, h('h2', {}, t('price.title')), prices, h('p', { class: 'hint' }, plural('before.limit', sale.schedule.max_seats_per_user))));

  async function join() {
    if (!(await needName())) return;
    button.disabled = true;
    await sale.sync();
    const outcome = await sale.join(progress(box, t('gate.joining')));
    button.disabled = false;
    if (outcome.problem) box.show(h('p', {}, problemText(outcome.problem)));
    else box.clear();
  }

  refresh();
  sale.addEventListener('facts', refresh, { signal: sale.signal });
  return { root, update: refresh, close: () => opening?.stop() };
}

export function ended({ sale, detail }) {
  const root = h('div', { class: 'card empty' }, h('h2', {}, t(detail === 'cancelled' ? 'ended.cancelled' : 'ended.over')),
    h('p', {}, t(detail === 'cancelled' ? 'ended.refunds' : 'ended.overText')),
    h('a', { class: 'button plain', href: '/me', 'data-link': true }, t('nav.mine')));
  return { root, sale };
}
