//! The front door's and the operators' reads over the maps.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::MemoryStore;
use super::state::State;
use crate::domain::block::{Payment, Reservation, ReservationStatus, SeatStatus};
use crate::domain::queue::{Queue, Token};
use crate::domain::wallet::{Entry, Wallet};
use crate::domain::{
    BlockKey, BlockName, ConcertId, LanePartition, LogTime, PaymentId, Position, RequestId, ReservationId, ScheduleId,
    UserId,
};
use crate::store::{
    AuditRun, BlockSeats, BlockView, Catalog, Concert, DeadLetterView, DeadLetters, DoneBy, Operations, Page, PlanRow,
    PlanSummary, Process, ProcessView, ProgressView, Reads, RequestRow, SaleCounts, Schedule, ScheduleView, StoreError,
};

type Result<T> = std::result::Result<T, StoreError>;

/// Most tokens [`Reads::tokens_of`] gives.
const TOKENS_OF_MAX: usize = 10;

/// Rows with the greatest key first, those after the page's last row only.
fn newest_first<'a, Row: Clone + 'a, Key: Ord>(
    rows: impl Iterator<Item = &'a Row>,
    key: impl Fn(&Row) -> Key,
    page: Page<Key>,
) -> Vec<Row> {
    let mut rows: Vec<&Row> = rows.filter(|row| page.after.as_ref().is_none_or(|after| key(row) < *after)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(key(row)));
    rows.into_iter().take(page.limit as usize).cloned().collect()
}

/// In the order the SQL stores have: lanes by their names.
fn letter_order(view: &DeadLetterView) -> (LogTime, &'static str, u32, u64) {
    let position = view.letter.position;
    (view.letter.at, position.lane().as_str(), position.partition.partition, position.offset)
}

/// In order of name.
fn blocks_of(state: &State, schedule: ScheduleId) -> impl Iterator<Item = &BlockKey> {
    state.blocks.keys().filter(move |key| key.schedule_id == schedule)
}

fn schedule_view(state: &State, schedule: &Schedule) -> ScheduleView {
    let view = |key: &BlockKey| BlockView { row: state.blocks[key].clone(), sections: state.sections_of(key) };
    ScheduleView { schedule: schedule.clone(), blocks: blocks_of(state, schedule.id).map(view).collect() }
}

#[async_trait]
impl Catalog for MemoryStore {
    async fn insert_concert(&self, concert: &Concert) -> Result<()> {
        self.write(|state| {
            state.concerts.entry(concert.id).or_insert_with(|| concert.clone());
        })
    }

    async fn insert_schedule(&self, schedule: &Schedule) -> Result<()> {
        self.write(|state| {
            state.schedules.entry(schedule.id).or_insert_with(|| schedule.clone());
        })
    }

    async fn concerts(&self, page: Page<ConcertId>) -> Result<Vec<Concert>> {
        self.read(|state| newest_first(state.concerts.values(), |concert| concert.id, page))
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>> {
        self.read(|state| state.concerts.get(&id).cloned())
    }

    async fn schedules(
        &self,
        concert: ConcertId,
        from: Option<LogTime>,
        page: Page<ScheduleId>,
    ) -> Result<Vec<ScheduleView>> {
        self.read(|state| {
            let key = |schedule: &Schedule| (schedule.starts_at, schedule.id);
            let after = page.after.map(|id| state.schedules.get(&id).map(key));
            // After a date that is not there comes nothing.
            let follows = |schedule: &&Schedule| match after {
                None => true,
                Some(after) => after.is_some_and(|after| key(schedule) > after),
            };
            let of_concert = state.schedules.values().filter(|schedule| schedule.concert_id == concert);
            let mut rows: Vec<&Schedule> = of_concert.filter(follows).collect();
            rows.sort_by_key(|schedule| key(schedule));
            let amended = |view: &ScheduleView| {
                let starts = view.blocks.iter().map(|block| block.row.terms.starts_at);
                starts.max().unwrap_or(view.schedule.starts_at)
            };
            let views = rows.into_iter().map(|schedule| schedule_view(state, schedule));
            let wanted = views.filter(|view| from.is_none_or(|from| amended(view) >= from));
            wanted.take(page.limit as usize).collect()
        })
    }

    async fn schedule(&self, id: ScheduleId) -> Result<Option<ScheduleView>> {
        self.read(|state| Some(schedule_view(state, state.schedules.get(&id)?)))
    }

    async fn insert_plan(&self, plan: &PlanRow) -> Result<()> {
        self.write(|state| {
            state.plans.entry(plan.summary.id.clone()).or_insert_with(|| plan.clone());
        })
    }

    async fn plan(&self, id: &str) -> Result<Option<PlanRow>> {
        self.read(|state| state.plans.get(id).cloned())
    }

    async fn replace_plan(&self, schedule: ScheduleId, from: &str, to: &str) -> Result<bool> {
        self.write(|state| {
            let known = state.schedules.get_mut(&schedule).filter(|known| known.drawn_by() == Some(from));
            known.map(|known| known.larger_plan = Some(to.to_owned())).is_some()
        })
    }

    async fn plans(&self, page: Page<String>) -> Result<Vec<PlanSummary>> {
        self.read(|state| {
            let key = |summary: &PlanSummary| (summary.created_at, summary.id.clone());
            let after = match page.after {
                None => None,
                Some(id) => match state.plans.get(&id) {
                    Some(plan) => Some(key(&plan.summary)),
                    None => return Vec::new(),
                },
            };
            newest_first(state.plans.values().map(|plan| &plan.summary), key, Page { after, limit: page.limit })
        })
    }
}

#[async_trait]
impl Reads for MemoryStore {
    async fn ping(&self) -> Result<()> {
        self.read(|_| ())
    }

    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<RequestRow>> {
        let order = |row: &&RequestRow| (row.at, row.position.lane().as_str(), row.position.partition.partition);
        self.read(|state| {
            let of = |id: &RequestId| {
                let rows = state.requests.values().filter(|row| row.key.id == *id && !row.key.internal);
                rows.min_by_key(order).cloned()
            };
            ids.iter().filter_map(of).collect()
        })
    }

