// Dialogs: who is asking, and questions before what cannot be undone.

import { button, h } from './dom.js';
import { t } from './i18n.js';
import * as session from './session.js';

/** Shows a dialog and resolves to what closed it: `''` if it was left. */
function open(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** True once there is a user. Dev mode asks for a name; with logins the browser goes to the login page. */
export async function needName() {
  if (session.name()) return true;
  if (session.known().auth === 'jwt') {
    const address = session.loginAddress();
    if (address) location.assign(address);
    else await tellOf(t('login.missing'));
    return false;
  }
  return askName();
}

function tellOf(text) {
  const dialog = h('dialog', { class: 'dialog' }, h('p', {}, text), h('form', { method: 'dialog', class: 'actions' }, h('button', { class: 'button primary', value: '' }, t('dialog.close'))));
  return open(dialog);
}

/** Development mode: any name is a login. */
export async function askName() {
  const field = h('input', { id: 'name', name: 'name', autocomplete: 'username', maxlength: 128, required: true, value: session.name() ?? '' });
  const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'name-title' });
  const form = h('form', { onsubmit: (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text) dialog.close(text);
  } },
    h('h2', { id: 'name-title' }, t('login.title')),
    h('p', { class: 'muted' }, t('login.explain')),
    h('label', { class: 'field', for: 'name' }, h('span', {}, t('login.name')), field),
    h('div', { class: 'actions' }, h('button', { class: 'button primary' }, t('login.go')), button(t('dialog.close'), () => dialog.close(''), { kind: 'quiet' })));
  dialog.append(form);
  const text = await open(dialog);
  if (!text) return false;
  session.become(text);
  return true;
}

/** Asks before something is given up. */
export async function confirm(question, yes) {
  const dialog = h('dialog', { class: 'dialog', role: 'alertdialog', 'aria-labelledby': 'question' },
    h('p', { id: 'question' }, question),
    h('form', { method: 'dialog', class: 'actions' },
      h('button', { class: 'button danger', value: 'yes' }, yes),
      h('button', { class: 'button quiet', value: '', autofocus: true }, t('dialog.keep'))));
  return (await open(dialog)) === 'yes';
}
