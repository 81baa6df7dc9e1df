// A hold is never unseen: on every screen of its date it stands on top, with its end, a way to pay and a way to give back.

import * as announce from '../announce.js';
import * as clock from '../clock.js';
import { button, fill, h, say } from '../dom.js';
import { clockTime, duration, money, t } from '../i18n.js';
import { confirm } from '../login.js';

export function holdBar(sale, go) {
  const root = h('section', { class: 'hold-bar', 'aria-label': t('hold.label'), hidden: true });
  const rest = h('span', { class: 'rest', role: 'timer' });
  let shown = null;
  /** @type {(now: number) => void} */
  let tick = () => {};
  const stop = clock.onTick((now) => tick(now));

  function update(kind) {
    const live = sale.live;
    const hidden = !live || kind.startsWith('reservation');
    root.hidden = hidden;
    if (hidden) {
      shown = null;
      tick = () => {};
      return;
    }
    const key = `${live.reservation_id}${live.status}`;
    if (key === shown) return;
    shown = key;
    build(live);
  }

  function build(live) {
    const ends = Date.parse(live.expires_at);
    const seats = sale.names(live).join(' · ');
    const paying = live.status === 'PAYING';
    fill(root,
      h('div', { class: 'hold-text' }, h('strong', {}, seats),
        h('span', { class: 'muted' }, paying ? t('pay.paying') : t('hold.until', { time: clockTime(ends) })), !paying && rest),
      h('div', { class: 'actions' },
        button(paying ? t('hold.show') : t('hold.pay', { amount: money(live.amount, sale.concert.currency) }), () => go(`/s/${sale.id}?r=${live.reservation_id}`), { kind: 'primary', 'data-act': 'to-pay' }),
        !paying && button(t('hold.giveBack'), () => giveBack(live), { kind: 'quiet' })));
    const say10 = announce.countdown();
    let asked = false;
    tick = (now) => {
      if (paying) return;
      say(rest, duration(ends - now));
      say10(ends - now);
      rest.classList.toggle('late', ends - now < 60_000);
      if (now < ends || asked) return;
      // The page decides nothing: it asks.
      asked = true;
      sale.refresh(live.reservation_id).catch(() => {}).finally(() => setTimeout(() => (asked = false), 1000));
    };
    tick(clock.now());
  }

  async function giveBack(live) {
    if (await confirm(t('hold.giveBackAsk'), t('hold.giveBack'))) await sale.giveBack(live);
  }

  return { root, update, close: stop };
}
