//! The tables as ordered maps.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Payment, PaymentStatus, Reservation, ReservationStatus, Seat, Section, SectionRow};
use crate::domain::wallet::{Entry, Wallet};
use crate::domain::{
    Change, ConcertId, LogTime, PaymentId, Position, RequestId, ReservationId, ScheduleId, SectionName, UserId,
};
use crate::log::LanePartition;
use crate::store::reads::{Concert, DeadLetterView, Schedule};
use crate::store::{
    CommitBatch, Committed, OutboxRow, Progress, RecordedLog, RequestRow, RequestStatus, StateTable, StoreError,
    assemble,
};

#[derive(Default)]
pub(super) struct State {
    pub concerts: BTreeMap<ConcertId, Concert>,
    pub schedules: BTreeMap<ScheduleId, Schedule>,
    pub sections: BTreeMap<(ScheduleId, SectionName), SectionRow>,
    pub seats: BTreeMap<(ScheduleId, SectionName, u32), Seat>,
    pub reservations: BTreeMap<ReservationId, Reservation>,
    pub payments: BTreeMap<PaymentId, Payment>,
    pub wallets: BTreeMap<UserId, Wallet>,
    /// By (user, number).
    pub entries: BTreeMap<(UserId, u64), Entry>,
    pub queues: BTreeMap<ScheduleId, Queue>,
    /// By (queue, sequence).
    pub tokens: BTreeMap<(ScheduleId, u64), Token>,
    pub requests: BTreeMap<(RequestId, LanePartition), RequestRow>,
    /// By (owner's partition, seq).
    pub outbox: BTreeMap<(LanePartition, u64), OutboxRow>,
    /// With the owner's name.
    pub progress: BTreeMap<LanePartition, (Progress, String)>,
    pub dead_letters: BTreeMap<Position, DeadLetterView>,
    pub log: Option<RecordedLog>,
}

impl State {
    pub fn acquire(&mut self, partition: LanePartition, owner: &str) -> Progress {
        let fresh = Progress { epoch: 0, next_offset: 0, last_time: LogTime(0), next_outbox_seq: 0, state_hash: 0 };
        let (progress, name) = self.progress.entry(partition).or_insert((fresh, String::new()));
        progress.epoch += 1;
        *name = owner.to_owned();
        *progress
    }

    pub fn commit(&mut self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        let partition = batch.partition;
        let Some((progress, _)) = self.progress.get_mut(&partition) else {
            return Ok(Committed::Fenced);
        };
        let expected = (batch.epoch, batch.from_offset);
        if (progress.epoch, progress.next_offset) != expected {
            return Ok(Committed::Fenced);
        }
        for request in &batch.requests {
            if self.requests.contains_key(&(request.request_id, partition)) {
                return Err(StoreError::Failed(format!("request {} is stored already", request.request_id)));
            }
        }
        *progress = Progress {
            epoch: batch.epoch,
            next_offset: batch.next_offset,
            last_time: batch.last_time,
            next_outbox_seq: batch.next_outbox_seq,
            state_hash: batch.state_hash,
        };
        batch.changes.iter().for_each(|change| self.write(change));
        for request in &batch.requests {
            self.requests.insert((request.request_id, partition), request.clone());
        }
        for completion in &batch.completions {
            let row = self.requests.get_mut(&(completion.request_id, partition));
            if let Some(row) = row.filter(|row| row.status == RequestStatus::Pending) {
                row.status = completion.status;
                row.outcome = Some(completion.outcome.clone());
            }
        }
        for row in &batch.outbox {
            self.outbox.insert((partition, row.seq), row.clone());
        }
        for letter in &batch.dead_letters {
            let view = DeadLetterView { letter: letter.clone(), replayed_at: None };
            self.dead_letters.entry(letter.position).or_insert(view);
        }
        Ok(Committed::Done)
    }

    fn write(&mut self, change: &Change) {
        match change.clone() {
            Change::Section(row) => drop(self.sections.insert((row.schedule_id, row.name.clone()), row)),
            Change::Seat(row) => drop(self.seats.insert((row.schedule_id, row.section.clone(), row.number), row)),
            Change::Reservation(row) => drop(self.reservations.insert(row.id, row)),
            Change::Payment(row) => drop(self.payments.insert(row.id, row)),
            Change::Wallet(row) => drop(self.wallets.insert(row.user_id.clone(), row)),
            Change::WalletEntry(row) => drop(self.entries.insert((row.user_id.clone(), row.number), row)),
            Change::Queue(row) => drop(self.queues.insert(row.schedule_id, row)),
            Change::Token(row) => drop(self.tokens.insert((row.schedule_id, row.sequence), row)),
        }
    }

