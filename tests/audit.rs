//! The audit on the embedded pair: a store that is what its log says, and one in which a byte was changed.

#[path = "audit/crowd.rs"]
mod crowd;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio_util::sync::CancellationToken;
use turnstile::audit::{self, Report};
use turnstile::domain::command::{
    Body, ChargeWallet, Choice, Command, DebitWallet, HoldSeats, JoinQueue, OpenQueue, OpenSection,
};
use turnstile::domain::queue::{Limits, OnTimeout};
use turnstile::domain::{LogTime, RequestId, ScheduleId};
use turnstile::log::embedded::EmbeddedLog;
use turnstile::log::{AppendFuture, Log, NewRecord, PartitionCounts, Topic};
use turnstile::processor::{self, Deps};
use turnstile::runtime::clock::Clock;
use turnstile::runtime::health::Health;
use turnstile::store::reads::Reads;
use turnstile::store::sqlite::SqliteStore;
use turnstile::{store, wire};
use uuid::Uuid;

/// As the program has them by default, so that it can be asked about a directory that a test has left.
const COUNTS: PartitionCounts = PartitionCounts { seats: 4, wallets: 4, queues: 2, outcomes: 4, dead_letters: 1 };

struct House {
    log: EmbeddedLog,
    store: Arc<SqliteStore>,
    path: PathBuf,
    /// Removed with the house.
    _directory: Option<tempfile::TempDir>,
}

impl House {
    async fn open() -> House {
        let directory = tempfile::tempdir().unwrap();
        let house = House::at(directory.path()).await;
        House { _directory: Some(directory), ..house }
    }

    /// What is kept there stays.
    async fn at(directory: &Path) -> House {
        let path = directory.join("store.db");
        let log = EmbeddedLog::open(&directory.join("log.db"), COUNTS, Clock::System).await.unwrap();
        let store = Arc::new(SqliteStore::open(&path).await.unwrap());
        House { log, store, path, _directory: None }
    }

    async fn append(&self, topic: Topic, partition: u32, value: Vec<u8>) {
        let record = NewRecord { key: "k".into(), value: value.into(), headers: Vec::new() };
        self.log.append(topic, partition, record).await.unwrap();
    }

    fn append_command(&self, body: Body) -> AppendFuture {
        let key = body.routing_key();
        let topic = Topic::Lane(key.lane());
        let key = key.to_string();
        let partition = wire::partition_for(&key, COUNTS.of(topic));
        let command = Command { request_id: RequestId(Uuid::now_v7()), body };
        let record = NewRecord { key: key.into(), value: wire::encode(&command).into(), headers: Vec::new() };
        self.log.append(topic, partition, record)
    }

    async fn send(&self, body: Body) {
        self.append_command(body).await.unwrap();
    }

    /// Runs a worker until everything is decided and published, so long at most.
    async fn decide(&self, within: Duration) {
        let shutdown = CancellationToken::new();
        let deps = Deps {
            log: Arc::new(self.log.clone()),
            store: self.store.clone(),
            clock: Clock::System,
            health: Health::default(),
        };
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
        audit::run(&self.log, &*self.store, LogTime(0), &mut |_| {}).await.unwrap()
    }

    async fn tamper(&self, sql: &'static str) {
        let mut connection = SqliteConnectOptions::new().filename(&self.path as &Path).connect().await.unwrap();
        let changed = sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected();
        assert_eq!(changed, 1, "{sql}");
    }
}

