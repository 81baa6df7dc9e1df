// What an operator does about a partition that stands still. Each takes a reason, which is kept with the name.

import * as api from '../api.js';
import { button, h } from '../dom.js';
import { t } from '../i18n.js';
import { problemText } from '../screens/parts.js';

/** Asks for a reason; null if it was left. */
function askReason(question, yes, kind) {
  const field = h('input', { id: 'reason', name: 'reason', required: true, maxlength: 500, autocomplete: 'off' });
  const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'question' });
  const form = h('form', { onsubmit: (event) => {
    event.preventDefault();
    if (field.value.trim()) dialog.close(field.value.trim());
  } },
  h('p', { id: 'question' }, question),
  h('label', { class: 'field', for: 'reason' }, h('span', {}, t('ops.why')), field),
  h('div', { class: 'actions' }, h('button', { class: `button ${kind}` }, yes), button(t('dialog.close'), () => dialog.close(''), { kind: 'quiet' })));
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
  });
}

/** The buttons of a partition's row, seen while it stands still. */
export function stepOver(current) {
  const said = h('span', { role: 'status' });
  const act = async (what, question, kind = 'danger') => {
    const { partition, next_offset } = current();
    const offset = what === 'acquire' ? {} : { offset: next_offset };
    const reason = await askReason(t(question, { partition, position: `${partition}.${next_offset}` }), t(`ops.${what}`), kind);
    if (!reason) return;
    try {
      await api.call('POST', `/v1/ops/partitions/${partition}/${what}`, { body: { ...offset, reason } });
      said.textContent = t('ops.given');
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      said.textContent = problem.body.detail ?? problemText(problem.body);
    }
  };
  const skip = button(t('ops.skip'), () => act('skip', 'ops.skip.ask'), { kind: 'danger' });
  const time = button(t('ops.time'), () => act('time', 'ops.time.ask'), { kind: 'plain' });
  const acquire = button(t('ops.acquire'), () => act('acquire', 'ops.acquire.ask', 'primary'), { kind: 'plain', 'data-act': 'acquire' });
  const root = h('div', { class: 'actions', hidden: true }, acquire, skip, time, said);
  return {
    root,
    update({ state }) {
      acquire.hidden = state !== 'parked';
      root.hidden = state !== 'parked' && state !== 'waiting';
    },
  };
}
