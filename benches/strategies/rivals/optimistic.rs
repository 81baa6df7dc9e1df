//! Optimistic: a read without a lock, then one statement that writes if the version is still the one that was read. Who
//! comes too late reads again, ten times at most, after a pause of random length that doubles.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::session::{Param, Place, Pool};
use super::transaction;
use super::{Charge, Decided, Failure, Hold, Pay, Rival};

const TRIES_MAX: u32 = 10;
const FIRST_PAUSE_US: u64 = 500;

const READ_WALLET: &str = "select version, balance, entries from wallet where user_id = $1";
const READ_SEAT: &str = "select version, price, status = 'AVAILABLE' or status = 'HELD' and expires_at < now() \
    from seat where schedule_id = $1 and section = $2 and number = $3";
const READ_RESERVATION: &str = "select v.version, v.amount, v.status = 'HELD' and v.expires_at >= now(), \
    w.version, w.balance, w.entries, v.schedule_id, v.section, v.number \
    from reservation v join wallet w on w.user_id = v.user_id where v.id = $1 and v.user_id = $2";

const WRITE_CHARGE: &str = "with w as (
    update wallet set balance = $3, entries = $4, version = version + 1 where user_id = $2 and version = $8 returning 1
), e as (
    insert into wallet_entry (user_id, number, id, kind, amount, balance_after, request_id)
    select $2, $4, $5, 'CHARGE', $6::bigint, $3, $1 from w
)
insert into request (request_id, command, user_id, succeeded, outcome)
select $1, 'charge_wallet', $2, true, $7 from w";
const WRITE_HOLD: &str = "with s as (
    update seat set status = 'HELD', reservation_id = $6, user_id = $2, expires_at = now() + interval '5 minutes',
        version = version + 1
    where schedule_id = $3 and section = $4 and number = $5 and version = $9 returning 1
), v as (
    insert into reservation (id, schedule_id, section, number, user_id, amount, status, expires_at)
    select $6, $3, $4, $5, $2, $7::bigint, 'HELD', now() + interval '5 minutes' from s
)
insert into request (request_id, command, user_id, succeeded, outcome)
select $1, 'hold_seats', $2, true, $8 from s";
/// Both versions, or nothing: the division is by zero if one of the two is another.
const WRITE_PAY: &str = "with v as (
    update reservation set status = 'CONFIRMED', version = version + 1 where id = $3 and version = $4 returning 1
), w as (
    update wallet set balance = $5, entries = $6, version = version + 1 where user_id = $2 and version = $7 returning 1
), sure as (
    select 1 / (case when exists (select from v) and exists (select from w) then 1 else 0 end) as one
), s as (
    update seat set status = 'SOLD', version = version + 1 where schedule_id = $8 and section = $9 and number = $10
), e as (
    insert into wallet_entry (user_id, number, id, kind, amount, balance_after, request_id)
    select $2, $6, $11, 'PAYMENT', $12::bigint, $5, $1 from sure
), p as (
    insert into payment (id, reservation_id, user_id, amount) select $11, $3, $2, $12 from sure
)
insert into request (request_id, command, user_id, succeeded, outcome)
select $1, 'pay_reservation', $2, true, $13 from sure";

pub struct Optimistic {
    pool: Pool,
}

impl Optimistic {
    pub async fn connect(place: &Place, pool: usize) -> anyhow::Result<Optimistic> {
        let own = [READ_WALLET, READ_SEAT, READ_RESERVATION, WRITE_CHARGE, WRITE_HOLD, WRITE_PAY];
        let statements: Vec<_> = own.into_iter().chain(transaction::WRITES).collect();
        Ok(Optimistic { pool: Pool::connect(place, pool, &statements).await? })
    }

