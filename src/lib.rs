//! Turnstile sells seats to a crowd: a partitioned sequential command processor behind an HTTP front door.
//!
//! ```text
//! client ──POST──> api/submit ──log.append──> lane topic ──> processor/partition   (owner)
//!                     │ 202 + Location                          │ decode → prefetch → decide → commit
//!                     │                                         ▼
//!                     │                          one SQL transaction: fence + state + outcomes + outbox + offset
//!                     │                                         │
//!                     ◄── waiters ◄── outcomes topic ◄── processor/relay ──> other lanes (follow-up commands)
//! GET /v1/requests/{id} ──> store (outcome row), or PENDING from the position
//! ```
//!
//! From the command line to a decision and back:
//!
//! * [`cli`]: what can be asked of the program.
//! * [`config`]: defaults, file, environment; refused before a port is bound.
//! * [`commands`]: what each command does.
//! * [`roles`]: opens log and store, starts front door and worker, ends them in order.
//! * [`api`]: the front door. Publishes commands, waits for outcomes, reads the store.
//! * [`wire`]: commands and outcomes as bytes, and the partition of a key.
//! * [`log`]: partitioned topics of opaque records: embedded, Kafka.
//! * [`processor`]: owns partitions: take, decode, prefetch, decide, commit, publish.
//! * [`domain`]: the rules. State, command and time in, decision out.
//! * [`store`]: state, outcomes, outbox and progress in one transaction: SQLite, PostgreSQL.
//! * [`audit`]: decides the log again and compares.
//! * [`load`]: sends requests at a fixed rate and measures.
//! * [`telemetry`]: metrics and log lines.
//! * [`runtime`]: clock, health, shutdown, supervision.
//! * [`testing`]: log and store in memory, faults, samples, models. In no product build.

pub mod cli;

pub mod config;

pub mod commands;

pub mod roles;

pub mod api;

pub mod wire;

pub mod log;

pub mod processor;

pub mod domain;

pub mod store;

pub mod audit;

pub mod load;

pub mod telemetry;

pub mod runtime;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
