use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use turnstile::domain::{Lane, LanePartition, LogTime};
use turnstile::log::embedded::{EmbeddedLog, EmbeddedSettings, OpenError};
use turnstile::log::{AppendError, Log, PartitionCounts, ReadError, Topic};
use turnstile::runtime::clock::Clock;

use super::suite::{a_full_queue_refuses_at_once, read_n, record};
use super::{SEATS, Subject, conforms, counts};

async fn open_in(directory: &Path) -> EmbeddedLog {
    EmbeddedLog::open(&directory.join("log.db"), counts(), Clock::System).await.unwrap()
}

async fn open() -> Subject {
    let directory = TempDir::new().unwrap();
    Subject { log: Arc::new(open_in(directory.path()).await), _keep: Box::new(directory) }
}

conforms!(open());

/// Reads a whole partition, which must have offsets without a gap.
async fn values(log: &EmbeddedLog, partition: u32) -> Vec<String> {
    let first = log.first_offset(SEATS, partition).await.unwrap();
    let records = usize::try_from(log.end_offset(SEATS, partition).await.unwrap() - first).unwrap();
    let read = read_n(&mut *log.read(SEATS, partition, first).await.unwrap(), records).await;
    assert!(read.iter().zip(first..).all(|(record, offset)| record.offset == offset));
    read.iter().map(|record| String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let mut identity = None;
    let mut expected = Vec::new();
    for round in 0..3 {
        let log = open_in(directory.path()).await;
        assert_eq!(*identity.get_or_insert(log.identity().await.unwrap()), log.identity().await.unwrap());
        assert_eq!(values(&log, 1).await, expected);
        let new: Vec<_> = (0..100).map(|i| format!("{round}-{i}")).collect();
        join_all(new.iter().map(|value| log.append(SEATS, 1, record(value)))).await;
        expected.extend(new);
        log.close().await;
        assert!(matches!(log.append(SEATS, 1, record("x")).await, Err(AppendError::Unacknowledged(_))));
    }
}

/// What is on the disk the moment an append resolves must hold it: nothing may wait in memory for a later write.
#[tokio::test]
async fn an_acknowledged_record_survives_the_loss_of_the_process() {
    let directory = TempDir::new().unwrap();
    let log = open_in(directory.path()).await;
    for i in 0..5 {
        join_all((0..20).map(|j| log.append(SEATS, 0, record(&format!("{i}-{j}"))))).await;
        // What a crash at this moment leaves behind: the files as they are, not closed.
        let left = TempDir::new().unwrap();
        for name in ["log.db", "log.db-wal"] {
            std::fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
        }
        assert_eq!(values(&open_in(left.path()).await, 0).await.len(), (i + 1) * 20);
    }
}

#[test]
fn a_process_that_ends_without_closing_loses_nothing() {
    let directory = TempDir::new().unwrap();
    for round in 0..3 {
        // The runtime ends with the writer, the log and its connections in whatever state they are.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let log = open_in(directory.path()).await;
            assert_eq!(values(&log, 0).await.len(), round * 10);
            for i in 0..10 {
                log.append(SEATS, 0, record(&i.to_string())).await.unwrap();
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_second_process_is_told_that_it_is_one_too_many() {
    let directory = TempDir::new().unwrap();
    let log = open_in(directory.path()).await;
    let second = EmbeddedLog::open(&directory.path().join("log.db"), counts(), Clock::System).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    log.close().await;
    open_in(directory.path()).await;
}

#[tokio::test]
async fn another_partition_count_is_an_error() {
    let directory = TempDir::new().unwrap();
    open_in(directory.path()).await.close().await;
    let other = PartitionCounts { wallets: 5, ..counts() };
    let Err(error) = EmbeddedLog::open(&directory.path().join("log.db"), other, Clock::System).await else {
        panic!("opened with another partition count")
    };
    assert!(error.to_string().contains("3 partitions of wallets"), "{error}");
    // And it is not left locked.
    open_in(directory.path()).await;
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let directory = TempDir::new().unwrap();
    let mut settings = EmbeddedSettings::new(directory.path().join("log.db"), counts(), Clock::System);
    settings.queue_records_max = 8;
    let log = EmbeddedLog::open_with(settings.clone()).await.unwrap();
    // The writer runs on this thread too, so it takes nothing meanwhile.
    a_full_queue_refuses_at_once(&log, 9, || ()).await;
    log.close().await;

    settings.queue_records_max = 1000;
    settings.queue_bytes_max = 50;
    let log = EmbeddedLog::open_with(settings).await.unwrap();
    a_full_queue_refuses_at_once(&log, 20, || ()).await;
}

#[tokio::test]
async fn readers_behind_the_newest_records_read_the_file() {
    let directory = TempDir::new().unwrap();
    let log = open_in(directory.path()).await;
    let value = "x".repeat(20_000);
    let appends: Vec<_> = (0..400).map(|_| log.append(SEATS, 0, record(&value))).collect();
    join_all(appends).await.into_iter().for_each(|appended| assert!(appended.is_ok()));
    // 8 MB are more than the newest records in memory.
    let mut reader = log.read(SEATS, 0, 3).await.unwrap();
    let mut next = 3;
    while next < 400 {
        let batch = reader.next(7, 100_000).await.unwrap();
        assert!(batch.len() <= 4, "more bytes than asked for");
        for record in batch {
            assert_eq!((record.offset, record.value.unwrap().len()), (next, 20_000));
            next += 1;
        }
    }
}

#[tokio::test]
async fn trimming_keeps_the_offsets_counting() {
    let directory = TempDir::new().unwrap();
    let now_ms = Arc::new(AtomicI64::new(1000));
    let path = directory.path().join("log.db");
    let open = || EmbeddedLog::open(&path, counts(), Clock::Manual(Arc::clone(&now_ms)));
    let log = open().await.unwrap();
    for ms in 1000..1010 {
        now_ms.store(ms, Ordering::SeqCst);
        log.append(Topic::Outcomes, 1, record("x")).await.unwrap();
    }
    let mut slow = log.read(Topic::Outcomes, 1, 0).await.unwrap();
    let ends = async |log: &EmbeddedLog| {
        (log.first_offset(Topic::Outcomes, 1).await.unwrap(), log.end_offset(Topic::Outcomes, 1).await.unwrap())
    };
    assert_eq!(log.trim(Topic::Outcomes, LogTime(1004), 3).await.unwrap(), 3);
    assert_eq!(log.trim(Topic::Outcomes, LogTime(1004), 3).await.unwrap(), 1);
    assert_eq!(log.trim(Topic::Outcomes, LogTime(1004), 3).await.unwrap(), 0);
    assert_eq!(ends(&log).await, (4, 10));
    assert!(matches!(slow.next(1, 1).await, Err(ReadError::OutOfRange { offset: 0, .. })));
    assert!(log.read(Topic::Outcomes, 1, 3).await.is_err());
    assert_eq!(log.read(Topic::Outcomes, 1, 4).await.unwrap().next(99, 9999).await.unwrap().len(), 6);

    assert_eq!(log.trim(Topic::Outcomes, LogTime(9999), 100).await.unwrap(), 6);
    assert_eq!(ends(&log).await, (10, 10));
    log.close().await;
    now_ms.store(5, Ordering::SeqCst);
    let log = open().await.unwrap();
    assert_eq!(ends(&log).await, (10, 10));
    assert_eq!(log.append(Topic::Outcomes, 1, record("y")).await.unwrap().offset, 10);
    // Nor does time run back behind what was trimmed.
    let read = log.read(Topic::Outcomes, 1, 10).await.unwrap().next(1, 1).await.unwrap();
    assert_eq!(read[0].timestamp.millis(), 1009);
}

#[tokio::test]
async fn a_full_disk_loses_no_acknowledged_record_and_ends_when_there_is_room() {
    let directory = TempDir::new().unwrap();
    let mut settings = EmbeddedSettings::new(directory.path().join("log.db"), counts(), Clock::System);
    settings.file_bytes_max = Some(1 << 20);
    let log = EmbeddedLog::open_with(settings).await.unwrap();
    let value = "x".repeat(10_000);
    let mut acknowledged = 0;
    let error = loop {
        match log.append(SEATS, 0, record(&value)).await {
            Ok(appended) => assert_eq!(appended.offset, acknowledged),
            Err(error) => break error,
        }
        acknowledged += 1;
        assert!(acknowledged < 200, "the file is never full");
    };
    assert!(matches!(error, AppendError::Unacknowledged(_)), "{error}");
    assert!(log.append(SEATS, 0, record(&value)).await.is_err());
    assert_eq!(values(&log, 0).await.len() as u64, acknowledged);
    // Making room is what an operator does, here by trimming.
    assert!(log.trim(SEATS, LogTime(i64::MAX), 20).await.unwrap() > 0);
    assert_eq!(log.append(SEATS, 0, record(&value)).await.unwrap().offset, acknowledged);
    log.close().await;
    let left = values(&open_in(directory.path()).await, 0).await;
    assert!(left.iter().all(|read| *read == value));
}

#[tokio::test]
async fn damage_in_the_file_is_reported_not_delivered() {
    let directory = TempDir::new().unwrap();
    let log = open_in(directory.path()).await;
    log.append(SEATS, 0, record("a value that can be found")).await.unwrap();
    log.close().await;
    let path = directory.path().join("log.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(5).rposition(|window| window == b"found").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let log = open_in(directory.path()).await;
    let read = log.read(SEATS, 0, 0).await.unwrap().next(1, 1).await;
    assert!(matches!(&read, Err(ReadError::Unavailable(reason)) if reason.contains("damaged")), "{read:?}");
}

/// Figures for `src/log/embedded/mod.rs`: `cargo test --release --test conformance -- --ignored --nocapture figures`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, does not test"]
async fn figures() {
    let directory = TempDir::new_in(".").unwrap();
    let log = Arc::new(open_in(directory.path()).await);
    let value = "x".repeat(200);
    for at_once in [1usize, 16, 256, 4096] {
        let began = Instant::now();
        let rounds = (20_000 / at_once).clamp(20, 500);
        let mut slowest = Duration::ZERO;
        for _ in 0..rounds {
            let round = Instant::now();
            let appends: Vec<_> = (0..at_once).map(|i| log.append(SEATS, (i % 4) as u32, record(&value))).collect();
            for append in appends {
                append.await.unwrap();
            }
            slowest = slowest.max(round.elapsed());
        }
        let mean = began.elapsed() / rounds as u32;
        let rate = (at_once * rounds) as f64 / began.elapsed().as_secs_f64();
        println!("{at_once:5} at once: {rate:9.0} records/s, mean {mean:?}, slowest {slowest:?}");
    }
    let records = log.end_offset(SEATS, 0).await.unwrap() as usize;
    let began = Instant::now();
    let mut reader = log.read(SEATS, 0, 0).await.unwrap();
    read_n(&mut *reader, records).await;
    println!("read {records} records from the file: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_clock_that_was_set_back_appends_nothing_to_a_lane_until_its_owner_says_where_log_time_is() {
    let directory = TempDir::new().unwrap();
    let day_ms = 86_400_000;
    let ms = Arc::new(AtomicI64::new(100 * day_ms));
    let path = directory.path().join("log.db");
    let log = EmbeddedLog::open(&path, counts(), Clock::Manual(Arc::clone(&ms))).await.unwrap();
    log.append(SEATS, 1, record("ahead")).await.unwrap();
    log.append(Topic::Outcomes, 0, record("ahead")).await.unwrap();
    ms.fetch_sub(60_000, Ordering::SeqCst);
    log.append(SEATS, 1, record("a minute back")).await.unwrap();
    ms.fetch_sub(day_ms, Ordering::SeqCst);
    let refused = log.append(SEATS, 1, record("a day back")).await;
    assert!(matches!(&refused, Err(AppendError::Denied(reason)) if reason.contains("86460 s behind")), "{refused:?}");
    log.append(SEATS, 0, record("another partition")).await.unwrap();
    log.append(Topic::Outcomes, 0, record("no lane")).await.unwrap();

    let here = LanePartition { lane: Lane::Seats, partition: 1 };
    let now = LogTime(ms.load(Ordering::SeqCst));
    log.resume_at(here, 1, now);
    assert!(log.append(SEATS, 1, record("not its end")).await.is_err());
    log.resume_at(here, 2, now);
    log.append(SEATS, 1, record("goes on")).await.unwrap();
    let read = read_n(&mut *log.read(SEATS, 1, 0).await.unwrap(), 3).await;
    let times: Vec<i64> = read.iter().map(|record| record.timestamp.millis()).collect();
    assert_eq!(times, [100 * day_ms, 100 * day_ms, now.0]);
    log.close().await;
    let log = EmbeddedLog::open(&path, counts(), Clock::Manual(ms)).await.unwrap();
    log.append(SEATS, 1, record("after a restart")).await.unwrap();
}

#[tokio::test]
async fn what_lies_before_a_damaged_record_can_be_read() {
    let directory = TempDir::new().unwrap();
    let log = open_in(directory.path()).await;
    for value in ["first", "second", "third"] {
        log.append(SEATS, 0, record(value)).await.unwrap();
    }
    log.close().await;
    let mut file = SqliteConnectOptions::new().filename(directory.path().join("log.db")).connect().await.unwrap();
    sqlx::query("update chunk set checksum = 7 where first_offset = 1").execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    let log = open_in(directory.path()).await;
    let mut reader = log.read(SEATS, 0, 0).await.unwrap();
    assert_eq!(reader.next(100, usize::MAX).await.unwrap().len(), 1);
    assert!(
        matches!(reader.next(100, usize::MAX).await, Err(ReadError::Unavailable(reason)) if reason.contains("from 1 on are damaged"))
    );
    assert_eq!(log.read(SEATS, 0, 2).await.unwrap().next(100, usize::MAX).await.unwrap().len(), 1);
}
