//! The waiting queue over HTTP: joining, polling, streams, holds, and what an operator does.

mod owner;
mod streams;

use std::sync::Arc;

use uuid::Uuid;

use self::owner::Owner;
use super::*;
use crate::domain::queue::{Command, CompleteToken, Limits, OnTimeout, OpenQueue, Seen, Sighting};
use crate::domain::{BlockName, LogTime, ScheduleId};

/// An API server, and a date whose queue is open.
struct Queue {
    door: Door,
    owner: Arc<Owner>,
    schedule: ScheduleId,
}

fn limits(max_active: u32) -> Limits {
    Limits {
        max_active,
        active_ttl_ms: 300_000,
        max_waiting: 1_000,
        admit_per_minute: None,
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 180_000,
        claim_after_ms: 60_000,
        absent_max_ms: 3_600_000,
    }
}

impl Queue {
    async fn open(max_active: u32) -> Queue {
        Queue::with(Settings::default(), limits(max_active)).await
    }

    async fn with(settings: Settings, limits: Limits) -> Queue {
        let door = Door::with(settings).await;
        let owner = Arc::new(Owner::new(door.log.clone(), door.store.clone()).await);
        let mut queue = Queue { door, owner: owner.clone(), schedule: ScheduleId(Uuid::nil()) };
        queue.schedule = queue.another(limits).await;
        tokio::spawn(async move { owner.follow().await });
        queue
    }

    /// One more date with a queue.
    async fn another(&self, limits: Limits) -> ScheduleId {
        let id = self.door.put_date(true, &[("main", &["A"])]).await;
        let open = OpenQueue {
            schedule_id: id,
            user_id: user("admin"),
            limits,
            sales_open_at: None,
            starts_at: LogTime(4_000_000_000_000),
            blocks: vec![BlockName::main()],
        };
        self.owner.run(Command::OpenQueue(open)).await;
        id
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/schedules/{}{rest}", self.schedule)
    }

    fn ask(&self, user: &str, method: Method, rest: &str) -> RequestBuilder {
        self.door.bare(method, &self.path(rest)).header("x-user-id", user)
    }

