//! PostgreSQL as operators run it: behind TLS, behind a pooler, demoted, slow, read by Debezium. Each test has servers of its own.

mod certificates;
mod debezium;
mod failover;
mod pooler;
mod postgres;
mod process;
mod standby;
mod switch;
mod timeouts;
mod tls;

use std::time::Duration;

use turnstile::domain::{Changes, Lane, LanePartition};
use turnstile::store::postgres::PostgresSettings;
use turnstile::store::{CommitBatch, Progress};

const SEATS: LanePartition = LanePartition { lane: Lane::Seats, partition: 0 };

/// Settings with so few connections that all of them are used.
fn settings(url: String) -> PostgresSettings {
    PostgresSettings {
        url,
        schema: "turnstile".into(),
        connections_max: 4,
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(10),
    }
}

/// One record that changes nothing.
fn empty_batch(before: &Progress) -> CommitBatch {
    CommitBatch {
        partition: SEATS,
        before: *before,
        after: Progress { next_offset: before.next_offset + 1, ..*before },
        changes: Changes::Seats(Vec::new()),
        requests: Vec::new(),
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
        interventions: Vec::new(),
    }
}