    /// Whether the version was still the one that was read.
    async fn wrote<const N: usize>(&self, statement: &'static str, params: [Param<'_>; N]) -> Result<bool, Failure> {
        Ok(self.pool.shared().run(statement, params).await? > 0)
    }

    async fn refuse(&self, request_id: Uuid, command: &str, user: &str, code: &str) -> Result<Decided, Failure> {
        let kept: [Param<'_>; 5] = [&request_id, &command, &user, &false, &code];
        self.pool.shared().run(transaction::INSERT_REQUEST, kept).await?;
        Ok(Decided::Refused(code.to_owned()))
    }

    async fn try_pay(&self, pay: &Pay) -> Result<Option<Decided>, Failure> {
        let read = self.pool.shared().row(READ_RESERVATION, [&pay.reservation, &pay.user]).await?;
        let Some(row) = read.filter(|row| row.get(2) && row.get::<_, i64>(4) >= row.get(1)) else {
            return Ok(Some(self.refuse(pay.request_id, "pay_reservation", &pay.user, "payment_declined").await?));
        };
        let (versions, amount): ((i64, i64), i64) = ((row.get(0), row.get(3)), row.get(1));
        let (balance, number, id) = (row.get::<_, i64>(4) - amount, row.get::<_, i64>(5) + 1, Uuid::now_v7());
        let (schedule, section, seat): (Uuid, String, i64) = (row.get(6), row.get(7), row.get(8));
        let outcome = transaction::paid(id, amount, balance);
        let params: [Param<'_>; 13] = [
            &pay.request_id,
            &pay.user,
            &pay.reservation,
            &versions.0,
            &balance,
            &number,
            &versions.1,
            &schedule,
            &section,
            &seat,
            &id,
            &amount,
            &outcome,
        ];
        match self.wrote(WRITE_PAY, params).await {
            Ok(wrote) => Ok(wrote.then_some(Decided::Done(outcome))),
            Err(Failure::Postgres(error)) if error.code().is_some_and(|code| code.code() == "22012") => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Full jitter.
async fn pause(tries: u32, request_id: Uuid) {
    let span = FIRST_PAUSE_US << tries.min(6);
    let chance = xxhash_rust::xxh3::xxh3_64_with_seed(request_id.as_bytes(), u64::from(tries));
    tokio::time::sleep(Duration::from_micros(chance % span)).await;
}

#[async_trait]
impl Rival for Optimistic {
    async fn charge(&self, charge: Charge) -> Result<Decided, Failure> {
        for tries in 0..TRIES_MAX {
            let Some(row) = self.pool.shared().row(READ_WALLET, [&charge.user]).await? else {
                self.pool.shared().run(transaction::INSERT_WALLET, [&charge.user]).await?;
                continue;
            };
            let (version, balance): (i64, i64) = (row.get(0), row.get::<_, i64>(1) + charge.amount);
            let (number, id) = (row.get::<_, i64>(2) + 1, Uuid::now_v7());
            let outcome = transaction::charged(id, balance, charge.amount);
            let params: [Param<'_>; 8] =
                [&charge.request_id, &charge.user, &balance, &number, &id, &charge.amount, &outcome, &version];
            if self.wrote(WRITE_CHARGE, params).await? {
                return Ok(Decided::Done(outcome));
            }
            pause(tries, charge.request_id).await;
        }
        Err(Failure::Other("ten versions were too old"))
    }

    async fn hold(&self, hold: Hold) -> Result<Decided, Failure> {
        for tries in 0..TRIES_MAX {
            let read = self.pool.shared().row(READ_SEAT, [&hold.schedule, &hold.section, &hold.number]).await?;
            let Some(row) = read.filter(|row| row.get(2)) else {
                return self.refuse(hold.request_id, "hold_seats", &hold.user, "seat_taken").await;
            };
            let (version, price, id): (i64, i64, _) = (row.get(0), row.get(1), Uuid::now_v7());
            let outcome = transaction::held(id, price);
            let params: [Param<'_>; 9] = [
                &hold.request_id,
                &hold.user,
                &hold.schedule,
                &hold.section,
                &hold.number,
                &id,
                &price,
                &outcome,
                &version,
            ];
            if self.wrote(WRITE_HOLD, params).await? {
                return Ok(Decided::Done(outcome));
            }
            pause(tries, hold.request_id).await;
        }
        Err(Failure::Other("ten versions were too old"))
    }

    async fn pay(&self, pay: Pay) -> Result<Decided, Failure> {
        for tries in 0..TRIES_MAX {
            if let Some(decided) = self.try_pay(&pay).await? {
                return Ok(decided);
            }
            pause(tries, pay.request_id).await;
        }
        Err(Failure::Other("ten versions were too old"))
    }
}
