//! Whether people were told their true places in the queue, and only those were let to the seats whose turn it was.

use std::collections::BTreeMap;

use turnstile::domain::Lane;
use turnstile::domain::command::Body;
use turnstile::log::LanePartition;

use crate::history::{Saying, Span, Told};
use crate::line::{Dropped, Line, Step, Visit};
use crate::referee::{Case, Judged, must};
use crate::users::{PATIENT, name};
use crate::world::World;

/// How old an answer may be when the store answers: what the front door promises, and a delay.
const AGE_MS: u64 = 600;
/// While the store is away, slow or refuses, the front door may go by what it knew so long ago.
const AGE_WITHOUT_STORE_MS: u64 = 15_000;
/// From the look at a token to the record on the log: two reads that are as slow as they get.
const HOLD_TAKES_MS: u64 = 10_000;
/// Presence is noted a third of the time before it counts, reported every 15 s, and clocks differ.
const SURE_TO_BE_SEEN_MS: i64 = 30_000;

pub struct Gate<'a> {
    pub world: &'a World,
    pub line: &'a Line,
    /// When the outcome of each step was first published: by then it was committed.
    pub published: Vec<Option<u64>>,
}

/// When each record of the queue's partition had its outcome published first.
pub fn published(line: &Line, outcomes: &BTreeMap<(LanePartition, u64), u64>) -> Vec<Option<u64>> {
    // There is one partition of queues.
    let here = LanePartition { lane: Lane::Queues, partition: 0 };
    line.steps.iter().map(|step| outcomes.get(&(here, step.offset)).copied()).collect()
}

impl Gate<'_> {
    pub fn judge(&self, cases: &[Case]) -> Judged {
        for told in self.world.history.all_told() {
            self.told(&told).map_err(|why| format!("{} was told {told:?}: {why}", name(told.user)))?;
        }
        let queued = self.world.schedules[0];
        for case in cases {
            if let Body::HoldSeats(hold) = &case.command.body
                && hold.schedule_id == queued
            {
                let user = hold.user_id.as_str();
                must!(self.may_hold(user, case), "{user} was let to the seats at {} out of turn", case.row.position);
            }
        }
        self.line.dropped.iter().try_for_each(|dropped| self.was_gone(dropped))
    }

    /// Steps that were certainly there by this time, and those that may have been.
    fn window(&self, from_ms: u64, to_ms: u64) -> (usize, usize) {
        let sure = self.published.iter().rposition(|at| at.is_some_and(|at| at <= from_ms)).map_or(0, |at| at + 1);
        let maybe = self.line.steps.partition_point(|step| step.stored_ms <= to_ms);
        (sure, maybe.max(sure))
    }

    /// The states of the line that an answer may go by; before the first record there is nobody.
    fn states(&self, span: Span) -> (bool, &[Step]) {
        let plan = &self.world.sim.plan;
        let steady = plan.store_away + plan.store_slow + plan.outages == 0 && plan.delay_ms_max < 20;
        let age = if span.faulty && !steady { AGE_WITHOUT_STORE_MS } else { AGE_MS };
        let (sure, maybe) = self.window(span.began_ms.saturating_sub(age), span.ended_ms);
        (sure == 0, &self.line.steps[sure.saturating_sub(1)..maybe])
    }

    fn told(&self, told: &Told) -> Judged {
        let user = name(told.user);
        let (nothing_yet, states) = self.states(told.span);
        let has_place = |step: &Step| step.waiting.iter().chain(&step.active).any(|(_, of)| of == user);
        match &told.what {
            Saying::Place { status, position, ahead } if status == "WAITING" => {
                let true_of = |step: &Step| {
                    let rank = step.waiting.iter().position(|(sequence, of)| sequence == position && of == user);
                    rank.is_some_and(|rank| rank as u64 == *ahead)
                };
                must!(states.iter().any(true_of), "in none of {} states of the line", states.len());
            }
            Saying::Place { status, position, .. } if status == "ACTIVE" => {
                let true_of = |step: &Step| step.active.iter().any(|(sequence, of)| sequence == position && of == user);
                must!(states.iter().any(true_of), "in none of {} states of the line", states.len());
            }
            Saying::Place { status, position, .. } => {
                let Some((how, step)) = self.line.gone.get(position) else {
                    return Err("that place never ended".to_owned());
                };
                must!(how == status, "it ended as {how}");
                let stored_ms = self.line.steps[*step].stored_ms;
                must!(stored_ms <= told.span.ended_ms, "it ended only later");
                must!(states.iter().any(|step| !has_place(step)), "there was another place");
            }
            Saying::NoPlace(code) if code == "queue_not_found" => must!(nothing_yet, "the queue was open"),
            Saying::NoPlace(_) => {
                must!(!told.with_token, "the token is genuine");
                let none = |step: &Step| !has_place(step);
                must!(nothing_yet || states.iter().any(none), "there was a place all the time");
            }
            Saying::NotAdmitted if told.with_token => {
                let inside = self.line.visits.iter().find(|visit| visit.user == user && self.all_the_time(visit, told));
                must!(inside.is_none(), "it was this user's turn");
            }
            Saying::NotAdmitted => {}
        }
        Ok(())
    }

    /// Whether a visit had certainly begun before this span and went on after it, whosever clock counts.
    fn all_the_time(&self, visit: &Visit, told: &Told) -> bool {
        let plan = &self.world.sim.plan;
        if plan.producers_stamp || plan.jumps > 0 {
            return false;
        }
        let begun = self.published[visit.from].is_some_and(|at| at <= told.span.began_ms);
        let gone = visit.until.is_some_and(|step| self.line.steps[step].stored_ms <= told.span.ended_ms);
        let over_ms = visit.active_until.0 - crate::sim::BEGINNING_MS - plan.skew_ms_max as i64 - 100;
        begun && !gone && over_ms > told.span.ended_ms as i64
    }

    /// Whether the user was inside when the hold came to the log, or shortly before.
    fn may_hold(&self, user: &str, case: &Case) -> bool {
        let plan = &self.world.sim.plan;
        let late_ms = HOLD_TAKES_MS;
        self.line.visits.iter().filter(|visit| visit.user == user).any(|visit| {
            let begun = self.line.steps[visit.from].stored_ms <= case.stored_ms;
            let gone = visit.until.and_then(|step| self.published[step]);
            let there = gone.is_none_or(|at| at + late_ms >= case.stored_ms);
            let over = visit.active_until.plus_ms(late_ms as i64 + plan.skew_ms_max as i64) < case.row.at;
            begun && there && (!over || plan.producers_stamp || plan.jumps > 0)
        })
    }

    /// Who polls as told is seen, if the log takes the front door's reports.
    fn was_gone(&self, dropped: &Dropped) -> Judged {
        if dropped.user != name(PATIENT) || !self.world.sim.is_calm() || dropped.abandon_after_ms < SURE_TO_BE_SEEN_MS {
            return Ok(());
        }
        let at_ms = self.line.steps[dropped.step].stored_ms;
        let since_ms = at_ms.saturating_sub(dropped.abandon_after_ms as u64);
        let polls = self.world.history.all_told().into_iter().filter(|told| {
            told.user == PATIENT && matches!(&told.what, Saying::Place { status, .. } if status == "WAITING")
        });
        let mut last_ms = since_ms;
        for told in polls {
            if told.span.ended_ms > last_ms + 5_000 {
                break;
            }
            last_ms = last_ms.max(told.span.ended_ms.min(at_ms));
        }
        must!(last_ms + 5_000 < at_ms, "{} polled as told and was dropped", dropped.user);
        Ok(())
    }
}
