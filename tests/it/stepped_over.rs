//! E10: a record that cannot be read and records whose time is wrong, each stepped over by an operator; the audit of a
//! fresh process takes what was done as input and lists it.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use turnstile::domain::{Lane, LanePartition};
use turnstile::log::embedded::EmbeddedLog;
use turnstile::log::{Log, NewRecord, Topic};
use turnstile::runtime::clock::Clock;
use turnstile::wire::routing::partition_for;

use crate::harness::producer::{new_id, partitions};
use crate::harness::server::{command, run_to_end};
use crate::harness::services::Services;
use crate::harness::{System, User, scenarios, until};

const DAY_MS: i64 = 86_400_000;

scenarios!(e10_what_stops_a_partition_is_stepped_over);

async fn e10_what_stops_a_partition_is_stepped_over(system: &System) {
    let users: Vec<User> = (0..3).map(|partition| system.client.user(name_on(partition))).collect();
    for user in &users {
        user.charge(100).decide().await.result();
    }
    system.stop().await;
    let ids: Vec<String> = users.iter().map(|_| new_id()).collect();
    let charges: Vec<Charge> = users.iter().zip(&ids).map(|(user, id)| Charge::new(&user.name, id)).collect();
    match &system.services {
        None => spoil_embedded(system, &charges).await,
        Some(services) => spoil_kafka(services, &charges).await,
    }
    system.start().await;
    // Behind each of them, where the log takes it.
    let unread = stands_still(system, 0).await;
    assert!(unread.contains("no progress for") && unread.contains("while reading the log"), "{unread}");
    for partition in [1, 2] {
        let reason = stands_still(system, partition).await;
        assert!(reason.contains("has log time") || reason.contains("has its producer's time"), "{reason}");
    }
    let listed = run_to_end(&["partitions", "list", "--at", &system.client.base()], system.env());
    assert_eq!(listed.lines().filter(|line| line.contains("  waiting  ")).count(), 3, "{listed}");

    let elsewhere = act(system, &["skip", "wallets.0", "--offset", "0"]);
    assert_eq!(elsewhere.0, Some(64), "{}", elsewhere.1);
    for args in [["skip", "wallets.0"], ["set-time", "wallets.1"], ["skip", "wallets.2"]] {
        let (code, said) = act(system, &[args[0], args[1], "--offset", "1"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("goes on"), "{said}");
    }
    assert_eq!(act(system, &["skip", "wallets.2", "--offset", "2"]).0, Some(64), "it does not stand still any more");
    for (user, balance) in users.iter().zip([107, 117, 107]) {
        let charged = user.charge(7).decide().await.result();
        assert_eq!(charged["balance"], balance, "{}", user.name);
    }
    let decided = users[1].decided_later(&ids[1]).await.result();
    assert_eq!(decided["balance"], 110);
    assert_eq!(users[2].decided_later(&ids[2]).await.refused(), "skipped_by_operator");
    let letters = run_to_end(&["dead-letters", "list"], system.env());
    assert_eq!(letters.lines().filter(|line| line.contains("skipped by kim: ticket 77")).count(), 2, "{letters}");
    system.stop().await;

    let audit = command(&["audit"], system.env()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.status.success(), "{said}{}", String::from_utf8_lossy(&audit.stderr));
    for act in
        ["wallets.0: offset 1 skipped by kim", "wallets.1: offset 1 given the log time", "wallets.2: offset 1 skipped"]
    {
        assert!(said.contains(act), "{said}");
    }
    system.start().await;
}

/// A user whose wallet is on this partition.
pub fn name_on(partition: u32) -> String {
    let mut names = (0..).map(|number| format!("user{number}"));
    names.find(|name| partition_for(name, partitions(Lane::Wallets)) == partition).expect("there are many")
}

/// A charge of 10 as another service would send it.
pub struct Charge {
    user: String,
    pub partition: u32,
    value: Vec<u8>,
}

impl Charge {
    pub fn new(user: &str, id: &str) -> Charge {
        let reason = "x".repeat(180);
        let command = json!({"type": "charge_wallet", "version": 1, "request_id": id, "user_id": user, "amount": 10,
            "reason": reason, "of_a_later_version": "y".repeat(4_000)});
        let partition = partition_for(user, partitions(Lane::Wallets));
        Charge { user: user.to_owned(), partition, value: command.to_string().into_bytes() }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the end of time")
}

/// The machine's clock was a day ahead for a while; then its disk lost a block.
async fn spoil_embedded(system: &System, charges: &[Charge]) {
    let clock = Clock::Manual(Arc::new(AtomicI64::new(now_ms() + DAY_MS)));
    let path = system.data_dir().join("log.db");
    let (log, embedded) = system.open_log().await;
    let counts = log.partitions().clone();
    embedded.expect("the embedded pair").close().await;
    let log = EmbeddedLog::open(&path, counts, clock).await.expect("nobody has it open");
    for Charge { user, partition, value } in charges {
        let record = NewRecord { key: user.clone().into(), value: value.clone().into(), headers: Vec::new() };
        let appended = log.append(Topic::Lane(Lane::Wallets), *partition, record).await.expect("appended");
        assert_eq!(appended.offset, 1);
    }
    log.close().await;
    let mut file = SqliteConnectOptions::new().filename(path).connect().await.expect("an SQLite file");
    let spoil = "update chunk set body = zeroblob(length(body)), time_ms = time_ms - 86400000 where first_offset = 1 \
                 and partition = (select id from partition where topic = 'wallets' and number = 0)";
    let rows = sqlx::query(spoil).execute(&mut file).await.expect("the log's table").rows_affected();
    assert_eq!(rows, 1);
    file.close().await.expect("closed");
}

/// Behind all records of their partitions: one that cannot be read, where the log takes it.
pub async fn stop_partitions(system: &System, charges: &[Charge]) {
    if let Some(services) = &system.services {
        return stop_by_stamps(services, charges).await;
    }
    let (log, embedded) = system.open_log().await;
    let mut spoil = Vec::new();
    for Charge { user, partition, value } in charges {
        let record = NewRecord { key: user.clone().into(), value: value.clone().into(), headers: Vec::new() };
        let offset = log.append(Topic::Lane(Lane::Wallets), *partition, record).await.expect("appended").offset;
        spoil.push((offset, *partition));
    }
    embedded.expect("the embedded pair").close().await;
    let mut file =
        SqliteConnectOptions::new().filename(system.data_dir().join("log.db")).connect().await.expect("an SQLite file");
    for (offset, partition) in spoil {
        let sql = "update chunk set body = zeroblob(length(body)) where first_offset = $1 \
                   and partition = (select id from partition where topic = 'wallets' and number = $2)";
        let query = sqlx::query(sql).bind(i64::try_from(offset).expect("small")).bind(i64::from(partition));
        assert_eq!(query.execute(&mut file).await.expect("the log's table").rows_affected(), 1);
    }
    file.close().await.expect("closed");
}

async fn stop_by_stamps(services: &Services, charges: &[Charge]) {
    let topic = format!("{}.wallets", services.prefix);
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", &services.brokers).create().expect("an admin client");
    let producer: FutureProducer = config.create().expect("a producer");
    set_stamps(&admin, &topic, "CreateTime").await;
    for charge in charges {
        append(&producer, &topic, charge, Some(now_ms() + 1_000)).await;
    }
    set_stamps(&admin, &topic, "LogAppendTime").await;
}

/// Somebody had changed the topic's `message.timestamp.type`; then the broker's disk lost a block.
async fn spoil_kafka(services: &Services, charges: &[Charge]) {
    let topic = format!("{}.wallets", services.prefix);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &services.brokers).create().expect("an admin client");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &services.brokers).set("compression.type", "lz4");
    let producer: FutureProducer = config.create().expect("a producer");
    append(&producer, &topic, &charges[0], None).await;
    set_stamps(&admin, &topic, "CreateTime").await;
    for charge in &charges[1..] {
        append(&producer, &topic, charge, Some(now_ms() + 1_000)).await;
    }
    set_stamps(&admin, &topic, "LogAppendTime").await;
    let segment = log_directory(&admin).await.join(format!("{topic}-0")).join("00000000000000000000.log");
    let file = std::fs::File::options().write(true).open(&segment).expect("the broker's files are on this machine");
    let length = file.metadata().expect("it is a file").len();
    file.write_all_at(&[0xff; 40], length - 48).expect("written");
}

