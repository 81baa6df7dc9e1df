//! The owner over the log and store in memory: one behaviour a test, waiting for outcomes, never for time.

mod faults;
mod records;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Deps, Settings};
use crate::domain::command::{
    Body, CancelReservation, ChargeWallet, Choice, Command, HoldSeats, OpenSection, PayReservation,
};
use crate::domain::{Lane, LogTime, RequestId, ReservationId, RoutingKey, ScheduleId, SectionName, UserId};
use crate::log::{Log, NewRecord, PartitionCounts, PartitionReader, Record, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::reads::Reads;
use crate::store::{AggregateLoads, RequestStatus, Store};
use crate::testing::{FaultyStore, MemoryLog};
use crate::wire;
use crate::wire::outcome::OutcomeView;

const PATIENCE: Duration = Duration::from_secs(20);

/// One worker, and what a client would see of it.
struct House {
    log: MemoryLog,
    store: FaultyStore,
    health: Health,
    worker: Option<Worker>,
    outcomes: Box<dyn PartitionReader>,
}

struct Worker {
    name: String,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl House {
    async fn new() -> Self {
        let counts = PartitionCounts { seats: 2, wallets: 2, queues: 1, outcomes: 1, dead_letters: 1 };
        let log = MemoryLog::new(counts, Clock::System);
        let outcomes = log.read(Topic::Outcomes, 0, 0).await.expect("a log in memory can be read");
        let mut house =
            House { log, store: FaultyStore::in_memory(), health: Health::default(), worker: None, outcomes };
        house.worker = Some(house.start("first"));
        house
    }

    fn start(&self, name: &str) -> Worker {
        let deps = Deps {
            log: Arc::new(self.log.clone()),
            store: Arc::new(self.store.clone()),
            clock: Clock::System,
            health: self.health.clone(),
        };
        let settings = Settings { owner: name.to_owned(), rest: Duration::from_millis(20), ..Settings::default() };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(super::run(deps, settings, shutdown.clone()));
        Worker { name: name.to_owned(), shutdown, task }
    }

    /// Where a command belongs.
    fn place(&self, key: &RoutingKey) -> (Topic, u32) {
        let topic = Topic::Lane(key.lane());
        (topic, wire::routing::partition_for(&key.to_string(), self.log.partitions().of(topic)))
    }

    async fn append_to(&self, (topic, partition): (Topic, u32), command: &Command) -> u64 {
        let record = NewRecord {
            key: command.body.routing_key().to_string().into(),
            value: wire::command::encode(command).into(),
            headers: Vec::new(),
        };
        self.log.append(topic, partition, record).await.expect("appended").offset
    }

    async fn send(&self, body: Body) -> RequestId {
        let command = Command { request_id: RequestId(Uuid::now_v7()), body };
        self.append_to(self.place(&command.body.routing_key()), &command).await;
        command.request_id
    }

    /// Sends a command and waits for its outcome.
    async fn ask(&mut self, body: Body) -> OutcomeView {
        let id = self.send(body).await;
        self.outcome_of(id).await
    }

    /// The next outcome record of this request; others are passed over.
    async fn outcome_of(&mut self, id: RequestId) -> OutcomeView {
        self.next_outcome(|outcome| outcome.request_id == id).await
    }

    async fn next_outcome(&mut self, wanted: impl Fn(&OutcomeView) -> bool) -> OutcomeView {
        let search = async {
            loop {
                for record in self.outcomes.next(1, usize::MAX).await.expect("readable") {
                    let outcome = view(&record);
                    if wanted(&outcome) {
                        return outcome;
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("an outcome in time")
    }

    /// All outcome records so far.
    async fn all_outcomes(&self) -> Vec<OutcomeView> {
        let end = self.log.end_offset(Topic::Outcomes, 0).await.expect("readable") as usize;
        let mut reader = self.log.read(Topic::Outcomes, 0, 0).await.expect("readable");
        let mut all = Vec::new();
        while all.len() < end {
            all.extend(reader.next(1_000, usize::MAX).await.expect("readable").iter().map(view));
        }
        all
    }

    /// Stops the worker as SIGTERM would.
    async fn stop(&mut self) {
        let worker = self.worker.take().expect("a worker runs");
        worker.shutdown.cancel();
        worker.task.await.expect("no panic").expect("a clean stop");
    }

    /// Stops the worker as kill -9 would.
    async fn kill(&mut self) {
        let worker = self.worker.take().expect("a worker runs");
        worker.task.abort();
        let _ = worker.task.await;
        self.log.expire(&worker.name);
    }

    async fn balance(&self, user: &str) -> i64 {
        self.store.wallet(&user_id(user)).await.expect("readable").map_or(0, |wallet| wallet.balance)
    }

    async fn status_of(&self, id: RequestId) -> Option<RequestStatus> {
        self.store.request(id).await.expect("readable").map(|row| row.status)
    }

    /// Opens section A of a new schedule with ten seats of 1000.
    async fn open(&mut self, hold_ttl_ms: i64) -> ScheduleId {
        let schedule_id = ScheduleId(Uuid::now_v7());
        let opened = self
            .ask(Body::OpenSection(OpenSection {
                schedule_id,
                section: section(),
                user_id: user_id("admin"),
                seats: 10,
                price: 1_000,
                hold_ttl_ms,
                max_seats_per_user: 4,
                sales_open_at: None,
                starts_at: Clock::System.now().plus_ms(3_600_000),
                queue: false,
            }))
            .await;
        assert!(succeeded(&opened));
        schedule_id
    }

    async fn hold(&mut self, schedule_id: ScheduleId, user: &str, seats: &[u32]) -> OutcomeView {
        self.ask(Body::HoldSeats(HoldSeats {
            schedule_id,
            section: section(),
            user_id: user_id(user),
            choice: Choice::Seats(seats.to_vec()),
        }))
        .await
    }

    async fn pay(&mut self, schedule_id: ScheduleId, user: &str, reservation_id: ReservationId) -> OutcomeView {
        let pay =
            PayReservation { schedule_id, section: section(), user_id: user_id(user), reservation_id, amount: None };
        self.ask(Body::PayReservation(pay)).await
    }

    async fn cancel(&mut self, schedule_id: ScheduleId, user: &str, reservation_id: ReservationId) -> OutcomeView {
        let cancel = CancelReservation { schedule_id, section: section(), user_id: user_id(user), reservation_id };
        self.ask(Body::CancelReservation(cancel)).await
    }
}

fn view(record: &Record) -> OutcomeView {
    let value = record.value.as_ref().expect("an outcome has a value");
    wire::outcome::decode_value(value).expect("an outcome is readable")
}

fn succeeded(outcome: &OutcomeView) -> bool {
    outcome.status.as_str() == "SUCCEEDED"
}

fn code(outcome: &OutcomeView) -> &str {
    outcome.problem.as_ref().and_then(|problem| problem["code"].as_str()).unwrap_or_default()
}

fn result(outcome: &OutcomeView, field: &str) -> String {
    let result: serde_json::Value =
        serde_json::from_str(outcome.result.as_ref().expect("a result").get()).expect("JSON");
    result[field].as_str().map_or_else(|| result[field].to_string(), str::to_owned)
}

fn reservation_id(outcome: &OutcomeView) -> ReservationId {
    ReservationId(result(outcome, "reservation_id").parse().expect("a UUID"))
}

fn user_id(name: &str) -> UserId {
    name.parse().expect("a user id")
}

fn section() -> SectionName {
    "A".parse().expect("a section name")
}

fn charge(user: &str, amount: i64) -> Body {
    Body::ChargeWallet(ChargeWallet { user_id: user_id(user), amount, reason: None })
}

fn bytes(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

#[tokio::test]
async fn a_sale_goes_through_three_lanes_and_back() {
    let mut house = House::new().await;
    let schedule = house.open(60_000).await;
    assert!(succeeded(&house.ask(charge("alice", 5_000)).await));
    let held = house.hold(schedule, "alice", &[3, 4]).await;
    let paid = house.pay(schedule, "alice", reservation_id(&held)).await;
    assert!(succeeded(&paid), "{paid:?}");
    assert_eq!(result(&paid, "balance"), "3000");
    assert_eq!(house.balance("alice").await, 3_000);
    let cancelled = house.cancel(schedule, "alice", reservation_id(&held)).await;
    assert_eq!(result(&cancelled, "status"), "REFUNDED");
    assert_eq!(house.balance("alice").await, 5_000);
    let free = house.store.schedule(schedule).await.expect("readable").is_none();
    assert!(free, "no descriptive row was written by the lane");
    house.stop().await;
}

#[tokio::test]
async fn a_payment_is_pending_until_it_is_settled_and_a_decline_keeps_the_hold() {
    let mut house = House::new().await;
    let schedule = house.open(60_000).await;
    let held = house.hold(schedule, "bob", &[1]).await;
    let declined = house.pay(schedule, "bob", reservation_id(&held)).await;
    assert_eq!(code(&declined), "insufficient_balance");
    assert_eq!(house.status_of(declined.request_id).await, Some(RequestStatus::Rejected));
    house.ask(charge("bob", 1_000)).await;
    assert!(succeeded(&house.pay(schedule, "bob", reservation_id(&held)).await));
    assert_eq!(house.balance("bob").await, 0);
    house.stop().await;
}

#[tokio::test]
async fn a_hold_runs_out_by_itself() {
    let mut house = House::new().await;
    let schedule = house.open(50).await;
    let held = house.hold(schedule, "alice", &[1]).await;
    let id = result(&held, "reservation_id");
    let expired = house
        .next_outcome(|outcome| {
            outcome.command == "expire_holds" && outcome.result.as_ref().is_some_and(|r| r.get().contains(&id))
        })
        .await;
    assert!(expired.decided.0.time > held.decided.0.time);
    assert_eq!(code(&house.pay(schedule, "alice", reservation_id(&held)).await), "hold_expired");
    house.stop().await;
}

#[tokio::test]
async fn the_outbox_is_empty_once_everything_is_published() {
    let mut house = House::new().await;
    for n in 0..50 {
        house.send(charge("alice", n + 1)).await;
    }
    house.ask(charge("alice", 1)).await;
    house.stop().await;
    for view in house.store.progress_views().await.expect("readable") {
        assert_eq!(view.outbox_pending, 0, "{}", view.partition);
    }
    assert_eq!(house.balance("alice").await, 50 * 51 / 2 + 1);
}

#[tokio::test]
async fn the_state_hash_says_the_same_after_a_takeover() {
    let mut house = House::new().await;
    let schedule = house.open(60_000).await;
    house.ask(charge("alice", 5_000)).await;
    let held = house.hold(schedule, "alice", &[1, 2]).await;
    house.pay(schedule, "alice", reservation_id(&held)).await;
    house.stop().await;
    house.worker = Some(house.start("second"));
    let cancelled = house.cancel(schedule, "alice", reservation_id(&held)).await;
    assert_eq!(result(&cancelled, "status"), "REFUNDED", "{cancelled:?}");
    house.stop().await;

    let sections = house.store.load_sections(&[(schedule, section())]).await.expect("readable");
    let seats_partition = house.place(&RoutingKey::Section(schedule, section())).1;
    let reservations = house.store.reservations(&user_id("alice"), all()).await.expect("readable");
    let payments = house.store.payments(&user_id("alice"), all()).await.expect("readable");
    let rows = crate::domain::Change::Section(sections[0].row.clone()).digest()
        ^ sections[0].seats.iter().fold(0, |hash, seat| hash ^ crate::domain::Change::Seat(seat.clone()).digest())
        ^ reservations.into_iter().fold(0, |hash, r| hash ^ crate::domain::Change::Reservation(r).digest())
        ^ payments.into_iter().fold(0, |hash, p| hash ^ crate::domain::Change::Payment(p).digest());
    let partition = crate::log::LanePartition { lane: Lane::Seats, partition: seats_partition };
    let progress = house.store.progress(partition).await.expect("readable").expect("acquired");
    assert_eq!(progress.state_hash, rows);
}

fn all<Id>() -> crate::store::reads::Page<Id> {
    crate::store::reads::Page { after: None, limit: 1_000 }
}

fn now() -> LogTime {
    Clock::System.now()
}
