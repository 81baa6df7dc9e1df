//! The rules of the waiting queue, a function a command.
//!
//! Whatever can free a place (join, leave, complete, configure, tick) lets the next ones in within the same decision, so
//! a free place never waits for a timer. Times that ran out are acted on by a tick, or by the holder's own next join.

use std::collections::BTreeSet;

use super::admission;
use super::draft::Draft;
use super::{OnTimeout, Queue, QueueState, Token, TokenStatus};
use crate::domain::command::{ConfigureQueue, OpenQueue, Seen};
use crate::domain::{Arrival, Body, Change, Code, Command, Decision, Refusal, ScheduleId, Success, UserId};

/// Most tokens one decision lets in, so that its outcome record stays below a log's record limit (1 MiB): a token takes
/// at most 200 bytes there, so 1,000 let in, 1,000 ended and 1,000 requeued by one tick take 600 KB. An operator who asks for more gets
/// this many and sees it in the result.
/// [`QueueState::next_due`] then says that a tick is due at once.
pub const ADMISSIONS_PER_DECISION_MAX: usize = 1_000;
/// Most tokens one tick ends, for the same reason.
pub const ENDINGS_PER_DECISION_MAX: usize = 1_000;

/// Decides one command of the queues lane. `queue` is `None` if it was never opened.
pub fn decide(queue: Option<&QueueState>, command: &Command, at: &Arrival) -> Decision {
    if let Body::OpenQueue(open) = &command.body {
        return open_queue(queue, open, at);
    }
    let Some(queue) = queue else {
        return Decision::rejected(Refusal::new(Code::QueueNotFound, "This schedule has no waiting queue."));
    };
    match &command.body {
        Body::ConfigureQueue(configure) => configure_queue(queue, configure, at),
        Body::JoinQueue(join) => join_queue(queue, &join.user_id, at),
        Body::LeaveQueue(leave) => leave_queue(queue, &leave.user_id, at),
        Body::Seen(seen) => note_seen(queue, seen, at),
        Body::CompleteToken(complete) => complete_token(queue, &complete.user_id, at),
        Body::Tick(tick) => run_tick(queue, tick.schedule_id, at),
        // Routing by the command's own content keeps other lanes' commands away from here.
        _ => Decision::rejected(Refusal::new(Code::QueueNotFound, "This is not a command of a waiting queue.")),
    }
}

/// Opens the queue. A repeat succeeds and shows the queue as it stands, also when its limits are others by now: what an
/// operator configured since must not be undone by a late repeat, and limits are changed by `configure_queue` alone.
fn open_queue(queue: Option<&QueueState>, open: &OpenQueue, at: &Arrival) -> Decision {
    if let Some(queue) = queue {
        return Decision::succeeded(Success::QueueOpened(queue.row.clone()), Vec::new());
    }
    let row = Queue {
        schedule_id: open.schedule_id,
        limits: open.limits.bounded(),
        paused: false,
        next_sequence: 1,
        waiting: 0,
        active: 0,
        admitted: 0,
        completed: 0,
        expired: 0,
        left: 0,
        rate_next_us: 0,
        changed: *at,
    };
    Decision::succeeded(Success::QueueOpened(row.clone()), vec![Change::Queue(row)])
}

/// Limits and pause first, then the operator's admissions, then those the new limits allow.
fn configure_queue(queue: &QueueState, configure: &ConfigureQueue, at: &Arrival) -> Decision {
    let mut draft = Draft::new(queue, at);
    draft.row.limits = draft.row.limits.patched(&configure.patch);
    if draft.row.limits.admit_per_minute != queue.row.limits.admit_per_minute {
        draft.row.rate_next_us = admission::after_new_rate(&draft.row, at.time);
    }
    draft.row.paused = configure.paused.unwrap_or(draft.row.paused);
    draft.admit_now(configure.admit.unwrap_or(0));
    draft.admit();
    let done = draft.finish();
    Decision::succeeded(Success::QueueConfigured { queue: done.row, admitted: done.admitted }, done.changes)
}

/// Gives the user a token at the tail, or the one they have. Those already waiting are let in first, so the new token is
/// ACTIVE at once only if nobody waits before it.
fn join_queue(queue: &QueueState, user: &UserId, at: &Arrival) -> Decision {
    let mut draft = Draft::new(queue, at);
    let mut sequence = None;
    if let Some(token) = queue.token_of(user) {
        if !has_run_out(token, at) {
            return rejoin(queue, token, at);
        }
        draft.time_out(token.sequence);
        if draft.row.limits.on_timeout == OnTimeout::Requeue {
            sequence = Some(draft.row.next_sequence - 1);
        }
    }
    draft.admit();
    let sequence = match sequence {
        Some(sequence) => sequence,
        None if draft.row.waiting >= u64::from(draft.row.limits.max_waiting) && !draft.can_admit() => {
            return Decision::rejected(Refusal::new(Code::QueueFull, "The waiting queue is full."));
        }
        None => draft.add(user),
    };
    draft.admit();
    joined(draft, sequence)
}

