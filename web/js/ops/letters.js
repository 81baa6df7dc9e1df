// Dead letters: looking at them, replaying and dismissing them while the server runs.

import * as api from '../api.js';
import { button, fill, h, say } from '../dom.js';
import { dayAndTime, number, t } from '../i18n.js';
import { confirm } from '../login.js';
import { problemText } from '../screens/parts.js';
import { bytesOf, dump, save } from './files.js';
import { liveTable, panel } from './live.js';

const fate = ({ replayed, dismissed }) => {
  if (replayed) return t('ops.letter.replayed', { name: replayed.by, time: dayAndTime(Date.parse(replayed.at)) });
  if (dismissed) return t('ops.letter.dismissed', { name: dismissed.by, time: dayAndTime(Date.parse(dismissed.at)) });
  return t('ops.letter.open');
};

export function letters() {
  const said = h('p', { role: 'status', class: 'notice', hidden: true });
  const shown = h('div', { class: 'letter', tabindex: '-1', hidden: true });
  const tell = (text) => {
    said.hidden = false;
    said.textContent = text;
  };
  const send = async (position, what) => {
    const { body } = await api.call('POST', `/v1/ops/dead-letters/${position}/${what}`);
    return what === 'replay' ? t('ops.letter.again', { position, place: `${body.topic}.${body.partition}.${body.offset}` }) : t('ops.letter.gone', { position });
  };
  const act = (current, what) => async (event) => {
    const { position } = current();
    const pressed = event.currentTarget;
    pressed.disabled = true;
    try {
      tell(await send(position, what));
      await look();
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      tell(problem.body.detail ?? problemText(problem.body));
    } finally {
      pressed.disabled = false;
    }
  };
  const show = (current) => async () => {
    const letter = await api.read(`/v1/ops/dead-letters/${current().position}`);
    const text = (bytes) => (bytes === null ? '–' : bytes.text ?? h('pre', { class: 'hex' }, dump(bytesOf(bytes.base64))));
    const raw = (bytes) => (bytes === null ? '' : bytes.text ?? bytesOf(bytes.base64));
    const line = (name, value) => [h('dt', {}, name), h('dd', {}, value)];
    shown.hidden = false;
    fill(shown, h('h3', {}, letter.position), h('dl', {}, line(t('ops.reason'), letter.reason), line(t('ops.key'), text(letter.key)),
      letter.headers.map(({ name, value }) => line(name, text(value))), line(t('ops.value'), letter.value?.text === undefined ? text(letter.value) : h('pre', {}, letter.value.text))),
    h('div', { class: 'actions' }, button(t('ops.download'), () => save(`${letter.position}.bin`, 'application/octet-stream', raw(letter.value)), { 'data-act': 'download' }),
      button(t('dialog.close'), () => { shown.hidden = true; })));
    shown.focus();
  };
  const table = liveTable(t('ops.letters'), ['ops.position', 'ops.at', 'ops.reason', 'ops.bytes', 'ops.fate'].map((key) => t(key)), {
    key: (letter) => letter.position,
    cells: (letter) => [letter.position, dayAndTime(Date.parse(letter.at)), { text: letter.reason, kind: 'reason' }, number(letter.bytes), fate(letter)],
    act: (current) => {
      const box = selecting(current);
      const root = h('div', { class: 'actions' }, box, button(t('ops.show'), show(current), { kind: 'quiet', 'data-act': 'show' }),
        button(t('ops.replay'), act(current, 'replay'), { 'data-act': 'replay' }), button(t('ops.dismiss'), act(current, 'dismiss'), { kind: 'quiet', 'data-act': 'dismiss' }));
      return { root, update: ({ position }) => box.setAttribute('aria-label', t('ops.letter.choose', { position })) };
    },
    none: t('ops.letters.none'),
  });
  const chosen = new Set();
  const several = ['replay', 'dismiss'].map((what) => button('', () => all(what), { 'data-all': what, hidden: true }));
  function selecting(current) {
    const box = h('input', { type: 'checkbox', onchange: () => {
      chosen[box.checked ? 'add' : 'delete'](current().position);
      count();
    } });
    return box;
  }
  function count() {
    several.forEach((pressed) => {
      pressed.hidden = chosen.size === 0;
      say(pressed, t(`ops.letters.${pressed.dataset.all}`, { count: number(chosen.size) }));
    });
  }
  /** All that are chosen, after a question that says how many. The first that fails ends it. */
  async function all(what) {
    const wanted = [...chosen];
    if (!await confirm(t(`ops.letters.${what}.ask`, { count: number(wanted.length) }), t(`ops.${what}`))) return;
    try {
      for (const position of wanted) {
        tell(await send(position, what));
        chosen.delete(position);
      }
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      tell(problem.body.detail ?? problemText(problem.body));
    }
    for (const box of table.root.querySelectorAll('input[type=checkbox]')) box.checked = chosen.has(box.closest('tr').dataset.key);
    count();
    await look();
  }
  async function look(signal) {
    table.update((await api.read('/v1/ops/dead-letters?limit=50', { signal })).dead_letters);
  }
  return { root: panel('letters', t('ops.letters'), said, h('div', { class: 'actions' }, several), table.root, shown), look };
}
