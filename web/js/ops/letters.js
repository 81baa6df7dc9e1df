// Dead letters: looking at them, replaying and dismissing them while the server runs.

import * as api from '../api.js';
import { button, fill, h } from '../dom.js';
import { dayAndTime, number, t } from '../i18n.js';
import { problemText } from '../screens/parts.js';
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
  const act = (current, what) => async (event) => {
    const { position } = current();
    const pressed = event.currentTarget;
    pressed.disabled = true;
    try {
      const { body } = await api.call('POST', `/v1/ops/dead-letters/${position}/${what}`);
      tell(what === 'replay' ? t('ops.letter.again', { position, place: `${body.topic}.${body.partition}.${body.offset}` }) : t('ops.letter.gone', { position }));
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
    const text = (bytes) => (bytes === null ? '–' : bytes.text ?? `base64 ${bytes.base64}`);
    const line = (name, value) => [h('dt', {}, name), h('dd', {}, value)];
    shown.hidden = false;
    fill(shown, h('h3', {}, letter.position), h('dl', {}, line(t('ops.reason'), letter.reason), line(t('ops.key'), text(letter.key)),
      letter.headers.map(({ name, value }) => line(name, text(value))), line(t('ops.value'), h('pre', {}, text(letter.value)))),
    button(t('dialog.close'), () => { shown.hidden = true; }));
    shown.focus();
  };
  const table = liveTable(t('ops.letters'), ['ops.position', 'ops.at', 'ops.reason', 'ops.bytes', 'ops.fate'].map((key) => t(key)), {
    key: (letter) => letter.position,
    cells: (letter) => [letter.position, dayAndTime(Date.parse(letter.at)), { text: letter.reason, kind: 'reason' }, number(letter.bytes), fate(letter)],
    act: (current) => h('div', { class: 'actions' }, button(t('ops.show'), show(current), { kind: 'quiet' }),
      button(t('ops.replay'), act(current, 'replay'), { 'data-act': 'replay' }), button(t('ops.dismiss'), act(current, 'dismiss'), { kind: 'quiet', 'data-act': 'dismiss' })),
    none: t('ops.letters.none'),
  });
  async function look(signal) {
    table.update((await api.read('/v1/ops/dead-letters?limit=50', { signal })).dead_letters);
  }
  return { root: panel('letters', t('ops.letters'), said, table.root, shown), look };
}
