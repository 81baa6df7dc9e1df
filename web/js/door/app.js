// The door: scan after scan, each with an answer that can be read from two meters, heard, or told by its sign.

import * as announce from '../announce.js';
import { about, partsOf, upcoming } from '../dates.js';
import { button, fill, h, icon, say } from '../dom.js';
import { begin, main } from '../frame.js';
import { clockTime, dayAndTime, longDate, number, t } from '../i18n.js';
import { needName } from '../login.js';
import { problemText, positionText } from '../screens/parts.js';
import * as session from '../session.js';
import * as camera from './camera.js';
import { check } from './check.js';
import { learnKeys } from './code.js';
import * as scans from './scans.js';
import * as sound from './sound.js';

const DATE = 'ts.door.date';
/** A wedge types faster than this; what it typed without Enter is taken when it rests. */
const REST_MS = 250;
const SIGNS = { admitted: 'check', used: 'clock', invalid: 'close', other: 'ticket', away: 'wave', refused: 'user', busy: 'clock', asking: 'clock' };

let door = null;

class Door {
  constructor(dates) {
    this.dates = dates;
    this.turn = 0;
    this.answer = h('section', { class: 'answer', 'data-answer': 'ready', 'aria-label': t('door.answer') });
    this.list = h('div', {});
    this.admitted = h('p', { class: 'figure' });
    this.field = h('input', { id: 'code', name: 'code', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', enterkeyhint: 'go', oninput: () => this.#typed() });
    this.form = h('form', { class: 'inline-form', onsubmit: (event) => {
      event.preventDefault();
      this.take(this.field.value);
    } }, h('label', { class: 'field', for: 'code' }, h('span', {}, t('door.code')), this.field), h('button', { class: 'button primary' }, t('door.check')));
    this.video = h('video', { class: 'sight', muted: true, playsinline: true, hidden: true, 'aria-hidden': 'true' });
    this.eye = button(t('door.camera'), () => this.#look(), { kind: 'plain', 'data-act': 'camera' });
    this.root = h('div', { class: 'door', 'data-screen': 'door' }, h('h1', {}, t('door.title')), this.answer,
      h('section', { class: 'card stack', 'aria-labelledby': 'scan-title' }, h('h2', { id: 'scan-title' }, t('door.scan')), this.#pick(), this.form,
        camera.canRead() ? h('div', { class: 'stack' }, h('div', {}, this.eye), this.video) : h('p', { class: 'hint' }, t('door.noCamera'))),
      h('section', { class: 'card stack', 'aria-labelledby': 'last-title' }, h('h2', { id: 'last-title' }, t('door.last')), this.admitted, this.list));
    this.#ready();
    this.#rows();
    // What was waiting for the server when the page went away goes on.
    for (const scan of scans.waiting()) this.#ask(scan);
  }

  #pick() {
    let kept = null;
    try {
      kept = localStorage.getItem(DATE);
    } catch {
      // Then the next date is taken.
    }
    const known = kept === '' || this.dates.some((date) => date.id === kept);
    this.date = known ? kept : (this.dates[0]?.id ?? '');
    const options = [['', t('door.anyDate')], ...this.dates.map((date) => [date.id, `${dayAndTime(date.starts, date.zone)} · ${date.title}`])];
    const pick = h('select', { id: 'date', onchange: () => {
      this.date = pick.value;
      try {
        localStorage.setItem(DATE, pick.value);
      } catch {
        // It holds for this page.
      }
      if (this.date) about(this.date);
      this.field.focus();
    } }, options.map(([value, text]) => h('option', { value, selected: value === this.date }, text)));
    if (this.date) about(this.date);
    return h('label', { class: 'field', for: 'date' }, h('span', {}, t('door.date')), pick);
  }

  #ready() {
    fill(this.answer, h('p', { class: 'answer-word' }, t('door.ready')), h('p', {}, t('door.readyHint')));
  }

  /** A wedge may not press Enter. */
  #typed() {
    clearTimeout(this.rest);
    if (/^TS1\.[\w-]{140,}$/.test(this.field.value.trim())) this.rest = setTimeout(() => this.take(this.field.value), REST_MS);
  }

  take(text) {
    clearTimeout(this.rest);
    const code = text.trim();
    this.field.value = '';
    this.field.focus({ preventScroll: true });
    if (!code) return;
    sound.unlock();
    this.#ask(scans.begin(code));
  }

