//! Records to the owner of three partitions, one lane each, where a date is on sale already.

use std::collections::BTreeMap;

use bytes::Bytes;
use turnstile::domain::{Body, Lane, LanePartition, block};
use turnstile::log::{Headers, PartitionCounts, Record, Timestamp, Topic};
use turnstile::processor::Replay;
use turnstile::store::{
    CommitBatch, DeadLetter, OutboxRow, Remember, RequestCompletion, RequestKey, RequestRow, RequestState,
};
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

/// One lane: its only partition decided record by record, and its records so far.
struct Owner {
    lane: Lane,
    replay: Replay,
    records: Vec<Record>,
    decided: Decided,
}

/// What batches come to, whatever their sizes. The rows of state are in the state hash.
#[derive(Debug, Default, PartialEq)]
struct Decided {
    requests: BTreeMap<RequestKey, RequestRow>,
    outbox: Vec<OutboxRow>,
    letters: Vec<DeadLetter>,
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
}

/// Lines of `{lane and time byte}{record value}`, decided one by one. None of them stops the owner, what it publishes can
/// be read, and deciding all of them at once, as an owner does that was away, comes to the same.
pub fn owner(bytes: &[u8]) {
    RUNTIME.with(|runtime| runtime.block_on(decide_all(bytes)));
}

async fn decide_all(bytes: &[u8]) {
    let mut owners = Owners { lanes: Lane::ALL.map(Owner::new), time: BEGAN };
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
    for owner in owners.lanes {
        owner.check().await;
    }
}

/// Sections of thousands of seats are decided like small ones and would take most of the time.
fn is_large(value: &[u8]) -> bool {
    // Most are not even read for it.
    if !value.windows(6).any(|part| part == b"_block") {
        return false;
    }
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

fn replay(lane: Lane) -> Replay {
    Replay::new(LanePartition { lane, partition: 0 }, &COUNTS, Remember::DEFAULT, Vec::new())
}

impl Owner {
    fn new(lane: Lane) -> Owner {
        Owner { lane, replay: replay(lane), records: Vec::new(), decided: Decided::default() }
    }

    /// All at once.
    async fn check(self) {
        let (mut replay, mut decided) = (replay(self.lane), Decided::default());
        if !self.records.is_empty() {
            decided.take(replay.decide(self.records).await.expect("a decision"));
        }
        assert_eq!(replay.progress(), self.replay.progress(), "one by one and all at once differ");
        assert_eq!(decided, self.decided, "one by one and all at once differ");
    }
}

impl Decided {
    fn take(&mut self, batch: CommitBatch) {
        self.requests.extend(batch.requests.into_iter().map(|row| (row.key, row)));
        for RequestCompletion { request_id, decided } in batch.completions {
            let row = self.requests.get_mut(&RequestKey { id: request_id, internal: false });
            row.expect("a pending request").state = RequestState::Decided(decided);
        }
        self.outbox.extend(batch.outbox);
        self.letters.extend(batch.dead_letters);
    }
}

struct Owners {
    lanes: [Owner; Lane::ALL.len()],
    time: i64,
}

impl Owners {
    /// Decides the record and whatever follows from it.
    async fn decide(&mut self, lane: Lane, value: Bytes, headers: Headers) {
        let mut waiting = vec![(lane, value, headers)];
        while let Some((lane, value, headers)) = waiting.pop() {
            let owner = &mut self.lanes[lane as usize];
            let offset = owner.records.len() as u64;
            if offset >= RECORDS_MAX {
                return;
            }
            let timestamp = Timestamp::LogAppend(self.time);
            let record = Record { offset, timestamp, key: None, value: Some(value), headers, unreadable_headers: 0 };
            owner.records.push(record.clone());
            let batch = owner.replay.decide(vec![record]).await.expect("a decision");
            for row in &batch.outbox {
                match row.topic {
                    Topic::Lane(to) => waiting.push((to, row.payload.clone(), row.headers.clone())),
                    Topic::Outcomes => _ = wire::outcome::decode(&row.payload).expect("a readable outcome"),
                    Topic::DeadLetters => {}
                }
            }
            owner.decided.take(batch);
        }
    }
}