    async fn next_offsets(&self) -> Result<Vec<(LanePartition, u64)>> {
        self.read(|state| state.progress.iter().map(|(of, row)| (*of, row.progress.next_offset)).collect())
    }

    async fn progress_views(&self) -> Result<Vec<ProgressView>> {
        self.read(|state| {
            let views = state.progress.iter().map(|(partition, row)| ProgressView {
                partition: *partition,
                epoch: row.progress.epoch,
                owner: row.owner.clone(),
                next_offset: row.progress.next_offset,
                last_time: row.progress.last_time,
                outbox_pending: row.progress.next_outbox_seq - row.published_seq,
                state_hash: row.progress.state_hash,
                caught_up: row.caught_up(),
            });
            views.collect()
        })
    }

    async fn seats(&self, schedule: ScheduleId) -> Result<Vec<BlockSeats>> {
        self.read(|state| {
            let of = |key: &BlockKey| {
                let (sections, seats) = (state.sections_of(key), state.seats_of(key));
                BlockSeats { block: key.block.clone(), sections, seats }
            };
            blocks_of(state, schedule).map(of).collect()
        })
    }

    async fn reservations_by_id(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        self.read(|state| ids.iter().filter_map(|id| state.reservations.get(id).cloned()).collect())
    }

    async fn reservations(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>> {
        self.read(|state| newest_first(state.reservations.values().filter(|r| r.user_id == *user), |r| r.id, page))
    }

    async fn unfinished_of(
        &self,
        user: &UserId,
        schedule: ScheduleId,
        blocks: &[BlockName],
    ) -> Result<Vec<Reservation>> {
        self.read(|state| {
            let wanted = |row: &&Reservation| {
                let of_block = row.key.schedule_id == schedule && blocks.contains(&row.key.block);
                row.user_id == *user && of_block && row.state.is_unfinished()
            };
            let all = Page { after: None, limit: u32::MAX };
            newest_first(state.reservations.values().filter(wanted), |row| row.id, all)
        })
    }

    async fn payments(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>> {
        self.read(|state| newest_first(state.payments.values().filter(|p| p.user_id == *user), |p| p.id, page))
    }

    async fn wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>> {
        self.read(|state| users.iter().filter_map(|user| state.wallets.get(user).cloned()).collect())
    }

    async fn wallet_entries(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>> {
        self.read(|state| {
            let of_user = state.entries.range((user.clone(), 0)..=(user.clone(), u64::MAX));
            newest_first(of_user.map(|(_, entry)| entry), |entry| entry.number, page)
        })
    }

    async fn queue(&self, schedule: ScheduleId) -> Result<Option<Queue>> {
        self.read(|state| state.queues.get(&schedule).cloned())
    }

    async fn tokens_changed(&self, schedule: ScheduleId, from: u64, live_only: bool, limit: u32) -> Result<Vec<Token>> {
        self.read(|state| {
            let wanted = |t: &&Token| t.changed.position.offset >= from && (t.state.is_live() || !live_only);
            let mut tokens: Vec<&Token> = state.tokens(schedule).filter(wanted).collect();
            tokens.sort_by_key(|token| (token.changed.position.offset, token.sequence));
            tokens.into_iter().take(limit as usize).cloned().collect()
        })
    }

    async fn tokens_of(&self, schedule: ScheduleId, user: &UserId) -> Result<Vec<Token>> {
        self.read(|state| {
            let mut tokens: Vec<Token> = state.tokens(schedule).filter(|t| t.user_id == *user).cloned().collect();
            tokens.reverse();
            tokens.truncate(TOKENS_OF_MAX);
            tokens
        })
    }
}

#[async_trait]
impl DeadLetters for MemoryStore {
    async fn dead_letters(&self, page: Page<Position>) -> Result<Vec<DeadLetterView>> {
        self.read(|state| {
            let after = match page.after {
                None => None,
                Some(position) => match state.dead_letters.get(&position) {
                    Some(view) => Some(letter_order(view)),
                    None => return Vec::new(),
                },
            };
            newest_first(state.dead_letters.values(), letter_order, Page { after, limit: page.limit })
        })
    }

    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetterView>> {
        self.read(|state| state.dead_letters.get(&position).cloned())
    }

    async fn open_dead_letters(&self, limit: u32) -> Result<u32> {
        self.read(|state| {
            let letters = state.dead_letters.values();
            let open = letters.filter(|view| view.replayed.is_none() && view.dismissed.is_none());
            open.take(limit as usize).count() as u32
        })
    }

    async fn mark_replayed(&self, position: Position, done: &DoneBy) -> Result<()> {
        self.write(|state| {
            if let Some(view) = state.dead_letters.get_mut(&position) {
                view.replayed = Some(done.clone());
            }
        })
    }

    async fn dismiss(&self, position: Position, done: &DoneBy) -> Result<bool> {
        self.write(|state| match state.dead_letters.get_mut(&position) {
            Some(view) => {
                view.dismissed = Some(done.clone());
                true
            }
            None => false,
        })
    }
}

#[async_trait]
impl Operations for MemoryStore {
    async fn heartbeat(&self, process: &Process) -> Result<()> {
        self.write(|state| {
            state.processes.insert(process.name.clone(), (process.clone(), Instant::now()));
        })
    }

    async fn leave(&self, name: &str) -> Result<()> {
        self.write(|state| drop(state.processes.remove(name)))
    }

    async fn forget_processes(&self, silent_for: Duration) -> Result<()> {
        self.write(|state| state.processes.retain(|_, (_, seen)| seen.elapsed() < silent_for))
    }

    async fn processes(&self) -> Result<Vec<ProcessView>> {
        self.read(|state| {
            let view = |(process, seen): &(Process, Instant)| ProcessView {
                process: process.clone(),
                silent_for: seen.elapsed(),
            };
            state.processes.values().map(view).collect()
        })
    }

    async fn requests_under(&self, ids: &[RequestId]) -> Result<Vec<RequestRow>> {
        self.read(|state| state.requests.values().filter(|row| ids.contains(&row.key.id)).cloned().collect())
    }

    async fn sale_counts(&self, schedules: &[ScheduleId]) -> Result<Vec<SaleCounts>> {
        self.read(|state| {
            let of = |schedule: ScheduleId| {
                let taken = |status: SeatStatus| {
                    let seats = state.seats.values();
                    seats.filter(|seat| seat.key.schedule_id == schedule && seat.state.status() == status).count()
                        as u64
                };
                let confirmed = state.reservations.values().filter(|row| {
                    row.key.schedule_id == schedule && row.state.status() == ReservationStatus::Confirmed
                });
                SaleCounts {
                    schedule,
                    held: taken(SeatStatus::Held),
                    paying: taken(SeatStatus::Paying),
                    sold: taken(SeatStatus::Sold),
                    revenue: confirmed.map(|row| row.amount.get()).sum(),
                }
            };
            let asked: BTreeSet<ScheduleId> = schedules.iter().copied().collect();
            asked.into_iter().map(of).filter(|of| of.held + of.paying + of.sold > 0).collect()
        })
    }

    async fn holds_since(&self, schedule: ScheduleId, times: [LogTime; 4]) -> Result<[u64; 4]> {
        self.read(|state| {
            let of_date = || state.reservations.values().filter(|row| row.key.schedule_id == schedule);
            let held = || of_date().filter(|row| row.state.status() == ReservationStatus::Held);
            times.map(|at| held().filter(|row| row.held.time >= at).count() as u64)
        })
    }

    async fn note_audit(&self, run: &AuditRun) -> Result<()> {
        self.write(|state| state.audit = Some(run.clone()))
    }

    async fn last_audit(&self) -> Result<Option<AuditRun>> {
        self.read(|state| state.audit.clone())
    }
}