  /** One scan, to its end; what is shown large is the newest one's. */
  async #ask(scan) {
    const mine = (this.turn += 1);
    const show = async (result) => {
      Object.assign(scan, await described(result));
      scans.keep(scan);
      this.#rows();
      if (mine !== this.turn) return;
      this.#show(scan);
    };
    this.answer.dataset.answer = 'asking';
    fill(this.answer, h('p', { class: 'answer-word' }, t('door.asking')));
    await show(await check(scan.code, this.date, show));
  }

  #show(scan) {
    const word = t(`door.${scan.kind}`);
    const detail = detailOf(scan);
    this.answer.dataset.answer = scan.kind;
    fill(this.answer, h('p', { class: 'answer-word' }, icon(SIGNS[scan.kind]), word),
      scan.parts && h('p', { class: 'answer-seat' }, scan.parts.map((part, at) => [at > 0 && ' ', h('span', {}, part)])),
      scan.show && h('p', {}, scan.show), detail && h('p', {}, detail));
    announce.call([word, scan.parts?.join(', '), detail].filter(Boolean).join('. '));
    sound.play(scan.kind === 'admitted' ? 'admitted' : scan.kind === 'used' ? 'used' : scan.kind === 'away' ? 'away' : 'invalid');
  }

  #rows() {
    const rows = scans.all();
    say(this.admitted, t('door.count', { count: number(scans.admitted()) }));
    fill(this.list, rows.length ? h('ol', { class: 'rows scans' }, rows.map((scan) => h('li', { class: `row scan ${scan.kind}`, 'data-kind': scan.kind },
      h('span', { class: 'scan-sign' }, icon(SIGNS[scan.kind])),
      h('span', { class: 'row-main' }, h('strong', {}, t(`door.${scan.kind}`)), h('span', { class: 'muted' }, scan.parts?.join(', ') ?? scan.code.slice(0, 24))),
      h('time', { class: 'row-side muted' }, clockTime(scan.scanned))))) : h('p', { class: 'muted' }, t('door.none')));
  }

  async #look() {
    sound.unlock();
    if (this.stopLooking) {
      this.stopLooking();
      this.stopLooking = null;
    } else {
      try {
        this.video.hidden = false;
        this.stopLooking = await camera.watch(this.video, (code) => this.take(code));
      } catch {
        this.stopLooking = null;
        this.eye.after(h('p', { class: 'hint', role: 'status' }, t('door.cameraRefused')));
      }
    }
    this.video.hidden = !this.stopLooking;
    say(this.eye, t(this.stopLooking ? 'door.cameraOff' : 'door.camera'));
  }

  close() {
    this.stopLooking?.();
    clearTimeout(this.rest);
  }
}

/** With the seat and show in words, as far as they can be had. */
async function described(result) {
  const { ticket } = result;
  if (!ticket) return result;
  const date = await about(ticket.schedule);
  return { ...result, parts: partsOf(date?.hall, ticket.seat), show: date && `${date.concert.title} · ${longDate(Date.parse(date.schedule.starts_at), date.concert.time_zone)}` };
}

function detailOf(scan) {
  switch (scan.kind) {
    case 'used': return scan.at ? t('door.usedAt', { time: dayAndTime(Date.parse(scan.at)), exact: clockTime(Date.parse(scan.at)), position: positionText(scan.position) }) : null;
    case 'away': return t(scan.genuine === null ? 'door.awayUnknown' : scan.genuine ? 'door.awayGenuine' : 'door.awayForged');
    case 'refused': return problemText(scan.problem);
    case 'invalid': return t('door.invalidHint');
    case 'other': return t('door.otherHint');
    default: return null;
  }
}

async function show() {
  door?.close();
  door = null;
  document.title = `${t('door.title')} · Turnstile`;
  main.dataset.state = 'loading';
  session.assume('door');
  if (!session.name()) {
    fill(main, stranger('mine.login'));
  } else if (!session.has('door')) {
    fill(main, stranger('door.onlyDoor'));
  } else {
    learnKeys().catch(() => {});
    door = new Door(await upcoming().catch(() => []));
    fill(main, door.root);
    door.field.focus({ preventScroll: true });
  }
  main.dataset.state = 'shown';
}

function stranger(key) {
  return h('div', { class: 'card empty', 'data-screen': 'stranger' }, icon('ticket'), h('h1', {}, t('door.title')), h('p', {}, t(key)),
    button(t('login.title'), () => needName(), { kind: 'primary' }));
}

/** What a wedge types goes into the field, wherever the focus is. */
document.addEventListener('keydown', (event) => {
  if (!door || event.ctrlKey || event.altKey || event.metaKey || event.key.length !== 1 || event.key === ' ') return;
  if (/** @type {Element} */ (event.target).closest('input, select, textarea, dialog')) return;
  door.field.focus({ preventScroll: true });
});
document.addEventListener('pointerdown', () => sound.unlock());
begin({ links: () => [], show, personal: true });
