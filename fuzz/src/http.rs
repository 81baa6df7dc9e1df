//! Requests to an API server with one date on sale, over a log and a store in memory. No worker: commands stay undecided.

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use turnstile::api::queue::token::{Claim, Signer};
use turnstile::api::{self, AppState, QueueTokenSecret};
use turnstile::domain::{
    Amount, BlockKey, Body as Asked, Command, ConcertId, Lane, RequestId, ScheduleId, UserId, block, queue, wallet,
};
use turnstile::log::{LanePartition, Log as _, NewRecord, PartitionCounts, Topic};
use turnstile::processor::Replay;
use turnstile::runtime::clock::Clock;
use turnstile::runtime::health::Health;
use turnstile::store::{Catalog as _, Concert, Ownership as _, Page, Reads as _, Remember, Schedule, lane_partitions};
use turnstile::testing::{MemoryLog, MemoryStore};
use turnstile::wire;
use uuid::Uuid;

/// Of the concert and of its date.
const ID: &str = "0192e4b0-0000-7000-8000-00000000005c";
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const COUNTS: PartitionCounts =
    PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
const HOUR_MS: i64 = 3_600_000;
/// Requests to one API server before it is replaced: its log in memory grows.
const REQUESTS_MAX: u32 = 10_000;

/// Paths for every handler that reads what a client wrote. `?` is where the first line goes in, `@` is the
/// reservation there is.
const ROUTES: [(&str, &str); 20] = [
    ("POST", "/v1/wallet/charges"),
    ("POST", "/v1/wallet/debits"),
    ("POST", "/v1/schedules/{ID}/holds"),
    ("POST", "/v1/concerts"),
    ("PATCH", "/v1/schedules/{ID}/queue"),
    ("POST", "/v1/reservations/@/payment"),
    ("GET", "/v1/requests/{ID}?position=?"),
    ("GET", "/v1/reservations?limit=2&after=?"),
    ("GET", "/v1/?"),
    ("POST", "/v1/concerts/{ID}/schedules"),
    ("GET", "/v1/schedules/{ID}/seats?section=?"),
    ("GET", "/v1/schedules/{ID}/queue/position"),
    ("POST", "/v1/schedules/{ID}/queue"),
    ("DELETE", "/v1/schedules/{ID}/queue"),
    ("DELETE", "/v1/reservations/@"),
    ("GET", "/v1/wallet/entries?after=?"),
    ("GET", "/v1/concerts/{ID}/schedules?available=?"),
    ("GET", "/v1/schedules/{ID}/seats/events"),
    ("GET", "/v1/schedules/{ID}/queue/events"),
    ("GET", "/v1/payments?after=?"),
];

const HEADERS: [&str; 8] = [
    "idempotency-key",
    "prefer",
    "queue-token",
    "x-user-id",
    "content-type",
    "traceparent",
    "last-event-id",
    "content-length",
];

struct Door {
    runtime: tokio::runtime::Runtime,
    log: Arc<MemoryLog>,
    /// Where each lane ends, as far as its records were looked at.
    ends: [u64; 3],
    service: TowerToHyperService<Router>,
    paths: Vec<String>,
    token: String,
    requests: u32,
}

thread_local! {
    static DOOR: RefCell<Option<Door>> = const { RefCell::new(None) };
}

/// `{route byte}{first line}\n{body}`: the answer is never a 5xx but for "not now". The first line is a part of the path
/// or the value of one header. What came on the log is what an owner can read.
pub fn http(bytes: &[u8]) {
    DOOR.with_borrow_mut(|slot| {
        let door = slot.take().filter(|door| door.requests < REQUESTS_MAX);
        let mut door = door.unwrap_or_else(Door::open);
        door.requests += 1;
        door.ask(bytes);
        *slot = Some(door);
    });
}