async fn a_small_sale(house: &House) {
    let schedule_id = ScheduleId(Uuid::now_v7());
    let user = |n: u32| format!("user-{n}").parse().unwrap();
    let section = || "A".parse().unwrap();
    house
        .send(Body::OpenSection(OpenSection {
            schedule_id,
            section: section(),
            user_id: user(0),
            seats: 20,
            price: 100,
            hold_ttl_ms: 3_600_000,
            max_seats_per_user: 4,
            sales_open_at: None,
            starts_at: Clock::System.now().plus_ms(3_600_000),
            queue: true,
        }))
        .await;
    let limits = Limits {
        max_active: 3,
        active_ttl_ms: 3_600_000,
        max_waiting: 5,
        admit_per_minute: None,
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 3_600_000,
    };
    house.send(Body::OpenQueue(OpenQueue { schedule_id, user_id: user(0), limits })).await;
    for n in 1..=10 {
        let user_id = || user(n);
        house.send(Body::JoinQueue(JoinQueue { schedule_id, user_id: user_id() })).await;
        house.send(Body::ChargeWallet(ChargeWallet { user_id: user_id(), amount: 500, reason: None })).await;
        let debit = DebitWallet { user_id: user_id(), amount: 700 - 50 * i64::from(n), reason: None, origin: None };
        house.send(Body::DebitWallet(debit)).await;
        let choice = Choice::BestAvailable(1 + n % 3);
        house.send(Body::HoldSeats(HoldSeats { schedule_id, section: section(), user_id: user_id(), choice })).await;
    }
    house.append(Topic::Lane(turnstile::domain::Lane::Wallets), 0, b"rubbish".to_vec()).await;
    house.decide(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f45_audit_finds_the_first_difference_between_log_and_store() {
    let house = House::open().await;
    a_small_sale(&house).await;
    let report = house.audit().await;
    assert!(report.is_clean(), "{:?}", report.first);
    assert!(report.records >= 43 && report.rows > 100, "{report:?}");

    for (change, back, table) in [
        (
            "update wallet set balance = balance + 1 where user_id = 'user-7'",
            "update wallet set balance = balance - 1 where user_id = 'user-7'",
            "Wallet",
        ),
        (
            "update seat set status = 'SOLD' where number = 1",
            "update seat set status = 'HELD' where number = 1",
            "Seat",
        ),
        (
            "update request set outcome = replace(outcome, 'SUCCEEDED', 'SUCCEEDEd') where command = 'open_queue'",
            "update request set outcome = replace(outcome, 'SUCCEEDEd', 'SUCCEEDED') where command = 'open_queue'",
            "RequestRow",
        ),
        (
            "update wallet_entry set amount = amount + 1 where user_id = 'user-3' and number = 1",
            "update wallet_entry set amount = amount - 1 where user_id = 'user-3' and number = 1",
            "WalletEntry",
        ),
        (
            "update partition_progress set state_hash = state_hash + 1 where lane = 'seats' and partition = 0",
            "update partition_progress set state_hash = state_hash - 1 where lane = 'seats' and partition = 0",
            "state_hash",
        ),
        (
            "update dead_letter set reason = reason || '!'",
            "update dead_letter set reason = rtrim(reason, '!')",
            "rubbish",
        ),
    ] {
        house.tamper(change).await;
        let report = house.audit().await;
        let first = report.first.expect(change);
        assert!(first.position.is_some(), "{change}: {first}");
        assert!(first.what.contains(table) || table == "rubbish", "{change}: {first}");
        house.tamper(back).await;
        assert!(house.audit().await.is_clean(), "{back}");
    }

    house.tamper("delete from wallet_entry where user_id = 'user-3' and number = 1").await;
    let first = house.audit().await.first.expect("a row is missing");
    assert!(first.to_string().starts_with("at wallets.") && first.what.contains("wallet_entry"), "{first}");
}

/// `TURNSTILE_AUDIT_COMMANDS` says how many (default 1,000,000), `TURNSTILE_AUDIT_DIR` where they stay for
/// `turnstile audit` to be asked about them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: a million commands take minutes"]
async fn a_million_commands_are_decided_again() {
    let of = std::env::var("TURNSTILE_AUDIT_COMMANDS").map_or(1_000_000, |count| count.parse().unwrap());
    let house = match std::env::var_os("TURNSTILE_AUDIT_DIR") {
        Some(directory) => {
            std::fs::create_dir_all(&directory).unwrap();
            House::at(Path::new(&directory)).await
        }
        None => House::open().await,
    };
    crowd::sell(&house, of).await;
    let began = Instant::now();
    let report = house.audit().await;
    let rate = report.records as f64 / began.elapsed().as_secs_f64();
    println!("{} records, {} rows, {rate:.0} records a second", report.records, report.rows);
    assert!(report.is_clean(), "{:?}", report.first);
    assert!(report.records >= u64::from(of) * 9 / 10, "{report:?}");
    house.log.close().await;
}
