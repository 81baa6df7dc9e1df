//! The behaviours. Each takes a fresh log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use turnstile::domain::Lane;
use turnstile::log::{
    AppendError, GroupEvent, LanePartition, Log, Membership, NewRecord, PartitionReader, ReadError, Record, Timestamp,
    Topic,
};

use super::{SEATS, counts};

pub fn record(value: &str) -> NewRecord {
    NewRecord { key: Bytes::from_static(b"key"), value: Bytes::copy_from_slice(value.as_bytes()), headers: Vec::new() }
}

fn text(record: &Record) -> &str {
    std::str::from_utf8(record.value.as_deref().unwrap()).unwrap()
}

/// Appends "0", "1", … and waits for all.
async fn fill(log: &dyn Log, topic: Topic, partition: u32, records: usize) {
    let appends: Vec<_> = (0..records).map(|i| log.append(topic, partition, record(&i.to_string()))).collect();
    for append in appends {
        append.await.unwrap();
    }
}

/// Reads exactly that many.
pub async fn read_n(reader: &mut dyn PartitionReader, records: usize) -> Vec<Record> {
    let mut read = Vec::new();
    while read.len() < records {
        read.extend(reader.next(records - read.len(), usize::MAX).await.unwrap());
    }
    read
}

fn numbers(records: &[Record]) -> Vec<usize> {
    records.iter().map(|record| text(record).parse().unwrap()).collect()
}

pub async fn pipelined_appends_keep_their_order(log: Arc<dyn Log>) {
    let appends: Vec<_> = (0..500).map(|i| log.append(SEATS, 1, record(&i.to_string()))).collect();
    let appended: Vec<u64> = join_all(appends).await.into_iter().map(|appended| appended.unwrap().offset).collect();
    assert!(appended.is_sorted_by(|a, b| a < b), "offsets do not ascend");
    let read = read_n(&mut *log.read(SEATS, 1, 0).await.unwrap(), 500).await;
    assert_eq!(numbers(&read), (0..500).collect::<Vec<_>>());
    assert_eq!(read.iter().map(|record| record.offset).collect::<Vec<_>>(), appended);
    assert_eq!(log.end_offset(SEATS, 1).await.unwrap(), appended[499] + 1);
    assert_eq!(log.first_offset(SEATS, 1).await.unwrap(), 0);
}

/// A log may treat whoever is alone in another way than a crowd.
pub async fn appends_keep_their_order_when_one_becomes_many(log: Arc<dyn Log>) {
    let mut next = 0..;
    let mut append = || log.append(SEATS, 2, record(&next.next().unwrap().to_string()));
    for many in [5, 40, 300] {
        for _ in 0..200 {
            append().await.unwrap();
        }
        let appends: Vec<_> = (0..many).map(|_| append()).collect();
        assert!(join_all(appends).await.iter().all(Result::is_ok));
    }
    let read = read_n(&mut *log.read(SEATS, 2, 0).await.unwrap(), 945).await;
    assert_eq!(numbers(&read), (0..945).collect::<Vec<_>>());
}

pub async fn an_unpolled_append_takes_its_place(log: Arc<dyn Log>) {
    let first = log.append(SEATS, 0, record("0"));
    let second = log.append(SEATS, 0, record("1"));
    drop(log.append(SEATS, 0, record("2")));
    let (second, first) = (second.await.unwrap(), first.await.unwrap());
    assert!(first.offset < second.offset);
    let read = read_n(&mut *log.read(SEATS, 0, 0).await.unwrap(), 3).await;
    assert_eq!(numbers(&read), [0, 1, 2]);
}

pub async fn partitions_count_their_own_offsets(log: Arc<dyn Log>) {
    let places: Vec<(Topic, u32)> =
        Topic::ALL.into_iter().flat_map(|topic| (0..counts().of(topic)).map(move |p| (topic, p))).collect();
    for (i, (topic, partition)) in places.iter().enumerate() {
        fill(&*log, *topic, *partition, i + 1).await;
    }
    for (i, (topic, partition)) in places.iter().enumerate() {
        assert_eq!(log.end_offset(*topic, *partition).await.unwrap(), i as u64 + 1, "{topic} {partition}");
        let read = read_n(&mut *log.read(*topic, *partition, 0).await.unwrap(), i + 1).await;
        assert_eq!(numbers(&read), (0..=i).collect::<Vec<_>>());
    }
}

