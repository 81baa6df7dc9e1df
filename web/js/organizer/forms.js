// Forms: labeled fields, one answer for what went wrong, and times as the organizer's own clock shows them.

import * as api from '../api.js';
import { h } from '../dom.js';
import { t } from '../i18n.js';
import { problemText } from '../screens/parts.js';

/** A labeled input; `name` is its member of what the form gives. */
export function field(name, label, attributes = {}) {
  const id = `f-${name}`;
  const { hint, ...rest } = attributes;
  return h('label', { class: 'field', for: id }, h('span', {}, label), h('input', { id, name, autocomplete: 'off', ...rest }), hint && h('span', { class: 'hint' }, hint));
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
      const wrong = (problem.body.errors ?? []).map(({ pointer, detail }) => h('p', {}, `${pointer}: ${detail}`));
      box.show(h('p', {}, problemText(problem.body)), wrong);
      box.root.focus();
    } finally {
      go.disabled = false;
    }
  } }, children, h('div', { class: 'actions' }, go), box.root);
  return form;
}

/** Of a field of local time; null if it is empty. */
export const instant = (text) => (text ? new Date(text).toISOString() : null);

/** For a field of local time. */
export function local(text) {
  if (!text) return '';
  const ms = Date.parse(text);
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
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
