//! The whole system from one seed: the real owners, relays, timers and API servers over a log, a store, a consumer group
//! and clocks that fail in every way these can fail. One thread, virtual time: a seed repeats its run exactly.
//!
//! `cargo test --test simulation` runs `TURNSTILE_SIM_SEEDS` seeds (200 unless said otherwise) from
//! `TURNSTILE_SIM_FROM` (0) on; `TURNSTILE_SIM_SEED=n` runs that one and prints its trace if it fails.

mod answer_checker;
mod api_servers;
mod archive;
mod bounds;
mod client;
mod clocks;
mod cluster;
mod fault_plan;
mod faults;
mod foreign_producers;
mod group;
mod history;
mod interventions;
mod later;
mod log;
mod log_reader;
mod model;
mod mutants;
mod oracle;
mod other_log;
mod place_checker;
mod prng;
mod run;
mod sale;
mod seventy_queues;
mod sim;
mod staff;
mod store;
mod workload;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use run::{Setup, Storage};

const SEEDS: u64 = 200;
/// Each waits for the disk a few hundred times.
const SQLITE_SEEDS: u64 = 50;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs these seeds on a few threads. Fails with the first of the runs that failed.
fn run_all(seeds: std::ops::Range<u64>, setup: Setup) {
    let threads = number("TURNSTILE_SIM_THREADS").unwrap_or(2);
    let (next, records, began) = (AtomicU64::new(seeds.start), AtomicU64::new(0), Instant::now());
    let violations = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough = violations.lock().map_or(true, |found: MutexGuard<'_, Vec<_>>| found.len() >= 3);
                    if seed >= seeds.end || enough {
                        return;
                    }
                    let ran = run::run(seed, setup);
                    records.fetch_add(ran.records, Ordering::Relaxed);
                    if let (Some(violation), Ok(mut violations)) = (ran.violation, violations.lock()) {
                        violations.push((ran.seed, violation));
                    }
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let (count, records) = (seeds.end - seeds.start, records.into_inner());
    println!("{count} seeds, {records} records in {seconds:.1} s: {:.0} seeds/s", count as f64 / seconds);
    let mut violations = violations.into_inner().unwrap_or_default();
    violations.sort_by_key(|(seed, _)| *seed);
    if let Some((_, first)) = violations.first() {
        let heads: Vec<&str> = violations.iter().filter_map(|(_, violation)| violation.lines().next()).collect();
        panic!("{} runs failed:\n{}\n\nthe first: {first}", heads.len(), heads.join("\n"));
    }
}

fn seeds_from(seeds: u64) -> std::ops::Range<u64> {
    let from = number("TURNSTILE_SIM_FROM").unwrap_or(0);
    from..from + seeds
}

#[test]
fn every_seed_keeps_every_invariant() {
    if let Some(seed) = number("TURNSTILE_SIM_SEED") {
        let ran = run::run(seed, Setup::default());
        let how = if ran.panicked { ", panicked" } else { "" };
        println!("seed {seed}: {} records, {} calls, trace {:x}{how}", ran.records, ran.calls, ran.trace_hash);
        assert!(ran.violation.is_none(), "\n{}", ran.violation.unwrap_or_default());
        return;
    }
    run_all(seeds_from(number("TURNSTILE_SIM_SEEDS").unwrap_or(SEEDS)), Setup::default());
}

/// The same faults over the real store of one machine. Its threads are not the seed's, so a run is not repeated exactly.
#[test]
fn every_seed_keeps_every_invariant_over_sqlite() {
    let seeds = number("TURNSTILE_SIM_SQLITE_SEEDS").unwrap_or(SQLITE_SEEDS);
    run_all(seeds_from(seeds), Setup { storage: Storage::Sqlite, ..Setup::default() });
}

#[test]
fn a_seed_repeats_its_run_exactly() {
    for seed in 1_000_000..1_000_010 {
        let (first, again) = (run::run(seed, Setup::default()), run::run(seed, Setup::default()));
        assert_eq!((first.trace_hash, first.records), (again.trace_hash, again.records), "seed {seed}");
    }
}
