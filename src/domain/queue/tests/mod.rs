//! The queue's rules: tables, a naive model, and size.

mod bounds;
mod model;
mod offer;
mod presence;
mod properties;
mod rules;
mod sale;
mod sales;
mod scale;

use std::collections::BTreeMap;

use super::{
    Command, CompleteToken, ConfigureQueue, Limits, LimitsPatch, NoteSale, OfUser, OnTimeout, OpenQueue, PresenceClock,
    PresenceMs, Queue, QueueState, Row, Sale, SaleClock, SaleMs, Seen, Sighting, Token, TokenState, TokenStatus, Turn,
};
use crate::domain;
use crate::domain::block::{SaleNote, SaleState};
use crate::domain::queue::Reply;
use crate::domain::{
    Aggregate, Arrival, Asking, BlockName, Code, Decision, Fingerprint, Lane, LogTime, Position, RequestId, ScheduleId,
    UserId, Verdict,
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
        claim_after_ms: 60_000,
        absent_max_ms: 3_600_000,
    }
}

fn user(number: u32) -> UserId {
    format!("u{number}").parse().expect("a valid user id")
}

fn open(limits: Limits) -> Command {
    Command::OpenQueue(OpenQueue {
        schedule_id: SCHEDULE,
        user_id: user(0),
        limits,
        sales_open_at: None,
        starts_at: LogTime(9_000_000),
        blocks: vec!["east".parse().expect("a block name"), BlockName::main()],
    })
}

fn of_user(number: u32) -> OfUser {
    OfUser { schedule_id: SCHEDULE, user_id: user(number) }
}

fn join(number: u32) -> Command {
    Command::JoinQueue(of_user(number))
}

fn leave(number: u32) -> Command {
    Command::LeaveQueue(of_user(number))
}

/// Paid at a time after every join.
fn complete(number: u32) -> Command {
    paid(number, i64::MAX)
}

fn paid(number: u32, at: i64) -> Command {
    Command::CompleteToken(CompleteToken { schedule_id: SCHEDULE, user_id: user(number), paid_at: LogTime(at) })
}

/// Seen at this very moment.
fn seen(sequences: &[u64]) -> Command {
    seen_ago(&sequences.iter().map(|sequence| (*sequence, 0)).collect::<Vec<_>>())
}

/// Sequences, and how many milliseconds ago.
fn seen_ago(sightings: &[(u64, i64)]) -> Command {
    let sightings =
        sightings.iter().map(|(sequence, age_ms)| Sighting { first: *sequence, last: *sequence, age_ms: *age_ms });
    Command::Seen(Seen { schedule_id: SCHEDULE, sightings: sightings.collect() })
}

fn tick() -> Command {
    Command::Tick(SCHEDULE)
}

fn configure(patch: LimitsPatch, paused: Option<bool>, admit: Option<u32>) -> Command {
    Command::ConfigureQueue(ConfigureQueue { schedule_id: SCHEDULE, user_id: user(0), patch, paused, admit })
}

fn note(block: &str, version: u64, state: SaleState) -> Command {
    let note = SaleNote { version, state, sales_open_at: None, starts_at: LogTime(9_000_000) };
    Command::NoteSale(NoteSale { schedule_id: SCHEDULE, block: block.parse().expect("a block name"), note })
}

fn asking() -> Asking {
    Asking { request_id: RequestId(uuid::Uuid::nil()), fingerprint: Fingerprint(0), by: None }
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
        Arrival { position: Position::new(Lane::Queues, 0, self.offset), time: LogTime(self.now) }
    }

    /// Decides and applies the next record.
    fn run(&mut self, command: Command) -> Decision<QueueState> {
        let decision = QueueState::decide(self.queue.as_ref(), &command, &asking(), &self.arrival());
        assert!(decision.follow_ups.is_empty() && decision.completes.is_none());
        for row in &decision.changes {
            self.hash ^= QueueState::apply(&mut self.queue, row);
            if let Row::Token(token) = row {
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
            Verdict::Decided(Ok(domain::Reply::Queues(Reply::Joined { token, ahead }))) => (token, ahead),
            other => panic!("{other:?}"),
        }
    }
}

/// `1A 2W 3-`: sequence and first letter of the status, a hyphen if it is absent.
fn text<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> String {
    let letter = |token: &Token| match token.state.status() {
        TokenStatus::Absent => "-",
        status => &status.as_str()[..1],
    };
    let words: Vec<String> = tokens.into_iter().map(|token| format!("{}{}", token.sequence, letter(token))).collect();
    words.join(" ")
}
