//! A database restored from a copy while front doors stay up: what they know is of a later time than the store for a while.

use serde_json::{Value, json};

use crate::harness::{self, Ask, Client, Outcome, Pair, Sale, System, User, one_section, until};
use crate::queue_absence::{Guest, joined, sale_of};
use crate::restored::{Copy, all_decided};
use crate::seat_stream::{Follower, Seats, now};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn front_doors_outlive_a_restored_database() {
    let start = async |system: &System| {
        system.start_role("worker").await;
        system.client.point_at(vec![system.start_role("api").await]);
    };
    harness::run_set(Pair::Real, "restored_under", Vec::new(), start, restored_under_a_front_door).await;
}

/// The only worker, which was started first or last.
async fn stop_worker(system: &System, place: usize) {
    let mut worker = system.servers().remove(place);
    worker.stop().await;
}

/// A command under a key, its outcome, and where the log has it.
struct Sent {
    user: User,
    path: String,
    body: Value,
    key: &'static str,
    outcome: Outcome,
    location: String,
}

impl Sent {
    async fn send(user: &User, path: String, body: Value, key: &'static str) -> Sent {
        let accepted = user.post(&path, body.clone()).key(key).send().await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let location = accepted.header("location").to_owned();
        let outcome = user.outcome_of(accepted.request_id(), accepted.location_position().as_deref()).await;
        Sent { user: user.clone(), path, body, key, outcome, location }
    }

    fn again(&self) -> Ask {
        self.user.post(&self.path, self.body.clone()).key(self.key)
    }

    /// It is on the log and not decided again yet; never anything else.
    async fn is_pending(&self) {
        until("the front door to see that the store went back", async || {
            let answer = self.user.get(&self.location).await;
            // How far the store is may be a quarter of a second old.
            let pending = answer.status == 200 && answer.body["status"] == "PENDING";
            if pending { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    }

    async fn ended_the_same(&self) {
        let object = self.user.read(&self.location).await;
        assert_eq!(object["request_id"], self.outcome.request_id.as_str());
        let repeated = self.again().decide().await;
        assert_eq!((&repeated.request_id, &repeated.code), (&self.outcome.request_id, &self.outcome.code));
        assert_eq!((&repeated.result, &repeated.decided), (&self.outcome.result, &self.outcome.decided));
    }
}

async fn restored_under_a_front_door(system: &System) {
    let client = &system.client;
    let (sale, alice) = (one_section(client, 20).await, client.user("alice"));
    alice.charge(10_000).decide().await.result();
    let kept = alice.held(&sale, &["A-1"]).await;
    let queued = sale_of(client, 5, json!({}), json!({})).await;
    let mut guests = joined(client, &queued, ["early".to_owned()]).await;
    let mut seats = Follower::open(client, &sale, "", Seats::new()).await;
    stop_worker(system, 0).await;
    let copy = Copy::of(system).await;
    system.start_role("worker").await;

    // All this lies behind the copy, and the front door knows of it.
    let pay = Sent::send(&alice, format!("/v1/reservations/{kept}/payment"), json!({}), "pay").await;
    let bob = client.user("bob");
    let hold = Sent::send(&bob, sale.path("/holds"), json!({"seats": ["A-2", "A-3"]}), "hold").await;
    let late = Sent::send(&client.user("carol"), sale.path("/holds"), json!({"seats": ["A-2"]}), "late").await;
    assert_eq!(late.outcome.refused(), "seat_taken");
    guests.extend(joined(client, &queued, ["late0".to_owned(), "late1".to_owned()]).await);
    let sent = [&pay, &hold, &late];
    sale.shows(client, "HELD", 2).await;
    let before = State::of(client, &sale, &alice, &bob).await;
    seats.read_until(&before.seats).await;
    places_are_kept(&queued, &guests).await;

    stop_worker(system, 1).await;
    copy.restore(system).await;
    for command in sent {
        command.is_pending().await;
    }
    let repeated = pay.again().wait(0).send().await;
    assert_eq!((repeated.status, repeated.request_id()), (202, &*pay.outcome.request_id), "{repeated:?}");
    places_are_kept(&queued, &guests).await;
    system.start_role("worker").await;
    all_decided(system).await;

    for command in sent {
        command.ended_the_same().await;
    }
    until("the front door to show what the log says", async || {
        let after = State::of(client, &sale, &alice, &bob).await;
        if after == before { Ok(()) } else { Err(format!("{after:?} instead of {before:?}")) }
    })
    .await;
    seats.read_until(&before.seats).await;
    places_are_kept(&queued, &guests).await;
    let newest = joined(client, &queued, ["newest".to_owned()]).await.remove(0);
    assert_eq!(newest.place.position, guests.len() as u64 + 1);
    places_are_kept(&queued, &[newest]).await;
    alice.held(&sale, &["A-4"]).await;
    sale.shows(client, "HELD", 3).await;
}

/// Each polls, and is where it was.
async fn places_are_kept(sale: &Sale, guests: &[Guest]) {
    for guest in guests {
        let answer = guest.poll(sale).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["position"], guest.place.position, "{answer:?}");
        assert!(["WAITING", "ACTIVE"].map(Value::from).contains(&answer.body["status"]), "{answer:?}");
    }
}

#[derive(Debug, PartialEq)]
struct State {
    seats: Seats,
    balance: i64,
    entries: Vec<Value>,
    reservations: Vec<Value>,
}

impl State {
    async fn of(client: &Client, sale: &Sale, alice: &User, bob: &User) -> State {
        let mut reservations = alice.reservations().await;
        reservations.extend(bob.reservations().await);
        let seats = now(client, sale).await;
        State { seats, balance: alice.balance().await, entries: alice.entries().await, reservations }
    }
}
