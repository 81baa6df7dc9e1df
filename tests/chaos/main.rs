//! Faults on real processes under load, each followed by a check of the clients' own history: every command that was
//! taken has one outcome, nothing is lost, nothing doubled, seats and money add up.
//!
//! ```text
//! faults ── what is done to whom ──> stage ── rounds, waits, checks ──> report (docs/chaos.md)
//!                                      ├── crowd: users at work, who repeat what was not answered
//!                                      ├── fleet: the processes          pair: Kafka and PostgreSQL
//!                                      ├── flood: another service, thousands of commands a second
//!                                      └── proxy: cuts and holds commits on their way to PostgreSQL
//! ```
//!
//! They run where `TURNSTILE_TEST_BROKERS` and `TURNSTILE_TEST_DATABASE_URL` name services, one at a time, so that the
//! waits they measure are not each other's. `scripts/chaos` says which further variables there are.

mod crowd;
mod dice;
mod faults;
mod fleet;
mod flood;
mod pair;
mod proxy;
mod report;
mod stage;

// Of the end-to-end tests; not all of it is of use here.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../it/harness/mod.rs"]
mod harness;
