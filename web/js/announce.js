// What screen readers are told without the user looking for it: seldom, and never a running clock.

import { h } from './dom.js';
import { t } from './i18n.js';

const polite = h('div', { class: 'unseen', 'aria-live': 'polite', role: 'status' });
const urgent = h('div', { class: 'unseen', 'aria-live': 'assertive', role: 'alert' });
/** Of a countdown, in seconds. */
const MOMENTS = [120, 60, 30, 10];
const POLITE_EVERY_MS = 10_000;

let lastPolite = 0;
let waiting = null;
let next = '';

export const regions = () => [polite, urgent];

/** Soon, when the reader is done; of several within ten seconds the last. */
export function tell(text) {
  next = text;
  const rest = lastPolite + POLITE_EVERY_MS - Date.now();
  waiting ??= setTimeout(() => {
    waiting = null;
    lastPolite = Date.now();
    polite.textContent = next;
  }, Math.max(50, rest));
}

/** At once. */
export function call(text) {
  urgent.textContent = '';
  setTimeout(() => {
    urgent.textContent = text;
  }, 50);
}

/** Says at a few moments how long there is left. Call with the ms that remain, once a second. */
export function countdown() {
  let said = Infinity;
  return (remaining) => {
    const seconds = Math.ceil(remaining / 1000);
    const moment = MOMENTS.findLast((each) => seconds <= each);
    if (moment && moment < said && seconds > 0) {
      if (said !== Infinity || seconds === moment) call(moment >= 60 ? t('time.minutesLeft', { minutes: moment / 60 }) : t('time.secondsLeft', { seconds: moment }));
      said = moment;
    }
  };
}
