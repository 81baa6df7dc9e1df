// One scan: what the ticket says, then what the log says of it. The same scan is repeated under the same key until its
// outcome is known, so that a lost answer never makes a ticket look used.

import * as intent from '../intent.js';
import { genuine, parse } from './code.js';

/** A scan older than this is another visitor's. */
const SAME_SCAN_MS = 120_000;

/**
 * `date`: the only schedule that is admitted here, or null. `tell(result)` hears what is known while the server is away.
 * Resolves to `{kind, code, ticket, at?, position?, problem?}`; kind: `admitted`, `used`, `invalid`, `other` (another
 * date), `refused` (this login may not), `away` (only to `tell`; `genuine`: true, false or null).
 */
export async function check(code, date, tell) {
  const ticket = parse(code);
  if (!ticket) return { kind: 'invalid', code };
  if (date && ticket.schedule !== date) return { kind: 'other', code, ticket };
  const kept = intent.unsettled('check', code);
  if (kept && Date.now() - kept.at > SAME_SCAN_MS) intent.forget('check', code);
  const command = { kind: 'check', scope: code, method: 'POST', path: '/v1/tickets/check', body: { code } };
  let away = false;
  const outcome = await intent.perform(command, async (stage) => {
    if (stage !== 'trouble' || away) return;
    away = true;
    const real = await genuine(code, ticket);
    if (away) tell({ kind: 'away', code, ticket, genuine: real });
  });
  away = false;
  return resultOf(outcome, code, ticket);
}

function resultOf({ ok, busy, result, problem, decided }, code, ticket) {
  if (busy) return { kind: 'busy', code, ticket };
  if (ok) return { kind: 'admitted', code, ticket, at: result.admitted_at, position: decided };
  if (problem.code === 'ticket_used') return { kind: 'used', code, ticket, at: problem.used?.at, position: problem.used?.position };
  if (problem.code === 'ticket_invalid') return { kind: 'invalid', code, ticket };
  return { kind: 'refused', code, ticket, problem };
}
