//! What an owner takes next: what the last batch left, or else what has arrived on the log. Where this stands still, an
//! operator may step in.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::commit::Backoff;
use super::context::Context;
use super::decider::Decider;
use super::decode::Decoded;
use super::interventions::ASK_EVERY;
use super::lanes::LaneAggregate;
use super::portion::Portion;
use super::standing::{Standing, Step};
use crate::domain::LanePartition;
use crate::log::{Membership, PartitionReader, ReadError, Topic};

/// A read that neither gives a record nor fails for so long has nothing to read, unless the log says that there is.
const IDLE_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Intake {
    partition: LanePartition,
    /// Where the log ended when the partition was taken over.
    end: u64,
    caught_up: bool,
    /// `None`: to be opened behind a record that cannot be read.
    reader: Option<Box<dyn PartitionReader>>,
    context: Arc<Context>,
    membership: Arc<dyn Membership>,
    standing: Arc<Standing>,
    backoff: Backoff,
    /// When operators may be asked again.
    ask_at: Instant,
}

impl Intake {
    pub fn new(
        partition: LanePartition,
        reader: Box<dyn PartitionReader>,
        end: u64,
        context: &Arc<Context>,
        membership: &Arc<dyn Membership>,
        standing: &Arc<Standing>,
    ) -> Self {
        Intake {
            partition,
            reader: Some(reader),
            end,
            caught_up: false,
            context: Arc::clone(context),
            membership: Arc::clone(membership),
            standing: Arc::clone(standing),
            backoff: Backoff::new(),
            ask_at: Instant::now(),
        }
    }

    /// Whether all that lay on the log when the partition was taken over has been taken: also the timers' records that
    /// earlier owners appended, so nothing need be appended for the same before.
    pub fn has_caught_up(&self) -> bool {
        self.caught_up
    }

    /// What the last batch left; or else waits until there are so many records as `least` says, at least one, then takes
    /// what else has arrived. `None`: it has just caught up. Cancel-safe: what has come so far waits in the decider.
    ///
    /// # Errors
    /// Why nothing can be read from this offset on.
    pub async fn take<A: LaneAggregate>(
        &mut self,
        decider: &mut Decider<A>,
        portion: &Portion,
        least: usize,
    ) -> Result<Option<Decoded<A>>, String> {
        loop {
            if !self.caught_up && self.catches_up(decider.progress().next_offset) {
                self.caught_up = true;
                return Ok(None);
            }
            match decider.waits(self.context.deps.clock.now()) {
                None => self.read(decider, portion).await?,
                Some((_, Ok(()))) => {
                    self.gather(decider, portion, least).await?;
                    if let Some(records) = decider.take_rest() {
                        return Ok(Some(records));
                    }
                }
                Some((offset, Err(reason))) => {
                    self.standing.waits_for_time(&reason);
                    let from = decider.progress().next_offset;
                    decider.interventions().stand_at(from, offset);
                    self.ask_operators(decider).await;
                    decider.skip_rest(self.context.deps.clock.now());
                }
            }
        }
    }

