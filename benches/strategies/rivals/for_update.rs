//! Pessimistic: the row is locked when it is read. Two round trips: `begin` and the read, the writes and `commit`.

use async_trait::async_trait;

use super::lock::Reads;
use super::session::{Place, Pool};
use super::{Charge, Decided, Failure, Hold, Pay, Rival};

const READS: Reads = Reads {
    wallet: "select balance, entries from wallet where user_id = $1 for no key update",
    seat: "select price, status = 'AVAILABLE' or status = 'HELD' and expires_at < now() as free from seat \
        where schedule_id = $1 and section = $2 and number = $3 for no key update",
    reservation: "select schedule_id, section, number, amount from reservation \
        where id = $1 and user_id = $2 and status = 'HELD' and expires_at >= now() for no key update",
};

pub struct ForUpdate {
    pool: Pool,
}

impl ForUpdate {
    pub async fn connect(place: &Place, pool: usize) -> anyhow::Result<ForUpdate> {
        Ok(ForUpdate { pool: Pool::connect(place, pool, &READS.statements()).await? })
    }
}

#[async_trait]
impl Rival for ForUpdate {
    async fn charge(&self, charge: Charge) -> Result<Decided, Failure> {
        READS.charge(&*self.pool.lease().await, &charge).await
    }

    async fn hold(&self, hold: Hold) -> Result<Decided, Failure> {
        READS.hold(&*self.pool.lease().await, &hold).await
    }

    async fn pay(&self, pay: Pay) -> Result<Decided, Failure> {
        READS.pay(&*self.pool.lease().await, &pay).await
    }
}
