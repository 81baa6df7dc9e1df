//! E6 with producers of other makes: the Java client, and confluent-kafka for Python. `scripts/producers` prepares them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde_json::json;
use turnstile::domain::Lane;
use turnstile::log::Topic;
use turnstile::store::{Page, lane_partitions};
use turnstile::wire::routing::partition_for;

use crate::harness::producer::{new_id, partitions};
use crate::harness::{Pair, System, User, run, services, text, until};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e6_java() {
    let Some(classpath) = tool("TURNSTILE_TEST_JAVA_CLASSPATH") else { return };
    let program = vec!["java".into(), "-Xmx128m".into(), "-cp".into(), classpath, here("Producer.java")];
    run(Pair::Real, "e6_java", async |system| everything(system, &program).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e6_python() {
    let Some(python) = tool("TURNSTILE_TEST_PYTHON") else { return };
    let program = vec![python, here("producer.py")];
    run(Pair::Real, "e6_python", async |system| everything(system, &program).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e6_a_transaction_left_open_is_shown_until_it_ends() {
    let Some(python) = tool("TURNSTILE_TEST_PYTHON") else { return };
    let program = vec![python, here("producer.py")];
    run(Pair::Real, "e6_open", async |system| left_open(system, &program).await).await;
}

/// What a variable of `scripts/producers env` says, or `None`: then the test is skipped, where services are not required.
pub fn tool(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        assert!(
            !services::required(),
            "{variable} must name the producer: scripts/producers up, then scripts/producers env"
        );
        println!("skipped: {variable} is not set (scripts/producers)");
    }
    found
}

fn here(file: &str) -> String {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/strangers");
    directory.join(file).display().to_string()
}

/// A record as the programs read it; mode `open` is of `producer.py` alone.
struct Line {
    codec: &'static str,
    mode: &'static str,
    /// Name, and bytes of the value.
    header: Option<(String, usize)>,
    value: Option<String>,
}

/// Charges of one user, whose balance says which were decided.
struct Charges {
    user: User,
    balance: i64,
    lines: String,
    /// The requests that must succeed.
    ids: Vec<String>,
}

impl Charges {
    fn charge(&mut self, line: Line) {
        let id = new_id();
        let amount = 10;
        let command = json!({"type": "charge_wallet", "version": 1, "request_id": id, "user_id": self.user.name,
            "amount": amount});
        let decided =
            !["abort", "open"].contains(&line.mode) && line.header.as_ref().is_none_or(|(_, bytes)| *bytes < 10_000);
        if decided {
            self.balance += amount;
            self.ids.push(id);
        }
        self.line(&Line { value: Some(command.to_string()), ..line });
    }

    fn line(&mut self, line: &Line) {
        let (name, bytes) = line.header.clone().unzip();
        let hex: String = name.unwrap_or_default().bytes().map(|byte| format!("{byte:02x}")).collect();
        let bytes = bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        let value = line.value.as_deref().unwrap_or("-");
        self.lines += &format!("{}\t{}\t{hex}\t{bytes}\t{}\t{value}\n", line.codec, line.mode, self.user.name);
    }

    /// Produces what was collected, and waits until all of it is decided.
    async fn send(&mut self, system: &System, program: &[String]) {
        produce(system, program, &std::mem::take(&mut self.lines));
        for id in self.ids.drain(..) {
            self.user.decided_later(&id).await.result();
        }
        let wallet = self.user.get("/v1/wallet").await;
        assert_eq!(wallet.body["balance"], self.balance, "{wallet:?}");
    }
}

const PLAIN: Line = Line { codec: "none", mode: "plain", header: None, value: None };

async fn everything(system: &System, program: &[String]) {
    let mut charges =
        Charges { user: system.client.user("stranger"), balance: 0, lines: String::new(), ids: Vec::new() };
    for codec in CODECS {
        charges.charge(Line { codec, ..PLAIN });
    }
    let names = ["café", "이름 🎫", "a\u{1}b", "", &"n".repeat(1_000)].map(str::to_owned);
    for name in names {
        charges.charge(Line { header: Some((name, 10)), ..PLAIN });
    }
    // Both are dead letters, whatever they are compressed with.
    charges.charge(Line { codec: "zstd", header: Some(("large".to_owned(), 1_000_000)), ..PLAIN });
    charges.line(&PLAIN);
    for mode in ["commit", "abort", "commit", "abort"] {
        charges.charge(Line { codec: "lz4", mode, ..PLAIN });
    }
    charges.charge(PLAIN);
    // The last ones on the log are markers.
    charges.charge(Line { mode: "commit", ..PLAIN });
    charges.charge(Line { mode: "abort", ..PLAIN });
    charges.send(system, program).await;
    for codec in &CODECS[1..] {
        compress(system, codec).await;
        charges.charge(PLAIN);
        charges.send(system, program).await;
    }
    dead_letters(system).await;
    lag_is_0(system).await;
}

/// A producer is gone in the midst of its transaction, which holds up its partition until the broker gives it up.
async fn left_open(system: &System, program: &[String]) {
    let mut charges =
        Charges { user: system.client.user("stranger"), balance: 0, lines: String::new(), ids: Vec::new() };
    charges.charge(PLAIN);
    charges.send(system, program).await;
    charges.charge(Line { mode: "open", ..PLAIN });
    produce(system, program, &std::mem::take(&mut charges.lines));
    let Charges { user, balance, .. } = charges;

    let accepted = user.charge(5).send().await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let id = text(&accepted.body, "request_id");
    let partition = partition_for(&user.name, partitions(Lane::Wallets));
    let shown = async || {
        let url = format!("{}/readyz?verbose", system.client.base());
        let answer = system.client.http().get(url).send().await.map_err(|error| error.to_string())?;
        answer.text().await.map_err(|error| error.to_string())
    };
    let line = format!("degraded partition wallets.{partition}: ");
    until("the open transaction to be shown", async || {
        let text = shown().await?;
        let shown = text.lines().any(|of| of.starts_with(&line) && of.contains("a transaction is open at "));
        if shown { Ok(()) } else { Err(text) }
    })
    .await;
    // By its position, as the 202 said: it is in no table yet.
    let position = accepted.location_position().expect("a position");
    let pending = user.get(&format!("/v1/requests/{id}?position={position}")).await;
    assert_eq!((pending.status, &pending.body["status"]), (200, &json!("PENDING")), "{pending:?}");

    user.decided_later(&id).await.result();
    assert_eq!(user.balance().await, balance + 5, "what was in the transaction was never sent");
    until("nothing to be shown", async || {
        let text = shown().await?;
        if text.contains(&line) { Err(text) } else { Ok(()) }
    })
    .await;
    // The last offset of the log is a record again: the check of the whole log waits for one.
    user.charge(1).decide().await.result();
}

fn produce(system: &System, program: &[String], lines: &str) {
    let services = system.services.as_ref().expect("the real pair");
    let topic = format!("{}.wallets", services.prefix);
    let mut child = Command::new(&program[0])
        .args(&program[1..])
        .args([&services.brokers, &topic])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program[0]));
    child.stdin.take().expect("stdin is piped").write_all(lines.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success(), "{program:?} failed");
}

/// The broker compresses what comes from now on.
async fn compress(system: &System, codec: &str) {
    let services = system.services.as_ref().expect("the real pair");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &services.brokers).create().expect("an admin client");
    let topic = format!("{}.wallets", services.prefix);
    // The whole configuration is replaced.
    let alter = AlterConfig::new(ResourceSpecifier::Topic(&topic))
        .set("message.timestamp.type", "LogAppendTime")
        .set("retention.ms", "-1")
        .set("max.message.bytes", "2101248")
        .set("compression.type", codec);
    let altered = admin.alter_configs([&alter], &AdminOptions::new()).await.expect("the broker answers");
    altered[0].as_ref().expect("altered");
}

async fn dead_letters(system: &System) {
    let letters = system.open_store().await.dead_letters(Page { after: None, limit: 10 }).await;
    let mut reasons: Vec<String> = letters.expect("readable").into_iter().map(|view| view.letter.reason).collect();
    reasons.sort();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].ends_with("bytes of headers, at most 16384 are allowed"), "{reasons:?}");
    assert_eq!(reasons[1], "the record has no value");
}

/// What `turnstile partitions` and lag dashboards show: markers and aborted records are passed.
async fn lag_is_0(system: &System) {
    let (log, _) = system.open_log().await;
    until("the lag to return to 0", async || {
        let passed = log.reported().await.map_err(|error| error.to_string())?;
        for partition in lane_partitions(log.partitions()).filter(|partition| partition.lane == Lane::Wallets) {
            let end = log.end_offset(Topic::Lane(partition.lane), partition.partition).await;
            let end = end.map_err(|error| error.to_string())?;
            let passed = passed.get(&partition).copied().unwrap_or(0);
            if passed != end {
                return Err(format!("{partition} has passed {passed} of {end}"));
            }
        }
        Ok(())
    })
    .await;
}
