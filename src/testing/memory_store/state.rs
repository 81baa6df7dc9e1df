//! The tables as ordered maps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::block::{self, BlockRow, Payment, Reservation, Seat, SectionRow};
use crate::domain::queue::{self, Queue, Token};
use crate::domain::wallet::{self, AnswerKind, Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{
    BlockKey, Changes, ConcertId, LanePartition, LogTime, PaymentId, Position, ReservationId, Row, ScheduleId, SeatId,
    SectionName, UserId,
};
use crate::store::{
    AuditRun, CommitBatch, CommitGroup, Committed, Concert, DeadLetter, DeadLetterView, FailedEvent, Intervention,
    Lease, OutboxRow, PartitionEvent, PlanRow, Process, Progress, RecordedLog, RequestCompletion, RequestKey,
    RequestRow, RequestState, Schedule, StateTable, StoreError, Webhook, WebhookNote, WebhookProgress,
};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Clone, Default)]
pub(super) struct State {
    pub concerts: BTreeMap<ConcertId, Concert>,
    pub schedules: BTreeMap<ScheduleId, Schedule>,
    pub plans: BTreeMap<String, PlanRow>,
    pub blocks: BTreeMap<BlockKey, BlockRow>,
    pub sections: BTreeMap<(BlockKey, SectionName), SectionRow>,
    pub seats: BTreeMap<(BlockKey, SeatId), Seat>,
    pub reservations: BTreeMap<ReservationId, Reservation>,
    pub payments: BTreeMap<PaymentId, Payment>,
    pub wallets: BTreeMap<UserId, Wallet>,
    /// By (user, number).
    pub entries: BTreeMap<(UserId, u64), Entry>,
    /// The numbers of entries by what caused them; unique within a wallet.
    pub causes: BTreeMap<(Uuid, EntryKind), BTreeMap<UserId, u64>>,
    pub answers: BTreeMap<(PaymentId, AnswerKind, UserId), PaymentAnswer>,
    pub queues: BTreeMap<ScheduleId, Queue>,
    /// By (queue, sequence).
    pub tokens: BTreeMap<(ScheduleId, u64), Token>,
    pub requests: BTreeMap<(RequestKey, LanePartition), RequestRow>,
    /// By (owner's partition, seq).
    pub outbox: BTreeMap<(LanePartition, u64), OutboxRow>,
    pub progress: BTreeMap<LanePartition, ProgressRow>,
    pub dead_letters: BTreeMap<Position, DeadLetterView>,
    pub interventions: BTreeMap<Uuid, Intervention>,
    pub log: Option<RecordedLog>,
    /// By name, with when it was last heard of.
    pub processes: BTreeMap<String, (Process, Instant)>,
    pub audit: Option<AuditRun>,
    pub webhooks: BTreeMap<Uuid, Webhook>,
    /// With the epoch that wrote it.
    pub webhook_progress: BTreeMap<Uuid, (u64, WebhookProgress)>,
    pub failed_events: BTreeMap<(Uuid, String), FailedEvent>,
    pub webhook_notes: BTreeMap<Uuid, WebhookNote>,
    /// By sequence.
    pub partition_events: BTreeMap<u64, PartitionEvent>,
    pub notifier: Option<Lease>,
}

#[derive(Clone)]
pub(super) struct ProgressRow {
    pub progress: Progress,
    pub owner: String,
    pub published_seq: u64,
    /// The log's end, if known, and the next outbox row of when it was last acquired.
    pub taken_end: Option<u64>,
    pub taken_seq: u64,
}

impl ProgressRow {
    pub fn caught_up(&self) -> bool {
        self.taken_end.is_some_and(|end| self.progress.next_offset >= end) && self.published_seq >= self.taken_seq
    }
}

impl State {
    pub fn acquire(&mut self, partition: LanePartition, owner: &str) -> Progress {
        let new = || ProgressRow {
            progress: Progress::NONE,
            owner: String::new(),
            published_seq: 0,
            taken_end: None,
            taken_seq: 0,
        };
        let row = self.progress.entry(partition).or_insert_with(new);
        row.progress.epoch += 1;
        row.owner = owner.to_owned();
        (row.taken_end, row.taken_seq) = (None, row.progress.next_outbox_seq);
        row.progress
    }

