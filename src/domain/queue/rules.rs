//! The rules of the waiting queue, a function a command.
//!
//! Whatever can free a place admits the next ones in the same decision, so a free place never waits for a timer. Times
//! that ran out are acted on by a tick, or by the holder's own next join; who was not seen is passed over by the reports
//! themselves.

use std::convert::Infallible;

use super::admission;
use super::draft::{Draft, Finished};
use super::{
    Command, CompleteToken, ConfigureQueue, Ending, NoteSale, OpenQueue, PresenceClock, Queue, QueueState, Reply, Row,
    RowKey, Sale, SaleClock, SaleMs, Seen, TOKENS_PER_DECISION_MAX, Token, TokenState,
};
use crate::domain::digest::Digest;
use crate::domain::{Aggregate, Arrival, Asking, Code, Decision, Effects, LogTime, Refusal, ScheduleId, UserId};

impl Aggregate for QueueState {
    type Key = ScheduleId;
    type Command = Command;
    type Row = Row;
    type RowKey = RowKey;
    /// Ended tokens are never needed again.
    type Recall = Infallible;

    fn decide(state: Option<&Self>, command: &Command, _asking: &Asking, at: &Arrival) -> Decision<Self> {
        match (state, command) {
            (queue, Command::OpenQueue(open)) => open_queue(queue, open, at),
            (None, _) => Decision::rejected(Refusal::new(Code::QueueNotFound, "this date has no waiting queue")),
            (Some(queue), Command::ConfigureQueue(configure)) => configure_queue(queue, configure, at),
            (Some(queue), Command::JoinQueue(join)) => join_queue(queue, &join.user_id, at),
            (Some(queue), Command::LeaveQueue(leave)) => leave_queue(queue, &leave.user_id, at),
            (Some(queue), Command::Seen(seen)) => note_seen(queue, seen, at),
            (Some(queue), Command::CompleteToken(complete)) => complete_token(queue, complete, at),
            (Some(queue), Command::NoteSale(note)) => note_sale(queue, note, at),
            (Some(queue), Command::Tick(schedule_id)) => run_tick(queue, *schedule_id, at),
        }
    }

    fn apply(state: &mut Option<Self>, row: &Row) -> u64 {
        QueueState::take(state, row)
    }

    fn next_due(&self) -> Option<LogTime> {
        self.row.due_at
    }

    fn rows(&self) -> usize {
        self.row_count()
    }

    fn row_key(row: &Row) -> RowKey {
        match row {
            Row::Queue(row) => RowKey::Queue(row.schedule_id),
            Row::Token(row) => RowKey::Token(row.schedule_id, row.sequence),
        }
    }

    fn digest(row: &Row) -> u64 {
        row.digest()
    }

    fn recalls(_command: &Command, _asking: &Asking) -> Vec<Infallible> {
        Vec::new()
    }

    fn knows(&self, recall: &Infallible) -> bool {
        match *recall {}
    }

    fn remember(&mut self, _row: Row) {}

    fn forget(&mut self, _before: u64) {}

    fn remembered(&self) -> usize {
        0
    }
}

/// Opens the queue. A repeat succeeds and shows the queue as it stands, also when its limits are others by now: what an
/// operator configured since must not be undone by a late repeat, and limits are changed by `configure_queue` alone.
fn open_queue(queue: Option<&QueueState>, open: &OpenQueue, at: &Arrival) -> Decision<QueueState> {
    if let Some(queue) = queue {
        return Decision::succeeded(Reply::QueueOpened(queue.row.clone()), Vec::new());
    }
    let row = Queue {
        schedule_id: open.schedule_id,
        limits: open.limits.bounded(),
        sales_open_at: open.sales_open_at,
        starts_at: open.starts_at,
        sale: open.blocks.iter().map(|block| (block.clone(), None)).collect(),
        paused_since: None,
        presence: PresenceClock::new(at.time),
        on_sale: SaleClock { now: SaleMs(0), at: at.time },
        next_sequence: 1,
        waiting: 0,
        absent: 0,
        active: 0,
        admitted: 0,
        completed: 0,
        expired: 0,
        left: 0,
        rate_next_us: 0,
        due_at: None,
        changed: *at,
    };
    Decision::succeeded(Reply::QueueOpened(row.clone()), vec![Row::Queue(row)])
}

/// Limits and pause first, then the operator's admissions, then those the new limits allow.
fn configure_queue(queue: &QueueState, configure: &ConfigureQueue, at: &Arrival) -> Decision<QueueState> {
    let mut draft = Draft::new(queue, at);
    draft.row.limits = draft.row.limits.patched(&configure.patch);
    if draft.row.limits.admit_per_minute != queue.row.limits.admit_per_minute {
        draft.row.rate_next_us = admission::after_new_rate(&draft.row, at.time);
    }
    if let Some(paused) = configure.paused {
        draft.set_paused(paused);
    }
    draft.admit_now(configure.admit.unwrap_or(0));
    draft.admit();
    let done = draft.finish();
    succeeded(Reply::QueueConfigured(done.row), done.changes, done.effects)
}

