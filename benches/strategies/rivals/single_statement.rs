//! Everything in one statement: one round trip, a transaction by itself, many of them under way on each connection.

use async_trait::async_trait;
use uuid::Uuid;

use super::session::{Param, Place, Pool};
use super::{Charge, Decided, Failure, Hold, Pay, Rival};

const CHARGE: &str = r#"with w as (
    update wallet set balance = balance + $3::bigint, entries = entries + 1 where user_id = $2
    returning balance, entries
), e as (
    insert into wallet_entry (user_id, number, id, kind, amount, balance_after, request_id)
    select $2, entries, $4, 'CHARGE', $3, balance, $1 from w
)
insert into request (request_id, command, user_id, succeeded, outcome)
select $1, 'charge_wallet', $2, true,
    '{"entry_id":"' || $4::uuid || '","balance":' || balance || ',"amount":' || $3::bigint || '}' from w
returning outcome"#;

/// The first charge makes the wallet.
const CHARGE_NEW: &str = r#"with w as (
    insert into wallet as w (user_id, balance, entries) values ($2, $3::bigint, 1) on conflict (user_id)
    do update set balance = w.balance + excluded.balance, entries = w.entries + 1
    returning balance, entries
), e as (
    insert into wallet_entry (user_id, number, id, kind, amount, balance_after, request_id)
    select $2, entries, $4, 'CHARGE', $3, balance, $1 from w
)
insert into request (request_id, command, user_id, succeeded, outcome)
select $1, 'charge_wallet', $2, true,
    '{"entry_id":"' || $4::uuid || '","balance":' || balance || ',"amount":' || $3::bigint || '}' from w
returning outcome"#;

const HOLD: &str = r#"with s as (
    update seat set status = 'HELD', reservation_id = $6, user_id = $2, expires_at = now() + interval '5 minutes',
        version = version + 1
    where schedule_id = $3 and section = $4 and number = $5
        and (status = 'AVAILABLE' or status = 'HELD' and expires_at < now())
    returning price
), v as (
    insert into reservation (id, schedule_id, section, number, user_id, amount, status, expires_at)
    select $6, $3, $4, $5, $2, price, 'HELD', now() + interval '5 minutes' from s
)
insert into request (request_id, command, user_id, succeeded, outcome)
select $1, 'hold_seats', $2, s.price is not null, coalesce(
    '{"reservation_id":"' || $6::uuid || '","amount":' || s.price || ',"status":"HELD"}', 'seat_taken')
from (values (1)) one left join s on true
returning succeeded, outcome"#;

const PAY: &str = "select succeeded, outcome from pay_one($1, $2, $3, $4)";

pub struct SingleStatement {
    pool: Pool,
}

impl SingleStatement {
    pub async fn connect(place: &Place, pool: usize) -> anyhow::Result<SingleStatement> {
        Ok(SingleStatement { pool: Pool::connect(place, pool, &[CHARGE, CHARGE_NEW, HOLD, PAY]).await? })
    }
}

#[async_trait]
impl Rival for SingleStatement {
    async fn charge(&self, charge: Charge) -> Result<Decided, Failure> {
        let (session, id) = (self.pool.shared(), Uuid::now_v7());
        let params: [Param<'_>; 4] = [&charge.request_id, &charge.user, &charge.amount, &id];
        let row = match session.row(CHARGE, params).await? {
            Some(row) => row,
            None => session.row(CHARGE_NEW, params).await?.ok_or(Failure::Other("an upsert without a row"))?,
        };
        Ok(Decided::Done(row.get(0)))
    }

    async fn hold(&self, hold: Hold) -> Result<Decided, Failure> {
        let id = Uuid::now_v7();
        let params: [Param<'_>; 6] = [&hold.request_id, &hold.user, &hold.schedule, &hold.section, &hold.number, &id];
        let row = self.pool.shared().row(HOLD, params).await?;
        let row = row.ok_or(Failure::Other("a hold without a row"))?;
        Ok(Decided::of(row.get(0), row.get(1)))
    }

    async fn pay(&self, pay: Pay) -> Result<Decided, Failure> {
        let id = Uuid::now_v7();
        let row = self.pool.shared().row(PAY, [&pay.request_id, &pay.user, &pay.reservation, &id]).await?;
        let row = row.ok_or(Failure::Other("a payment without a row"))?;
        Ok(Decided::of(row.get(0), row.get(1)))
    }
}