impl Door {
    fn open() -> Door {
        // Time stands still unless everything waits, so that no wait takes any.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let log = Arc::new(MemoryLog::new(COUNTS, Clock::System));
        let store = Arc::new(MemoryStore::new());
        let reservation = runtime.block_on(put_on_sale(&log, &store));
        let settings = api::Settings {
            user_per_second: 1_000_000,
            user_burst: 1_000_000,
            queue_token_secret: Some(QueueTokenSecret(SECRET.to_vec())),
            ..api::Settings::default()
        };
        let state = AppState::new(log.clone(), store, Clock::System, Health::default(), settings);
        let service = TowerToHyperService::new(api::router(state.unwrap_or_else(|_| panic!("dev mode needs no keys"))));
        let paths = ROUTES.iter().map(|(_, path)| path.replace("{ID}", ID).replace('@', &reservation)).collect();
        let claim = Claim { schedule_id: schedule_id(), user_id: admin(), sequence: 1 };
        let token = Signer::new(SECRET).sign(&claim);
        let mut door = Door { runtime, log, ends: [0; 3], service, paths, token, requests: 0 };
        door.look_at_the_log();
        door
    }

    fn ask(&mut self, bytes: &[u8]) {
        let Some((number, rest)) = bytes.split_first() else { return };
        let split = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let (line, body) = rest.split_at(split);
        let route = usize::from(*number) % ROUTES.len();
        let (method, path) = (ROUTES[route].0, &self.paths[route]);
        let path = match path.strip_suffix('?') {
            Some(path) => path.to_owned() + &plain(line),
            None => path.clone(),
        };
        let mut request = Request::builder().method(method).uri(&path);
        for (name, value) in
            [("x-user-id", "admin"), ("content-type", "application/json"), ("queue-token", self.token.as_str())]
        {
            request = request.header(name, value);
        }
        let Ok(mut request) = request.body(Body::from(body.to_vec())) else { return };
        let header = HEADERS[usize::from(*number) / ROUTES.len() % HEADERS.len()];
        if let Ok(value) = HeaderValue::from_bytes(line) {
            request.headers_mut().insert(HeaderName::from_static(header), value);
        }
        let answer = self.runtime.block_on(self.service.call(request));
        let status = answer.unwrap_or_else(|never| match never {}).status().as_u16();
        assert!(status < 500 || status == 503, "{method} {path} was answered {status}");
        self.look_at_the_log();
    }

    /// Who is answered 202 is owed an outcome, and a record that nobody understands has none.
    fn look_at_the_log(&mut self) {
        for (lane, seen) in Lane::ALL.into_iter().zip(&mut self.ends) {
            let topic = Topic::Lane(lane);
            let new = async {
                let end = self.log.end_offset(topic, 0).await.expect("an end");
                if end == *seen {
                    return Vec::new();
                }
                let mut reader = self.log.read(topic, 0, *seen).await.expect("a reader");
                reader.next(usize::try_from(end - *seen).expect("few"), usize::MAX).await.expect("records")
            };
            for record in self.runtime.block_on(new) {
                *seen = record.offset + 1;
                let command = wire::command::decode(record.value.as_ref().expect("a value")).expect("a command");
                assert_eq!(record.key.as_deref(), Some(command.body.routing_key().to_string().as_bytes()));
            }
        }
    }
}

/// What can stand in a URL.
fn plain(bytes: &[u8]) -> String {
    let allowed = |byte: &&u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(byte);
    bytes.iter().filter(allowed).map(|byte| char::from(*byte)).collect()
}

fn schedule_id() -> ScheduleId {
    ScheduleId(ID.parse().expect("a UUID"))
}

fn admin() -> UserId {
    "admin".parse().expect("a user")
}

