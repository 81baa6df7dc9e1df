//! The owner over the log and store in memory: one behavior a test, waiting for outcomes, never for time.

mod anchors;
mod batches;
mod committer;
mod faults;
mod gathering;
mod interventions;
mod records;
mod refused;
mod remembered;
mod repeats;
mod splitting;
mod timers;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Deps, Settings};
use crate::audit;
use crate::domain::block::{
    CancelReservation, Choice, Command as OfBlock, HoldSeats, Layout, NewSection, OpenBlock, PayReservation, Terms,
};
use crate::domain::wallet::{Command as OfWallet, Movement};
use crate::domain::{
    Amount, BlockKey, Body, Code, Command, CommandKind, Lane, LanePartition, RequestId, ReservationId, RoutingKey, Row,
    ScheduleId, SeatId,
};
use crate::log::{Log, NewRecord, PartitionCounts, PartitionReader, Record, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::{AuditReads, Catalog, Ownership, Reads, RequestStatus, StateTable};
use crate::testing::{FaultyStore, MemoryLog};
use crate::wire;
use crate::wire::outcome::DecidedRequest;

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
        let counts = PartitionCounts { seats: 2, wallets: 2, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
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
        let command = new(body);
        self.append_to(self.place(&command.body.routing_key()), &command).await;
        command.request_id
    }

    /// Sends a command and waits for its outcome.
    async fn ask(&mut self, body: Body) -> DecidedRequest {
        let id = self.send(body).await;
        self.outcome_of(id).await
    }

    /// The next outcome record of this request; others are passed over.
    async fn outcome_of(&mut self, id: RequestId) -> DecidedRequest {
        self.next_outcome(|outcome| outcome.request_id == id).await
    }

    async fn next_outcome(&mut self, wanted: impl Fn(&DecidedRequest) -> bool) -> DecidedRequest {
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
    async fn all_outcomes(&self) -> Vec<DecidedRequest> {
        let end = self.log.end_offset(Topic::Outcomes, 0).await.expect("readable") as usize;
        let mut reader = self.log.read(Topic::Outcomes, 0, 0).await.expect("readable");
        let mut all = Vec::new();
        while all.len() < end {
            all.extend(reader.next(1_000, usize::MAX).await.expect("readable").iter().map(view));
        }
        all
    }

    /// Stops the worker as SIGTERM would. Its store must then be what the log says.
    async fn stop(&mut self) {
        self.stop_worker().await;
        let report = audit::run(&self.log, &self.store, &mut |_| {}).await.expect("readable");
        assert!(report.is_clean(), "{} differences, the first {:?}", report.differences, report.first);
    }

    async fn stop_worker(&mut self) {
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
        self.store.wallet(&name(user)).await.expect("readable").map_or(0, |wallet| wallet.balance.get())
    }

    async fn status_of(&self, id: RequestId) -> Option<RequestStatus> {
        self.store.request(id).await.expect("readable").map(|row| row.state.status())
    }

    /// Opens a date with section A, ten seats of 1000.
    async fn open(&mut self, hold_ttl_ms: i64) -> BlockKey {
        let key = BlockKey::main(ScheduleId(Uuid::now_v7()));
        let layout = Layout::plain(10, &name("A"), Amount::price(1_000).expect("a price")).expect("a layout");
        let open = OpenBlock {
            key: key.clone(),
            user_id: name("admin"),
            sections: vec![NewSection { name: name("A"), layout }],
            terms: Terms {
                hold_ttl_ms,
                rehold_after_ms: 0,
                payment_timeout_ms: 60_000,
                max_seats_per_user: 4,
                sales_open_at: None,
                sales_close_at: None,
                starts_at: Clock::System.now().plus_ms(3_600_000),
                companions_free_at: None,
            },
            queue: false,
        };
        let opened = self.ask(Body::Seats(OfBlock::OpenBlock(open))).await;
        assert!(succeeded(&opened), "{opened:?}");
        key
    }

    async fn hold(&mut self, key: &BlockKey, user: &str, seats: &[u32]) -> DecidedRequest {
        let seats = seats.iter().map(|number| SeatId { section: name("A"), number: *number }).collect();
        let hold = HoldSeats { key: key.clone(), user_id: name(user), choice: Choice::Seats(seats), admitted: false };
        self.ask(Body::Seats(OfBlock::HoldSeats(hold))).await
    }

    async fn pay(&mut self, key: &BlockKey, user: &str, reservation_id: ReservationId) -> DecidedRequest {
        self.ask(pay(key, user, reservation_id)).await
    }

    async fn cancel(&mut self, key: &BlockKey, user: &str, reservation_id: ReservationId) -> DecidedRequest {
        let cancel = CancelReservation { key: key.clone(), user_id: name(user), reservation_id };
        self.ask(Body::Seats(OfBlock::CancelReservation(cancel))).await
    }

    /// All rows of state of a lane.
    async fn rows(&self, lane: Lane) -> Vec<Row> {
        let mut rows = Vec::new();
        for table in StateTable::ALL {
            rows.extend(self.store.state_page(table, None, 10_000).await.expect("readable"));
        }
        rows.retain(|row| {
            lane == match row {
                Row::Seats(_) => Lane::Seats,
                Row::Wallets(_) => Lane::Wallets,
                Row::Queues(_) => Lane::Queues,
            }
        });
        rows
    }
}

fn view(record: &Record) -> DecidedRequest {
    let value = record.value.as_ref().expect("an outcome has a value");
    wire::outcome::decode(value).expect("an outcome is readable")
}

fn succeeded(outcome: &DecidedRequest) -> bool {
    outcome.outcome.is_ok()
}

fn code(outcome: &DecidedRequest) -> Option<Code> {
    outcome.outcome.as_ref().err().map(|refusal| refusal.code)
}

fn result(outcome: &DecidedRequest, field: &str) -> String {
    let reply = outcome.outcome.as_ref().expect("a success");
    let result: serde_json::Value = serde_json::from_str(reply.0.get()).expect("JSON");
    result[field].as_str().map_or_else(|| result[field].to_string(), str::to_owned)
}

fn reservation_id(outcome: &DecidedRequest) -> ReservationId {
    ReservationId(result(outcome, "reservation_id").parse().expect("a UUID"))
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

/// With an id of its own.
fn new(body: Body) -> Command {
    Command { request_id: RequestId(Uuid::now_v7()), by: None, body }
}

fn charge(user: &str, amount: i64) -> Body {
    Body::Wallets(OfWallet::ChargeWallet(Movement { user_id: name(user), amount, reason: None }))
}

fn debit(user: &str, amount: i64) -> Body {
    Body::Wallets(OfWallet::DebitWallet(Movement { user_id: name(user), amount, reason: None }))
}

fn pay(key: &BlockKey, user: &str, reservation_id: ReservationId) -> Body {
    let pay = PayReservation { key: key.clone(), user_id: name(user), reservation_id, amount: None };
    Body::Seats(OfBlock::PayReservation(pay))
}

fn bytes(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

#[tokio::test]
async fn a_sale_goes_through_three_lanes_and_back() {
    let mut house = House::new().await;
    let key = house.open(60_000).await;
    assert!(succeeded(&house.ask(charge("alice", 5_000)).await));
    let held = house.hold(&key, "alice", &[3, 4]).await;
    let paid = house.pay(&key, "alice", reservation_id(&held)).await;
    assert!(succeeded(&paid), "{paid:?}");
    assert_eq!(result(&paid, "balance"), "3000");
    assert_eq!(house.balance("alice").await, 3_000);
    let cancelled = house.cancel(&key, "alice", reservation_id(&held)).await;
    assert_eq!(result(&cancelled, "status"), "REFUNDED");
    assert_eq!(house.balance("alice").await, 5_000);
    let free = house.store.schedule(key.schedule_id).await.expect("readable").is_none();
    assert!(free, "no descriptive row was written by the lane");
    house.stop().await;
}

#[tokio::test]
async fn a_payment_is_pending_until_it_is_settled_and_a_decline_keeps_the_hold() {
    let mut house = House::new().await;
    let key = house.open(60_000).await;
    let held = house.hold(&key, "bob", &[1]).await;
    let declined = house.pay(&key, "bob", reservation_id(&held)).await;
    assert_eq!(code(&declined), Some(Code::InsufficientBalance));
    assert_eq!(house.status_of(declined.request_id).await, Some(RequestStatus::Rejected));
    house.ask(charge("bob", 1_000)).await;
    assert!(succeeded(&house.pay(&key, "bob", reservation_id(&held)).await));
    assert_eq!(house.balance("bob").await, 0);
    house.stop().await;
}

#[tokio::test]
async fn a_completed_request_is_published_with_the_fingerprint_of_the_command_that_asked() {
    let mut house = House::new().await;
    let key = house.open(60_000).await;
    house.ask(charge("alice", 5_000)).await;
    let held = house.hold(&key, "alice", &[1]).await;
    let command = Command { by: Some(name("cashier")), ..new(pay(&key, "alice", reservation_id(&held))) };
    house.append_to(house.place(&command.body.routing_key()), &command).await;
    let paid = house.outcome_of(command.request_id).await;
    assert_eq!((paid.command, paid.by.as_ref()), (CommandKind::PayReservation, Some(&name("cashier"))));
    let mut reader = house.log.read(Topic::Outcomes, 0, 0).await.expect("readable");
    let records = reader.next(1_000, usize::MAX).await.expect("readable");
    let of_it = |record: &&Record| wire::headers::request_id_of(&record.headers) == Some(command.request_id);
    let found: Vec<_> = records.iter().filter(of_it).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(wire::headers::fingerprint_of(&found[0].headers), Some(wire::command::fingerprint(&command)));
    assert_eq!(wire::headers::schedule_of(&found[0].headers), Some(key.schedule_id));
    let row = house.store.request(command.request_id).await.expect("readable").expect("stored");
    assert_eq!((row.state.status(), row.by), (RequestStatus::Succeeded, Some(name("cashier"))));
    house.stop().await;
}

#[tokio::test]
async fn a_hold_runs_out_by_itself() {
    let mut house = House::new().await;
    let key = house.open(50).await;
    let held = house.hold(&key, "alice", &[1]).await;
    let id = result(&held, "reservation_id");
    let expired = house
        .next_outcome(|outcome| {
            outcome.command == CommandKind::ExpireHolds
                && succeeded(outcome)
                && result(outcome, "reservations").contains(&id)
        })
        .await;
    assert!(expired.decided.time > held.decided.time);
    assert_eq!(code(&house.pay(&key, "alice", reservation_id(&held)).await), Some(Code::HoldExpired));
    house.stop().await;
}

#[tokio::test]
async fn a_timer_that_finds_nothing_due_leaves_no_outcome() {
    let mut house = House::new().await;
    let key = house.open(600_000).await;
    let id = house.send(Body::Seats(OfBlock::ExpireHolds(key.clone()))).await;
    house.hold(&key, "alice", &[1]).await;
    assert!(house.all_outcomes().await.iter().all(|outcome| outcome.request_id != id));
    let requests = house.store.requests_page(None, 1_000).await.expect("readable");
    assert!(requests.iter().all(|row| row.key.id != id));
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
    let key = house.open(60_000).await;
    house.ask(charge("alice", 5_000)).await;
    let held = house.hold(&key, "alice", &[1, 2]).await;
    house.pay(&key, "alice", reservation_id(&held)).await;
    house.stop().await;
    house.worker = Some(house.start("second"));
    let cancelled = house.cancel(&key, "alice", reservation_id(&held)).await;
    assert_eq!(result(&cancelled, "status"), "REFUNDED", "{cancelled:?}");
    house.stop().await;

    for routing_key in [RoutingKey::Block(key.clone()), RoutingKey::Wallet(name("alice"))] {
        let (_, partition) = house.place(&routing_key);
        let rows = house.rows(routing_key.lane()).await.iter().fold(0, |hash, row| hash ^ row.digest());
        let partition = LanePartition { lane: routing_key.lane(), partition };
        let progress = house.store.progress(partition).await.expect("readable").expect("acquired");
        assert_eq!(progress.state_hash, rows, "{partition}");
    }
}

fn all<Id>() -> crate::store::Page<Id> {
    crate::store::Page { after: None, limit: 1_000 }
}
