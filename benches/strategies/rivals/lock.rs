//! Read, decide in the program, write: the transaction of the rivals that hold a lock meanwhile. Which lock, the
//! statements say: a row's (`for update`), or none because the lock is elsewhere.

use futures_util::future::try_join;
use tokio_postgres::{Error, Row};

use super::session::Session;
use super::transaction::{self, Due, INSERT_WALLET, Wallet};
use super::{Charge, Decided, Failure, Hold, Pay};

/// The reads of a transaction.
pub struct Reads {
    pub wallet: &'static str,
    pub seat: &'static str,
    pub reservation: &'static str,
}

impl Reads {
    pub fn statements(&self) -> Vec<&'static str> {
        [self.wallet, self.seat, self.reservation].into_iter().chain(transaction::WRITES).collect()
    }

    pub async fn charge(&self, session: &Session, charge: &Charge) -> Result<Decided, Failure> {
        ended(session, self.try_charge(session, charge).await).await
    }

    pub async fn hold(&self, session: &Session, hold: &Hold) -> Result<Decided, Failure> {
        ended(session, self.try_hold(session, hold).await).await
    }

    pub async fn pay(&self, session: &Session, pay: &Pay) -> Result<Decided, Failure> {
        ended(session, self.try_pay(session, pay).await).await
    }

    async fn try_charge(&self, session: &Session, charge: &Charge) -> Result<Decided, Error> {
        let mut row = transaction::begin(session, session.row(self.wallet, [&charge.user])).await?;
        if row.is_none() {
            // The first charge makes the wallet.
            session.run(INSERT_WALLET, [&charge.user]).await?;
            row = session.row(self.wallet, [&charge.user]).await?;
        }
        let wallet = wallet_of(&row.expect("it was made just now"));
        transaction::write_charge(session, charge, wallet).await
    }

    async fn try_hold(&self, session: &Session, hold: &Hold) -> Result<Decided, Error> {
        let read = session.row(self.seat, [&hold.schedule, &hold.section, &hold.number]);
        let row = transaction::begin(session, read).await?;
        match row.filter(|row| row.get("free")) {
            Some(row) => transaction::write_hold(session, hold, row.get("price")).await,
            None => transaction::refuse(session, hold.request_id, "hold_seats", &hold.user, "seat_taken").await,
        }
    }

    async fn try_pay(&self, session: &Session, pay: &Pay) -> Result<Decided, Error> {
        let reads = try_join(
            session.row(self.reservation, [&pay.reservation, &pay.user]),
            session.row(self.wallet, [&pay.user]),
        );
        let (reservation, wallet) = transaction::begin(session, reads).await?;
        let (due, wallet) = (reservation.map(|row| due_of(&row)), wallet.map(|row| wallet_of(&row)));
        match due.zip(wallet) {
            Some((due, wallet)) if wallet.balance >= due.amount => {
                transaction::write_pay(session, pay, &due, wallet).await
            }
            _ => transaction::refuse(session, pay.request_id, "pay_reservation", &pay.user, "payment_declined").await,
        }
    }
}

pub fn wallet_of(row: &Row) -> Wallet {
    Wallet { balance: row.get("balance"), entries: row.get("entries") }
}

pub fn due_of(row: &Row) -> Due {
    Due {
        schedule: row.get("schedule_id"),
        section: row.get("section"),
        number: row.get("number"),
        amount: row.get("amount"),
    }
}

/// A session goes back to the pool outside a transaction, whatever happened.
pub async fn ended(session: &Session, result: Result<Decided, Error>) -> Result<Decided, Failure> {
    if result.is_err() {
        session.plain("rollback").await?;
    }
    Ok(result?)
}
