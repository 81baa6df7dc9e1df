//! The audit on the embedded pair: a store that is what its log says, and one in which a byte was changed.

#[path = "audit/faults.rs"]
mod faults;
#[path = "audit/workload.rs"]
mod workload;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio_util::sync::CancellationToken;
use turnstile::audit::{self, Report};
use turnstile::domain::block::{self, BestAvailable, Choice, HoldSeats, Layout, NewSection, OpenBlock, Terms};
use turnstile::domain::queue::{self, Limits, OfUser, OnTimeout, OpenQueue};
use turnstile::domain::wallet::{self, Movement};
use turnstile::domain::{Amount, BlockKey, BlockName, Body, Command, LogTime, RequestId, ScheduleId};
use turnstile::log::embedded::EmbeddedLog;
use turnstile::log::{AppendFuture, Log, NewRecord, PartitionCounts, Topic};
use turnstile::processor::{self, Deps};
use turnstile::runtime::clock::Clock;
use turnstile::runtime::health::Health;
use turnstile::store::sqlite::SqliteStore;
use turnstile::store::{self, Reads};
use turnstile::wire;
use uuid::Uuid;

/// As the program has them by default, so that it can be asked about a directory that a test has left.
const COUNTS: PartitionCounts =
    PartitionCounts { seats: 4, wallets: 4, queues: 2, inbox: 1, outcomes: 4, dead_letters: 1 };

struct System {
    log: EmbeddedLog,
    store: Arc<SqliteStore>,
    path: PathBuf,
    /// Removed with the system.
    _directory: Option<tempfile::TempDir>,
}

impl System {
    async fn open() -> System {
        let directory = tempfile::tempdir().unwrap();
        let system = System::at(directory.path()).await;
        System { _directory: Some(directory), ..system }
    }

    /// The files stay.
    async fn at(directory: &Path) -> System {
        let path = directory.join("store.db");
        let log = EmbeddedLog::open(&directory.join("log.db"), COUNTS, Clock::System).await.unwrap();
        let store = Arc::new(SqliteStore::open(&path).await.unwrap());
        System { log, store, path, _directory: None }
    }

    async fn append(&self, topic: Topic, partition: u32, value: Vec<u8>) {
        let record = NewRecord { key: "k".into(), value: value.into(), headers: Vec::new() };
        self.log.append(topic, partition, record).await.unwrap();
    }

    fn append_command(&self, body: Body) -> AppendFuture {
        let key = body.routing_key();
        let topic = Topic::Lane(key.lane());
        let key = key.to_string();
        let partition = wire::routing::partition_for(&key, COUNTS.of(topic));
        let command = Command { request_id: RequestId(Uuid::now_v7()), by: None, body };
        let record = NewRecord { key: key.into(), value: wire::command::encode(&command).into(), headers: Vec::new() };
        self.log.append(topic, partition, record)
    }

    async fn send(&self, body: Body) {
        self.append_command(body).await.unwrap();
    }

    /// Runs a worker until everything is decided and published, at most this long.
    async fn decide(&self, within: Duration) {
        self.decide_over(Arc::new(self.log.clone()), within).await;
    }

