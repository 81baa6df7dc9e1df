//! What an outcome of the system costs each API process that nobody there waits for: `cargo bench --bench outcomes`.

use divan::Bencher;
use divan::counter::ItemsCount;
use turnstile::api::ops::throughput::Throughput;
use turnstile::domain::wallet::{Entry, EntryKind, Reply};
use turnstile::domain::{
    Amount, Arrival, Balance, Code, CommandKind, Effects, EntryId, Fingerprint, Lane, LogTime, More, Position, Refusal,
    RequestId,
};
use turnstile::log::{Record, Timestamp};
use turnstile::wire::outcome::OutcomeRecord;
use turnstile::wire::{headers, outcome, time};
use uuid::Uuid;

/// As many as the feed reads at once.
const RECORDS: usize = 1_000;

fn main() {
    divan::main();
}

fn records(refused: bool) -> Vec<Record> {
    let at = Arrival { position: Position::new(Lane::Wallets, 0, 5), time: LogTime(1_795_244_400_123) };
    let entry = Entry {
        id: EntryId(Uuid::from_u128(9)),
        user_id: "alice".parse().expect("a user"),
        number: 1,
        kind: EntryKind::Charge,
        amount: Amount::movement(5).expect("an amount"),
        balance_after: Balance::new(5).expect("a balance"),
        reason: None,
        request_id: RequestId(Uuid::from_u128(7)),
        by: None,
        cause: Uuid::from_u128(7),
        at,
    };
    let user = entry.user_id.clone();
    let outcome = if refused {
        Err(Refusal { code: Code::SeatTaken, detail: "a text".to_owned(), more: More::Nothing })
    } else {
        Ok(Reply::WalletChanged(entry).into())
    };
    let written = OutcomeRecord {
        request_id: RequestId(Uuid::from_u128(7)),
        command: CommandKind::ChargeWallet,
        user_id: Some(&user),
        by: None,
        fingerprint: Fingerprint(0xabc),
        schedule_id: None,
        outcome: &outcome,
        effects: &Effects::default(),
        decided: at,
    };
    let headers = headers::outcome_headers(Uuid::nil(), "alice", &written, Some(vec![b'0'; 55].into()));
    let headers = headers::with_committed(headers, at.time);
    let value = outcome::encode(&written).record;
    let record = |offset| Record {
        offset,
        timestamp: Timestamp::LogAppend(at.time.0 + 4),
        key: None,
        value: Some(value.clone().into()),
        headers: headers.clone(),
        unreadable_headers: 0,
    };
    (0..RECORDS as u64).map(record).collect()
}

#[divan::bench(args = [false, true])]
fn noted(bencher: Bencher, refused: bool) {
    let (throughput, records) = (Throughput::new(true), records(refused));
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| throughput.note(&records));
}

/// One by one, as before they were gathered.
#[divan::bench(args = [false, true])]
fn noted_one_by_one(bencher: Bencher, refused: bool) {
    let (throughput, records) = (Throughput::new(true), records(refused));
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| records.chunks(1).for_each(|one| throughput.note(one)));
}

#[divan::bench(args = ["2026-11-21T07:00:00.123Z", "2026-11-21T07:00:00.123+00:00"])]
fn time_parsed(text: &str) -> bool {
    time::parse_rfc3339(divan::black_box(text)).is_some()
}
