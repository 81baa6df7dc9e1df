//! Reads a partition of the simulated log as far as it is visible, over its markers.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};
use turnstile::log::{PartitionReader, ReadError, Record, Topic};

use crate::log::{DAMAGED, SimLog};

pub struct Reader {
    log: Arc<SimLog>,
    place: (Topic, u32),
    next: u64,
}

impl Reader {
    pub fn new(log: Arc<SimLog>, place: (Topic, u32), next: u64) -> Reader {
        Reader { log, place, next }
    }

    /// When the next record can be read, and whether it is damaged.
    fn find(&mut self) -> Option<(Instant, bool)> {
        let partitions = self.log.lock();
        let slots = partitions[&self.place].slots.get(self.next as usize..)?;
        let markers = slots.iter().take_while(|slot| slot.marker).count();
        self.next += markers as u64;
        slots.get(markers).map(|slot| (slot.visible_at, slot.damaged))
    }
}

#[async_trait]
impl PartitionReader for Reader {
    async fn next(&mut self, records_max: usize, _bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let log = Arc::clone(&self.log);
        let arrivals = &log.arrivals[&self.place];
        loop {
            let arrived = arrivals.notified();
            match self.find() {
                Some((at, true)) if at <= Instant::now() => return Err(ReadError::Unavailable(DAMAGED.into())),
                Some((at, false)) if at <= Instant::now() => break,
                Some((at, _)) => sleep_until(at).await,
                None => arrived.await,
            }
        }
        log.reached().await?;
        let now = Instant::now();
        let most = if log.sim.faulty() { 1 + log.sim.below(records_max.min(64) as u64) as usize } else { records_max };
        let partitions = log.lock();
        let slots = partitions[&self.place].slots.iter().skip(self.next as usize);
        let visible = slots.take_while(|slot| slot.visible_at <= now && !slot.damaged);
        let records: Vec<Record> =
            visible.filter(|slot| !slot.marker).take(most).map(|slot| slot.record.clone()).collect();
        if let Some(last) = records.last() {
            self.next = last.offset + 1;
        }
        Ok(records)
    }
}
