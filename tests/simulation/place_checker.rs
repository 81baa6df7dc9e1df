//! Whether users saw their true places in the queue, and only those with a turn could hold seats.

use std::collections::BTreeSet;

use turnstile::domain::{Body, Lane, Position, block};

use crate::cluster::Cluster;
use crate::history::{Observation, Observed, Span};
use crate::model::Case;
use crate::model::queue::{Absence, QueueModel, Snapshot, Turn};
use crate::oracle::{Checked, Published, must};
use crate::workload::{PATIENT, name};

/// How old an answer may be while the store responds: what the API promises, plus a delay.
const AGE_MS: u64 = 600;
/// How old it may be while the store is down, slow or failing.
const AGE_WITHOUT_STORE_MS: u64 = 15_000;
/// From the check of a token to the record on the log: two reads of the slowest kind.
const HOLD_TAKES_MS: u64 = 10_000;
/// Of a user without a live token as many are known as the API reads; older ones are not found.
const TOKENS_KNOWN: usize = 10;
/// The patient user asks each second; an answer takes up to 5 s while the store is away.
const POLLS_APART_MS: u64 = 6_000;

pub struct PlaceChecker<'a> {
    pub cluster: &'a Cluster,
    pub queue: &'a QueueModel,
    /// When the outcome of each snapshot's record was first published: by then it was committed.
    pub published: Vec<Option<u64>>,
}

/// When the outcome of each snapshot's record was first published.
pub fn published(queue: &QueueModel, outcomes: &Published) -> Vec<Option<u64>> {
    // There is one partition of queues.
    let position = |snapshot: &Snapshot| Position::new(Lane::Queues, 0, snapshot.offset);
    queue.snapshots.iter().map(|snapshot| outcomes.get(&position(snapshot)).copied()).collect()
}

