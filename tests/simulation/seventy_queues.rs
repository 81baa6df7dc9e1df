//! Seventy waiting queues through one API server, whose users poll as told: more queues than any bound by number would
//! keep in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use turnstile::domain::queue::{self, Limits, OnTimeout, OpenQueue, TokenStatus};
use turnstile::domain::{ConcertId, LogTime, ScheduleId};
use turnstile::store::{Catalog, Concert, Reads, Schedule};

use crate::cluster::{Cluster, uuid};
use crate::run::Setup;
use crate::sale;
use crate::sim::{DAY_MS, START_MS, Sim};

const QUEUES: usize = 70;
const USERS: usize = 3;
/// Longer than anybody may be unseen, and with the outage in between.
const POLLS_FOR: Duration = Duration::from_secs(60);
const ABANDON_AFTER_MS: i64 = 12_000;
const TIMEOUT: Duration = Duration::from_secs(600);

fn limits() -> Limits {
    Limits {
        max_active: 1,
        active_ttl_ms: 86_400_000,
        max_waiting: 10,
        admit_per_minute: None,
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: ABANDON_AFTER_MS,
        claim_after_ms: 5_000,
        absent_max_ms: 3_600_000,
    }
}

async fn open_dates(cluster: &Cluster) -> Vec<ScheduleId> {
    let (starts_at, created_at) = (LogTime(START_MS + DAY_MS), LogTime(START_MS));
    let concert_id = ConcertId(uuid(&cluster.sim));
    let concert = Concert {
        id: concert_id,
        title: "A concert".to_owned(),
        description: None,
        currency: None,
        time_zone: None,
        created_at,
    };
    cluster.store.insert_concert(&concert).await.expect("no faults");
    let mut dates = Vec::new();
    for _ in 0..QUEUES {
        let id = ScheduleId(uuid(&cluster.sim));
        let schedule = Schedule {
            id,
            concert_id,
            starts_at,
            duration_ms: None,
            hold_ttl_ms: 60_000,
            max_seats_per_user: 4,
            sales_open_at: None,
            sales_close_at: None,
            queue: true,
            plan: None,
            larger_plan: None,
            created_at,
        };
        cluster.store.insert_schedule(&schedule).await.expect("no faults");
        let open = OpenQueue {
            schedule_id: id,
            user_id: sale::user("admin"),
            limits: limits(),
            sales_open_at: None,
            starts_at,
            blocks: vec![sale::block("main")],
        };
        let body = turnstile::domain::Body::Queues(queue::Command::OpenQueue(open));
        cluster.send(&cluster.command(body)).await;
        dates.push(id);
    }
    dates
}

async fn call(cluster: &Cluster, method: &str, path: String, user: &str, token: Option<&str>) -> Option<(u16, Value)> {
    let mut request = Request::builder().method(method).uri(path).header("prefer", "wait=20");
    // The token alone is enough to poll.
    request = match token {
        Some(token) => request.header("queue-token", token),
        None => request.header("x-user-id", user),
    };
    cluster.call(request.body(Body::empty()).expect("a request")).await
}

/// Joins and polls when told, until the end.
async fn wait(cluster: Arc<Cluster>, date: ScheduleId, user: String, until: Instant) {
    let queue = format!("/v1/schedules/{date}/queue");
    let (_, joined) = call(&cluster, "POST", queue.clone(), &user, None).await.expect("an answer");
    let token = joined["result"]["token"].as_str().unwrap_or_else(|| panic!("{joined}")).to_owned();
    let mut poll_after_ms = joined["result"]["poll_after_ms"].as_u64().expect("a number");
    while Instant::now() < until {
        sleep(Duration::from_millis(poll_after_ms)).await;
        let answer = call(&cluster, "GET", format!("{queue}/position"), &user, Some(&token)).await;
        if let Some((200, place)) = answer {
            poll_after_ms = place["poll_after_ms"].as_u64().expect("a number");
        }
    }
}

async fn simulate(seed: u64) {
    let sim = Sim::new(seed);
    let cluster = Cluster::new(&sim, Setup::default()).await;
    let coordinator = tokio::spawn(Arc::clone(&cluster.log.group).coordinate());
    cluster.start_api(0);
    cluster.start_worker();
    let dates = open_dates(&cluster).await;
    // A date is in the catalog only once its queue is open.
    for date in &dates {
        while cluster.store.queue(*date).await.expect("no faults").is_none() {
            sleep(Duration::from_millis(50)).await;
        }
    }
    let until = Instant::now() + POLLS_FOR;
    let mut users = JoinSet::new();
    for date in &dates {
        for number in 0..USERS {
            users.spawn(wait(Arc::clone(&cluster), *date, format!("user-{number}"), until));
        }
    }
    sleep(Duration::from_secs(20)).await;
    sim.log_goes_away(Duration::from_millis(2 * ABANDON_AFTER_MS.unsigned_abs()));
    while let Some(ended) = users.join_next().await {
        ended.expect("no user fails");
    }
    for date in dates {
        let tokens = cluster.store.tokens_changed(date, 0, false, 100).await.expect("no faults");
        let count = |status| tokens.iter().filter(|token| token.state.status() == status).count();
        let counts = (count(TokenStatus::Active), count(TokenStatus::Waiting), tokens.len());
        assert_eq!(counts, (1, USERS - 1, USERS), "{date}: who polls keeps the place: {tokens:?}");
    }
    cluster.stop_all().await;
    coordinator.abort();
}

#[test]
fn q13_who_polls_keeps_the_place_however_many_queues_there_are() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let ended = runtime.expect("a runtime without I/O").block_on(async { timeout(TIMEOUT, simulate(70)).await });
    ended.expect("in time");
}
