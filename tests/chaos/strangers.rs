//! Producers of other makes with every codec beside the load: kcat, the Java client, confluent-kafka for Python
//! (`scripts/producers`).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use serde_json::json;

use crate::faults::PLAIN;
use crate::harness::producer::new_id;
use crate::harness::{System, User};
use crate::scenario::{Fault, Scenario, run};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Charges of each codec, each in a batch of its own.
const CHARGES: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_of_every_client() {
    let name = "every codec from kcat, Java and Python, in and out of transactions";
    let fault = Fault { order: 15, name, unnoticed: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, round| {
        let mut producing = Vec::new();
        for stranger in Stranger::ALL {
            let system = &scenario.system;
            let user = system.client.user(format!("{stranger:?}{round}"));
            producing.push(stranger.charges(system, user));
        }
        join_all(producing).await;
        (Stranger::ALL.len() * CODECS.len() * CHARGES) as u64
    })
    .await;
}

#[derive(Debug, Clone, Copy)]
enum Stranger {
    Kcat,
    Java,
    Python,
}

impl Stranger {
    const ALL: [Stranger; 3] = [Stranger::Kcat, Stranger::Java, Stranger::Python];

    /// Produces charges of 10 with each codec, half of them twice or in transactions, and waits until all are decided.
    async fn charges(self, system: &System, user: User) {
        let services = system.services.as_ref().expect("the real pair");
        let (brokers, topic) = (services.brokers.clone(), format!("{}.wallets", services.prefix));
        let mut charges = Vec::new();
        for codec in CODECS {
            charges.extend((0..CHARGES).map(|number| {
                let id = new_id();
                let value = json!({"type": "charge_wallet", "version": 1, "request_id": id, "user_id": user.name,
                    "amount": 10});
                Charge { codec, again: number % 2 == 1, id, value: value.to_string() }
            }));
        }
        let ids: Vec<String> = charges.iter().map(|charge| charge.id.clone()).collect();
        let name = user.name.clone();
        let produce = move || match self {
            Stranger::Kcat => kcat(&brokers, &topic, &name, &charges),
            Stranger::Java => {
                let program =
                    ["java", "-Xmx128m", "-cp", &tool("TURNSTILE_TEST_JAVA_CLASSPATH"), &here("Producer.java")];
                program_of(&program, &brokers, &topic, &name, &charges);
            }
            Stranger::Python => {
                let program = [&*tool("TURNSTILE_TEST_PYTHON"), &here("producer.py")];
                program_of(&program, &brokers, &topic, &name, &charges);
            }
        };
        tokio::task::spawn_blocking(produce).await.expect("everything is produced");
        for id in &ids {
            user.decided_later(id).await.result();
        }
        let wallet = user.get("/v1/wallet").await;
        assert_eq!(wallet.body["balance"], 10 * ids.len(), "{self:?}: {wallet:?}");
    }
}

struct Charge {
    codec: &'static str,
    /// Sent twice by kcat, in a transaction by the others.
    again: bool,
    id: String,
    value: String,
}

fn tool(variable: &str) -> String {
    let found = std::env::var(variable).ok().filter(|value| !value.is_empty());
    found.unwrap_or_else(|| {
        panic!("{variable} must name the producer: scripts/producers up, then scripts/producers env")
    })
}

fn here(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/strangers").join(file).display().to_string()
}

/// One process a record: a batch of its own.
fn kcat(brokers: &str, topic: &str, user: &str, charges: &[Charge]) {
    for Charge { codec, again, value, .. } in charges {
        let lines = format!("{user}|{value}\n").repeat(if *again { 2 } else { 1 });
        feed(&["kcat", "-P", "-b", brokers, "-t", topic, "-K", "|", "-z", codec], &lines);
    }
}

/// `tests/it/strangers` describes a line.
fn program_of(program: &[&str], brokers: &str, topic: &str, user: &str, charges: &[Charge]) {
    let line = |Charge { codec, again, value, .. }: &Charge| {
        let mode = if *again { "commit" } else { "plain" };
        format!("{codec}\t{mode}\t\t-\t{user}\t{value}\n")
    };
    feed(&[program, &[brokers, topic]].concat(), &charges.iter().map(line).collect::<String>());
}

fn feed(program: &[&str], lines: &str) {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program[0]));
    child.stdin.take().expect("stdin is piped").write_all(lines.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success(), "{program:?} failed");
}