    /// The same where the worker sees this log.
    async fn decide_over(&self, log: Arc<dyn Log>, within: Duration) {
        let shutdown = CancellationToken::new();
        let deps = Deps { log, store: self.store.clone(), clock: Clock::System, health: Health::default() };
        let worker = tokio::spawn(processor::run(deps, processor::Settings::default(), shutdown.clone()));
        let waiting = async {
            while !self.is_decided().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(within, waiting).await.expect("everything is decided in time");
        shutdown.cancel();
        worker.await.unwrap().unwrap();
    }

    async fn is_decided(&self) -> bool {
        let views = self.store.progress_views().await.unwrap();
        for partition in store::lane_partitions(&COUNTS) {
            let end = self.log.end_offset(Topic::Lane(partition.lane), partition.partition).await.unwrap();
            let view = views.iter().find(|view| view.partition == partition);
            if view.is_none_or(|view| view.next_offset < end || view.outbox_pending > 0) {
                return false;
            }
        }
        true
    }

    async fn audit(&self) -> Report {
        audit::run(&self.log, &*self.store, &mut |_| {}).await.unwrap()
    }

    async fn tamper(&self, sql: &'static str) {
        let mut connection = SqliteConnectOptions::new().filename(&self.path as &Path).connect().await.unwrap();
        let changed = sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected();
        assert_eq!(changed, 1, "{sql}");
    }
}

async fn a_small_sale(system: &System) {
    let schedule_id = ScheduleId(Uuid::now_v7());
    let user = |n: u32| format!("user-{n}").parse().unwrap();
    let starts_at = Clock::System.now().plus_ms(3_600_000);
    let limits = Limits {
        max_active: 3,
        active_ttl_ms: 3_600_000,
        max_waiting: 5,
        admit_per_minute: None,
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 3_600_000,
        claim_after_ms: 3_600_000,
        absent_max_ms: 3_600_000,
    };
    let (sales_open_at, blocks) = (None, vec![BlockName::main()]);
    let open = OpenQueue { schedule_id, user_id: user(0), limits, sales_open_at, starts_at, blocks };
    system.send(Body::Queues(queue::Command::OpenQueue(open))).await;
    system.send(open_block(schedule_id, 20, starts_at, true)).await;
    for n in 1..=10 {
        let user_id = || user(n);
        let of_user = OfUser { schedule_id, user_id: user_id() };
        system.send(Body::Queues(queue::Command::JoinQueue(of_user))).await;
        let movement = |amount| Movement { user_id: user_id(), amount, reason: None };
        system.send(Body::Wallets(wallet::Command::ChargeWallet(movement(500)))).await;
        system.send(Body::Wallets(wallet::Command::DebitWallet(movement(700 - 50 * i64::from(n))))).await;
        system.send(hold(schedule_id, "main", &format!("user-{n}"), 1 + n % 3)).await;
    }
    system.append(Topic::Lane(turnstile::domain::Lane::Wallets), 0, b"garbage".to_vec()).await;
    system.decide(Duration::from_secs(60)).await;
}

/// A block with one section, A.
fn open_block(schedule_id: ScheduleId, seats: u32, starts_at: LogTime, queue: bool) -> Body {
    open_block_named(schedule_id, "main", seats, starts_at, queue)
}

fn open_block_named(schedule_id: ScheduleId, name: &str, seats: u32, starts_at: LogTime, queue: bool) -> Body {
    let (section, price) = ("A".parse().unwrap(), Amount::price(100).unwrap());
    let layout = Layout::plain(seats, &section, price).unwrap();
    Body::Seats(block::Command::OpenBlock(OpenBlock {
        key: BlockKey { schedule_id, block: name.parse().unwrap() },
        user_id: "admin".parse().unwrap(),
        sections: vec![NewSection { name: section, layout }],
        terms: Terms {
            hold_ttl_ms: 12 * 3_600_000,
            rehold_after_ms: 0,
            payment_timeout_ms: 60_000,
            max_seats_per_user: 100,
            sales_open_at: None,
            sales_close_at: None,
            starts_at,
            companions_free_at: None,
        },
        queue,
    }))
}

fn hold(schedule_id: ScheduleId, block: &str, user: &str, count: u32) -> Body {
    let choice = Choice::BestAvailable(BestAvailable { count, section: None, category: None });
    let (key, user_id) = (BlockKey { schedule_id, block: block.parse().unwrap() }, user.parse().unwrap());
    Body::Seats(block::Command::HoldSeats(HoldSeats { key, user_id, choice, admitted: true }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_finds_the_first_difference_between_log_and_store() {
    let system = System::open().await;
    a_small_sale(&system).await;
    let report = system.audit().await;
    assert!(report.is_clean(), "{:?}", report.first);
    assert!(report.records >= 43 && report.rows > 100, "{report:?}");

    for (change, back, table) in [
        (
            "update wallet set balance = balance + 1 where user_id = 'user-7'",
            "update wallet set balance = balance - 1 where user_id = 'user-7'",
            "Wallets(Wallet(",
        ),
        (
            "update seat set status = 'SOLD' where number = 1",
            "update seat set status = 'HELD' where number = 1",
            "Seats(Seat(",
        ),
        ("update block set pending = pending + 1", "update block set pending = pending - 1", "Seats(Block("),
        (
            "update request set outcome = replace(outcome, 'SUCCEEDED', 'SUCCEEDEd') where command = 'open_queue'",
            "update request set outcome = replace(outcome, 'SUCCEEDEd', 'SUCCEEDED') where command = 'open_queue'",
            "RequestRow",
        ),
        (
            "update wallet_entry set amount = amount + 1 where user_id = 'user-3' and number = 1",
            "update wallet_entry set amount = amount - 1 where user_id = 'user-3' and number = 1",
            "Wallets(Entry(",
        ),
        (
            "update partition_progress set state_hash = state_hash + 1 where lane = 'seats' and partition = 0",
            "update partition_progress set state_hash = state_hash - 1 where lane = 'seats' and partition = 0",
            "state_hash",
        ),
        (
            "update dead_letter set reason = reason || '!'",
            "update dead_letter set reason = rtrim(reason, '!')",
            "garbage",
        ),
    ] {
        system.tamper(change).await;
        let report = system.audit().await;
        let first = report.first.expect(change);
        assert!(first.position.is_some(), "{change}: {first}");
        assert!(first.what.contains(table) || table == "garbage", "{change}: {first}");
        system.tamper(back).await;
        assert!(system.audit().await.is_clean(), "{back}");
    }

    system.tamper("delete from wallet_entry where user_id = 'user-3' and number = 1").await;
    let first = system.audit().await.first.expect("a row is missing");
    assert!(first.to_string().starts_with("at wallets.") && first.what.contains("wallet_entry"), "{first}");
}

/// `TURNSTILE_AUDIT_COMMANDS` says how many (default 1,000,000), `TURNSTILE_AUDIT_DIR` where they stay for
/// `turnstile audit` to be asked about them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: a million commands take minutes"]
async fn a_million_commands_are_decided_again() {
    let of = std::env::var("TURNSTILE_AUDIT_COMMANDS").map_or(1_000_000, |count| count.parse().unwrap());
    let system = match std::env::var_os("TURNSTILE_AUDIT_DIR") {
        Some(directory) => {
            std::fs::create_dir_all(&directory).unwrap();
            System::at(Path::new(&directory)).await
        }
        None => System::open().await,
    };
    workload::run(&system, of).await;
    let began = Instant::now();
    let report = system.audit().await;
    let rate = report.records as f64 / began.elapsed().as_secs_f64();
    println!("{} records, {} rows, {rate:.0} records a second", report.records, report.rows);
    assert!(report.is_clean(), "{:?}", report.first);
    assert!(report.records >= u64::from(of) * 9 / 10, "{report:?}");
    system.log.close().await;
}