    /// Adds what has arrived, and waits until there are so many. An error is met again when nothing waits to be decided.
    async fn gather<A: LaneAggregate>(
        &mut self,
        decider: &mut Decider<A>,
        portion: &Portion,
        least: usize,
    ) -> Result<(), String> {
        let settings = &self.context.settings;
        let most = portion.of(settings.batch_records_max);
        while let Some((has, bytes)) = decider.may_grow()
            && has < most
            && bytes < settings.batch_bytes_max
            && let Some(reader) = &mut self.reader
        {
            let next = reader.next(most - has, settings.batch_bytes_max - bytes);
            let read = if has < least { Some(next.await) } else { next.now_or_never() };
            match read {
                Some(Ok(records)) if !records.is_empty() => {
                    decider.add(records, self.context.deps.clock.now());
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    async fn read<A: LaneAggregate>(&mut self, decider: &mut Decider<A>, portion: &Portion) -> Result<(), String> {
        let settings = &self.context.settings;
        let read = match &mut self.reader {
            Some(reader) => {
                let next = reader.next(portion.of(settings.batch_records_max), settings.batch_bytes_max);
                match timeout(IDLE_AFTER, next).await {
                    Ok(read) => read,
                    Err(_) => {
                        self.nothing_came(decider.progress().next_offset);
                        return Ok(());
                    }
                }
            }
            None => {
                let opened = self.membership.open(self.partition, decider.progress().next_offset).await;
                opened.map(|reader| {
                    self.reader = Some(reader);
                    Vec::new()
                })
            }
        };
        match read {
            Ok(records) if records.is_empty() => {}
            Ok(records) => {
                self.backoff = Backoff::new();
                self.standing.done(Step::Read);
                decider.put(records, self.context.deps.clock.now());
            }
            Err(error @ ReadError::OutOfRange { .. }) => return Err(error.to_string()),
            Err(ReadError::Unavailable(reason)) => self.unreadable(decider, &reason).await,
        }
        Ok(())
    }

    /// Reads again, unless an operator skipped what cannot be read: then behind it.
    async fn unreadable<A: LaneAggregate>(&mut self, decider: &mut Decider<A>, error: &str) {
        debug!(partition = %self.partition, error, "reading again");
        self.standing.failed(Step::Read, error);
        let now = self.context.deps.clock.now();
        if decider.put_unreadable(now) {
            // The next record has not failed yet: what is given for it waits until it has stood still as long.
            self.standing.done(Step::Read);
            self.reader = None;
            return;
        }
        if self.standing.is_stalled(Step::Read) {
            let offset = decider.progress().next_offset;
            decider.interventions().stand_at(offset, offset);
            self.ask_operators(decider).await;
        } else {
            self.backoff.wait().await;
        }
    }

    /// Waits until it may, then reads what operators gave.
    async fn ask_operators<A: LaneAggregate>(&mut self, decider: &mut Decider<A>) {
        sleep_until(self.ask_at).await;
        let deps = &self.context.deps;
        let given = deps.store.interventions(self.partition, decider.progress().next_offset).await;
        let end = deps.log.end_offset(Topic::Lane(self.partition.lane), self.partition.partition).await;
        self.ask_at = Instant::now() + ASK_EVERY;
        match (given, end) {
            (Ok(rows), Ok(end)) => decider.interventions().refresh(rows, end),
            (Err(error), _) => debug!(partition = %self.partition, %error, "interventions cannot be read"),
            (_, Err(error)) => debug!(partition = %self.partition, %error, "the log's end is not known"),
        }
    }

    /// Offsets at the end may be no records: transaction markers.
    fn catches_up(&self, next_offset: u64) -> bool {
        let passed = self.reader.as_ref().and_then(|reader| reader.reach()).map_or(0, |reach| reach.passed);
        next_offset.max(passed) >= self.end
    }

    /// A reader that has recovered on an idle partition would otherwise be shown as failing until the next record.
    fn nothing_came(&mut self, next_offset: u64) {
        match self.reader.as_ref().and_then(|reader| reader.reach()) {
            None if next_offset < self.end => {
                let what = format!("the log has records up to {}, none came after {next_offset}", self.end);
                self.standing.failed(Step::Read, what);
            }
            Some(reach) if reach.passed < self.end => {
                let what = format!("the log has records up to {}, none came after {}", self.end, reach.passed);
                self.standing.failed(Step::Read, what);
            }
            Some(reach) if reach.passed < reach.readable => {
                let what = format!("the log has records up to {}, none came after {}", reach.readable, reach.passed);
                self.standing.failed(Step::Read, what);
            }
            Some(reach) if reach.readable < reach.end => {
                let what = format!("a transaction is open at {}, the log ends at {}", reach.readable, reach.end);
                self.standing.failed(Step::Read, what);
            }
            _ => {
                self.backoff = Backoff::new();
                self.standing.idle();
            }
        }
    }
}