    /// As one statement of an SQL store: every part sees the rows from before.
    pub fn commit_group(&mut self, group: &CommitGroup) -> Result<Vec<Committed>> {
        let mut judged: Vec<Committed> = group.batches.iter().map(|batch| self.judge(batch)).collect::<Result<_>>()?;
        let fenced = |of: LanePartition| {
            let mut batches = group.batches.iter().zip(&judged);
            batches.any(|(batch, committed)| batch.partition == of && *committed == Committed::Fenced)
        };
        let (mut passed, mut alone) = (Vec::new(), Vec::new());
        for published in &group.published {
            let is_owner = |row: &ProgressRow| row.progress.epoch == published.epoch;
            let is_owner = self.progress.get(&published.partition).is_some_and(is_owner);
            if is_owner && !fenced(published.partition) {
                passed.push(published);
            }
            if group.batches.iter().all(|batch| batch.partition != published.partition) {
                alone.push(if is_owner { Committed::Done } else { Committed::Fenced });
            }
        }
        passed.into_iter().for_each(|of| self.published(of.partition, of.seqs.clone()));
        for (batch, committed) in group.batches.iter().zip(&judged) {
            if *committed == Committed::Done {
                self.write(batch);
            }
        }
        judged.append(&mut alone);
        Ok(judged)
    }

    /// The log has these outbox rows and all before.
    pub fn published(&mut self, partition: LanePartition, seqs: Range<u64>) {
        if let Some(row) = self.progress.get_mut(&partition) {
            row.published_seq = row.published_seq.max(seqs.end);
        }
        self.outbox.retain(|(of, seq), _| *of != partition || !seqs.contains(seq));
    }

    fn judge(&self, batch: &CommitBatch) -> Result<Committed> {
        let (before, after) = (batch.before, batch.after);
        if before.epoch != after.epoch {
            return Err(StoreError::Failed(format!("a batch of epochs {} and {}", before.epoch, after.epoch)));
        }
        let now = self.progress.get(&batch.partition).map(|row| (row.progress.epoch, row.progress.next_offset));
        if now != Some((before.epoch, before.next_offset)) {
            return Ok(Committed::Fenced);
        }
        self.check(batch)?;
        Ok(Committed::Done)
    }

    fn write(&mut self, batch: &CommitBatch) {
        let partition = batch.partition;
        if let Some(row) = self.progress.get_mut(&partition) {
            row.progress = batch.after;
        }
        match batch.changes.clone() {
            Changes::Seats(rows) => rows.into_iter().for_each(|row| self.write_seats(row)),
            Changes::Wallets(rows) => rows.into_iter().for_each(|row| self.write_wallets(row)),
            Changes::Queues(rows) => rows.into_iter().for_each(|row| self.write_queues(row)),
            Changes::Inbox => {}
        }
        for completion in &batch.completions {
            if let Some(row) = self.requests.get_mut(&(completed(completion), partition)) {
                row.state = RequestState::Decided(completion.decided.clone());
            }
        }
        for request in &batch.requests {
            self.requests.insert((request.key, partition), request.clone());
        }
        for row in &batch.outbox {
            self.outbox.insert((partition, row.seq), row.clone());
        }
        batch.dead_letters.iter().for_each(|letter| self.keep(letter));
        for row in &batch.interventions {
            self.interventions.insert(row.id, row.clone());
        }
    }

    pub fn keep(&mut self, letter: &DeadLetter) {
        let view = DeadLetterView { letter: letter.clone(), replayed: None, dismissed: None };
        self.dead_letters.entry(letter.position).or_insert(view);
    }

