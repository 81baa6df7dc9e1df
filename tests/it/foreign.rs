//! E4 to E6: what other producers put on the command topics.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use turnstile::domain::{Lane, Position};
use turnstile::store::Page;
use turnstile::wire::routing::partition_for;

use crate::harness::producer::{Producer, new_id, partitions};
use crate::harness::{Offer, Pair, System, User, run, scenarios, until};

scenarios!(e5_what_cannot_be_understood_stops_nothing);

/// Waits until a command that did not come through HTTP is decided, and checks that it succeeded.
async fn succeeded(user: &User, request_id: &str) -> Value {
    user.decided_later(request_id).await.result()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f41_e4_a_foreign_service_with_another_partitioner() {
    run(Pair::Real, "f41_e4_a_foreign_service_with_another_partitioner", async |system| foreign_service(system).await)
        .await;
}

/// A section in a block of its own for each name, so that they lie on several partitions.
fn a_block_for_each(names: &[String], seats: u32) -> Offer<'static> {
    let section = |name: &String| json!({"name": name, "block": name, "seats": seats, "price": 1000});
    Offer { layouts: names.iter().map(section).collect(), ..Offer::default() }
}

/// kcat is librdkafka with its default partitioner, which is not the one of Java clients.
async fn foreign_service(system: &System) {
    let client = &system.client;
    let names: Vec<String> = (0..12).map(|i| format!("S{i}")).collect();
    let sale = a_block_for_each(&names, 10).open(client).await;
    let users: Vec<User> = (0..12).map(|i| client.user(format!("foreign{i}"))).collect();
    let mut requests = Vec::new();
    let mut lines: BTreeMap<&str, String> = BTreeMap::new();
    for (user, section) in users.iter().zip(&names) {
        let (charge, hold) = (new_id(), new_id());
        let key = format!("{}/{section}", sale.schedule);
        let command = json!({"type": "charge_wallet", "version": 1, "request_id": charge, "user_id": user.name,
            "amount": 5000, "some_field": "of a later version"});
        let line = format!("{}|{command}\n", user.name);
        *lines.entry("wallets").or_default() += &line.repeat(2);
        let command = json!({"type": "hold_seats", "version": 1, "request_id": hold, "user_id": user.name,
            "schedule_id": sale.schedule, "block": section, "seats": [format!("{section}-3"), format!("{section}-4")]});
        let line = format!("{key}|{command}\n");
        *lines.entry("seats").or_default() += &line.repeat(2);
        requests.push((charge, hold));
    }
    for (lane, lines) in &lines {
        kcat(system, lane, lines);
    }
    for (user, (charge, hold)) in users.iter().zip(&requests) {
        assert_eq!(succeeded(user, charge).await["balance"], 5000);
        let held = succeeded(user, hold).await;
        assert_eq!((held["amount"].as_i64(), &held["status"]), (Some(2000), &json!("HELD")));
        let reservation = held["reservation_id"].as_str().expect("an id");
        assert_eq!(user.pay(reservation).decide().await.result()["balance"], 3000);
        assert_eq!(user.reservations().await.len(), 1);
        assert_eq!(user.entries().await.len(), 2, "one charge and one payment");
    }
    let strays = metric(system, "turnstile_strays_forwarded_total").await;
    println!("{strays} of 48 records were strays");
    assert!(strays > 0.0 && strays <= 48.0, "another partitioner puts some records elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e6_every_codec_and_any_header_name() {
    run(Pair::Real, "e6_every_codec_and_any_header_name", async |system| codecs_and_headers(system).await).await;
}

/// A charge of each codec is decided; one whose header name is Latin-1 is a dead letter, and the next one is decided.
async fn codecs_and_headers(system: &System) {
    let user = system.client.user("alice");
    let charge = |amount: i64| {
        let id = new_id();
        let command =
            json!({"type": "charge_wallet", "version": 1, "request_id": id, "user_id": "alice", "amount": amount});
        (id, format!("alice|{command}\n"))
    };
    let mut balance = 0;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let (id, line) = charge(10);
        kcat_with(system, "wallets", &line, &[OsStr::new("-z"), OsStr::new(codec)]);
        balance += 10;
        assert_eq!(succeeded(&user, &id).await["balance"], balance, "{codec}");
    }
    let latin_1 = OsStr::from_bytes(b"caf\xe9=x");
    kcat_with(system, "wallets", &charge(1000).1, &[OsStr::new("-H"), latin_1]);
    let (id, line) = charge(7);
    kcat(system, "wallets", &line);
    assert_eq!(succeeded(&user, &id).await["balance"], balance + 7);
    let letters = system.open_store().await.dead_letters(Page { after: None, limit: 10 }).await;
    let letters = letters.expect("the store answers");
    assert_eq!(letters.len(), 1);
    assert!(letters[0].letter.reason.contains("headers cannot be read"), "{}", letters[0].letter.reason);
}