async fn append(producer: &FutureProducer, topic: &str, charge: &Charge, stamp: Option<i64>) {
    let record = FutureRecord::to(topic).partition(i32::try_from(charge.partition).expect("few")).key(&charge.user);
    let mut record = record.payload(&charge.value);
    record.timestamp = stamp;
    producer.send(record, Duration::from_secs(30)).await.expect("appended");
}

async fn set_stamps(admin: &AdminClient<DefaultClientContext>, topic: &str, kind: &str) {
    let options = AdminOptions::new();
    let specifier = ResourceSpecifier::Topic(topic);
    let mut described = admin.describe_configs(&[specifier], &options).await.expect("an answer");
    let known = described.remove(0).expect("the topic is there");
    // What is not named again falls back to the broker's default.
    let kept: Vec<(String, String)> = known
        .entries
        .into_iter()
        .filter(|entry| entry.source == ConfigSource::DynamicTopic && entry.name != "message.timestamp.type")
        .filter_map(|entry| Some((entry.name, entry.value?)))
        .collect();
    let mut alter = AlterConfig::new(specifier).set("message.timestamp.type", kind);
    for (name, value) in &kept {
        alter = alter.set(name, value);
    }
    admin.alter_configs([&alter], &options).await.expect("an answer").remove(0).expect("altered");
}

async fn log_directory(admin: &AdminClient<DefaultClientContext>) -> PathBuf {
    let described = admin.describe_configs(&[ResourceSpecifier::Broker(1)], &AdminOptions::new()).await;
    let broker = described.expect("an answer").remove(0).expect("broker 1 is there");
    let directories = broker.get("log.dirs").and_then(|entry| entry.value.clone()).unwrap_or_default();
    PathBuf::from(directories.split(',').next().expect("a directory"))
}

/// Why this partition of the wallets stands still, once it does.
pub async fn stands_still(system: &System, partition: u32) -> String {
    let here = LanePartition { lane: Lane::Wallets, partition };
    let url = format!("{}/readyz", system.client.base());
    until(&format!("{here} to stand still"), async || {
        let asked = system.client.http().get(&url).header("accept", "application/json").send().await;
        let answer: Value =
            asked.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())?;
        let checks = answer["checks"].as_array().cloned().unwrap_or_default();
        let check = checks.into_iter().find(|check| check["name"] == format!("partition {here}").as_str());
        let reason = check.and_then(|check| check["reason"].as_str().map(str::to_owned));
        reason.filter(|reason| reason.starts_with("waiting: ")).ok_or_else(|| answer.to_string())
    })
    .await
}

/// Exit code and what was said.
pub fn act(system: &System, args: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["partitions"];
    all.extend(args);
    let base = system.client.base();
    all.extend(["--reason", "ticket 77", "--by", "kim", "--at", &base]);
    let output = command(&all, system.env()).output().expect("the program starts");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.code(), said)
}
