//! A conditional `update` decides and locks at once; the other writes follow in the same transaction. Two round trips.

use async_trait::async_trait;
use futures_util::future::{try_join, try_join3, try_join4};
use tokio_postgres::Error;
use uuid::Uuid;

use super::lock::ended;
use super::session::{Place, Pool, Session};
use super::transaction::{self, INSERT_ENTRY, INSERT_PAYMENT, INSERT_REQUEST, INSERT_RESERVATION};
use super::{Charge, Decided, Failure, Hold, Pay, Rival};

const CREDIT: &str = "update wallet set balance = balance + $2, entries = entries + 1 where user_id = $1 \
    returning balance, entries";
/// The first charge makes the wallet.
const CREDIT_NEW: &str = "insert into wallet as w (user_id, balance, entries) values ($1, $2, 1) on conflict (user_id) \
    do update set balance = w.balance + excluded.balance, entries = w.entries + 1 returning balance, entries";
const TAKE: &str = "update seat set status = 'HELD', reservation_id = $4, user_id = $5, \
    expires_at = now() + interval '5 minutes', version = version + 1 \
    where schedule_id = $1 and section = $2 and number = $3 \
    and (status = 'AVAILABLE' or status = 'HELD' and expires_at < now()) returning price";
const CONFIRM: &str = "update reservation set status = 'CONFIRMED' where id = $1 and user_id = $2 and status = 'HELD' \
    and expires_at >= now() returning schedule_id, section, number, amount";
const DEBIT: &str = "update wallet set balance = balance - $2, entries = entries + 1 \
    where user_id = $1 and balance >= $2 returning balance, entries";
const SELL: &str = "update seat set status = 'SOLD', version = version + 1 \
    where schedule_id = $1 and section = $2 and number = $3";

pub struct Conditional {
    pool: Pool,
}

impl Conditional {
    pub async fn connect(place: &Place, pool: usize) -> anyhow::Result<Conditional> {
        let own = [CREDIT, CREDIT_NEW, TAKE, CONFIRM, DEBIT, SELL];
        let statements: Vec<_> = own.into_iter().chain(transaction::WRITES).collect();
        Ok(Conditional { pool: Pool::connect(place, pool, &statements).await? })
    }
}

async fn charge(session: &Session, charge: &Charge) -> Result<Decided, Error> {
    let (user, amount, request) = (&charge.user, &charge.amount, &charge.request_id);
    let row = match transaction::begin(session, session.row(CREDIT, [user, amount])).await? {
        Some(row) => row,
        None => session.row(CREDIT_NEW, [user, amount]).await?.expect("an upsert returns its row"),
    };
    let (balance, number, id): (i64, i64, _) = (row.get(0), row.get(1), Uuid::now_v7());
    let outcome = transaction::charged(id, balance, *amount);
    try_join3(
        session.run(INSERT_ENTRY, [user, &number, &id, &"CHARGE", amount, &balance, request]),
        session.run(INSERT_REQUEST, [request, &"charge_wallet", user, &true, &outcome]),
        session.plain("commit"),
    )
    .await?;
    Ok(Decided::Done(outcome))
}

async fn hold(session: &Session, hold: &Hold) -> Result<Decided, Error> {
    let (id, user, request) = (Uuid::now_v7(), &hold.user, &hold.request_id);
    let take = session.row(TAKE, [&hold.schedule, &hold.section, &hold.number, &id, user]);
    let Some(row) = transaction::begin(session, take).await? else {
        return transaction::refuse(session, *request, "hold_seats", user, "seat_taken").await;
    };
    let price: i64 = row.get(0);
    let outcome = transaction::held(id, price);
    try_join3(
        session.run(INSERT_RESERVATION, [&id, &hold.schedule, &hold.section, &hold.number, user, &price]),
        session.run(INSERT_REQUEST, [request, &"hold_seats", user, &true, &outcome]),
        session.plain("commit"),
    )
    .await?;
    Ok(Decided::Done(outcome))
}

async fn pay(session: &Session, pay: &Pay) -> Result<Decided, Error> {
    let (user, request) = (&pay.user, &pay.request_id);
    let confirm = session.row(CONFIRM, [&pay.reservation, user]);
    let Some(due) = transaction::begin(session, confirm).await?.map(|row| super::lock::due_of(&row)) else {
        return transaction::refuse(session, *request, "pay_reservation", user, "payment_declined").await;
    };
    let Some(wallet) = session.row(DEBIT, [user, &due.amount]).await? else {
        session.plain("rollback; begin").await?;
        return transaction::refuse(session, *request, "pay_reservation", user, "payment_declined").await;
    };
    let (balance, number): (i64, i64) = (wallet.get(0), wallet.get(1));
    let (id, entry) = (Uuid::now_v7(), Uuid::now_v7());
    let outcome = transaction::paid(id, due.amount, balance);
    let rows = try_join4(
        session.run(INSERT_ENTRY, [user, &number, &entry, &"PAYMENT", &due.amount, &balance, request]),
        session.run(INSERT_PAYMENT, [&id, &pay.reservation, user, &due.amount]),
        session.run(SELL, [&due.schedule, &due.section, &due.number]),
        session.run(INSERT_REQUEST, [request, &"pay_reservation", user, &true, &outcome]),
    );
    try_join(rows, session.plain("commit")).await?;
    Ok(Decided::Done(outcome))
}

#[async_trait]
impl Rival for Conditional {
    async fn charge(&self, command: Charge) -> Result<Decided, Failure> {
        let session = self.pool.lease().await;
        ended(&session, charge(&session, &command).await).await
    }

    async fn hold(&self, command: Hold) -> Result<Decided, Failure> {
        let session = self.pool.lease().await;
        ended(&session, hold(&session, &command).await).await
    }

    async fn pay(&self, command: Pay) -> Result<Decided, Failure> {
        let session = self.pool.lease().await;
        ended(&session, pay(&session, &command).await).await
    }
}