    /// What the SQL stores' unique indexes refuse, and completions that find no request.
    fn check(&self, batch: &CommitBatch) -> Result<()> {
        let mut requests = BTreeSet::new();
        for request in &batch.requests {
            if !requests.insert(request.key) {
                return Err(StoreError::Failed(format!("request {} is decided twice", request.key.id)));
            }
        }
        if let Some(row) = batch.outbox.iter().find(|row| self.outbox.contains_key(&(batch.partition, row.seq))) {
            return Err(StoreError::Failed(format!("outbox row {} is stored already", row.seq)));
        }
        let waits = |row: &RequestRow| row.state == RequestState::Pending;
        for completion in &batch.completions {
            if !self.requests.get(&(completed(completion), batch.partition)).is_some_and(waits) {
                return Err(StoreError::Failed("1 completions found no pending request".to_owned()));
            }
        }
        let Changes::Wallets(rows) = &batch.changes else { return Ok(()) };
        let mut causes = BTreeMap::new();
        for row in rows {
            let entry = match row {
                wallet::Row::Entry(entry) => entry,
                wallet::Row::Answer(row)
                    if self.answers.contains_key(&(row.payment_id, row.kind, row.user_id.clone())) =>
                {
                    return Err(StoreError::Failed(format!("an answer to {} is stored already", row.payment_id)));
                }
                wallet::Row::Wallet(_) | wallet::Row::Answer(_) => continue,
            };
            if self.entries.contains_key(&(entry.user_id.clone(), entry.number)) {
                return Err(StoreError::Failed(format!("entry {} is stored already", entry.number)));
            }
            let (cause, user) = ((entry.cause, entry.kind), &entry.user_id);
            let stored = self.causes.get(&cause).and_then(|users| users.get(user)).copied();
            if stored.or_else(|| causes.insert((cause, user), entry.number)).is_some() {
                return Err(StoreError::Failed(format!("an entry of cause {} is stored already", entry.cause)));
            }
        }
        Ok(())
    }

    fn write_seats(&mut self, row: block::Row) {
        match row {
            block::Row::Block(row) => drop(self.blocks.insert(row.key.clone(), row)),
            block::Row::Section(row) => drop(self.sections.insert((row.key.clone(), row.name.clone()), row)),
            block::Row::Seat(row) => drop(self.seats.insert((row.key.clone(), row.id.clone()), row)),
            block::Row::Reservation(row) => drop(self.reservations.insert(row.id, row)),
            block::Row::Payment(row) => drop(self.payments.insert(row.id, row)),
        }
    }

    fn write_wallets(&mut self, row: wallet::Row) {
        match row {
            wallet::Row::Wallet(row) => drop(self.wallets.insert(row.user_id.clone(), row)),
            wallet::Row::Entry(row) => {
                self.entries.insert((row.user_id.clone(), row.number), row.clone());
                self.causes.entry((row.cause, row.kind)).or_default().insert(row.user_id, row.number);
            }
            wallet::Row::Answer(row) => drop(self.answers.insert((row.payment_id, row.kind, row.user_id.clone()), row)),
        }
    }

    fn write_queues(&mut self, row: queue::Row) {
        match row {
            queue::Row::Queue(row) => drop(self.queues.insert(row.schedule_id, row)),
            queue::Row::Token(row) => drop(self.tokens.insert((row.schedule_id, row.sequence), row)),
        }
    }

    /// A queue's tokens in order of sequence.
    pub fn tokens(&self, schedule: ScheduleId) -> impl Iterator<Item = &Token> {
        self.tokens.range((schedule, 0)..=(schedule, u64::MAX)).map(|(_, token)| token)
    }

    /// A block's sections in order of rank.
    pub fn sections_of(&self, key: &BlockKey) -> Vec<SectionRow> {
        let mut sections: Vec<_> = of_block(&self.sections, key).cloned().collect();
        sections.sort_by_key(|section| section.rank);
        sections
    }

    /// A block's touched seats in order of section and number.
    pub fn seats_of(&self, key: &BlockKey) -> Vec<Seat> {
        of_block(&self.seats, key).cloned().collect()
    }

