//! Faults on real processes under load, each followed by a check of the clients' own history: every accepted command has
//! one outcome, nothing is lost or duplicated, seats and money add up.
//!
//! ```text
//! faults, brokers, ── one test each ──> scenario ── rounds, checks ──> report (docs/chaos.md)
//! outage, strangers                        ├── workload: clients that retry until they have an outcome
//!                                          ├── fleet: the processes          backends: Kafka and PostgreSQL
//!                                          ├── flood: another service, thousands of commands a second
//!                                          └── proxy: cuts and delays commits on their way to PostgreSQL
//! ```
//!
//! They run where `TURNSTILE_TEST_BROKERS` and `TURNSTILE_TEST_DATABASE_URL` name services, one at a time, so that they do
//! not slow each other down. `scripts/chaos` lists the other variables.

mod backends;
mod brokers;
mod clocks;
mod databases;
mod faults;
mod fleet;
mod flood;
mod outage;
mod prng;
mod proxy;
mod report;
mod scenario;
mod strangers;
mod workload;

// Shared with the tests of databases; parts of it are unused here.
#[allow(dead_code)]
#[path = "../database/postgres.rs"]
mod postgres;
#[allow(dead_code)]
#[path = "../database/process.rs"]
mod process;
#[path = "../database/switch.rs"]
mod switch;

// Shared with the end-to-end tests; parts of it are unused here.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../it/harness/mod.rs"]
mod harness;
