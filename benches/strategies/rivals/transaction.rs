//! What the rivals that read before they write have in common: the writes, which travel with the commit.

use futures_util::future::{try_join, try_join4};
use tokio_postgres::Error;
use uuid::Uuid;

use super::session::{Param, Session};
use super::{Charge, Decided, Hold, Pay};

pub const UPDATE_WALLET: &str =
    "update wallet set balance = $2, entries = $3, version = version + 1 where user_id = $1";
pub const INSERT_WALLET: &str =
    "insert into wallet (user_id, balance, entries) values ($1, 0, 0) on conflict do nothing";
pub const INSERT_ENTRY: &str = "insert into wallet_entry (user_id, number, id, kind, amount, balance_after, request_id) \
    values ($1, $2, $3, $4, $5, $6, $7)";
pub const INSERT_REQUEST: &str =
    "insert into request (request_id, command, user_id, succeeded, outcome) values ($1, $2, $3, $4, $5)";
pub const UPDATE_SEAT: &str = "update seat set status = $4, reservation_id = $5, user_id = $6, \
    expires_at = now() + interval '5 minutes', version = version + 1 \
    where schedule_id = $1 and section = $2 and number = $3";
pub const INSERT_RESERVATION: &str = "insert into reservation \
    (id, schedule_id, section, number, user_id, amount, status, expires_at) \
    values ($1, $2, $3, $4, $5, $6, 'HELD', now() + interval '5 minutes')";
pub const UPDATE_RESERVATION: &str = "update reservation set status = 'CONFIRMED', version = version + 1 where id = $1";
pub const INSERT_PAYMENT: &str = "insert into payment (id, reservation_id, user_id, amount) values ($1, $2, $3, $4)";

pub const WRITES: [&str; 8] = [
    UPDATE_WALLET,
    INSERT_WALLET,
    INSERT_ENTRY,
    INSERT_REQUEST,
    UPDATE_SEAT,
    INSERT_RESERVATION,
    UPDATE_RESERVATION,
    INSERT_PAYMENT,
];

/// A wallet as it was read.
pub struct Wallet {
    pub balance: i64,
    pub entries: i64,
}

/// A reservation that may be paid.
pub struct Due {
    pub schedule: Uuid,
    pub section: String,
    pub number: i64,
    pub amount: i64,
}

pub fn charged(entry_id: Uuid, balance: i64, amount: i64) -> String {
    format!(r#"{{"entry_id":"{entry_id}","balance":{balance},"amount":{amount}}}"#)
}

pub fn held(reservation: Uuid, amount: i64) -> String {
    format!(r#"{{"reservation_id":"{reservation}","amount":{amount},"status":"HELD"}}"#)
}

pub fn paid(payment: Uuid, amount: i64, balance: i64) -> String {
    format!(r#"{{"payment_id":"{payment}","amount":{amount},"balance":{balance}}}"#)
}

/// The transaction's first statement, sent with its `begin`.
pub async fn begin<T>(session: &Session, first: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    Ok(try_join(session.plain("begin"), first).await?.1)
}

/// A refusal is kept too, so that a repeat gets it again.
pub async fn refuse(
    session: &Session,
    request_id: Uuid,
    command: &str,
    user: &str,
    code: &str,
) -> Result<Decided, Error> {
    let kept: [Param<'_>; 5] = [&request_id, &command, &user, &false, &code];
    try_join(session.run(INSERT_REQUEST, kept), session.plain("commit")).await?;
    Ok(Decided::Refused(code.to_owned()))
}

pub async fn write_charge(session: &Session, charge: &Charge, wallet: Wallet) -> Result<Decided, Error> {
    let (balance, number, id) = (wallet.balance + charge.amount, wallet.entries + 1, Uuid::now_v7());
    let outcome = charged(id, balance, charge.amount);
    try_join4(
        session.run(UPDATE_WALLET, [&charge.user, &balance, &number]),
        session
            .run(INSERT_ENTRY, [&charge.user, &number, &id, &"CHARGE", &charge.amount, &balance, &charge.request_id]),
        session.run(INSERT_REQUEST, [&charge.request_id, &"charge_wallet", &charge.user, &true, &outcome]),
        session.plain("commit"),
    )
    .await?;
    Ok(Decided::Done(outcome))
}

pub async fn write_hold(session: &Session, hold: &Hold, price: i64) -> Result<Decided, Error> {
    let id = Uuid::now_v7();
    let outcome = held(id, price);
    try_join4(
        session.run(UPDATE_SEAT, [&hold.schedule, &hold.section, &hold.number, &"HELD", &id, &hold.user]),
        session.run(INSERT_RESERVATION, [&id, &hold.schedule, &hold.section, &hold.number, &hold.user, &price]),
        session.run(INSERT_REQUEST, [&hold.request_id, &"hold_seats", &hold.user, &true, &outcome]),
        session.plain("commit"),
    )
    .await?;
    Ok(Decided::Done(outcome))
}

pub async fn write_pay(session: &Session, pay: &Pay, due: &Due, wallet: Wallet) -> Result<Decided, Error> {
    let (balance, number, id) = (wallet.balance - due.amount, wallet.entries + 1, Uuid::now_v7());
    let outcome = paid(id, due.amount, balance);
    let (entry, request) = (Uuid::now_v7(), pay.request_id);
    let money = try_join4(
        session.run(UPDATE_WALLET, [&pay.user, &balance, &number]),
        session.run(INSERT_ENTRY, [&pay.user, &number, &entry, &"PAYMENT", &due.amount, &balance, &request]),
        session.run(INSERT_PAYMENT, [&id, &pay.reservation, &pay.user, &due.amount]),
        session.run(INSERT_REQUEST, [&request, &"pay_reservation", &pay.user, &true, &outcome]),
    );
    let seat: [Param<'_>; 6] = [&due.schedule, &due.section, &due.number, &"SOLD", &pay.reservation, &pay.user];
    try_join4(
        money,
        session.run(UPDATE_RESERVATION, [&pay.reservation]),
        session.run(UPDATE_SEAT, seat),
        session.plain("commit"),
    )
    .await?;
    Ok(Decided::Done(outcome))
}
