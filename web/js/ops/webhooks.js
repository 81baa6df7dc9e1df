// Webhooks: where events are sent, how far each endpoint is behind, why one gets nothing, and what can be done about it.
// Absent where the server has none.

import * as api from '../api.js';
import { fill, h } from '../dom.js';
import { dayAndTime, number, t } from '../i18n.js';
import { deed } from '../organizer/forms.js';
import { notice } from '../screens/parts.js';
import { liveTable, panel } from './live.js';
import { addEndpoint, endpoint, pathOf, secretOf } from './webhook_forms.js';

const KINDS = { delivering: 'state owned', not_begun: 'state waiting', failing: 'state waiting', disabled: 'state parked' };
const time = (text) => dayAndTime(Date.parse(text));

/** The event that is tried again first. */
export function nextAttempt({ cursors }) {
  const failing = cursors.filter((cursor) => cursor.retry_at);
  return failing.sort((a, b) => Date.parse(a.retry_at) - Date.parse(b.retry_at))[0] ?? null;
}

function why(hook) {
  if (hook.disabled?.by) return t('ops.webhook.disabledBy', { name: hook.disabled.by, time: time(hook.disabled.at) });
  if (hook.disabled) return t('ops.webhook.disabledFor', { reason: hook.disabled.reason, time: time(hook.disabled.at) });
  return nextAttempt(hook)?.last_failure ?? '';
}

function next(hook) {
  const attempt = hook.disabled ? null : nextAttempt(hook);
  return attempt && t('ops.webhook.attempt', { number: number(attempt.attempts + 1), time: time(attempt.retry_at) });
}

const lag = ({ lag_seconds: seconds }) => (seconds === null ? null : t('ops.seconds', { seconds: number(Math.round(seconds)) }));

export function webhooks() {
  const box = notice('plain');
  const secret = notice('warn');
  const shown = h('div', { class: 'stack' });
  const notes = h('ul', { class: 'notes muted' });
  const act = (current) => {
    const change = (body) => async () => {
      await api.call('PATCH', pathOf(current()), { body });
      await look();
    };
    const pause = deed(t('ops.webhook.pause'), change({ enabled: false }), box, { 'data-act': 'disable' });
    const resume = deed(t('ops.webhook.resume'), change({ enabled: true }), box, { 'data-act': 'enable' });
    const test = deed(t('ops.webhook.test'), async () => {
      const { name } = current();
      const { body } = await api.call('POST', `${pathOf(current())}/test`);
      box.show(h('p', {}, body.status ? t('ops.webhook.tested', { name, status: body.status, text: body.text }) : t('ops.webhook.noAnswer', { name, reason: body.text })));
      await look();
    }, box, { 'data-act': 'test' });
    const open = deed(t('ops.show'), () => show(current().name), box, { class: 'button quiet', 'data-act': 'show' });
    const root = h('div', { class: 'actions' }, open, pause, resume, test);
    return { root, update({ disabled }) { [pause.hidden, resume.hidden] = [Boolean(disabled), !disabled]; } };
  };
  const heads = ['ops.name', 'ops.state', 'ops.lag.time', 'ops.webhook.delivered', 'ops.webhook.next', 'ops.reason'];
  const table = liveTable(t('ops.webhooks'), heads.map((key) => t(key)), {
    key: (hook) => hook.name,
    cells: (hook) => [hook.name, { text: t(`ops.webhook.standing.${hook.standing}`), kind: KINDS[hook.standing] }, lag(hook), number(hook.delivered), next(hook), { text: why(hook), kind: 'reason' }],
    act,
    none: t('ops.webhooks.none'),
  });
  async function show(name) {
    const hook = await api.read(pathOf({ name }));
    const told = (text, key) => {
      box.show(h('p', {}, text));
      if (key) secretOf(secret, name, key);
      return look();
    };
    const close = () => fill(shown);
    const root = endpoint(hook, { told, close });
    fill(shown, root);
    root.focus();
  }
  const add = addEndpoint(async ({ name, secret: key }) => {
    if (key) secretOf(secret, name, key);
    else box.show(h('p', {}, t('ops.webhook.added', { name })));
    await look();
  });
  const root = panel('webhooks', t('ops.webhooks'), table.root, box.root, secret.root, shown, add, notes);
  root.hidden = true;
  let absent = false;
  async function look(signal) {
    if (absent) return;
    const known = await api.readIfAny('/v1/ops/webhooks', { signal });
    absent = known === null;
    root.hidden = absent;
    table.update(known?.webhooks ?? []);
    fill(notes, (known?.notes ?? []).slice(0, 5).map((note) => h('li', {}, t(`ops.webhook.note.${note.act}`, { ...note, time: time(note.at) }))));
  }
  return { root, look };
}
