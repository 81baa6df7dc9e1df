// Gets the user's attention when it is their turn: sound, vibration, title, notification, and a screen that stays on.
// Nothing of it is used before the user asks for it once.

import * as clock from './clock.js';
import { duration, t } from './i18n.js';

let audio = null;
let lock = null;
let on = false;
let titleTimer = null;
/** The page's own, while the alert stands in its place. */
let title = null;

/** Plays the sound once as a test, which also unlocks it, and asks for what the browser lets pages ask. Says what works. */
export async function enable() {
  on = true;
  audio ??= new AudioContext();
  await audio.resume();
  chime();
  keepAwake();
  document.addEventListener('visibilitychange', () => {
    if (on && document.visibilityState === 'visible') keepAwake();
  });
  let notifications = false;
  if ('Notification' in window && isSecureContext) {
    notifications = (await Notification.requestPermission().catch(() => 'denied')) === 'granted';
  }
  return { notifications };
}

async function keepAwake() {
  try {
    lock = await navigator.wakeLock?.request('screen');
  } catch {
    // A low battery refuses it.
  }
}

/** Two soft tones. */
function chime() {
  if (!audio) return;
  [659.25, 880].forEach((frequency, index) => {
    const at = audio.currentTime + index * 0.22;
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.type = 'sine';
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.25, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.5);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.55);
  });
}

/** It is the user's turn, until then (ms of the server's clock; NaN if that is not known). */
export function ring(text, until) {
  quiet();
  title = document.title;
  const call = () => `▶ ${Number.isNaN(until) ? '' : `${duration(until - clock.now())} `}${text}`;
  document.title = call();
  tabIcon('/web/icon-turn.svg');
  let shown = true;
  titleTimer = setInterval(() => {
    shown = !shown;
    document.title = shown ? call() : title;
    if (document.visibilityState === 'visible') quiet();
  }, 1_500);
  if (!on) return;
  [0, 1200, 2400].forEach((delay) => setTimeout(chime, delay));
  navigator.vibrate?.([200, 100, 200, 100, 400]);
  if ('Notification' in window && Notification.permission === 'granted' && document.visibilityState === 'hidden') {
    try {
      new Notification(t('turn.title'), { body: text, tag: 'ts.turn' });
    } catch {
      // Phones want a service worker for it; sound and title are there.
    }
  }
}

export function quiet() {
  clearInterval(titleTimer);
  if (title === null) return;
  document.title = title;
  title = null;
  tabIcon('/web/icon.svg');
}

function tabIcon(path) {
  const link = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel=icon]'));
  if (link) link.href = path;
}

export function release() {
  on = false;
  lock?.release().catch(() => {});
  lock = null;
}
