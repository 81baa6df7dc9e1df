//! Bugs of an owner or an API server that look from outside like a log that lies.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::timeout;
use turnstile::domain::{Body, Command, LanePartition, RequestId, block, queue, wallet};
use turnstile::log::{
    AppendError, AppendFuture, Appended, GroupEvent, Log, LogIdentity, Membership, NewRecord, PartitionCounts,
    PartitionReader, ReadError, Record, Timestamp, Topic,
};
use turnstile::runtime::clock::Clock;
use turnstile::wire;

use super::Mutant;

/// How long a record waits to be overtaken by the next one.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(20);

/// Ids of refunds: each is used once.
static REFUNDS: AtomicU64 = AtomicU64::new(1);

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Owner,
    Api,
}

/// The log as a worker or an API server sees it.
pub fn seen_by(side: Side, mutant: Option<Mutant>, below: Arc<dyn Log>, clock: Clock) -> Arc<dyn Log> {
    let Some(mutant) = mutant else { return below };
    Arc::new(Liar(Arc::new(Lies { side, mutant, below, clock, held: Mutex::default() })))
}

struct Liar(Arc<Lies>);

struct Lies {
    side: Side,
    mutant: Mutant,
    below: Arc<dyn Log>,
    clock: Clock,
    /// Records that wait to be overtaken, by their partition.
    held: Mutex<BTreeMap<(Topic, u32), oneshot::Sender<()>>>,
}

fn done() -> AppendFuture {
    futures_util::future::ready(Ok(Appended { offset: 0 })).boxed()
}

impl Lies {
    fn append(self: &Arc<Self>, topic: Topic, partition: u32, record: NewRecord) -> AppendFuture {
        let append = |record| self.below.append(topic, partition, record);
        let command = wire::command::decode(&record.value).ok();
        let body = command.as_ref().map(|command| &command.body);
        match (self.side, self.mutant) {
            (Side::Owner, Mutant::StrayDropped) if wire::headers::hops(&record.headers) > 0 => done(),
            (Side::Owner, Mutant::TokenNotCompleted)
                if matches!(body, Some(Body::Queues(queue::Command::CompleteToken(_)))) =>
            {
                done()
            }
            (Side::Api, Mutant::SeenNotReported) if matches!(body, Some(Body::Queues(queue::Command::Seen(_)))) => {
                append(of_nobody(command, record))
            }
            (Side::Api, Mutant::AcceptedBeforeLog) => {
                drop(append(record));
                done()
            }
            (Side::Owner, Mutant::FailedAppendIsDone) => unless_refused(append(record)),
            (Side::Owner, Mutant::Reordered) if topic == Topic::Outcomes => self.swap((topic, partition), record),
            (Side::Owner, Mutant::FollowUpTwice) => {
                if let Some(command) = command.filter(|command| command.body.is_internal()) {
                    let again = command.request_id.0.as_u128() ^ 1;
                    drop(append(under(again, command, &record)));
                }
                append(record)
            }
            (Side::Owner, Mutant::RefundWithoutKey) => match command {
                Some(command) if matches!(command.body, Body::Wallets(wallet::Command::CreditWallet(_))) => {
                    let fresh = REFUNDS.fetch_add(1, Ordering::Relaxed).into();
                    append(under(fresh, command, &record))
                }
                _ => append(record),
            },
            _ => append(record),
        }
    }

    /// Appends the second of two records before the first.
    fn swap(self: &Arc<Self>, place: (Topic, u32), record: NewRecord) -> AppendFuture {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = held.remove(&place) {
            let second = self.below.append(place.0, place.1, record);
            // The first may have stopped waiting.
            let _ = first.send(());
            return second;
        }
        let (overtake, overtaken) = oneshot::channel();
        held.insert(place, overtake);
        let lies = Arc::clone(self);
        let first = tokio::spawn(async move {
            let _ = timeout(OVERTAKEN_WITHIN, overtaken).await;
            let append = lies.below.append(place.0, place.1, record);
            append.await
        });
        async move { first.await.unwrap_or_else(|_| Err(AppendError::Unacknowledged("aborted".into()))) }.boxed()
    }

    /// A record as the owner sees it: some have the time of its own clock.
    fn stamped(&self, mut record: Record) -> Record {
        let body =
            record.value.as_ref().and_then(|value| wire::command::decode(value).ok()).map(|command| command.body);
        let wrong = match self.mutant {
            Mutant::WallClock => true,
            Mutant::ExpiryByWallClock => matches!(body, Some(Body::Seats(block::Command::ExpireHolds(_)))),
            Mutant::GoneByWallClock => matches!(body, Some(Body::Queues(queue::Command::Tick(_)))),
            _ => false,
        };
        if wrong {
            record.timestamp = Timestamp::LogAppend(self.clock.now().0);
        }
        record
    }
}

/// The same command under another id.
fn under(id: u128, command: Command, record: &NewRecord) -> NewRecord {
    let command = Command { request_id: RequestId(uuid::Uuid::from_u128(id)), ..command };
    NewRecord { value: wire::command::encode(&command).into(), ..record.clone() }
}

/// A report of whom the server saw, without them.
fn of_nobody(command: Option<Command>, record: NewRecord) -> NewRecord {
    let Some(mut command) = command else { return record };
    if let Body::Queues(queue::Command::Seen(seen)) = &mut command.body {
        seen.sightings.clear();
    }
    NewRecord { value: wire::command::encode(&command).into(), ..record }
}

fn unless_refused(append: AppendFuture) -> AppendFuture {
    let judged = append.map(|ack| match ack {
        Err(AppendError::Unacknowledged(_)) => Ok(Appended { offset: 0 }),
        ack => ack,
    });
    judged.boxed()
}

#[async_trait]
impl Log for Liar {
    fn partitions(&self) -> &PartitionCounts {
        self.0.below.partitions()
    }

    async fn identity(&self) -> Result<LogIdentity, ReadError> {
        self.0.below.identity().await
    }

    fn append(&self, topic: Topic, partition: u32, record: NewRecord) -> AppendFuture {
        self.0.append(topic, partition, record)
    }

    async fn end_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        self.0.below.end_offset(topic, partition).await
    }

    async fn first_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        self.0.below.first_offset(topic, partition).await
    }

    async fn read(&self, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        self.0.below.read(topic, partition, start).await
    }

    async fn join(&self, member: &str) -> Result<Box<dyn Membership>, ReadError> {
        let member = self.0.below.join(member).await?;
        Ok(Box::new(Member { lies: Arc::clone(&self.0), member }))
    }

    async fn flush(&self, deadline: Duration) {
        self.0.below.flush(deadline).await;
    }
}

struct Member {
    lies: Arc<Lies>,
    member: Box<dyn Membership>,
}

#[async_trait]
impl Membership for Member {
    async fn event(&self) -> GroupEvent {
        self.member.event().await
    }

    async fn open(&self, partition: LanePartition, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        let reader = self.member.open(partition, start).await?;
        Ok(Box::new(Reader { lies: Arc::clone(&self.lies), reader }))
    }

    fn release(&self, partition: LanePartition) {
        self.member.release(partition);
    }

    fn report(&self, partition: LanePartition, next_offset: u64) {
        self.member.report(partition, next_offset);
    }

    async fn leave(&self) {
        self.member.leave().await;
    }
}

struct Reader {
    lies: Arc<Lies>,
    reader: Box<dyn PartitionReader>,
}

#[async_trait]
impl PartitionReader for Reader {
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let records = self.reader.next(records_max, bytes_max).await?;
        Ok(records.into_iter().map(|record| self.lies.stamped(record)).collect())
    }
}
