// Webhooks: where events are sent, how far each is behind, and which are off. Absent where the server has none.

import * as api from '../api.js';
import { number, t } from '../i18n.js';
import { liveTable, panel } from './live.js';

export function webhooks() {
  const table = liveTable(t('ops.webhooks'), ['ops.name', 'ops.state', 'ops.lag', 'ops.reason'].map((key) => t(key)), {
    key: (hook) => hook.name ?? hook.id,
    cells: (hook) => [hook.name ?? hook.id, { text: t(hook.disabled ? 'ops.webhook.off' : 'ops.webhook.on'), kind: hook.disabled ? 'state parked' : 'state owned' }, hook.lag_seconds === undefined || hook.lag_seconds === null ? null : t('ops.seconds', { seconds: number(Math.round(hook.lag_seconds)) }), { text: hook.last_error ?? '', kind: 'reason' }],
    none: t('ops.webhooks.none'),
  });
  const root = panel('webhooks', t('ops.webhooks'), table.root);
  root.hidden = true;
  let absent = false;
  return {
    root,
    async look(signal) {
      if (absent) return;
      const known = await api.readIfAny('/v1/ops/webhooks', { signal });
      absent = known === null;
      root.hidden = absent;
      table.update(known?.webhooks ?? []);
    },
  };
}
