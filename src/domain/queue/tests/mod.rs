//! The queue's rules: tables, a naive model, and size.

mod model;
mod properties;
mod rules;
mod scale;

use std::collections::BTreeMap;

use super::{Limits, OnTimeout, Queue, QueueState, Token, apply, decide};
use crate::domain::command::{CompleteToken, ConfigureQueue, JoinQueue, LeaveQueue, OpenQueue, Seen, Tick};
use crate::domain::{
    Arrival, Body, Change, Command, Decision, Lane, LogTime, Position, RequestId, ScheduleId, Success, UserId, Verdict,
};

const SCHEDULE: ScheduleId = ScheduleId(uuid::Uuid::from_u128(7));

fn limits() -> Limits {
    Limits {
        max_active: 2,
        active_ttl_ms: 1_000,
        max_waiting: 100,
        admit_per_minute: None,
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 10_000,
    }
}

fn user(number: u32) -> UserId {
    format!("u{number}").parse().expect("a valid user id")
}

fn open(limits: Limits) -> Body {
    Body::OpenQueue(OpenQueue { schedule_id: SCHEDULE, user_id: user(0), limits })
}

fn join(number: u32) -> Body {
    Body::JoinQueue(JoinQueue { schedule_id: SCHEDULE, user_id: user(number) })
}

fn leave(number: u32) -> Body {
    Body::LeaveQueue(LeaveQueue { schedule_id: SCHEDULE, user_id: user(number) })
}

fn complete(number: u32) -> Body {
    Body::CompleteToken(CompleteToken { schedule_id: SCHEDULE, user_id: user(number) })
}

fn seen(sequences: &[u64]) -> Body {
    Body::Seen(Seen { schedule_id: SCHEDULE, sequences: sequences.to_vec() })
}

fn tick() -> Body {
    Body::Tick(Tick { schedule_id: SCHEDULE })
}

fn configure(patch: super::LimitsPatch, paused: Option<bool>, admit: Option<u32>) -> Body {
    Body::ConfigureQueue(ConfigureQueue { schedule_id: SCHEDULE, user_id: user(0), patch, paused, admit })
}

/// A queue with the log before it and the store behind it: every row as last written, and the hash over them.
#[derive(Default)]
struct Fixture {
    queue: Option<QueueState>,
    /// Every token ever, as the store has it.
    stored: BTreeMap<u64, Token>,
    hash: u64,
    offset: u64,
    /// Log time, milliseconds.
    now: i64,
}

impl Fixture {
    fn opened(limits: Limits) -> Self {
        let mut fixture = Fixture { now: 1_000_000, ..Fixture::default() };
        fixture.run(open(limits));
        fixture
    }

    fn arrival(&self) -> Arrival {
        Arrival {
            position: Position { lane: Lane::Queues, partition: 0, offset: self.offset },
            time: LogTime(self.now),
        }
    }

    /// Decides and applies the next record.
    fn run(&mut self, body: Body) -> Decision {
        let command = Command { request_id: RequestId(uuid::Uuid::from_u128(self.offset.into())), body };
        let decision = decide(self.queue.as_ref(), &command, &self.arrival());
        assert!(decision.follow_ups.is_empty() && decision.completes.is_none());
        for change in &decision.changes {
            self.hash ^= apply(&mut self.queue, change);
            if let Change::Token(token) = change {
                self.stored.insert(token.sequence, token.clone());
            }
        }
        self.offset += 1;
        decision
    }

    fn after(&mut self, ms: i64) -> &mut Self {
        self.now += ms;
        self
    }

    fn state(&self) -> &QueueState {
        self.queue.as_ref().expect("an open queue")
    }

    fn row(&self) -> &Queue {
        &self.state().row
    }

    /// `(sequence, status)` of every live token, e.g. `1A 2W`.
    fn live(&self) -> String {
        text(self.state().tokens())
    }

    fn joined(&mut self, number: u32) -> (Token, u64) {
        match self.run(join(number)).verdict {
            Verdict::Succeeded(Success::Joined { token, ahead, .. }) => (token, ahead),
            other => panic!("{other:?}"),
        }
    }
}

/// `1A 2W`: sequence and first letter of the status.
fn text<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> String {
    let words: Vec<String> =
        tokens.into_iter().map(|token| format!("{}{}", token.sequence, &token.status.as_str()[..1])).collect();
    words.join(" ")
}
