//! `kill -9` of the queue's owner while a thousand wait and pay: places, order and tokens survive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use turnstile::domain::ScheduleId;
use turnstile::domain::queue::TokenStatus;

use crate::harness::{Answer, Ask, Offer, Outcome, Pair, Sale, System, User, run_with, text};

const USERS: usize = 1000;
/// The owner is killed when so many have paid.
const KILLS_AT: [usize; 3] = [150, 400, 700];
/// All of it, with three takeovers and a debug build beside compilers.
const DONE_WITHIN: Duration = Duration::from_secs(240);

/// How far the sale has come, for the one who kills.
#[derive(Default)]
struct Progress {
    joined: AtomicUsize,
    paid: AtomicUsize,
}

async fn a_thousand_through_the_queue(system: &System) {
    let limits = json!({"max_active": 100, "active_ttl_seconds": 600, "max_waiting": 5000, "on_timeout": "expire"});
    let sections = [("A", 500, 100), ("B", 500, 100)];
    let sale = Offer { sections: &sections, queue: Some(limits), ..Offer::default() }.open(&system.client).await;
    let progress = Arc::new(Progress::default());
    let mut users = tokio::task::JoinSet::new();
    for i in 0..USERS {
        let (user, sale, progress) = (system.client.user(format!("user{i}")), sale.clone(), progress.clone());
        users.spawn(async move { visit(&user, &sale, ["A", "B"][i % 2], &progress).await });
    }
    for paid in KILLS_AT {
        until_paid(&progress, paid, &mut users).await;
        let began = Instant::now();
        replace_owner(system).await;
        println!("killed with {paid} paid; replaced after {:?}", began.elapsed());
    }
    while let Some(done) = users.join_next().await {
        done.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
    }
    everyone_was_let_in_by_order(system, &sale).await;
}

/// What `kill -9` hits, and what takes over.
async fn replace_owner(system: &System) {
    let mut owner = system.servers().pop().expect("a process runs");
    owner.kill();
    match system.pair {
        Pair::Embedded => system.start().await,
        Pair::Real => drop(system.start_role("worker").await),
    }
}

async fn until_paid(progress: &Progress, paid: usize, users: &mut tokio::task::JoinSet<()>) {
    while progress.joined.load(Ordering::Relaxed) < USERS || progress.paid.load(Ordering::Relaxed) < paid {
        if let Some(done) = users.try_join_next() {
            done.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One user: joins, waits, holds a seat and pays, whatever happens to the server meanwhile.
async fn visit(user: &User, sale: &Sale, section: &str, progress: &Progress) {
    insist(user, || user.charge(100).key("money")).await.result();
    let joined = insist(user, || user.post(&sale.path("/queue"), json!({})).key("join")).await.result();
    let (token, position) = (text(&joined, "token"), joined["position"].clone());
    progress.joined.fetch_add(1, Ordering::Relaxed);
    let poll = async || {
        let ask = || user.request(Method::GET, &sale.path("/queue/position")).header("Queue-Token", &token);
        let answer = answered(user, ask).await;
        assert_eq!(answer.status, 200, "the token of {} survives: {answer:?}", user.name);
        assert_eq!(answer.body["position"], position, "and so does the place of {}: {answer:?}", user.name);
        answer.body
    };
    loop {
        let place = poll().await;
        match place["status"].as_str() {
            Some("ACTIVE") => break,
            Some("WAITING") => {}
            other => panic!("{} is {other:?}", user.name),
        }
        let ms = place["poll_after_ms"].as_u64().expect("when to ask again");
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    let hold = || user.hold_best(sale, section, 1).header("Queue-Token", &token).key("seat");
    let reservation = text(&insist(user, hold).await.result(), "reservation_id");
    insist(user, || user.pay(&reservation).key("pay")).await.result();
    progress.paid.fetch_add(1, Ordering::Relaxed);
    let began = Instant::now();
    while poll().await["status"] != "COMPLETED" {
        assert!(began.elapsed() < DONE_WITHIN, "{} has paid", user.name);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Sends a command under its key until it is decided.
async fn insist(user: &User, ask: impl Fn() -> Ask) -> Outcome {
    loop {
        let answer = answered(user, || ask().wait(10)).await;
        if answer.status != 202 {
            return answer.outcome();
        }
    }
}

/// Asks until a living server answers.
async fn answered(user: &User, ask: impl Fn() -> Ask) -> Answer {
    let began = Instant::now();
    loop {
        let answer = ask().try_send().await;
        if let Ok(answer) = answer
            && (answer.status < 500 || answer.code() == "queue_full")
        {
            return answer;
        }
        assert!(began.elapsed() < DONE_WITHIN, "nobody answers {}", user.name);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn everyone_was_let_in_by_order(system: &System, sale: &Sale) {
    let store = system.open_store().await;
    let schedule = ScheduleId(sale.schedule.parse().expect("a UUID"));
    let mut tokens = store.tokens_changed(schedule, 0, false, 10_000).await.expect("the store answers");
    tokens.sort_by_key(|token| token.sequence);
    assert!(tokens.iter().map(|token| token.sequence).eq(1..=USERS as u64), "a place each, no gap");
    assert!(tokens.iter().all(|token| token.state.status() == TokenStatus::Completed));
    assert!(tokens.is_sorted_by_key(|token| token.joined_at));
    assert!(
        tokens.is_sorted_by_key(|token| token.state.turn().map(|turn| turn.admitted_at)),
        "first come, first admitted"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() {
    let start = async |system: &System| system.start().await;
    run_with(Pair::Embedded, "queue_crash", start, async |system| a_thousand_through_the_queue(system).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real() {
    let start = async |system: &System| {
        let api = system.start_role("api").await;
        system.start_role("worker").await;
        system.client.point_at(vec![api]);
    };
    run_with(Pair::Real, "queue_crash", start, async |system| a_thousand_through_the_queue(system).await).await;
}