impl PlaceChecker<'_> {
    pub fn check(&self, cases: &[Case]) -> Checked {
        for seen in self.cluster.history.observations() {
            self.observed(&seen).map_err(|why| format!("{} saw {seen:?}: {why}", name(seen.user)))?;
        }
        let queued = self.cluster.schedules[0];
        for case in cases {
            if let Body::Seats(block::Command::HoldSeats(hold)) = &case.command.body
                && hold.key.schedule_id == queued
                && hold.admitted
                // One that comes again long after was admitted when it was sent.
                && self.cluster.later.get().is_none_or(|later| case.time() < *later)
            {
                let user = hold.user_id.as_str();
                must!(self.may_hold(user, case), "{}", case.context(&format!("{user} had no turn")));
            }
        }
        self.queue.absences.iter().try_for_each(|absence| self.was_absent(absence))
    }

    /// Snapshots that were certainly committed by then, and those that may have been.
    fn window(&self, from_ms: u64, to_ms: u64) -> (usize, usize) {
        let sure = self.published.iter().rposition(|at| at.is_some_and(|at| at <= from_ms)).map_or(0, |at| at + 1);
        let maybe = self.queue.snapshots.partition_point(|snapshot| snapshot.stored_ms <= to_ms);
        (sure, maybe.max(sure))
    }

    /// The snapshots that an answer may reflect; whether it may also be from before the first one.
    fn snapshots(&self, span: Span) -> (bool, &[Snapshot]) {
        let plan = &self.cluster.sim.plan;
        let steady = plan.store_away + plan.store_slow + plan.stale_reads + plan.outages == 0
            && !plan.long_outage
            && plan.delay_ms_max < 20;
        let age = if span.faulty && !steady { AGE_WITHOUT_STORE_MS } else { AGE_MS };
        let (sure, maybe) = self.window(span.began_ms.saturating_sub(age), span.ended_ms);
        (sure == 0, &self.queue.snapshots[sure.saturating_sub(1)..maybe])
    }

    fn observed(&self, seen: &Observation) -> Checked {
        let user = name(seen.user);
        let (nothing_yet, snapshots) = self.snapshots(seen.span);
        let has_place =
            |state: &Snapshot| state.waiting.iter().chain(&state.absent).chain(&state.active).any(|(_, of)| of == user);
        match &seen.what {
            Observed::Place { status, position, ahead } if status == "WAITING" => {
                let true_of = |state: &Snapshot| {
                    let rank = state.waiting.iter().position(|(sequence, of)| sequence == position && of == user);
                    rank.is_some_and(|rank| rank as u64 == *ahead)
                };
                must!(snapshots.iter().any(true_of), "in none of {} snapshots", snapshots.len());
            }
            Observed::Place { status, position, .. } if status == "ACTIVE" => {
                let true_of =
                    |state: &Snapshot| state.active.iter().any(|(sequence, of)| sequence == position && of == user);
                must!(snapshots.iter().any(true_of), "in none of {} snapshots", snapshots.len());
            }
            Observed::Place { status, position, ahead } if status == "ABSENT" => {
                let true_of = |state: &Snapshot| {
                    let before = state.waiting.iter().filter(|(sequence, _)| sequence < position).count();
                    state.absent.iter().any(|(sequence, of)| sequence == position && of == user)
                        && before as u64 == *ahead
                };
                must!(snapshots.iter().any(true_of), "in none of {} snapshots", snapshots.len());
            }
            Observed::Place { status, position, .. } => {
                let Some((how, snapshot)) = self.queue.ended.get(position) else {
                    return Err("that token never ended".to_owned());
                };
                must!(how == status, "it ended as {how}");
                let stored_ms = self.queue.snapshots[*snapshot].stored_ms;
                must!(stored_ms <= seen.span.ended_ms, "it ended only later");
                must!(snapshots.iter().any(|state| !has_place(state)), "there was another token");
            }
            Observed::NoPlace(code) if code == "queue_not_found" => must!(nothing_yet, "the queue was open"),
            Observed::NoPlace(_) => {
                must!(!seen.with_token || self.tokens_of(user) > TOKENS_KNOWN, "the token is genuine");
                let none = |state: &Snapshot| !has_place(state);
                must!(nothing_yet || snapshots.iter().any(none), "there was a token all the time");
            }
            Observed::NotAdmitted if seen.with_token => {
                let turn = self.queue.turns.iter().find(|turn| turn.user == user && self.spans(turn, seen));
                must!(turn.is_none(), "it was this user's turn");
            }
            Observed::NotAdmitted | Observed::Unavailable => {}
        }
        Ok(())
    }

    /// How many this user ever had.
    fn tokens_of(&self, user: &str) -> usize {
        let lists = self.queue.snapshots.iter().flat_map(|state| [&state.waiting, &state.absent, &state.active]);
        let own = lists.flatten().filter(|(_, of)| of == user);
        own.map(|(sequence, _)| *sequence).collect::<BTreeSet<_>>().len()
    }

    /// Whether a turn had certainly begun before the request and ended after it, by any clock.
    fn spans(&self, turn: &Turn, seen: &Observation) -> bool {
        let plan = &self.cluster.sim.plan;
        if plan.bad_records + plan.jumps > 0 {
            return false;
        }
        let begun = self.published[turn.from].is_some_and(|at| at <= seen.span.began_ms);
        let ended = turn.to.is_some_and(|at| self.queue.snapshots[at].stored_ms <= seen.span.ended_ms);
        let over_ms = turn.active_until.0 - crate::sim::START_MS - plan.skew_ms_max as i64 - 100;
        begun && !ended && over_ms > seen.span.ended_ms as i64
    }

    /// Whether the user had a turn when the hold was stored, or shortly before.
    fn may_hold(&self, user: &str, case: &Case) -> bool {
        let plan = &self.cluster.sim.plan;
        let late_ms = HOLD_TAKES_MS;
        self.queue.turns.iter().filter(|turn| turn.user == user).any(|turn| {
            let begun = self.queue.snapshots[turn.from].stored_ms <= case.stored_ms;
            let ended = turn.to.and_then(|at| self.published[at]);
            let there = ended.is_none_or(|at| at + late_ms >= case.stored_ms);
            let over = turn.active_until.plus_ms(late_ms as i64 + plan.skew_ms_max as i64) < case.time();
            begun && there && (!over || plan.bad_records + plan.jumps > 0)
        })
    }

    /// A user who polls at the prescribed interval is there, whatever is away: the log, the store, or an API server that
    /// answers 503.
    fn was_absent(&self, absence: &Absence) -> Checked {
        if absence.user != name(PATIENT) || !self.cluster.sim.plan.has_steady_clocks() {
            return Ok(());
        }
        let at_ms = self.queue.snapshots[absence.snapshot].stored_ms;
        let since_ms = at_ms.saturating_sub(absence.abandon_after_ms as u64);
        let polls = self.cluster.history.observations().into_iter().filter(|seen| {
            let placed = matches!(&seen.what, Observed::Place { .. } | Observed::Unavailable);
            seen.user == PATIENT && seen.with_token && placed
        });
        let mut last_ms = since_ms;
        for seen in polls {
            if seen.span.began_ms > last_ms + POLLS_APART_MS {
                break;
            }
            last_ms = last_ms.max(seen.span.began_ms.min(at_ms));
        }
        must!(last_ms + POLLS_APART_MS < at_ms, "{} polled at the prescribed interval and is absent", absence.user);
        Ok(())
    }
}
