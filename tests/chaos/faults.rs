//! The faults, one test each.

use std::time::{Duration, Instant};

use tokio::time::{interval, sleep};

use crate::flood::Flood;
use crate::proxy::Cut;
use crate::stage::{Fault, Stage, number, run};

const PLAIN: Fault =
    Fault { order: 0, name: "", workers: 2, proxied: false, restarts_services: false, unnoticed: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed() {
    let fault = Fault { order: 1, name: "kill -9 of a worker", ..PLAIN };
    run(fault, async |stage: &mut Stage, round| {
        let victim = stage.dice.pick(stage.fleet.workers.len());
        stage.fleet.kill_worker(victim);
        // Now its place is taken by the others first, now by its own successor.
        if round % 2 == 0 {
            stage.crowd.flowing().await;
        }
        stage.fleet.start_worker().await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn front_door_killed() {
    let fault = Fault { order: 2, name: "kill -9 of a front door", ..PLAIN };
    run(fault, async |stage: &mut Stage, _| {
        let victim = stage.dice.pick(stage.fleet.doors.len());
        stage.fleet.kill_door(victim);
        stage.crowd.flowing().await;
        stage.fleet.start_door().await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_restarted() {
    let fault =
        Fault { order: 3, name: "restart of the broker, by kill -9 and softly", restarts_services: true, ..PLAIN };
    run(fault, async |stage: &mut Stage, round| {
        stage.pair.restart_kafka(round).await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_restarted() {
    let fault =
        Fault { order: 4, name: "restart of the database, by kill -9 and softly", restarts_services: true, ..PLAIN };
    run(fault, async |stage: &mut Stage, round| {
        stage.pair.restart_postgres(round).await;
        1
    })
    .await;
}

/// A worker stands still in the middle of commits, is taken for dead, and goes on when others have its partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_frozen_past_its_session() {
    let fault =
        Fault { order: 5, name: "SIGSTOP of a worker in mid-commit until others took over", proxied: true, ..PLAIN };
    run(fault, async |stage: &mut Stage, _| {
        let before = stage.proxy().fenced();
        stage.proxy().hold().await;
        stage.fleet.workers[0].signal("STOP");
        stage.crowd.flowing().await;
        // Its commits arrive when their partitions belong to another, and it wakes up to their answers.
        stage.proxy().release();
        stage.fleet.workers[0].signal("CONT");
        crate::harness::until("the late commit to be fenced", async || {
            if stage.proxy().fenced() > before { Ok(()) } else { Err("no answer yet".to_owned()) }
        })
        .await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_without_answer() {
    let fault = Fault { order: 6, name: "connection to the database cut around a COMMIT", proxied: true, ..PLAIN };
    run(fault, async |stage: &mut Stage, _| {
        for _ in 0..4 {
            let cut = Cut::ALL[stage.dice.pick(Cut::ALL.len())];
            stage.proxy().cut(cut).await;
            stage.crowd.flowing().await;
        }
        4
    })
    .await;
}

/// Workers come and go every second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalance_storm() {
    let fault = Fault { order: 7, name: "workers join and leave every second", ..PLAIN };
    run(fault, async |stage: &mut Stage, _| {
        let mut every_second = interval(Duration::from_secs(1));
        for _ in 0..8 {
            every_second.tick().await;
            let workers = stage.fleet.workers.len();
            if workers == 1 || (workers < 4 && stage.dice.roll(2) == 0) {
                stage.fleet.start_worker_at_once(None).await;
            } else {
                let victim = stage.dice.pick(workers);
                stage.fleet.stop_worker(victim).await;
            }
        }
        8
    })
    .await;
}

/// Partitions are taken from a worker whose commits are slow: now it finishes in time, now its deadline passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_in_mid_batch() {
    let fault = Fault { order: 8, name: "partitions revoked in mid-batch", workers: 1, proxied: true, ..PLAIN };
    run(fault, async |stage: &mut Stage, _| {
        stage.proxy().hold().await;
        stage.fleet.start_worker_at_once(None).await;
        // The newcomer is heard of within a heartbeat, the deadline is 2.5 s after that.
        sleep(Duration::from_millis(stage.dice.roll(6000))).await;
        stage.proxy().release();
        stage.crowd.flowing().await;
        stage.fleet.stop_worker(1).await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_restarted_one_after_another() {
    let fault = Fault { order: 9, name: "rolling restart of all workers", workers: 3, unnoticed: true, ..PLAIN };
    run(fault, async |stage: &mut Stage, _| {
        let workers = stage.fleet.workers.len();
        for _ in 0..workers {
            stage.fleet.stop_worker(0).await;
            stage.crowd.flowing().await;
            stage.fleet.start_worker().await;
            stage.crowd.flowing().await;
        }
        workers as u64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_added() {
    let fault = Fault { order: 10, name: "a worker added, and taken away again", unnoticed: true, ..PLAIN };
    run(fault, async |stage: &mut Stage, _| {
        stage.fleet.start_worker().await;
        stage.crowd.flowing().await;
        let victim = stage.dice.pick(stage.fleet.workers.len());
        stage.fleet.stop_worker(victim).await;
        2
    })
    .await;
}

/// Thousands of commands a second flow in from another service while partitions move: none may be lost or doubled, and
/// no request of the users may fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_and_restarted_in_a_flood() {
    let rate = number("TURNSTILE_CHAOS_RATE").unwrap_or(5_000);
    let fault = Fault { order: 11, name: "a worker added and all restarted in a flood", unnoticed: true, ..PLAIN };
    run(fault, async |stage: &mut Stage, _| {
        let began = Instant::now();
        let flood = Flood::start(&stage.system, rate).await;
        stage.fleet.start_worker().await;
        stage.crowd.flowing().await;
        let workers = stage.fleet.workers.len();
        for _ in 0..workers {
            stage.fleet.stop_worker(0).await;
            stage.crowd.flowing().await;
            stage.fleet.start_worker().await;
            stage.crowd.flowing().await;
        }
        let flowed = began.elapsed().as_secs_f64();
        let charges = flood.end(&stage.system).await;
        println!("{charges} charges flowed in {flowed:.1} s: {:.0} a second", charges as f64 / flowed);
        stage.fleet.stop_worker(0).await;
        workers as u64 + 1
    })
    .await;
}