    pub fn load_block(&self, key: &BlockKey) -> Option<block::Rows> {
        let block = self.blocks.get(key)?.clone();
        let unfinished = |row: &&Reservation| row.key == *key && row.state.is_unfinished();
        let reservations: Vec<_> = self.reservations.values().filter(unfinished).cloned().collect();
        let named: BTreeSet<PaymentId> = reservations.iter().filter_map(|row| row.state.payment()).collect();
        let payments = named.iter().filter_map(|id| self.payments.get(id));
        let payments = payments.filter(|payment| payment.state.is_unfinished()).cloned().collect();
        Some(block::Rows { block, sections: self.sections_of(key), seats: self.seats_of(key), reservations, payments })
    }

    /// Rows of one table after this one's key.
    pub fn page(&self, table: StateTable, after: Option<&Row>, limit: usize) -> Vec<Row> {
        macro_rules! page {
            ($rows:expr, $lane:ident, $of:path, $row:ident => $key:expr) => {{
                let after = after.and_then(|row| if let Row::$lane($of($row)) = row { Some($key) } else { None });
                rows_after(&$rows, after, limit, |row| Row::$lane($of(row.clone())))
            }};
        }
        match table {
            StateTable::Block => page!(self.blocks, Seats, block::Row::Block, row => row.key.clone()),
            StateTable::Section => {
                page!(self.sections, Seats, block::Row::Section, row => (row.key.clone(), row.name.clone()))
            }
            StateTable::Seat => page!(self.seats, Seats, block::Row::Seat, row => (row.key.clone(), row.id.clone())),
            StateTable::Reservation => page!(self.reservations, Seats, block::Row::Reservation, row => row.id),
            StateTable::Payment => page!(self.payments, Seats, block::Row::Payment, row => row.id),
            StateTable::Wallet => page!(self.wallets, Wallets, wallet::Row::Wallet, row => row.user_id.clone()),
            StateTable::WalletEntry => {
                page!(self.entries, Wallets, wallet::Row::Entry, row => (row.user_id.clone(), row.number))
            }
            StateTable::PaymentAnswer => {
                page!(self.answers, Wallets, wallet::Row::Answer, row => (row.payment_id, row.kind, row.user_id.clone()))
            }
            StateTable::Queue => page!(self.queues, Queues, queue::Row::Queue, row => row.schedule_id),
            StateTable::Token => page!(self.tokens, Queues, queue::Row::Token, row => (row.schedule_id, row.sequence)),
        }
    }

    pub fn forget_requests(&mut self, of: LanePartition, before: LogTime, limit: u32) -> u64 {
        let old = |row: &RequestRow| row.state.decided_at().is_some_and(|at| at < before);
        let of_partition = self.requests.iter().filter(|((_, partition), row)| *partition == of && old(row));
        let keys: Vec<_> = of_partition.map(|(key, _)| *key).take(limit as usize).collect();
        keys.iter().for_each(|key| drop(self.requests.remove(key)));
        keys.len() as u64
    }

    pub fn forget_dead_letters(&mut self, of: LanePartition, before: LogTime, limit: u32) -> u64 {
        let old = |view: &DeadLetterView| {
            let done = view.replayed.as_ref().or(view.dismissed.as_ref());
            done.is_some_and(|done| done.at < before)
        };
        let of_partition = self.dead_letters.iter().filter(|(at, view)| at.partition == of && old(view));
        let positions: Vec<_> = of_partition.map(|(at, _)| *at).take(limit as usize).collect();
        positions.iter().for_each(|at| drop(self.dead_letters.remove(at)));
        positions.len() as u64
    }
}

fn completed(completion: &RequestCompletion) -> RequestKey {
    RequestKey { id: completion.request_id, internal: false }
}

/// The rows of one block, in order of the rest of their keys.
fn of_block<'a, K, R>(rows: &'a BTreeMap<(BlockKey, K), R>, key: &'a BlockKey) -> impl Iterator<Item = &'a R> {
    rows.iter().filter(move |((of, _), _)| of == key).map(|(_, row)| row)
}

/// At most `limit` rows after this key, in order of key.
pub(super) fn rows_after<K: Ord, R, T>(
    rows: &BTreeMap<K, R>,
    after: Option<K>,
    limit: usize,
    map: impl Fn(&R) -> T,
) -> Vec<T> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    rows.range((from, Bound::Unbounded)).take(limit).map(|(_, row)| map(row)).collect()
}
