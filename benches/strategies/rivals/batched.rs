//! The fairest rival: batches in the server, a procedure that decides each as a set, one transaction a batch.

use async_trait::async_trait;

use super::batcher::{Batcher, Command};
use super::session::Place;
use super::{Charge, Decided, Failure, Hold, Pay, Rival};

pub struct Batched {
    batcher: Batcher,
}

impl Batched {
    pub async fn connect(place: &Place, ways: usize) -> anyhow::Result<Batched> {
        Ok(Batched { batcher: Batcher::connect(place, ways).await? })
    }
}

#[async_trait]
impl Rival for Batched {
    async fn charge(&self, charge: Charge) -> Result<Decided, Failure> {
        self.batcher.decide(Command::Charge(charge)).await
    }

    async fn hold(&self, hold: Hold) -> Result<Decided, Failure> {
        self.batcher.decide(Command::Hold(hold)).await
    }

    async fn pay(&self, pay: Pay) -> Result<Decided, Failure> {
        self.batcher.decide(Command::Pay(pay)).await
    }
}