/// Produces lines of `key|value`.
pub fn kcat(system: &System, lane: &str, lines: &str) {
    kcat_with(system, lane, lines, &[]);
}

fn kcat_with(system: &System, lane: &str, lines: &str, further: &[&OsStr]) {
    let services = system.services.as_ref().expect("the real pair");
    let topic = format!("{}.{lane}", services.prefix);
    let mut child = Command::new("kcat")
        .args(["-P", "-b", &services.brokers, "-t", &topic, "-K", "|"])
        .args(further)
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat is installed (package kcat)");
    child.stdin.take().expect("stdin is piped").write_all(lines.as_bytes()).expect("kcat reads");
    assert!(child.wait().expect("kcat ends").success());
}

/// Sum over all labels of a metric.
async fn metric(system: &System, name: &str) -> f64 {
    let url = format!("{}/metrics", system.client.base());
    let text = system.client.http().get(url).send().await.expect("metrics").text().await.expect("metrics");
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Records that are no commands, each with a word of the reason its dead letter must give.
fn poison() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let of = |value: Value| Some(value.to_string().into_bytes());
    let charge = |fields: Value| {
        let mut command = json!({"type": "charge_wallet", "version": 1, "request_id": new_id(), "user_id": "poison",
            "amount": 1});
        command.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        of(command)
    };
    vec![
        ("garbage", Some(b"{{{ nonsense".to_vec())),
        ("wrong UTF-8", Some(b"{\"type\":\"\xff\xfe\"}".to_vec())),
        ("empty", Some(Vec::new())),
        ("no value", None),
        ("not an object", of(json!([1, 2]))),
        ("unknown type", of(json!({"type": "sell_everything", "version": 1, "request_id": new_id()}))),
        ("unknown version", charge(json!({"version": 99}))),
        ("no request id", charge(json!({"request_id": null}))),
        ("bad request id", charge(json!({"request_id": "one"}))),
        ("bad user", charge(json!({"user_id": "a\u{200b}b"}))),
        ("bad amount type", charge(json!({"amount": "1"}))),
        ("too large", Some(vec![b'x'; 1 << 20])),
    ]
}

