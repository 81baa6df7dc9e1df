//! Replicas against the owner's state, ETAs against reality, and what a replica costs.

mod eta;
mod presence;
mod replica;
mod replicas;

use crate::domain::queue::{
    Command, CompleteToken, ConfigureQueue, Limits, LimitsPatch, OfUser, OnTimeout, OpenQueue, QueueState, Row, Seen,
    Sighting, Token,
};
use crate::domain::{
    Aggregate, Arrival, Asking, BlockName, Fingerprint, Lane, LanePartition, LogTime, RequestId, ScheduleId, UserId,
};

use super::replica::Replica;

const SCHEDULE: ScheduleId = ScheduleId(uuid::Uuid::from_u128(7));
const PLACE: LanePartition = LanePartition { lane: Lane::Queues, partition: 0 };

fn user(number: u32) -> UserId {
    format!("u{number}").parse().unwrap()
}

fn of_user(number: u32) -> OfUser {
    OfUser { schedule_id: SCHEDULE, user_id: user(number) }
}

fn limits(max_active: u32) -> Limits {
    Limits {
        max_active,
        active_ttl_ms: 60_000,
        max_waiting: 1_000_000,
        admit_per_minute: None,
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 180_000,
        claim_after_ms: 60_000,
        absent_max_ms: 3_600_000,
    }
}

fn open(limits: Limits) -> Command {
    Command::OpenQueue(OpenQueue {
        schedule_id: SCHEDULE,
        user_id: user(0),
        limits,
        sales_open_at: None,
        starts_at: LogTime(4_000_000_000_000),
        blocks: vec![BlockName::main()],
    })
}

fn join(number: u32) -> Command {
    Command::JoinQueue(of_user(number))
}

/// The user pays now.
fn complete(number: u32, now: i64) -> Command {
    Command::CompleteToken(CompleteToken { schedule_id: SCHEDULE, user_id: user(number), paid_at: LogTime(now) })
}

fn seen(sequences: &[u64]) -> Command {
    let sighting = |sequence: &u64| Sighting { first: *sequence, last: *sequence, age_ms: 0 };
    Command::Seen(Seen { schedule_id: SCHEDULE, sightings: sequences.iter().map(sighting).collect() })
}

fn tick() -> Command {
    Command::Tick(SCHEDULE)
}

/// The queue's owner: its state, and what each record changed.
#[derive(Default)]
struct Owner {
    state: Option<QueueState>,
    offset: u64,
    now: i64,
    /// Latest rows by change, as the store lists them.
    rows: std::collections::BTreeMap<u64, Token>,
}

impl Owner {
    fn run(&mut self, command: Command) -> Vec<Row> {
        let request_id = RequestId(uuid::Uuid::from_u128(self.offset.into()));
        let asking = Asking { request_id, fingerprint: Fingerprint(0), by: None };
        let at = Arrival { position: PLACE.at(self.offset), time: LogTime(self.now) };
        let decision = QueueState::decide(self.state.as_ref(), &command, &asking, &at);
        for row in &decision.changes {
            QueueState::apply(&mut self.state, row);
            if let Row::Token(token) = row {
                self.rows.insert(token.sequence, token.clone());
            }
        }
        self.offset += 1;
        decision.changes
    }

    fn state(&self) -> &QueueState {
        self.state.as_ref().unwrap()
    }

    fn changed_since(&self, from: u64) -> Vec<Token> {
        let mut tokens: Vec<Token> =
            self.rows.values().filter(|token| token.changed.position.offset >= from).cloned().collect();
        tokens.sort_by_key(|token| (token.changed.position.offset, token.sequence));
        tokens
    }

    fn refresh(&self, replica: &mut Replica) {
        replica.apply(self.changed_since(replica.next_offset()));
        replica.set_row(self.state().row.clone(), LogTime(self.now));
    }

    fn replica(&self) -> Replica {
        let mut replica = Replica::new(self.state().row.clone());
        replica.apply_loaded(self.state().tokens().cloned().collect());
        replica.set_row(self.state().row.clone(), LogTime(self.now));
        replica
    }
}