/// Gives the user a token at the tail, or the one they have. Those already waiting are admitted first, so the new token
/// is ACTIVE at once only if nobody waits before it.
fn join_queue(queue: &QueueState, user: &UserId, at: &Arrival) -> Decision<QueueState> {
    let mut draft = Draft::new(queue, at);
    let mut sequence = queue.token_of(user).map(|token| token.sequence);
    if let Some(token) = queue.token_of(user).filter(|token| is_over(token, at)) {
        sequence = draft.time_out(token.sequence);
    }
    if let Some(sequence) = sequence {
        draft.see_now(sequence);
    }
    draft.admit();
    let sequence = match sequence {
        Some(sequence) => sequence,
        None => {
            if let Some(refusal) = no_new_place(draft.sale()) {
                return Decision::rejected(refusal);
            }
            if !draft.make_room() {
                return Decision::rejected(Refusal::new(
                    Code::QueueFull,
                    "the waiting queue is full; another try needs another key",
                ));
            }
            draft.add(user, None)
        }
    };
    draft.admit();
    joined(draft, sequence)
}

/// Why nobody who is new may join.
fn no_new_place(sale: Sale) -> Option<Refusal> {
    match sale {
        Sale::Cancelled => Some(Refusal::new(Code::ShowCancelled, "the show is cancelled")),
        Sale::Closed => Some(Refusal::new(Code::SalesClosed, "the date has begun")),
        Sale::SoldOut => Some(Refusal::new(Code::SalesClosed, "the date is sold out; another try needs another key")),
        Sale::Lobby | Sale::Open | Sale::Paused | Sale::AllHeld => None,
    }
}

/// The outcome of a join that ends with this token.
fn joined(draft: Draft<'_>, sequence: u64) -> Decision<QueueState> {
    let Some(token) = draft.token(sequence).cloned() else { return no_token() };
    let ahead = draft.ahead(sequence);
    let Finished { changes, mut effects, .. } = draft.finish();
    for tokens in [&mut effects.admitted, &mut effects.requeued, &mut effects.returned] {
        tokens.retain(|token| token.sequence != sequence);
    }
    succeeded(Reply::Joined { token, ahead }, changes, effects)
}

fn leave_queue(queue: &QueueState, user: &UserId, at: &Arrival) -> Decision<QueueState> {
    match queue.token_of(user) {
        Some(token) => end_token(queue, token, Ending::Left, at, Reply::Left),
        None => no_token(),
    }
}

/// The user paid. A token that ran out before the payment and waits again is done as well: who holds a seat may pay
/// until the hold ends. A token that joined after the payment is another turn.
fn complete_token(queue: &QueueState, complete: &CompleteToken, at: &Arrival) -> Decision<QueueState> {
    match queue.token_of(&complete.user_id) {
        Some(token) if token.joined_at > complete.paid_at => {
            Decision::rejected(Refusal::new(Code::TokenNotFound, "the token joined after the payment"))
        }
        Some(token) => end_token(queue, token, Ending::Completed, at, Reply::TokenCompleted),
        None => no_token(),
    }
}

/// Ends a live token and admits the next ones.
fn end_token(
    queue: &QueueState,
    token: &Token,
    how: Ending,
    at: &Arrival,
    reply: fn(Token) -> Reply,
) -> Decision<QueueState> {
    let mut draft = Draft::new(queue, at);
    draft.end(token.sequence, how);
    draft.admit();
    let Finished { changes, mut effects, .. } = draft.finish();
    match effects.ended.pop() {
        Some(token) => succeeded(reply(token), changes, effects),
        None => no_token(),
    }
}

/// Advances the presence clock, then notes whom the front door saw; unknown tokens are passed over, and for one that was
/// requeued the one that follows it counts. Who was not seen for too long by then is absent.
fn note_seen(queue: &QueueState, seen: &Seen, at: &Arrival) -> Decision<QueueState> {
    let mut draft = Draft::new(queue, at);
    let limits = draft.row.limits.clone();
    draft.row.presence.advance(&limits, at.time);
    let mut tokens = 0;
    for sighting in &seen.sightings {
        for sequence in queue.seen_between(sighting.first, sighting.last) {
            if tokens < TOKENS_PER_DECISION_MAX {
                draft.see(sequence, sighting.age_ms);
                tokens += 1;
            }
        }
    }
    draft.pass_over();
    draft.admit();
    let done = draft.finish();
    let reply = Reply::SeenNoted { schedule_id: seen.schedule_id, tokens: tokens as u64 };
    succeeded(reply, done.changes, done.effects)
}

/// Keeps the newest note of each block, and admits if something can be bought by now.
fn note_sale(queue: &QueueState, command: &NoteSale, at: &Arrival) -> Decision<QueueState> {
    let mut draft = Draft::new(queue, at);
    draft.note_sale(command);
    draft.admit();
    let done = draft.finish();
    succeeded(Reply::SaleNoted { schedule_id: command.schedule_id }, done.changes, done.effects)
}

/// Ends what is over, then admits whom sale and release controls allow. With more due than a decision may do, the rest is due
/// at once.
fn run_tick(queue: &QueueState, schedule_id: ScheduleId, at: &Arrival) -> Decision<QueueState> {
    let mut draft = Draft::new(queue, at);
    draft.end_due();
    draft.admit();
    let done = draft.finish();
    if done.effects.is_empty() {
        return Decision::nothing(done.changes);
    }
    succeeded(Reply::Ticked { schedule_id }, done.changes, done.effects)
}

fn succeeded(reply: Reply, changes: Vec<Row>, effects: Effects) -> Decision<QueueState> {
    Decision { effects, ..Decision::succeeded(reply, changes) }
}

fn is_over(token: &Token, at: &Arrival) -> bool {
    matches!(token.state, TokenState::Active(turn) if turn.until <= at.time)
}

fn no_token() -> Decision<QueueState> {
    Decision::rejected(Refusal::new(Code::TokenNotFound, "the user has no token in this waiting queue"))
}
