// In the queue: the exact place, time as a range, what is left, and the word that the page may be closed.

import * as alerts from '../alerts.js';
import * as announce from '../announce.js';
import * as clock from '../clock.js';
import { button, h, icon, say } from '../dom.js';
import { clockTime, exactTime, longDate, number, plural, since, t } from '../i18n.js';
import { confirm } from '../login.js';
import { notice, positionText, showPrices } from './parts.js';
import { keepWish, stepper, wishOf } from './wish.js';

const NEAR = 200;
const SOON_MS = 12 * 3_600_000;

export function waiting({ sale }) {
  const most = { ahead: sale.place.ahead };
  const count = h('span', { class: 'big-number', id: 'ahead' });
  const eta = h('p', { class: 'eta' });
  const bar = h('progress', { class: 'way', max: 1, value: 0, 'aria-label': t('waiting.progress') });
  const note = notice('plain');
  const receipt = h('p', { class: 'proof' });
  const prices = h('div', {});
  const worth = notice('warn');
  const alertBox = notice('plain');
  let wish = wishOf(sale.id);
  const seats = stepper(sale.schedule.max_seats_per_user, wish.count ?? 2, (count) => want({ count }));
  const alertButton = button([icon('bell'), t('waiting.alert')], alertMe);
  const root = h('div', { class: 'two' },
    h('section', { class: 'card waiting', 'aria-labelledby': 'waiting-title' },
      h('h2', { id: 'waiting-title' }, t('waiting.title')),
      h('p', { class: 'big' }, h('span', { class: 'big-unit' }, t('waiting.aheadLabel')), count), eta, bar, note.root,
      h('p', { class: 'calm' }, t('waiting.close')), receipt,
      h('div', { class: 'actions' }, alertButton, button(t('waiting.leave'), leave, { kind: 'quiet' })), alertBox.root),
    h('section', { class: 'card', 'aria-labelledby': 'wish-title' }, h('h2', { id: 'wish-title' }, t('waiting.left')), prices, worth.root,
      h('h3', {}, t('wish.title')), seats.root, h('p', { class: 'hint' }, t('wish.explain'))));

  function update() {
    const { place } = sale;
    if (!place) return;
    const { ahead, status } = place;
    most.ahead = Math.max(most.ahead, ahead);
    root.dataset.ahead = ahead;
    root.dataset.status = status;
    root.dataset.sale = place.sale ?? '';
    say(count, number(ahead));
    say(eta, etaText(sale));
    bar.value = most.ahead ? (most.ahead - ahead) / most.ahead : 1;
    said(sale, note);
    say(receipt, receiptText(sale));
    left();
    announce.tell(`${plural('waiting.ahead', ahead)} ${eta.textContent}`);
  }

  function left() {
    showPrices(prices, sale, { picked: wish.category, onPick: (name) => want({ category: wish.category === name ? undefined : name }) });
    const gone = sale.categories().filter((category) => category.available === 0 || category.available < sale.place.ahead);
    if (!gone.length) worth.clear();
    else worth.show(gone.map((category) => h('p', {}, t(category.available ? 'waiting.willBeGone' : 'waiting.isGone', { category: category.name }))));
  }

  function want(more) {
    wish = { ...wish, ...more };
    keepWish(sale.id, wish);
    left();
  }

  async function alertMe() {
    const { notifications } = await alerts.enable();
    alertBox.show(h('p', {}, t(notifications ? 'waiting.alertOn' : 'waiting.alertSound')));
    alertButton.disabled = true;
  }

  async function leave() {
    if (!(await confirm(t('waiting.leaveAsk'), t('waiting.leaveYes')))) return;
    await sale.leave();
  }

  sale.addEventListener('facts', left, { signal: sale.signal });
  update();
  return { root, update, close() {} };
}

/** A range, since the pace changes; nothing where nothing is known. */
function etaText({ place, concert }) {
  if (place.sale === 'lobby') return t('waiting.lobby', { time: openingText(Date.parse(place.opens_at ?? ''), concert.time_zone) });
  if (place.eta_seconds === null || place.eta_seconds === undefined) return t('waiting.unknown');
  if (place.eta_seconds < 60) return t('waiting.soon');
  const low = Math.max(1, Math.floor((place.eta_seconds * 0.8) / 60));
  const high = Math.ceil((place.eta_seconds * 1.3) / 60);
  const pace = Math.max(1, Math.round((place.ahead / place.eta_seconds) * 60));
  return t('waiting.range', { low: number(low), high: number(high), pace: number(pace) });
}

/** To the second where it is near. */
function openingText(ms, zone) {
  if (Number.isNaN(ms)) return '';
  return ms - clock.now() < SOON_MS ? clockTime(ms) : longDate(ms, zone);
}

/** What stands between this user and their turn, beyond people. */
function said({ place }, note) {
  const lines = [];
  if (place.status === 'ABSENT') lines.push(t('waiting.absent'));
  if (place.sale === 'paused') lines.push(t('waiting.paused', { time: since(Date.parse(place.paused_since), clock.now()) }));
  if (place.sale === 'all_held') lines.push(t('waiting.allHeld'));
  if (place.sale === 'sold_out') lines.push(t('waiting.soldOut'));
  if (!lines.length && place.ahead < NEAR && place.sale !== 'lobby') lines.push(t('waiting.ready'));
  const wallet = place.ahead < NEAR && h('p', {}, h('a', { href: '/me', target: '_blank' }, t('waiting.wallet')));
  if (lines.length) note.show(lines.map((line) => h('p', {}, line)), wallet);
  else note.clear();
}

function receiptText({ place, receipt }) {
  if (!receipt) return t('waiting.number', { position: number(place.position) });
  return t('waiting.receipt', { position: number(place.position), time: exactTime(Date.parse(receipt.at)), log: positionText(receipt) });
}
