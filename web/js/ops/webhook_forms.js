// One endpoint with what is done to it seldom, and the form for a new one.

import * as api from '../api.js';
import { button, h } from '../dom.js';
import { dayAndTime, number, t } from '../i18n.js';
import { confirm } from '../login.js';
import { deed, field, formOf, instant } from '../organizer/forms.js';
import { notice } from '../screens/parts.js';
import { liveTable } from './live.js';

export const pathOf = ({ name }) => `/v1/ops/webhooks/${encodeURIComponent(name)}`;
const time = (text) => dayAndTime(Date.parse(text));

/** Shown once: the server tells it nowhere else. It stays until it is closed. */
export function secretOf(box, name, secret) {
  box.show(h('p', {}, t('ops.webhook.secret', { name })), h('code', { class: 'secret', 'data-secret': '' }, secret), button(t('dialog.close'), () => box.clear()));
  box.root.focus();
}

const check = (name, label) => h('label', { class: 'check', for: `f-${name}` }, h('input', { type: 'checkbox', id: `f-${name}`, name }), h('span', {}, label));

const choice = (name, label, options) => h('label', { class: 'field', for: `f-${name}` }, h('span', {}, label),
  h('select', { id: `f-${name}`, name }, options.map(([value, text]) => h('option', { value }, text))));

/** `added(webhook)`: the answer, with the secret. */
export function addEndpoint(added) {
  const box = notice('warn');
  const form = formOf(t('ops.webhook.add'), [h('div', { class: 'fields' },
    field('name', t('ops.name'), { required: true, maxlength: 64, placeholder: 'shop' }),
    field('url', t('ops.webhook.url'), { required: true, maxlength: 2048 }),
    field('types', t('ops.webhook.types'), { placeholder: 'reservation.confirmed, payment.*', hint: t('ops.webhook.typesHint') }),
    field('schedule_id', t('ops.webhook.schedule'), { hint: t('ops.webhook.allHint') }),
    field('concert_id', t('ops.webhook.concert'), { hint: t('ops.webhook.allHint') }),
    choice('format', t('ops.webhook.format'), [['standard', t('ops.webhook.format.standard')], ['slack', t('ops.webhook.format.slack')]])),
  check('include_user', t('ops.webhook.users')), check('stop', t('ops.webhook.stop'))],
  t('ops.webhook.add'), async (values, of) => {
    const types = values.types.split(',').map((type) => type.trim()).filter(Boolean);
    const only = (name) => (values[name].trim() ? { [name]: values[name].trim() } : {});
    const { body } = await api.call('POST', '/v1/ops/webhooks', { body: {
      name: values.name.trim(), url: values.url.trim(), ...(types.length ? { types } : {}), ...only('schedule_id'), ...only('concert_id'),
      format: values.format, include_user: 'include_user' in values, on_failure: 'stop' in values ? 'stop' : 'skip',
    } });
    of.reset();
    await added(body);
  }, box);
  return h('details', {}, h('summary', {}, t('ops.webhook.add')), form);
}

/** Delivering again: from the first outcome that the log has, a time, or a position. */
function replay(hook, told) {
  const box = notice('warn');
  const at = field('at', t('ops.webhook.from.time'), { type: 'datetime-local' });
  const position = field('position', t('ops.webhook.from.position'), { placeholder: 'outcomes.3.1234', spellcheck: 'false' });
  const from = choice('from', t('ops.webhook.from'), ['time', 'position', 'first'].map((kind) => [kind, t(`ops.webhook.from.${kind}`)]));
  const pick = () => {
    const kind = from.querySelector('select').value;
    for (const [name, root] of [['time', at], ['position', position]]) {
      root.hidden = name !== kind;
      root.querySelector('input').required = name === kind;
    }
  };
  from.addEventListener('change', pick);
  pick();
  return formOf(t('ops.webhook.replay'), [h('div', { class: 'fields' }, from, at, position)], t('ops.webhook.replay'), async (values) => {
    const wanted = { first: 'first', time: instant(values.at), position: values.position.trim() }[values.from];
    await api.call('PATCH', pathOf(hook), { body: { replay_from: wanted } });
    await told(t('ops.webhook.replayed', { name: hook.name }));
  }, box);
}

function rotate(hook, told) {
  const box = notice('warn');
  return formOf(t('ops.webhook.rotate'), [h('div', { class: 'fields' }, field('overlap', t('ops.webhook.overlap'), { type: 'number', min: 0, max: 720, value: 24, required: true }))],
    t('ops.webhook.rotate'), async ({ overlap }) => {
      const { body } = await api.call('POST', `${pathOf(hook)}/secret`, { body: { overlap_hours: Number(overlap) } });
      await told(t('ops.webhook.rotated', { name: hook.name, hours: number(Number(overlap)) }), body.secret);
    }, box);
}

/** What is known of one endpoint. `told(text, secret)`: something was done. */
export function endpoint(hook, { told, close }) {
  const line = (name, value) => value && [h('dt', {}, name), h('dd', {}, value)];
  const places = liveTable(t('ops.webhook.cursors'), ['ops.position', 'ops.webhook.attempts', 'ops.webhook.next', 'ops.reason'].map((key) => t(key)), {
    key: (cursor) => cursor.position,
    cells: (cursor) => [cursor.position, cursor.attempts ? number(cursor.attempts) : null, cursor.retry_at ? time(cursor.retry_at) : null, { text: cursor.last_failure ?? '', kind: 'reason' }],
    none: t('ops.webhook.standing.not_begun'),
  });
  places.update(hook.cursors);
  const failed = liveTable(t('ops.webhook.failed'), ['ops.position', 'ops.at', 'ops.webhook.type', 'ops.reason'].map((key) => t(key)), {
    key: (event) => event.id,
    cells: (event) => [event.position, time(event.at), event.type, { text: event.reason, kind: 'reason' }],
    none: t('ops.webhook.failed.none'),
  });
  failed.update(hook.failed ?? []);
  const box = notice('warn');
  const remove = deed(t('ops.webhook.remove'), async () => {
    if (!await confirm(t('ops.webhook.remove.ask', { name: hook.name }), t('ops.webhook.remove'))) return;
    const answer = await api.send('DELETE', pathOf(hook));
    if (!answer.ok) throw api.problemOf(answer, await answer.json());
    close();
    await told(t('ops.webhook.removed', { name: hook.name }));
  }, box, { class: 'button danger', 'data-act': 'remove' });
  return h('div', { class: 'letter', tabindex: '-1', 'data-endpoint': hook.name }, h('h3', {}, hook.name), h('dl', {},
    line(t('ops.webhook.url'), hook.url), line(t('ops.webhook.types'), hook.types.join(', ') || t('ops.webhook.allTypes')),
    line(t('ops.webhook.schedule'), hook.schedule_id), line(t('ops.webhook.concert'), hook.concert_id),
    line(t('ops.webhook.declared'), hook.declared_in), line(t('ops.since'), time(hook.created_at)), line(t('ops.webhook.failingSince'), hook.failing_since && time(hook.failing_since))),
  h('h4', {}, t('ops.webhook.cursors')), places.root, h('h4', {}, t('ops.webhook.failed')), failed.root,
  replay(hook, told), !hook.declared_in && hook.format === 'standard' && rotate(hook, told), box.root,
  h('div', { class: 'actions' }, !hook.declared_in && remove, button(t('dialog.close'), close)));
}