/// Good commands for every partition: lane, partition, key, command, whose it is.
async fn good_ones(system: &System) -> Vec<(Lane, u32, String, Value, User)> {
    let client = &system.client;
    let names: Vec<String> = (0..30).map(|i| format!("S{i}")).collect();
    let sale = a_block_for_each(&names, 5).open(client).await;
    let mut good = Vec::new();
    for partition in 0..partitions(Lane::Seats) {
        let section = names.iter().find(|name| partition_for(&format!("{}/{name}", sale.schedule), 3) == partition);
        let section = section.expect("thirty blocks reach three partitions");
        let user = client.user(format!("holder{partition}"));
        let seats = [format!("{section}-1")];
        let command = json!({"type": "hold_seats", "schedule_id": sale.schedule, "block": section, "seats": seats});
        good.push((Lane::Seats, partition, format!("{}/{section}", sale.schedule), command, user));
    }
    for partition in 0..partitions(Lane::Wallets) {
        let name = (0..).map(|i| format!("saver{i}")).find(|name| partition_for(name, 3) == partition).unwrap();
        let command = json!({"type": "charge_wallet", "amount": 500});
        good.push((Lane::Wallets, partition, name.clone(), command, client.user(name)));
    }
    let limits = json!({"max_active": 5, "active_ttl_seconds": 600, "max_waiting": 100});
    let mut queues: BTreeMap<u32, String> = BTreeMap::new();
    while queues.len() < 2 {
        let sale = Offer { queue: Some(limits.clone()), ..Offer::default() }.open(client).await;
        queues.insert(partition_for(&sale.schedule, 2), sale.schedule);
    }
    for (partition, schedule) in queues {
        let command = json!({"type": "join_queue", "schedule_id": schedule});
        good.push((Lane::Queues, partition, schedule, command, client.user(format!("waiter{partition}"))));
    }
    good
}

async fn e5_what_cannot_be_understood_stops_nothing(system: &System) {
    let good = good_ones(system).await;
    if system.pair == Pair::Embedded {
        // The running process has the log for itself.
        system.stop().await;
    }
    let mut sent: Vec<(User, String)> = Vec::new();
    let mut expected: BTreeMap<(Lane, u32), usize> = BTreeMap::new();
    let mut producer = Producer::open(system).await;
    for (lane, partition, key, command, user) in &good {
        for (what, value) in poison() {
            let on_the_log = producer.append(*lane, *partition, Some("poison"), value).await;
            assert!(on_the_log || what == "too large" || what == "no value", "{what} was not appended");
            *expected.entry((*lane, *partition)).or_default() += usize::from(on_the_log);
        }
        let request_id = new_id();
        let mut command = command.clone();
        command["version"] = 1.into();
        command["request_id"] = request_id.as_str().into();
        command["user_id"] = user.name.as_str().into();
        assert!(producer.append(*lane, *partition, Some(key), Some(command.to_string().into_bytes())).await);
        sent.push((user.clone(), request_id));
        // And once more something bad at the end.
        assert!(producer.append(*lane, *partition, None, Some(b"]".to_vec())).await);
        *expected.entry((*lane, *partition)).or_default() += 1;
    }
    producer.close().await;
    if system.pair == Pair::Embedded {
        system.start().await;
    }
    for (user, request_id) in &sent {
        succeeded(user, request_id).await;
    }
    // Every partition goes on, through HTTP as well.
    for (lane, _, _, _, user) in &good {
        if *lane == Lane::Wallets {
            assert_eq!(user.charge(1).decide().await.result()["balance"], 501);
        }
    }
    dead_letters_are_those(system, &expected).await;
}

async fn dead_letters_are_those(system: &System, expected: &BTreeMap<(Lane, u32), usize>) {
    let store = system.open_store().await;
    let total: usize = expected.values().sum();
    let letters = until("all dead letters", async || {
        let letters = store.dead_letters(Page::<Position> { after: None, limit: 1000 }).await;
        let letters = letters.map_err(|error| error.to_string())?;
        if letters.len() >= total { Ok(letters) } else { Err(format!("{} of {total}", letters.len())) }
    })
    .await;
    let mut counted: BTreeMap<(Lane, u32), usize> = BTreeMap::new();
    for view in &letters {
        let letter = &view.letter;
        assert!(letter.reason.len() > 5, "a reason that says something: {letter:?}");
        *counted.entry((letter.position.lane(), letter.position.partition.partition)).or_default() += 1;
    }
    assert_eq!(&counted, expected, "dead letters by partition");
    let reasons: std::collections::BTreeSet<&str> = letters.iter().map(|view| view.letter.reason.as_str()).collect();
    println!("{:?}: {total} dead letters, reasons: {reasons:#?}", system.pair);
    assert!(reasons.len() >= 5, "different reasons are told apart: {reasons:?}");
}
