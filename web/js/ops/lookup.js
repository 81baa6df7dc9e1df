// One request, from the client to the log and back, with all that it led to.

import * as api from '../api.js';
import { fill, h } from '../dom.js';
import { exactTime, number, t } from '../i18n.js';
import { problemText } from '../screens/parts.js';
import { panel } from './live.js';

function stages(life) {
  const first = life.stages.length ? Date.parse(life.stages[0].at) : 0;
  return h('ol', { class: 'stages' }, life.stages.map(({ stage, at }) => h('li', {},
    h('span', { class: 'stage' }, t(`ops.stage.${stage}`)), h('time', { datetime: at }, exactTime(Date.parse(at))), h('span', { class: 'muted' }, t('ops.after', { ms: number(Date.parse(at) - first) })))));
}

/** A command with those that it caused, each below its cause. */
function branch(life) {
  const end = life.problem ?? life.status;
  return h('li', {}, h('div', { class: 'branch' }, h('strong', {}, life.command), h('span', { class: 'badge' }, end), life.position && h('code', {}, life.position), life.user_id && h('span', { class: 'muted' }, life.user_id)),
    stages(life), life.follow_ups.length > 0 && h('ul', { class: 'tree' }, life.follow_ups.map(branch)));
}

export function lookup() {
  const found = h('div', { class: 'stack', role: 'status' });
  const field = h('input', { id: 'request', name: 'request', required: true, autocomplete: 'off', spellcheck: 'false', placeholder: '0192e4b0-0000-7000-8000-000000000010' });
  const form = h('form', { class: 'find', onsubmit: async (event) => {
    event.preventDefault();
    try {
      const life = await api.read(`/v1/ops/requests/${encodeURIComponent(field.value.trim())}`);
      fill(found, h('ul', { class: 'tree' }, branch(life)), life.notes.map((note) => h('p', { class: 'muted' }, note)));
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      fill(found, h('p', { class: 'notice warn' }, problem.status === 404 ? t('ops.request.none') : problemText(problem.body)));
    }
  } }, h('label', { class: 'field', for: 'request' }, h('span', {}, t('ops.request.id')), field), h('button', { class: 'button plain' }, t('ops.request.find')));
  return { root: panel('request', t('ops.request'), form, found) };
}
