//! `outbox.relay = "external"`: Debezium publishes the outbox, by the configuration of the documentation, through a kill.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use serde_json::{Value, json};

use super::postgres::{Postgres, number};
use super::process::{Server, free_port};

/// Connect begins within half a minute on an idle machine.
const WITHIN: Duration = Duration::from_secs(240);
const PROPERTIES: &str = include_str!("../../docs/debezium.properties");

/// The broker and the class path of Connect with Debezium.
fn services() -> Option<(String, String)> {
    let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let found = of("TURNSTILE_TEST_BROKERS").zip(of("TURNSTILE_TEST_DEBEZIUM_CLASSPATH"));
    let required = of("TURNSTILE_TEST_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(found.is_some() || !required, "scripts/services env and scripts/producers env name Kafka and Debezium");
    if found.is_none() {
        println!("skipped: Kafka or Debezium is not there (scripts/producers)");
    }
    found
}

struct World {
    database: Postgres,
    directory: tempfile::TempDir,
    brokers: String,
    class_path: String,
    prefix: String,
    rest_port: u16,
    http_port: u16,
}

impl World {
    fn env(&self) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: String| env.push((format!("TURNSTILE__{name}"), value));
        set("HTTP__LISTEN", format!("127.0.0.1:{}", self.http_port));
        set("DATA_DIR", self.directory.path().join("data").display().to_string());
        set("LOG__BROKERS", self.brokers.clone());
        set("LOG__TOPIC_PREFIX", self.prefix.clone());
        set("LOG__GROUP", self.prefix.clone());
        set("DATABASE__URL", self.database.url());
        set("OUTBOX__RELAY", "external".into());
        set("OUTBOX__SLOT", "turnstile_outbox".into());
        for lane in ["SEATS", "WALLETS", "QUEUES", "INBOX", "OUTCOMES"] {
            set(&format!("LOG__PARTITIONS__{lane}"), "2".into());
        }
        env
    }

    fn turnstile(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_turnstile"));
        command.args(args).envs(self.env());
        command
    }

    /// Connect with one connector, as the documentation has it but for what is this test's own.
    fn connect(&self) -> Server {
        let own = [
            ("database.port", self.database.port.to_string()),
            ("database.dbname", "postgres".to_owned()),
            ("heartbeat.interval.ms", "500".to_owned()),
            ("transforms.outbox.route.topic.replacement", format!("{}.${{routedByValue}}", self.prefix)),
            ("topic.prefix", "turnstile-cdc".to_owned()),
        ];
        let mut connector = PROPERTIES.to_owned();
        for (name, value) in own {
            assert!(connector.contains(&format!("\n{name}=")), "{name}");
            connector.push_str(&format!("{name}={value}\n"));
        }
        let worker = format!(
            "bootstrap.servers={}\nkey.converter=org.apache.kafka.connect.storage.StringConverter\n\
             value.converter=org.apache.kafka.connect.storage.StringConverter\nplugin.discovery=only_scan\n\
             offset.storage.file.filename={}\noffset.flush.interval.ms=500\nlisteners=http://127.0.0.1:{}\n",
            self.brokers,
            self.file("offsets").display(),
            self.rest_port
        );
        std::fs::write(self.file("connector.properties"), connector).expect("written");
        std::fs::write(self.file("worker.properties"), worker).expect("written");
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &self.class_path]);
        java.arg("org.apache.kafka.connect.cli.ConnectStandalone");
        java.args([self.file("worker.properties"), self.file("connector.properties")]);
        Server::start(&mut java, self.file("connect.log"), self.rest_port)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn ask(&self, method: &str, path: &str, user: &str, body: Value) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.http_port);
        let method = method.parse().expect("a method");
        let client = reqwest::Client::new();
        let asked = client.request(method, url).header("x-user-id", user).header("prefer", "wait=30");
        let answer = asked.json(&body).send().await.expect("the server answers");
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        assert!(status.is_success(), "{status}: {body}");
        body
    }

    async fn waiting_rows(&self) -> i64 {
        number(&self.database.url(), "select count(*) from turnstile.outbox").await
    }

    /// Until Debezium has published everything and said so.
    async fn published(&self, connect: &Server) {
        let began = Instant::now();
        while self.waiting_rows().await > 0 {
            assert!(began.elapsed() < WITHIN, "rows of the outbox stay:\n{}", tail(&connect.output()));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Until Connect reads the slot.
    async fn read(&self, connect: &Server) {
        let (began, active) = (Instant::now(), "select count(*) from pg_replication_slots where active");
        while number(&self.database.url(), active).await == 0 {
            assert!(began.elapsed() < WITHIN, "nobody reads the slot:\n{}", tail(&connect.output()));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// By partition of the topic, and lane and partition of the command: the offsets of what was decided, in the order of the
    /// outcomes.
    fn outcomes(&self) -> BTreeMap<(i32, String, u64), Vec<u64>> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", &self.brokers).set("group.id", format!("{}-reads", self.prefix));
        settings.set("auto.offset.reset", "earliest").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = settings.create().expect("a consumer");
        let topic = format!("{}.outcomes", self.prefix);
        let mut list = rdkafka::TopicPartitionList::new();
        for partition in 0..2 {
            list.add_partition_offset(&topic, partition, rdkafka::Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("assigned");
        let (mut found, mut ended): (BTreeMap<_, Vec<u64>>, usize) = (BTreeMap::new(), 0);
        while ended < 2 {
            match consumer.poll(Duration::from_secs(30)).expect("an answer in time") {
                Ok(record) => {
                    let outcome: Value = serde_json::from_slice(record.payload().expect("a value")).expect("JSON");
                    let decided = &outcome["decided"];
                    let lane = decided["lane"].as_str().expect("a lane").to_owned();
                    let of = (record.partition(), lane, decided["partition"].as_u64().expect("a partition"));
                    found.entry(of).or_default().push(decided["offset"].as_u64().expect("an offset"));
                }
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{error}"),
            }
        }
        found
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

fn named(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("{field} of {answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f43_debezium_publishes_the_outbox_and_rows_stay_until_it_has() {
    let Some((brokers, class_path)) = services() else { return };
    let Some(database) = Postgres::with(|_: &Path| Some(vec!["wal_level=logical"])) else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let prefix = format!("cdc-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let (rest_port, http_port) = (free_port(), free_port());
    let world = World { database, directory, brokers, class_path, prefix, rest_port, http_port };
    run(&mut world.turnstile(&["migrate"]));
    run(&mut world.turnstile(&["topics"]));
    let server = Server::start(&mut world.turnstile(&[]), world.file("server.log"), http_port);
    let connect = world.connect();
    world.read(&connect).await;

    // A payment crosses three lanes, each time by Debezium's hand.
    let concert = named(&world.ask("POST", "/v1/concerts", "admin", json!({"title": "CDC"})).await, "id");
    let sections = json!([{"name": "A", "seats": 50, "price": 1000}]);
    let date = json!({"starts_at": "2090-06-01T19:00:00Z", "sections": sections});
    let path = format!("/v1/concerts/{concert}/schedules");
    let schedule = named(&world.ask("POST", &path, "admin", date).await, "id");
    world.ask("POST", "/v1/wallet/charges", "alice", json!({"amount": 5000})).await;
    let path = format!("/v1/schedules/{schedule}/holds");
    let held = world.ask("POST", &path, "alice", json!({"seats": ["A-1", "A-2"]})).await;
    let path = format!("/v1/reservations/{}/payment", named(&held["result"], "reservation_id"));
    let began = Instant::now();
    while world.ask("POST", &path, "alice", json!({})).await["status"] == "PENDING" {
        let paid = world.ask("GET", "/v1/wallet", "alice", Value::Null).await["balance"] == 3000;
        assert!(began.elapsed() < WITHIN, "nobody settles the payment:\n{}", tail(&connect.output()));
        if paid {
            break;
        }
    }
    world.published(&connect).await;
    assert_eq!(world.ask("GET", "/v1/wallet", "alice", Value::Null).await["balance"], 3000);

    // While nobody publishes, rows stay; killed, Connect forgets what it published last and does so again.
    connect.kill();
    for amount in 1..=20 {
        let path = format!("http://127.0.0.1:{http_port}/v1/wallet/charges");
        let asked = reqwest::Client::new().post(path).header("x-user-id", format!("user-{amount}"));
        assert!(asked.json(&json!({"amount": amount})).send().await.expect("an answer").status().is_success());
    }
    let began = Instant::now();
    while world.waiting_rows().await < 20 {
        assert!(began.elapsed() < WITHIN, "{}", server.output());
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.waiting_rows().await, 20, "what nobody has confirmed is not deleted");
    let connect = world.connect();
    world.published(&connect).await;
    let outcomes = world.outcomes();
    for (of, offsets) in &outcomes {
        let mut first: Vec<u64> = Vec::new();
        offsets.iter().for_each(|offset| {
            if !first.contains(offset) {
                first.push(*offset)
            }
        });
        assert!(first.is_sorted(), "{of:?}: {offsets:?}");
    }
    let charged = outcomes.iter().filter(|((_, lane, _), _)| lane == "wallets").map(|(_, offsets)| offsets.len());
    assert!(charged.sum::<usize>() >= 22, "{outcomes:?}");
    drop(connect);
    drop(server);
    assert!(run(&mut world.turnstile(&["audit"])).contains("the store is what the log says"));
}