    /// The result of a join that must succeed.
    async fn join(&self, user: &str) -> Value {
        let answer = send(waiting(self.ask(user, Method::POST, "/queue"), 10)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"].clone()
    }

    async fn leave(&self, user: &str) {
        let answer = send(waiting(self.ask(user, Method::DELETE, "/queue"), 10)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    async fn position(&self, user: &str, token: Option<&str>) -> Answer {
        let ask = self.ask(user, Method::GET, "/queue/position");
        send(if let Some(token) = token { ask.header("queue-token", token) } else { ask }).await
    }

    async fn hold(&self, user: &str, token: Option<&str>) -> Answer {
        let ask = self.ask(user, Method::POST, "/holds").json(&json!({ "seats": ["A-1"] }));
        send(if let Some(token) = token { ask.header("queue-token", token) } else { ask }).await
    }

    async fn pay(&self, name: &str) {
        let paid_at = Clock::System.now();
        let complete = CompleteToken { schedule_id: self.schedule, user_id: user(name), paid_at };
        self.owner.run(Command::CompleteToken(complete)).await;
    }

    async fn patch(&self, user: &str, body: Value) -> Answer {
        send(waiting(self.ask(user, Method::PATCH, "/queue").json(&body), 10)).await
    }
}

fn user(name: &str) -> crate::domain::UserId {
    name.parse().unwrap()
}

fn token(join: &Value) -> &str {
    join["token"].as_str().unwrap()
}

#[tokio::test]
async fn f01_q2_a_join_gives_a_signed_place_and_again_the_same() {
    let queue = Queue::open(1).await;
    let first = queue.join("alice").await;
    assert_eq!((&first["position"], &first["status"], &first["ahead"]), (&json!(1), &json!("ACTIVE"), &json!(0)));
    assert!(first["active_until"].is_string() && first["admitted"].is_null(), "{first}");
    assert_eq!(queue.join("alice").await["token"], first["token"]);
    let second = queue.join("bob").await;
    assert_eq!((&second["position"], &second["status"]), (&json!(2), &json!("WAITING")));
    let third = queue.join("carol").await;
    assert_eq!((&third["position"], &third["ahead"], &third["poll_after_ms"]), (&json!(3), &json!(1), &json!(2_000)));
    let place = queue.position("carol", Some(token(&third))).await;
    let expected = json!({
        "status": "WAITING", "position": 3, "ahead": 1, "eta_seconds": null, "poll_after_ms": 1_000,
        "abandon_after_seconds": 180, "on_timeout": "requeue", "sale": "open", "left": {"A": 50},
    });
    assert_eq!((place.status, place.json(), place.header("retry-after")), (200, expected, "1"));
    assert_eq!(queue.position("carol", None).await.json(), place.json(), "by the place alone");
}

#[tokio::test]
async fn a_join_that_was_not_waited_for_shows_its_token_later_and_to_its_user_only() {
    let queue = Queue::open(1).await;
    let accepted = send(queue.ask("alice", Method::POST, "/queue")).await;
    assert_eq!(accepted.status, 202);
    let location = accepted.header("location").to_owned();
    let as_user =
        |name: &'static str| send(waiting(queue.door.bare(Method::GET, &location).header("x-user-id", name), 10));
    let decided = as_user("alice").await.json();
    assert_eq!(decided["result"], queue.join("alice").await, "{decided}");
    let seen_by_admin = as_user("admin").await.json();
    assert!(seen_by_admin["result"]["token"].is_null(), "{seen_by_admin}");
    assert_eq!(as_user("bob").await.status, 404);
}

#[tokio::test]
async fn a_decision_does_not_say_whom_else_it_concerned() {
    let queue = Queue::open(1).await;
    queue.join("alice").await;
    queue.join("bob").await;
    let left = send(waiting(queue.ask("alice", Method::DELETE, "/queue"), 10)).await;
    let id = queue.schedule.to_string();
    assert_eq!(left.json()["result"], json!({ "schedule_id": id, "sequence": 1, "status": "LEFT" }));
}

#[tokio::test]
async fn a_place_of_somebody_else_is_404() {
    let queue = Queue::open(1).await;
    let alice = queue.join("alice").await;
    let elsewhere = queue.another(limits(1)).await;
    let path = format!("/v1/schedules/{elsewhere}/queue");
    let join = waiting(queue.door.bare(Method::POST, &path).header("x-user-id", "alice"), 10);
    let other = send(join).await.json()["result"].clone();
    let forged = format!("{}A", &token(&alice)[1..]);
    for (name, shown) in
        [("bob", Some(token(&alice))), ("alice", Some(token(&other))), ("alice", Some(&forged)), ("bob", None)]
    {
        let answer = queue.position(name, shown).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "token_not_found"), "{name} {shown:?}");
    }
    let nowhere = format!("/v1/schedules/{}/queue/position", Uuid::now_v7());
    assert_eq!(queue.door.get(&nowhere).await.problem(), "queue_not_found");
}

#[tokio::test]
async fn q4_q5_ended_places_say_how_they_ended() {
    let queue = Queue::with(Settings::default(), Limits { active_ttl_ms: 1, ..limits(1) }).await;
    let alice = queue.join("alice").await;
    let bob = queue.join("bob").await;
    let carol = queue.join("carol").await;
    // Nobody's time is longer than a millisecond, so the tick sends alice, who was seen, to the tail.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let sightings = vec![Sighting { first: 1, last: 1, age_ms: 0 }];
    queue.owner.run(Command::Seen(Seen { schedule_id: queue.schedule, sightings })).await;
    queue.owner.run(Command::Tick(queue.schedule)).await;
    queue.leave("carol").await;
    queue.pay("bob").await;
    let status = async |name: &str, join: &Value| {
        let answer = queue.position(name, Some(token(join))).await;
        answer.json()["status"].as_str().unwrap_or_default().to_owned()
    };
    let mut now = String::new();
    while now != "LEFT" {
        now = status("carol", &carol).await;
    }
    assert_eq!(status("bob", &bob).await, "COMPLETED");
    let requeued = queue.position("alice", Some(token(&alice))).await.json();
    assert_eq!(requeued["position"], 4, "the old token shows the new place: {requeued}");
}

#[tokio::test]
async fn q6_seats_are_held_with_an_active_token_only() {
    let queue = Queue::open(1).await;
    let alice = queue.join("alice").await;
    let bob = queue.join("bob").await;
    for (name, shown) in
        [("alice", None), ("bob", Some(token(&bob))), ("bob", Some(token(&alice))), ("alice", Some("x"))]
    {
        let answer = queue.hold(name, shown).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "not_admitted"), "{name} {shown:?}");
    }
    assert_eq!(queue.hold("alice", Some(token(&alice))).await.status, 202);
    queue.pay("alice").await;
    assert_eq!(queue.hold("bob", Some(token(&bob))).await.status, 202, "admitted a moment ago");
}

