// One request, from the client to the log and back, with all that it led to.

import * as api from '../api.js';
import { button, fill, h, say } from '../dom.js';
import { dayAndTime, exactTime, number, t } from '../i18n.js';
import * as session from '../session.js';
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

/** A UUID, or where the log has a record: `seats.3.1234`. */
const REQUEST = /^([0-9a-f]{8}-[0-9a-f-]{27}|[a-z]+\.\d+\.\d+)$/i;

/** The same question for a terminal. A token is a secret: the command names a variable for it. */
function copyAsCurl(path) {
  const login = session.known().auth === 'dev' ? `X-User-Id: ${session.name()}` : 'Authorization: Bearer $TOKEN';
  const command = `curl '${location.origin}${path}' -H "${login}"`;
  const copy = button(t('ops.request.curl'), async () => {
    try {
      await navigator.clipboard.writeText(command);
      say(copy, t('ops.request.copied'));
    } catch {
      // Without permission it is there to be selected.
      copy.replaceWith(h('code', {}, command));
    }
  }, { kind: 'quiet', 'data-act': 'curl', 'data-command': command });
  return copy;
}

export function lookup() {
  const found = h('div', { class: 'stack', role: 'status' });
  const field = h('input', { id: 'request', name: 'request', required: true, autocomplete: 'off', spellcheck: 'false', placeholder: '0192e4b0-0000-7000-8000-000000000010' });
  /** A request id or a position has a life; a reservation or a user has a list of them. */
  async function find(wanted) {
    const path = `/v1/ops/requests/${encodeURIComponent(wanted)}`;
    const life = REQUEST.test(wanted) ? await api.readIfAny(path) : null;
    if (life) {
      fill(found, h('ul', { class: 'tree' }, branch(life)), life.notes.map((note) => h('p', { class: 'muted' }, note)), h('div', { class: 'actions' }, copyAsCurl(path)));
      return;
    }
    const { requests } = await api.read(`/v1/ops/requests?of=${encodeURIComponent(wanted)}`);
    if (requests.length === 0) fill(found, h('p', { class: 'notice warn' }, t('ops.request.none')));
    else {
      fill(found, h('ul', { class: 'tree' }, requests.map(({ what, at, position }) => h('li', {}, h('div', { class: 'branch' },
        button(position, () => find(position), { kind: 'quiet' }), h('span', {}, what), h('time', { class: 'muted', datetime: at }, dayAndTime(Date.parse(at))))))));
    }
  }
  const form = h('form', { class: 'find', onsubmit: async (event) => {
    event.preventDefault();
    try {
      await find(field.value.trim());
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      fill(found, h('p', { class: 'notice warn' }, problem.status === 404 ? t('ops.request.none') : problemText(problem.body)));
    }
  } }, h('label', { class: 'field', for: 'request' }, h('span', {}, t('ops.request.id')), field), h('button', { class: 'button plain' }, t('ops.request.find')));
  return { root: panel('request', t('ops.request'), form, found) };
}
