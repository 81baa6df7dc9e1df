// Forms: labeled fields, one answer for what went wrong, and times as the organizer's own clock shows them.

import * as api from '../api.js';
import { h } from '../dom.js';
import { t } from '../i18n.js';
import { newKey } from '../intent.js';
import { problemText } from '../screens/parts.js';

/** A labeled input; `name` is its member of what the form gives. */
export function field(name, label, attributes = {}) {
  const id = `f-${name}`;
  const { hint, ...rest } = attributes;
  return h('label', { class: 'field', for: id }, h('span', {}, label), h('input', { id, name, autocomplete: 'off', ...rest }), hint && h('span', { class: 'hint' }, hint));
}

/** A labeled choice of `[value, text]`. */
export function choice(name, label, options, attributes = {}) {
  const id = `f-${name}`;
  return h('label', { class: 'field', for: id }, h('span', {}, label), h('select', { id, name, ...attributes }, options.map(([value, text]) => h('option', { value }, text))));
}

/**
 * A labeled text of several lines.
 * @param {string} name
 * @param {string} label
 * @param {Record<string, any>} [options] attributes, and `hint`
 */
export function textField(name, label, { value = '', hint, ...attributes } = {}) {
  const id = `f-${name}`;
  return h('label', { class: 'field', for: id }, h('span', {}, label), h('textarea', { id, name, value, spellcheck: 'false', ...attributes }), hint && h('span', { class: 'hint' }, hint));
}

/** What was refused: each field that is wrong, if it is that. */
export function wrong(box, problem) {
  const errors = (problem.errors ?? []).map(({ pointer, detail }) => h('p', {}, pointer ? `${pointer}: ${detail}` : detail));
  box.show(errors.length ? errors : h('p', {}, problemText(problem)));
  box.root.focus();
}

/** A form whose `act(values, form)` may raise a Problem, which is shown in `box`. */
export function formOf(name, children, submit, act, box) {
  const go = h('button', { class: 'button primary' }, submit);
  const form = h('form', { class: 'form', 'aria-label': name, onsubmit: async (event) => {
    event.preventDefault();
    go.disabled = true;
    box.clear();
    try {
      await act(Object.fromEntries(new FormData(form)), form);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      wrong(box, problem.body);
    } finally {
      go.disabled = false;
    }
  } }, children, h('div', { class: 'actions' }, go), box.root);
  return form;
}

const OWN_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Which clock the fields of times mean: the venue's where it is known, else the organizer's own. */
export const zoneHint = (zone) => h('p', { class: 'hint' }, t('org.zoneHint', { zone: zone ?? OWN_ZONE }));

/** What the clocks of a zone show at a moment, as ms of a day without zones. */
function shown(ms, zone = OWN_ZONE) {
  const parts = new Intl.DateTimeFormat('en', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' }).formatToParts(ms);
  const { year, month, day, hour, minute } = Object.fromEntries(parts.map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(year, month - 1, day, hour, minute);
}

/**
 * Of a field of a time at the venue; null if it is empty. Of an hour that clocks show twice the first; one that they skip
 * is an hour later.
 */
export function instant(text, zone) {
  if (!text) return null;
  const wanted = Date.parse(`${text}Z`);
  // Before and after a change of the clocks; most days have none, and both are the same.
  const tries = [-86_400_000, 86_400_000].map((day) => wanted - (shown(wanted + day, zone) - (wanted + day)));
  return new Date(tries.find((ms) => shown(ms, zone) === wanted) ?? tries[0]).toISOString();
}

/** For a field of a time at the venue. */
export const local = (text, zone) => (text ? new Date(shown(Date.parse(text), zone)).toISOString().slice(0, 16) : '');

/** A key for each body: what is sent again because its answer was lost is the same command. */
export function keys() {
  const known = new Map();
  return (body) => {
    const text = JSON.stringify(body);
    if (!known.has(text)) known.set(text, newKey());
    return known.get(text);
  };
}

export const whole = (text) => (text === '' || text === undefined ? undefined : Number(text));

/** A button that is switched off while what it does is under way; problems go into `box`. */
export function deed(text, act, box, attributes = {}) {
  return h('button', { type: 'button', class: 'button plain', ...attributes, onclick: async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    box.clear();
    try {
      await act();
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      box.show(h('p', {}, problemText(problem.body)));
    } finally {
      button.disabled = false;
    }
  } }, text);
}

export const saved = (box) => box.show(h('p', {}, t('org.saved')));
