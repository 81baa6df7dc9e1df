//! Records to the owner of three partitions, one lane each, where a date is on sale already.

use bytes::Bytes;
use turnstile::audit;
use turnstile::domain::{Body, Lane, block};
use turnstile::log::{Headers, LanePartition, Log as _, PartitionCounts, Record, Timestamp, Topic};
use turnstile::processor::Replay;
use turnstile::runtime::clock::Clock;
use turnstile::store::{CommitBatch, Committed, Ownership as _, Remember};
use turnstile::testing::{MemoryLog, MemoryStore};
use turnstile::wire;

const COUNTS: PartitionCounts =
    PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
/// Records of one input, those that follow from others included.
const RECORDS_MAX: u64 = 64;
/// How much later than the one before a record arrives, in milliseconds.
const STEPS: [i64; 4] = [0, 1, 60_000, 7_200_000];
const BEGAN: i64 = 1_800_000_000_000;

/// A queue and a block, somebody admitted, with money and two held seats: what the records of an input find.
const ON_SALE: [(Lane, &str); 5] = [
    (
        Lane::Queues,
        r#"{"type":"open_queue","version":1,"request_id":"0192e4b0-0000-7000-8000-000000000002","user_id":"admin","schedule_id":"0192e4b0-0000-7000-8000-00000000005c","blocks":["main"],"starts_at":"2027-02-01T00:00:00Z","max_active":2,"active_ttl_ms":300000,"max_waiting":4,"on_timeout":"requeue","abandon_after_ms":600000,"claim_after_ms":60000,"absent_max_ms":3600000}"#,
    ),
    (
        Lane::Seats,
        r#"{"type":"open_block","version":1,"request_id":"0192e4b0-0000-7000-8000-000000000001","user_id":"admin","schedule_id":"0192e4b0-0000-7000-8000-00000000005c","sections":[{"name":"A","seats":9,"price":100}],"queue":true,"hold_ttl_ms":300000,"rehold_after_ms":60000,"payment_timeout_ms":60000,"max_seats_per_user":4,"starts_at":"2027-02-01T00:00:00Z"}"#,
    ),
    (
        Lane::Queues,
        r#"{"type":"join_queue","version":1,"request_id":"0192e4b0-0000-7000-8000-000000000003","user_id":"alice","schedule_id":"0192e4b0-0000-7000-8000-00000000005c"}"#,
    ),
    (
        Lane::Wallets,
        r#"{"type":"charge_wallet","version":1,"request_id":"0192e4b0-0000-7000-8000-000000000004","user_id":"alice","amount":1000}"#,
    ),
    (
        Lane::Seats,
        r#"{"type":"hold_seats","version":1,"request_id":"0192e4b0-0000-7000-8000-000000000005","user_id":"alice","schedule_id":"0192e4b0-0000-7000-8000-00000000005c","seats":["A-2","A-3"],"admitted":true}"#,
    ),
];

struct Owners {
    log: MemoryLog,
    store: MemoryStore,
    replays: Vec<(Replay, u64)>,
    time: i64,
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
}

/// Lines of `{lane and time byte}{record value}`, decided one by one. None of them stops the owner, what it publishes can
/// be read, and deciding all of them at once, as the audit does, gives the same rows.
pub fn owner(bytes: &[u8]) {
    RUNTIME.with(|runtime| runtime.block_on(decide_all(bytes)));
}

async fn decide_all(bytes: &[u8]) {
    let mut owners = Owners::open().await;
    for (lane, value) in ON_SALE {
        owners.decide(lane, Bytes::from_static(value.as_bytes()), Vec::new()).await;
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((first, value)) = line.split_first() else { continue };
        if is_large(value) {
            continue;
        }
        let lane = Lane::ALL[usize::from(*first) % 4];
        owners.time += STEPS[usize::from(*first) / 3 % STEPS.len()];
        owners.decide(lane, Bytes::copy_from_slice(value), Vec::new()).await;
    }
    let report = audit::run(&owners.log, &owners.store, &mut |_| {}).await.expect("the audit comes to an end");
    // What does not add up may be a forged settlement's fault; a row that differs has a position.
    let first = report.first.filter(|first| first.position.is_some());
    assert_eq!(first, None, "one by one and all at once differ");
}

/// Sections of thousands of seats are decided like small ones and would take most of the time.
fn is_large(value: &[u8]) -> bool {
    let seats_of = |sections: &[block::NewSection]| sections.iter().map(|section| section.layout.seats()).sum::<u32>();
    let seats = match wire::command::decode(value).map(|command| command.body) {
        Ok(Body::Seats(block::Command::OpenBlock(open))) => seats_of(&open.sections),
        Ok(Body::Seats(block::Command::AmendBlock(amend))) => {
            let amended = amend.sections.iter().filter_map(|section| section.layout.as_ref());
            seats_of(&amend.new_sections) + amended.map(block::Layout::seats).sum::<u32>()
        }
        _ => 0,
    };
    seats > 40
}

impl Owners {
    async fn open() -> Owners {
        let (log, store) = (MemoryLog::new(COUNTS, Clock::System), MemoryStore::new());
        let mut replays = Vec::new();
        for lane in Lane::ALL {
            let partition = LanePartition { lane, partition: 0 };
            let epoch = store.acquire(partition, "fuzz").await.expect("an owner").epoch;
            replays.push((Replay::new(partition, &COUNTS, Remember::DEFAULT, Vec::new()), epoch));
        }
        Owners { log, store, replays, time: BEGAN }
    }

    /// Decides the record and whatever follows from it.
    async fn decide(&mut self, lane: Lane, value: Bytes, headers: Headers) {
        let mut waiting = vec![(lane, value, headers)];
        while let Some((lane, value, headers)) = waiting.pop() {
            let topic = Topic::Lane(lane);
            if self.log.end_offset(topic, 0).await.expect("an end") >= RECORDS_MAX {
                return;
            }
            let batch = self.decide_one(topic, lane, value, headers).await;
            for row in batch.outbox {
                match row.topic {
                    Topic::Lane(to) => waiting.push((to, row.payload.into(), row.headers)),
                    Topic::Outcomes => _ = wire::outcome::decode(&row.payload).expect("a readable outcome"),
                    Topic::DeadLetters => {}
                }
            }
        }
    }

    async fn decide_one(&mut self, topic: Topic, lane: Lane, value: Bytes, headers: Headers) -> CommitBatch {
        let timestamp = Timestamp::LogAppend(self.time);
        let offset = self.log.put((topic, 0), None, Some(value.clone()), headers.clone(), timestamp);
        let offset = offset.expect("the partition is there");
        let record = Record { offset, timestamp, key: None, value: Some(value), headers, unreadable_headers: 0 };
        let (replay, epoch) = &mut self.replays[lane as usize];
        let mut batch = replay.decide(vec![record]).await.expect("a decision");
        (batch.before.epoch, batch.after.epoch) = (*epoch, *epoch);
        assert_eq!(self.store.commit(&batch).await, Ok(Committed::Done));
        batch
    }
}