pub async fn a_record_comes_back_as_it_went_in(log: Arc<dyn Log>) {
    let headers = vec![
        ("traceparent".into(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        ("twice".into(), "1".into()),
        ("twice".into(), vec![0, 255, 10].into()),
        ("empty".into(), Bytes::new()),
    ];
    let large: Bytes = (0..1_500_000u32).map(|i| (i * 31) as u8).collect::<Vec<_>>().into();
    let sent = [
        NewRecord { key: "A/ä".into(), value: "{}".into(), headers },
        NewRecord { key: Bytes::new(), value: Bytes::new(), headers: Vec::new() },
        NewRecord { key: vec![0u8, 1, 255].into(), value: large, headers: Vec::new() },
    ];
    let appends: Vec<_> = sent.iter().map(|record| log.append(Topic::DeadLetters, 0, record.clone())).collect();
    for append in appends {
        append.await.unwrap();
    }
    let read = read_n(&mut *log.read(Topic::DeadLetters, 0, 0).await.unwrap(), sent.len()).await;
    for (sent, read) in sent.iter().zip(&read) {
        assert!(read.key.as_ref().unwrap_or(&Bytes::new()) == &sent.key);
        assert!(read.value.as_ref() == Some(&sent.value), "{:?} bytes came back", read.value.as_ref().map(Bytes::len));
        assert_eq!(read.headers, sent.headers);
    }
    let too_large = NewRecord { key: Bytes::new(), value: vec![0; 4 << 20].into(), headers: Vec::new() };
    assert!(matches!(log.append(Topic::DeadLetters, 0, too_large).await, Err(AppendError::Refused(_))));
    assert_eq!(log.end_offset(Topic::DeadLetters, 0).await.unwrap(), 3);
}

pub async fn times_are_the_logs_and_never_run_back(log: Arc<dyn Log>) {
    for i in 0..20 {
        log.append(SEATS, 2, record(&i.to_string())).await.unwrap();
    }
    let read = read_n(&mut *log.read(SEATS, 2, 0).await.unwrap(), 20).await;
    assert!(read.is_sorted_by_key(|record| record.timestamp.millis()));
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    assert!(read.iter().all(|record| (record.timestamp.millis() - now_ms).abs() < 60_000));
    // A log that cannot stamp says so.
    assert!(read.iter().all(|record| matches!(record.timestamp, Timestamp::LogAppend(_) | Timestamp::Create(_))));
}

pub async fn a_reader_keeps_to_its_limits(log: Arc<dyn Log>) {
    let values = [300, 300, 300, 5000, 10, 10];
    for bytes in values {
        log.append(SEATS, 0, record(&"x".repeat(bytes))).await.unwrap();
    }
    let mut reader = log.read(SEATS, 0, 0).await.unwrap();
    let mut sizes = Vec::new();
    while sizes.len() < values.len() {
        let batch = reader.next(2, 700).await.unwrap();
        assert!(!batch.is_empty() && batch.len() <= 2);
        let bytes: usize = batch.iter().map(Record::size).sum();
        assert!(batch.len() == 1 || bytes <= 700, "{} records of {bytes} bytes", batch.len());
        sizes.extend(batch.iter().map(|record| record.value.as_ref().unwrap().len()));
    }
    assert_eq!(sizes, values);
}

pub async fn a_dropped_read_loses_nothing(log: Arc<dyn Log>) {
    let mut reader = log.read(SEATS, 3, 0).await.unwrap();
    let mut read = Vec::new();
    let mut appends = FuturesUnordered::new();
    for i in 0..200 {
        appends.push(log.append(SEATS, 3, record(&i.to_string())));
        // Poll a few times and drop the call, wherever it stands.
        for _ in 0..3 {
            if let Some(batch) = reader.next(7, usize::MAX).now_or_never() {
                read.extend(batch.unwrap());
            }
        }
        let wait = Duration::from_micros(i % 7 * 100);
        if let Ok(batch) = tokio::time::timeout(wait, reader.next(7, usize::MAX)).await {
            read.extend(batch.unwrap());
        }
    }
    while let Some(appended) = appends.next().await {
        appended.unwrap();
    }
    let rest = 200 - read.len();
    read.extend(read_n(&mut *reader, rest).await);
    assert_eq!(numbers(&read), (0..200).collect::<Vec<_>>());
}

pub async fn a_waiting_reader_wakes_up(log: Arc<dyn Log>) {
    let mut reader = log.read(SEATS, 0, 0).await.unwrap();
    for i in 0..20 {
        assert!(tokio::time::timeout(Duration::from_millis(5), reader.next(10, usize::MAX)).await.is_err());
        let (read, appended) = tokio::join!(reader.next(10, usize::MAX), log.append(SEATS, 0, record(&i.to_string())));
        appended.unwrap();
        assert_eq!(numbers(&read.unwrap()), [i]);
    }
}

pub async fn two_readers_read_the_same(log: Arc<dyn Log>) {
    fill(&*log, Topic::Outcomes, 1, 50).await;
    let mut from_start = log.read(Topic::Outcomes, 1, 0).await.unwrap();
    let mut from_middle = log.read(Topic::Outcomes, 1, 30).await.unwrap();
    let (all, tail) = tokio::join!(read_n(&mut *from_start, 50), read_n(&mut *from_middle, 20));
    assert_eq!(all[30..], tail[..]);
    drop(from_start);
    let append = log.append(Topic::Outcomes, 1, record("50"));
    assert_eq!(numbers(&read_n(&mut *from_middle, 1).await), [50]);
    append.await.unwrap();
}

/// As owners do after a failed commit: drop the reader and start again at the offset that is committed.
pub async fn a_partition_opened_again_and_again_misses_nothing(log: Arc<dyn Log>) {
    let appending = async {
        for i in 0..300 {
            log.append(SEATS, 1, record(&i.to_string())).await.unwrap();
        }
    };
    let reading = async {
        let mut committed = 0;
        while committed < 300 {
            let mut reader = log.read(SEATS, 1, committed).await.unwrap();
            let read = reader.next(20, usize::MAX).await.unwrap();
            assert_eq!(read[0].offset, committed);
            assert!(numbers(&read).iter().copied().eq(committed as usize..committed as usize + read.len()));
            // Some of what was read is not committed and comes again.
            committed += (read.len() as u64).div_ceil(2);
        }
    };
    tokio::join!(appending, reading);
}

pub async fn a_start_that_is_not_on_the_log_is_refused(log: Arc<dyn Log>) {
    fill(&*log, SEATS, 0, 3).await;
    let refused = match log.read(SEATS, 0, 7).await {
        Ok(mut reader) => reader.next(1, usize::MAX).await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(ReadError::OutOfRange { offset: 7, .. })), "{refused:?}");
    let mut at_end = log.read(SEATS, 0, 3).await.unwrap();
    let (read, appended) = tokio::join!(at_end.next(10, usize::MAX), log.append(SEATS, 0, record("3")));
    appended.unwrap();
    assert_eq!(numbers(&read.unwrap()), [3]);
}

pub async fn a_partition_that_is_not_there_is_refused(log: Arc<dyn Log>) {
    let refused = log.append(SEATS, counts().seats, record("0")).await;
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    assert!(log.end_offset(SEATS, counts().seats).await.is_err());
    assert!(log.read(SEATS, counts().seats, 0).await.is_err());
}

pub async fn flush_waits_for_what_was_appended(log: Arc<dyn Log>) {
    let appends: Vec<_> = (0..100).map(|i| log.append(SEATS, 0, record(&i.to_string()))).collect();
    log.flush(Duration::from_secs(30)).await;
    assert_eq!(log.end_offset(SEATS, 0).await.unwrap(), 100);
    for append in appends {
        append.now_or_never().expect("not acknowledged after the flush").unwrap();
    }
}

pub async fn the_identity_stays(log: Arc<dyn Log>) {
    let identity = log.identity().await.unwrap();
    assert!(!identity.log_id.is_empty());
    assert_eq!(log.identity().await.unwrap(), identity);
}

/// Appends until the log says it is full, which must happen after at most `appends_max`, then lets it go on.
pub async fn a_full_queue_refuses_at_once(log: &dyn Log, appends_max: usize, go_on: impl FnOnce()) {
    let mut accepted = Vec::new();
    let refused = (0..appends_max).find_map(|i| {
        let mut append = log.append(SEATS, 0, record(&i.to_string()));
        match (&mut append).now_or_never() {
            Some(Err(error)) => Some(error),
            Some(Ok(_)) => None,
            None => {
                accepted.push(append);
                None
            }
        }
    });
    assert_eq!(refused, Some(AppendError::Backlog), "after {} appends", accepted.len());
    go_on();
    for append in accepted {
        append.await.unwrap();
    }
    log.append(SEATS, 0, record("after")).await.unwrap();
}

fn all_lanes() -> BTreeSet<LanePartition> {
    let of = |lane| (0..counts().of(Topic::Lane(lane))).map(move |partition| LanePartition { lane, partition });
    Lane::ALL.into_iter().flat_map(of).collect()
}

pub type Owned = Vec<BTreeSet<LanePartition>>;

/// Lets the members answer their events until together they own `total` partitions in shares that differ by no more
/// than four (one for each lane) and nothing is on the move. Panics if two own the same one.
pub async fn settle_from(members: &[&dyn Membership], mut owned: Owned, total: usize) -> Owned {
    loop {
        let sizes: Vec<usize> = owned.iter().map(BTreeSet::len).collect();
        let spread = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
        if sizes.iter().sum::<usize>() == total && spread <= 4 {
            return owned;
        }
        let events = members.iter().map(|member| member.event());
        let (event, i, _) = futures_util::future::select_all(events).await;
        match event {
            GroupEvent::Assigned(partitions) => {
                for partition in partitions {
                    assert!(owned.iter().all(|of_one| !of_one.contains(&partition)), "{partition} has two owners");
                    owned[i].insert(partition);
                }
            }
            GroupEvent::Revoked { partitions, deadline } => {
                assert!(deadline > Duration::ZERO);
                for partition in partitions {
                    assert!(owned[i].remove(&partition), "{partition} was not this member's");
                    members[i].release(partition);
                }
            }
            GroupEvent::Lost(partitions) => owned[i].retain(|partition| !partitions.contains(partition)),
            GroupEvent::Closed(reason) => panic!("membership {i} ended: {reason}"),
        }
    }
}

pub async fn settle(members: &[&dyn Membership], total: usize) -> Owned {
    settle_from(members, vec![BTreeSet::new(); members.len()], total).await
}

pub async fn the_only_member_gets_every_partition(log: Arc<dyn Log>) {
    let member = log.join("only").await.unwrap();
    assert_eq!(settle(&[&*member], 11).await, [all_lanes()]);
    let foreign = LanePartition { lane: Lane::Queues, partition: 9 };
    assert!(member.open(foreign, 0).await.is_err(), "a partition that was not assigned was opened");
    member.leave().await;
}

pub async fn an_owner_starts_where_it_says(log: Arc<dyn Log>) {
    fill(&*log, SEATS, 2, 10).await;
    let member = log.join("only").await.unwrap();
    settle(&[&*member], 11).await;
    let partition = LanePartition { lane: Lane::Seats, partition: 2 };
    let mut reader = member.open(partition, 4).await.unwrap();
    assert_eq!(numbers(&read_n(&mut *reader, 6).await), [4, 5, 6, 7, 8, 9]);
    member.report(partition, 10);
    let (read, appended) = tokio::join!(reader.next(10, usize::MAX), log.append(SEATS, 2, record("10")));
    appended.unwrap();
    assert_eq!(numbers(&read.unwrap()), [10]);
    drop(reader);
    // Opened again further back, e.g. after a failed commit.
    let mut again = member.open(partition, 9).await.unwrap();
    assert_eq!(numbers(&read_n(&mut *again, 2).await), [9, 10]);
    drop(again);
    member.leave().await;
}

pub async fn a_second_member_gets_a_share_and_nothing_is_owned_twice(log: Arc<dyn Log>) {
    let first = log.join("first").await.unwrap();
    let alone = settle(&[&*first], 11).await;
    let second = log.join("second").await.unwrap();
    let members = [&*first, &*second];
    let shared = settle_from(&members, vec![alone[0].clone(), BTreeSet::new()], 11).await;
    assert_eq!(&shared[0] | &shared[1], all_lanes());
    first.leave().await;
    second.leave().await;
}

pub async fn a_member_that_leaves_hands_over(log: Arc<dyn Log>) {
    let first = log.join("first").await.unwrap();
    let second = log.join("second").await.unwrap();
    let shared = settle(&[&*first, &*second], 11).await;
    second.leave().await;
    drop(second);
    assert_eq!(settle_from(&[&*first], vec![shared[0].clone()], 11).await, [all_lanes()]);
    first.leave().await;
    assert!(matches!(first.event().await, GroupEvent::Closed(_)));
}