/// The user is in the queue already: the same token, and a sign of life if it waits.
fn rejoin(queue: &QueueState, token: &Token, at: &Arrival) -> Decision {
    let mut draft = Draft::new(queue, at);
    if token.status == TokenStatus::Waiting {
        draft.see(token.sequence);
    }
    let ahead = queue.ahead(token.sequence).unwrap_or(0);
    let token = draft.token(token.sequence).unwrap_or(token).clone();
    let joined = Success::Joined { token, ahead, admitted: Vec::new(), ended: Vec::new() };
    Decision::succeeded(joined, draft.finish().changes)
}

/// The outcome for a token that is the last of the queue: all others that wait are ahead of it.
fn joined(draft: Draft<'_>, sequence: u64) -> Decision {
    let token = draft.token(sequence).cloned();
    let mut done = draft.finish();
    done.admitted.retain(|token| token.sequence != sequence);
    match token {
        Some(token) => {
            let waits = token.status == TokenStatus::Waiting;
            let ahead = if waits { done.row.waiting - 1 } else { 0 };
            let joined = Success::Joined { token, ahead, admitted: done.admitted, ended: done.ended };
            Decision::succeeded(joined, done.changes)
        }
        None => no_token(),
    }
}

fn leave_queue(queue: &QueueState, user: &UserId, at: &Arrival) -> Decision {
    end_token(queue, user, TokenStatus::Left, at, |token, admitted| Success::Left { token, admitted })
}

/// The user paid. A token that ran out and waits again is done as well: who holds a seat may pay until the hold ends.
fn complete_token(queue: &QueueState, user: &UserId, at: &Arrival) -> Decision {
    let success = |token, admitted| Success::TokenCompleted { token, admitted };
    end_token(queue, user, TokenStatus::Completed, at, success)
}

/// Ends the user's live token and lets the next ones in.
fn end_token(
    queue: &QueueState,
    user: &UserId,
    status: TokenStatus,
    at: &Arrival,
    success: impl FnOnce(Token, Vec<Token>) -> Success,
) -> Decision {
    let Some(token) = queue.token_of(user) else { return no_token() };
    let mut draft = Draft::new(queue, at);
    draft.end(token.sequence, status);
    draft.admit();
    let mut done = draft.finish();
    match done.ended.pop() {
        Some(token) => Decision::succeeded(success(token, done.admitted), done.changes),
        None => no_token(),
    }
}

/// Moves the sign of life of those that wait; unknown, active and ended tokens are passed over.
fn note_seen(queue: &QueueState, seen: &Seen, at: &Arrival) -> Decision {
    let mut draft = Draft::new(queue, at);
    let mut tokens = 0;
    for sequence in seen.sequences.iter().copied().collect::<BTreeSet<u64>>() {
        if queue.token(sequence).is_some_and(|token| token.status == TokenStatus::Waiting) {
            draft.see(sequence);
            tokens += 1;
        }
    }
    Decision::succeeded(Success::SeenNoted { schedule_id: seen.schedule_id, tokens }, draft.finish().changes)
}

/// Ends what is over, then lets in who may. With more due than a decision may do, the rest is due at once again.
fn run_tick(queue: &QueueState, schedule_id: ScheduleId, at: &Arrival) -> Decision {
    let mut draft = Draft::new(queue, at);
    let mut endings = ENDINGS_PER_DECISION_MAX;
    for sequence in queue.run_out(at.time).take(endings) {
        draft.time_out(sequence);
        endings -= 1;
    }
    for sequence in queue.abandoned(at.time).take(endings) {
        draft.end(sequence, TokenStatus::Expired);
    }
    draft.admit();
    let done = draft.finish();
    let ticked = Success::Ticked { schedule_id, admitted: done.admitted, ended: done.ended, requeued: done.added };
    Decision::succeeded(ticked, done.changes)
}

fn has_run_out(token: &Token, at: &Arrival) -> bool {
    token.active_until.is_some_and(|until| until <= at.time)
}

fn no_token() -> Decision {
    Decision::rejected(Refusal::new(Code::TokenNotFound, "You have no token in this waiting queue."))
}
