//! Appends a dead letter to the log again, under the name of who wanted it. The server need not stop for it.

use crate::domain::{Position, UserId};
use crate::log::{AppendError, Appended, Log, NewRecord, Topic};
use crate::runtime::clock::Clock;
use crate::store::{DeadLetterView, DeadLetters, DoneBy, StoreError};
use crate::wire::headers::{HOPS, REPLAYED_BY};
use crate::wire::routing::partition_for;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("there is no dead letter {0}")]
    Missing(Position),
    #[error("{0} has no value to replay")]
    NoValue(Position),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where it lies now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    pub topic: Topic,
    pub partition: u32,
    pub offset: u64,
}

/// Appends it to the partition it came from, where the owner forwards a stray; an outbox row to where it was to go. A
/// second replay is harmless: what was decided is decided once.
pub async fn replay(
    log: &dyn Log,
    store: &dyn DeadLetters,
    clock: &Clock,
    position: Position,
    by: &UserId,
) -> Result<Replayed, ReplayError> {
    let DeadLetterView { letter, .. } = store.dead_letter(position).await?.ok_or(ReplayError::Missing(position))?;
    let value = letter.value.ok_or(ReplayError::NoValue(position))?;
    // Resets the hop count: a record with too many hops would become a dead letter again.
    let kept = letter.headers.into_iter().filter(|(name, _)| name != HOPS && name != REPLAYED_BY);
    let headers = kept.chain([(REPLAYED_BY.into(), by.as_str().to_owned().into())]).collect();
    let key = letter.key.unwrap_or_default();
    let (topic, partition) = match letter.unsent_to {
        None => (Topic::Lane(position.lane()), position.partition.partition),
        Some(topic) => (topic, partition_for(&String::from_utf8_lossy(&key), log.partitions().of(topic))),
    };
    let record = NewRecord { key: key.into(), value: value.into(), headers };
    let Appended { offset } = log.append(topic, partition, record).await?;
    store.mark_replayed(position, &DoneBy { by: by.clone(), at: clock.now() }).await?;
    Ok(Replayed { topic, partition, offset })
}
