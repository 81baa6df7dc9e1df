//! A rival with an error, so that `--quick` shows that the checks find it: `for-update`, but for what was planted.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use clap::ValueEnum;
use futures_util::future::try_join3;
use tokio_postgres::Error;
use uuid::Uuid;

use super::for_update::ForUpdate;
use super::lock::ended;
use super::session::{Place, Pool, Session};
use super::transaction::{self, INSERT_ENTRY, INSERT_REQUEST, INSERT_RESERVATION};
use super::{Charge, Decided, Failure, Hold, Pay, Rival};
use crate::patterns::Pattern;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planted {
    /// The balance is read without a lock and written as it was reckoned
    LostUpdate,
    /// Some charges are answered and not stored
    NotStored,
    /// A repeat counts again
    RepeatCounts,
    /// Some who come too late get the seat too
    HeldTwice,
}

/// One request of so many meets the error.
const EVERY: u64 = 50;
const READ: &str = "select balance from wallet where user_id = $1";
const WRITE: &str = "update wallet set balance = $2, entries = entries + 1 where user_id = $1 returning entries";

impl Planted {
    pub const ALL: [Planted; 4] = [Planted::LostUpdate, Planted::NotStored, Planted::RepeatCounts, Planted::HeldTwice];

    /// Under which the error shows.
    pub fn pattern(self) -> Pattern {
        if self == Planted::HeldTwice { Pattern::HotSeat } else { Pattern::HotWallet }
    }

    /// What the check says of it.
    pub fn complaint(self) -> &'static str {
        match self {
            Planted::LostUpdate => "balances add up to",
            Planted::NotStored => "changes are stored",
            Planted::RepeatCounts => "a repeat got another answer",
            Planted::HeldTwice => "seats are held twice",
        }
    }
}

pub struct Broken {
    sound: ForUpdate,
    pool: Pool,
    planted: Planted,
    requests: AtomicU64,
}

impl Broken {
    pub async fn connect(place: &Place, pool: usize, planted: Planted) -> anyhow::Result<Broken> {
        let statements = [READ, WRITE, INSERT_ENTRY, INSERT_REQUEST, INSERT_RESERVATION];
        let own = Pool::connect(place, pool, &statements).await?;
        let sound = ForUpdate::connect(place, pool).await?;
        Ok(Broken { sound, pool: own, planted, requests: AtomicU64::new(0) })
    }

    fn is_hit(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed) % EVERY == EVERY - 1
    }
}

async fn lose_updates(session: &Session, charge: &Charge) -> Result<Decided, Error> {
    let row = transaction::begin(session, session.row(READ, [&charge.user])).await?;
    let before: i64 = row.map_or(0, |row| row.get(0));
    let (balance, id) = (before + charge.amount, Uuid::now_v7());
    let number: i64 = session.row(WRITE, [&charge.user, &balance]).await?.map_or(0, |row| row.get(0));
    let outcome = transaction::charged(id, balance, charge.amount);
    try_join3(
        session
            .run(INSERT_ENTRY, [&charge.user, &number, &id, &"CHARGE", &charge.amount, &balance, &charge.request_id]),
        session.run(INSERT_REQUEST, [&charge.request_id, &"charge_wallet", &charge.user, &true, &outcome]),
        session.plain("commit"),
    )
    .await?;
    Ok(Decided::Done(outcome))
}

#[async_trait]
impl Rival for Broken {
    async fn charge(&self, mut charge: Charge) -> Result<Decided, Failure> {
        match self.planted {
            Planted::LostUpdate if charge.user != "repeater" => {
                let session = self.pool.lease().await;
                ended(&session, lose_updates(&session, &charge).await).await
            }
            Planted::NotStored if self.is_hit() => {
                Ok(Decided::Done(transaction::charged(Uuid::now_v7(), charge.amount, charge.amount)))
            }
            Planted::RepeatCounts => {
                charge.request_id = Uuid::now_v7();
                self.sound.charge(charge).await
            }
            _ => self.sound.charge(charge).await,
        }
    }

    async fn hold(&self, hold: Hold) -> Result<Decided, Failure> {
        let decided = self.sound.hold(hold.clone()).await?;
        let refused = matches!(decided, Decided::Refused(_));
        if self.planted == Planted::HeldTwice && refused && self.is_hit() {
            let (id, price) = (Uuid::now_v7(), 1i64);
            let row: [super::session::Param<'_>; 6] =
                [&id, &hold.schedule, &hold.section, &hold.number, &hold.user, &price];
            self.pool.shared().run(INSERT_RESERVATION, row).await?;
            return Ok(Decided::Done(transaction::held(id, price)));
        }
        Ok(decided)
    }

    async fn pay(&self, pay: Pay) -> Result<Decided, Failure> {
        self.sound.pay(pay).await
    }
}