/// One date with one section and a queue; the admin has money, is admitted and holds a seat. Returns the reservation.
async fn put_on_sale(log: &MemoryLog, store: &MemoryStore) -> String {
    let (id, now) = (schedule_id(), Clock::System.now());
    let starts_at = now.plus_ms(24 * HOUR_MS);
    let concert_id = ConcertId(id.0);
    let (title, description, currency, time_zone) = ("A concert".to_owned(), None, None, None);
    let concert = Concert { id: concert_id, title, description, currency, time_zone, created_at: now };
    store.insert_concert(&concert).await.expect("a concert");
    let schedule = Schedule {
        id,
        concert_id,
        starts_at,
        duration_ms: None,
        hold_ttl_ms: HOUR_MS,
        max_seats_per_user: 4,
        sales_open_at: None,
        sales_close_at: None,
        queue: true,
        plan: None,
        larger_plan: None,
        created_at: now,
    };
    store.insert_schedule(&schedule).await.expect("a schedule");
    for body in first_commands(id, &schedule) {
        let topic = Topic::Lane(body.routing_key().lane());
        let key = body.routing_key().to_string().into();
        let command = Command { request_id: RequestId(Uuid::now_v7()), by: None, body };
        let record = NewRecord { key, value: wire::command::encode(&command).into(), headers: Vec::new() };
        log.append(topic, 0, record).await.expect("the log in memory takes it");
    }
    for partition in lane_partitions(&COUNTS).filter(|of| of.lane != Lane::Inbox) {
        decide(partition, log, store).await;
    }
    let held = store.reservations(&admin(), Page { after: None, limit: 1 }).await.expect("a list");
    held.first().expect("the admin holds a seat").id.to_string()
}

fn first_commands(schedule_id: ScheduleId, schedule: &Schedule) -> [Asked; 5] {
    let key = BlockKey::main(schedule_id);
    let limits = queue::Limits {
        max_active: 3,
        active_ttl_ms: HOUR_MS,
        max_waiting: 5,
        admit_per_minute: None,
        on_timeout: queue::OnTimeout::Requeue,
        abandon_after_ms: HOUR_MS,
        claim_after_ms: HOUR_MS,
        absent_max_ms: HOUR_MS,
    };
    let open_queue = queue::OpenQueue {
        schedule_id,
        user_id: admin(),
        limits,
        sales_open_at: None,
        starts_at: schedule.starts_at,
        blocks: vec![key.block.clone()],
    };
    let terms = block::Terms {
        hold_ttl_ms: HOUR_MS,
        rehold_after_ms: 60_000,
        payment_timeout_ms: 60_000,
        max_seats_per_user: 4,
        sales_open_at: None,
        sales_close_at: None,
        starts_at: schedule.starts_at,
        companions_free_at: None,
    };
    let name = "A".parse().expect("a section");
    let layout = block::Layout::plain(20, &name, Amount::price(100).expect("a price")).expect("a layout");
    let sections = vec![block::NewSection { name, layout }];
    let open_block = block::OpenBlock { key: key.clone(), user_id: admin(), sections, terms, queue: true };
    let charge = wallet::Movement { user_id: admin(), amount: 1000, reason: None };
    let choice = block::Choice::BestAvailable(block::BestAvailable { count: 1, section: None, category: None });
    let hold = block::HoldSeats { key, user_id: admin(), choice, admitted: true };
    [
        Asked::Queues(queue::Command::OpenQueue(open_queue)),
        Asked::Seats(block::Command::OpenBlock(open_block)),
        Asked::Queues(queue::Command::JoinQueue(queue::OfUser { schedule_id, user_id: admin() })),
        Asked::Wallets(wallet::Command::ChargeWallet(charge)),
        Asked::Seats(block::Command::HoldSeats(hold)),
    ]
}

/// Decides what the log has so far.
async fn decide(partition: LanePartition, log: &MemoryLog, store: &MemoryStore) {
    let mut reader = log.read(Topic::Lane(partition.lane), 0, 0).await.expect("a reader");
    let records = reader.next(100, 1 << 20).await.expect("records");
    let mut batch =
        Replay::new(partition, &COUNTS, Remember::DEFAULT, Vec::new()).decide(records).await.expect("a decision");
    let epoch = store.acquire(partition, "nobody").await.expect("an owner").epoch;
    (batch.before.epoch, batch.after.epoch) = (epoch, epoch);
    store.commit(&batch).await.expect("a commit");
}
