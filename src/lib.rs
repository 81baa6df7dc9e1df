//! Turnstile sells seats to a crowd: a partitioned sequential command processor behind an HTTP front door.
//!
//! ```text
//! client ─POST─> api/submission ─log.append─> lane topic ──> processor/partition   (owner)
//!                     │ 202 + Location                          │ decode → prefetch → decide → commit
//!                     │                                         ▼
//!                     │                          one SQL transaction: fence + state + outcomes + outbox + offset
//!                     │                                         │
//!                     ◄── waiters ◄── outcomes topic ◄── processor/relay ──> other lanes (follow-up commands)
//! GET /v1/requests/{id} ──> store (outcome row), or PENDING from the position
//! ```
//!
//! The program is `src/bin/turnstile`. From its configuration to a decision and back:
//!
//! * [`config`]: defaults, file, environment; refused before a port is bound.
//! * [`assembly`]: opens log and store, checks that they belong together, forgets what is old.
//! * [`api`]: the front door. Publishes commands, waits for outcomes, reads the store.
//! * [`wire`]: commands and outcomes as bytes, and the partition of a key.
//! * [`log`]: partitioned topics of opaque records: embedded, Kafka.
//! * [`processor`]: owns partitions: take, decode, prefetch, decide, commit, publish.
//! * [`domain`]: the rules. State, command and time in, decision out.
//! * [`store`]: state, outcomes, outbox and progress in one transaction: SQLite, PostgreSQL.
//! * [`notifier`]: webhooks, from the outcomes topic.
//! * [`plan`]: seating plans: read, checked, written, drawn. Knows nobody.
//! * [`web`]: the pages for people, inside the binary. Knows nobody.
//! * [`audit`]: decides the log again and compares.
//! * [`telemetry`]: metrics and log lines.
//! * [`runtime`]: clock, descriptors, health, shutdown, supervision.
//! * [`testing`]: log and store in memory, faults, samples, models. In no product build.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod api;
pub mod assembly;
pub mod audit;
pub mod config;
pub mod domain;
pub mod log;
pub mod notifier;
pub mod plan;
pub mod processor;
pub mod runtime;
pub mod store;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod web;
pub mod wire;