#[tokio::test]
async fn f10_a_date_may_have_no_queue_and_is_held_at_once() {
    let queue = Queue::open(1).await;
    let free = queue.door.put_date(false, &[("main", &["A"])]).await;
    let ask = |method: Method, rest: &str| {
        queue.door.bare(method, &format!("/v1/schedules/{free}{rest}")).header("x-user-id", "alice")
    };
    assert_eq!(queue.hold("alice", None).await.problem(), "not_admitted", "the one beside it has one");
    assert_eq!(send(ask(Method::POST, "/holds").json(&json!({ "seats": ["A-1"] }))).await.status, 202);
    for (method, rest) in [(Method::POST, "/queue"), (Method::DELETE, "/queue"), (Method::GET, "/queue/position")] {
        let answer = send(waiting(ask(method.clone(), rest), 10)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "queue_not_found"), "{method} {rest}: {answer:?}");
    }
}

#[tokio::test]
async fn f24_a_hold_is_answered_again_when_the_place_it_was_admitted_with_is_over() {
    let queue = Queue::open(1).await;
    queue.door.worker.start_lane(crate::domain::Lane::Seats);
    let alice = queue.join("alice").await;
    let hold = |seat: &str| {
        let ask = queue.ask("alice", Method::POST, "/holds").json(&json!({ "seats": [seat] }));
        send(waiting(keyed(ask.header("queue-token", token(&alice)), "k"), 10))
    };
    let first = hold("A-1").await;
    assert!(!first.json()["decided"].is_null(), "{first:?}");
    queue.pay("alice").await;
    assert_eq!(queue.hold("alice", Some(token(&alice))).await.problem(), "not_admitted", "another hold");
    assert_eq!(hold("A-2").await.problem(), "not_admitted", "another hold under the key");
    let again = hold("A-1").await;
    assert_eq!((again.status, again.json()), (first.status, first.json()));
}

#[tokio::test]
async fn f06_an_operator_pauses_changes_and_admits() {
    let queue = Queue::open(1).await;
    for name in ["alice", "bob", "carol", "dave"] {
        queue.join(name).await;
    }
    let paused = queue.patch("admin", json!({ "paused": true, "max_active": 3, "admit_per_minute": 60 })).await;
    assert_eq!(paused.status, 200, "{paused:?}");
    let result = &paused.json()["result"];
    assert_eq!((&result["paused"], &result["active"], &result["waiting"]), (&json!(true), &json!(1), &json!(3)));
    let since = paused.json()["decided"]["at"].clone();
    assert_eq!(result["paused_since"], since);
    let admitted = queue.patch("admin", json!({ "admit": 2 })).await.json();
    let result = &admitted["result"];
    assert_eq!((&result["active"], &result["waiting"]), (&json!(3), &json!(1)));
    assert!(result["admitted"].is_null(), "whom it concerned is for the feed: {result}");
    assert_eq!(queue.patch("alice", json!({ "paused": false })).await.problem(), "forbidden");
    assert_eq!(queue.patch("admin", json!({})).await.problem(), "invalid_fields");

    let stats = send(queue.ask("alice", Method::GET, "/queue/stats")).await;
    assert_eq!(stats.problem(), "forbidden");
    let mut stats = json!({});
    while stats["active"] != 3 {
        stats = send(queue.ask("admin", Method::GET, "/queue/stats")).await.json();
    }
    assert_eq!((&stats["waiting"], &stats["joined"], &stats["admitted"]), (&json!(1), &json!(4), &json!(3)));
    assert_eq!((&stats["paused"], &stats["limits"]["admit_per_minute"]), (&json!(true), &json!(60)));
    assert_eq!(stats["paused_since"], since);
    assert_eq!(stats["wait_seconds"]["samples"], 3, "{stats}");

    let place = async || send(queue.ask("dave", Method::GET, "/queue/position")).await.json();
    let waiting = place().await;
    assert_eq!((&waiting["sale"], &waiting["paused_since"]), (&json!("paused"), &since), "{waiting}");
    let resumed = queue.patch("admin", json!({ "paused": false })).await.json();
    assert_eq!((&resumed["result"]["paused"], &resumed["result"]["paused_since"]), (&json!(false), &Value::Null));
    while !place().await["paused_since"].is_null() {}
}