    /// A queue's tokens in order of sequence.
    pub fn tokens(&self, schedule: ScheduleId) -> impl Iterator<Item = &Token> {
        self.tokens.range((schedule, 0)..=(schedule, u64::MAX)).map(|(_, token)| token)
    }

    pub fn load_sections(&self, keys: &[(ScheduleId, SectionName)]) -> Result<Vec<Section>, StoreError> {
        let mut rows = Vec::new();
        let mut seats = Vec::new();
        for key in keys {
            let Some(row) = self.sections.get(key) else { continue };
            rows.push(row.clone());
            let (schedule, name) = key.clone();
            let range = (schedule, name.clone(), 0)..=(schedule, name, u32::MAX);
            seats.extend(self.seats.range(range).map(|(_, seat)| seat.clone()));
        }
        let wanted = |r: &&Reservation| {
            r.is_unfinished() && rows.iter().any(|row| (row.schedule_id, &row.name) == (r.schedule_id, &r.section))
        };
        let reservations: Vec<Reservation> = self.reservations.values().filter(wanted).cloned().collect();
        let payments = reservations.iter().filter_map(|r| self.payments.get(&r.payment?));
        let unfinished = |p: &&Payment| matches!(p.status, PaymentStatus::Pending | PaymentStatus::Completed);
        let payments = payments.filter(unfinished).cloned().collect();
        assemble::sections(rows, seats, reservations, payments)
    }

    pub fn held_sections(&self) -> Vec<(ScheduleId, SectionName, LogTime)> {
        let mut first: BTreeMap<(ScheduleId, SectionName), LogTime> = BTreeMap::new();
        for held in self.reservations.values().filter(|r| r.status == ReservationStatus::Held) {
            let due = first.entry((held.schedule_id, held.section.clone())).or_insert(held.expires_at);
            *due = held.expires_at.min(*due);
        }
        first.into_iter().map(|((schedule, section), due)| (schedule, section, due)).collect()
    }

    /// Rows of one table after this one's key.
    pub fn page(&self, table: StateTable, after: Option<&Change>, limit: usize) -> Vec<Change> {
        macro_rules! page {
            ($rows:expr, $of:ident, $row:ident => $key:expr) => {{
                let after = after.and_then(|change| if let Change::$of($row) = change { Some($key) } else { None });
                rows_after(&$rows, after, limit, |row| Change::$of(row.clone()))
            }};
        }
        match table {
            StateTable::Section => page!(self.sections, Section, row => (row.schedule_id, row.name.clone())),
            StateTable::Seat => page!(self.seats, Seat, row => (row.schedule_id, row.section.clone(), row.number)),
            StateTable::Reservation => page!(self.reservations, Reservation, row => row.id),
            StateTable::Payment => page!(self.payments, Payment, row => row.id),
            StateTable::Wallet => page!(self.wallets, Wallet, row => row.user_id.clone()),
            StateTable::WalletEntry => page!(self.entries, WalletEntry, row => (row.user_id.clone(), row.number)),
            StateTable::Queue => page!(self.queues, Queue, row => row.schedule_id),
            StateTable::Token => page!(self.tokens, Token, row => (row.schedule_id, row.sequence)),
        }
    }

    pub fn forget_before(&mut self, before: LogTime, limit: u32) -> u64 {
        let limit = limit as usize;
        let decided = |row: &RequestRow| row.at < before && row.status != RequestStatus::Pending;
        let requests: Vec<_> =
            self.requests.iter().filter(|(_, row)| decided(row)).map(|(key, _)| *key).take(limit).collect();
        requests.iter().for_each(|key| drop(self.requests.remove(key)));
        let old = self.dead_letters.iter().filter(|(_, view)| view.letter.at < before).map(|(key, _)| *key);
        let letters: Vec<_> = old.take(limit - requests.len()).collect();
        letters.iter().for_each(|key| drop(self.dead_letters.remove(key)));
        (requests.len() + letters.len()) as u64
    }
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
