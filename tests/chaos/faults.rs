//! The faults, one test each.

use std::time::{Duration, Instant};

use tokio::time::{interval, sleep};

use crate::flood::Flood;
use crate::proxy::Cut;
use crate::scenario::{Fault, Scenario, number, run};

pub const PLAIN: Fault = Fault {
    order: 0,
    name: "",
    workers: 2,
    proxied: false,
    restarts_services: false,
    cluster: false,
    clocks_differ: false,
    unnoticed: false,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed() {
    let fault = Fault { order: 1, name: "kill -9 of a worker", ..PLAIN };
    run(fault, async |scenario: &mut Scenario, round| {
        let victim = scenario.prng.index(scenario.fleet.workers.len());
        scenario.fleet.kill_worker(victim);
        // Either the others take over first, or its replacement does.
        if round % 2 == 0 {
            scenario.workload.progress().await;
        }
        scenario.fleet.start_worker().await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_server_killed() {
    let fault = Fault { order: 2, name: "kill -9 of an API server", ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        let victim = scenario.prng.index(scenario.fleet.apis.len());
        scenario.fleet.kill_api(victim);
        scenario.workload.progress().await;
        scenario.fleet.start_api().await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_restarted() {
    let fault =
        Fault { order: 3, name: "restart of the broker, by kill -9 and by shutdown", restarts_services: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, round| {
        scenario.backends.restart_kafka(round).await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_restarted() {
    let fault = Fault {
        order: 4,
        name: "restart of the database, by kill -9 and by shutdown",
        restarts_services: true,
        ..PLAIN
    };
    run(fault, async |scenario: &mut Scenario, round| {
        scenario.backends.restart_postgres(round).await;
        1
    })
    .await;
}

/// A worker is stopped during a commit, loses its session, and continues after others have taken its partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_frozen_past_its_session() {
    let fault =
        Fault { order: 5, name: "SIGSTOP of a worker in mid-commit until others took over", proxied: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        let before = scenario.proxy().fenced();
        scenario.proxy().hold().await;
        scenario.fleet.workers[0].signal("STOP");
        scenario.workload.progress().await;
        // Its commits reach the database after their partitions have new owners.
        scenario.proxy().release();
        scenario.fleet.workers[0].signal("CONT");
        crate::harness::until("the late commit to be fenced", async || {
            if scenario.proxy().fenced() > before { Ok(()) } else { Err("no answer yet".to_owned()) }
        })
        .await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_without_answer() {
    let fault = Fault { order: 6, name: "connection to the database cut around a COMMIT", proxied: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        for _ in 0..4 {
            let cut = Cut::ALL[scenario.prng.index(Cut::ALL.len())];
            scenario.proxy().cut(cut).await;
            scenario.workload.progress().await;
        }
        4
    })
    .await;
}

/// A worker joins or leaves every second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalance_storm() {
    let fault = Fault { order: 7, name: "workers join and leave every second", ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        let mut every_second = interval(Duration::from_secs(1));
        for _ in 0..8 {
            every_second.tick().await;
            let workers = scenario.fleet.workers.len();
            if workers == 1 || (workers < 4 && scenario.prng.below(2) == 0) {
                scenario.fleet.start_worker_at_once(None).await;
            } else {
                let victim = scenario.prng.index(workers);
                scenario.fleet.stop_worker(victim).await;
            }
        }
        8
    })
    .await;
}

/// Partitions are revoked from a worker whose commits are slow: sometimes it finishes in time, sometimes it misses the
/// deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_in_mid_batch() {
    let fault = Fault { order: 8, name: "partitions revoked in mid-batch", workers: 1, proxied: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        scenario.proxy().hold().await;
        scenario.fleet.start_worker_at_once(None).await;
        // The group learns of the new worker within a heartbeat; the deadline is 2.5 s later.
        sleep(Duration::from_millis(scenario.prng.below(6000))).await;
        scenario.proxy().release();
        scenario.workload.progress().await;
        scenario.fleet.stop_worker(1).await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_restarted_one_after_another() {
    let fault = Fault { order: 9, name: "rolling restart of all workers", workers: 3, unnoticed: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        let workers = scenario.fleet.workers.len();
        for _ in 0..workers {
            scenario.fleet.stop_worker(0).await;
            scenario.workload.progress().await;
            scenario.fleet.start_worker().await;
            scenario.workload.progress().await;
        }
        workers as u64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_added() {
    let fault = Fault { order: 10, name: "a worker added and removed", unnoticed: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        scenario.fleet.start_worker().await;
        scenario.workload.progress().await;
        let victim = scenario.prng.index(scenario.fleet.workers.len());
        scenario.fleet.stop_worker(victim).await;
        2
    })
    .await;
}

/// Another service appends thousands of commands a second while partitions move: none may be lost or duplicated, and no
/// client request may fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_and_restarted_in_a_flood() {
    let rate = number("TURNSTILE_CHAOS_RATE").unwrap_or(5_000);
    let fault = Fault { order: 11, name: "a worker added and all restarted in a flood", unnoticed: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        let began = Instant::now();
        let flood = Flood::start(&scenario.system, rate).await;
        scenario.fleet.start_worker().await;
        scenario.workload.progress().await;
        let workers = scenario.fleet.workers.len();
        for _ in 0..workers {
            scenario.fleet.stop_worker(0).await;
            scenario.workload.progress().await;
            scenario.fleet.start_worker().await;
            scenario.workload.progress().await;
        }
        let seconds = began.elapsed().as_secs_f64();
        let charges = flood.end(&scenario.system).await;
        println!("{charges} charges in {seconds:.1} s: {:.0} a second", charges as f64 / seconds);
        scenario.fleet.stop_worker(0).await;
        workers as u64 + 1
    })
    .await;
}
