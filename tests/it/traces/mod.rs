//! B5: one trace from the request through the lanes to the webhook, as a collector of other make takes it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::server::Server;
use crate::harness::{Pair, System, one_section, run_set, text, until};
use crate::webhooks;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENTS_SPAN: &str = "b7ad6b7169203331";

struct Collector {
    child: Child,
    port: String,
    spans: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    fn start() -> Option<Collector> {
        let python = webhooks::tool("TURNSTILE_TEST_WEBHOOKS_PYTHON")?;
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/traces/collector.py");
        let mut child = Command::new(python).arg(script).stdout(Stdio::piped()).spawn().expect("the collector starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines.next().expect("a port").expect("text");
        let spans = Arc::<Mutex<Vec<Value>>>::default();
        let taken = Arc::clone(&spans);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                taken.lock().unwrap().push(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Some(Collector { child, port, spans })
    }

    fn spans(&self) -> Vec<Value> {
        self.spans.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start(system: &System) {
    if system.pair == Pair::Embedded {
        return system.start().await;
    }
    let door = system.start_role("api").await;
    system.client.point_at(vec![door]);
    system.start_role("worker").await;
    let notifier = Server::start(&["notifier"], system.env());
    notifier.until_ready(system.client.http()).await;
    system.servers().push(notifier);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f59_b5_embedded() {
    traced(Pair::Embedded, "f59_b5_embedded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f59_b5_real() {
    traced(Pair::Real, "f59_b5_real").await;
}

async fn traced(pair: Pair, name: &str) {
    let Some(collector) = Collector::start() else { return };
    let endpoint = format!("http://127.0.0.1:{}", collector.port);
    let mut further = webhooks::settings();
    further.push(("TURNSTILE__TELEMETRY__OTLP_ENDPOINT".to_owned(), endpoint));
    further.push(("TURNSTILE__TELEMETRY__TRACE_RATIO".to_owned(), "0".to_owned()));
    run_set(pair, name, further, start, async |system| one_trace(system, &collector).await).await;
}

fn log_system(system: &System) -> &'static str {
    if system.pair == Pair::Real { "kafka" } else { "turnstile" }
}

async fn one_trace(system: &System, collector: &Collector) {
    let receiver = webhooks::Receiver::start(0).await;
    let body = json!({"name": "shop", "url": receiver.url(), "types": ["payment.completed"]});
    assert_eq!(system.client.admin().post("/v1/ops/webhooks", body).send().await.status, 201);
    let sale = one_section(&system.client, 10).await;
    let user = system.client.user("alice");
    user.start_with(5_000).await;
    let held = user.hold(&sale, &["A-1"]).decide().await.result();
    let url = format!("{}/v1/reservations/{}/payment", system.client.base(), text(&held, "reservation_id"));
    let client = format!("00-{TRACE}-{CLIENTS_SPAN}-01");
    let asked = system.client.http().post(url).header("x-user-id", "alice").header("prefer", "wait=10");
    let paid = asked.header("traceparent", client).json(&json!({"amount": held["amount"]})).send().await.unwrap();
    assert_eq!(paid.status(), 200);

    let of_trace = || collector.spans().into_iter().filter(|span| span["trace"] == TRACE).collect::<Vec<_>>();
    let spans = until("the whole trace", async || {
        let spans = of_trace();
        let has = |name: &str| spans.iter().any(|span| span["name"] == name);
        let all = ["POST pay_reservation", "decide debit_wallet", "decide settle_payment", "webhook payment.completed"];
        // Processes send theirs when they like: what others belong to may come behind them.
        let parent_is_there =
            |of: &Value| of["parent"] == CLIENTS_SPAN || spans.iter().any(|span| span["id"] == of["parent"]);
        let whole = all.into_iter().all(has) && spans.iter().all(parent_is_there);
        if whole { Ok(spans) } else { Err(format!("{spans:?}")) }
    })
    .await;
    let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}"));
    let request = named("POST pay_reservation");
    assert_eq!((&request["parent"], &request["kind"]), (&json!(CLIENTS_SPAN), &json!(2)), "{request}");
    for span in &spans {
        assert!(span["start"].as_u64() <= span["end"].as_u64() && span["failed"] == false, "{span}");
        assert_eq!(span["service"]["service.name"], "turnstile");
    }
    // Each belongs to the one that led to it: its name, its kind, and those above it up to the request.
    let above = |span: &Value| {
        let mut names = Vec::new();
        let mut of = span["parent"].clone();
        while let Some(parent) = spans.iter().find(|span| span["id"] == of) {
            names.push(text(parent, "name"));
            of = parent["parent"].clone();
        }
        assert_eq!(of, CLIENTS_SPAN, "it is not a part of the request: {span}");
        names
    };
    let (server, client, producer, consumer) = (2, 3, 4, 5);
    assert_eq!(request["kind"], server);
    // It has no outcome until the wallet has answered.
    let led = ["send seats", "POST pay_reservation"];
    let debited = [&["decide debit_wallet", "send wallets"], &led[..]].concat();
    let settled = [&["decide settle_payment", "send seats"], &debited[..]].concat();
    // The settlement says it of the request that paid.
    let completed = [&["decide pay_reservation", "send seats"], &debited[..]].concat();
    for chain in [&led[..], &debited[..], &settled, &completed] {
        for (at, name) in chain[..chain.len() - 1].iter().enumerate() {
            let found = spans.iter().find(|span| span["name"] == *name && above(span) == chain[at + 1..]);
            let span = found.unwrap_or_else(|| panic!("{name} below {:?}: {spans:?}", &chain[at + 1..]));
            assert_eq!(span["kind"], if name.starts_with("send") { producer } else { consumer }, "{span}");
        }
    }
    // What is sent says where it is on the log.
    let sent: Vec<&Value> = spans.iter().filter(|span| span["kind"] == producer).collect();
    for span in &sent {
        let said = |name: &str| text(&span["attributes"], name);
        assert_eq!(span["name"], format!("send {}", said("messaging.destination.name")));
        assert_eq!([said("messaging.system"), said("messaging.operation.type")], [log_system(system), "send"]);
        let numbers = ["messaging.destination.partition.id", "messaging.kafka.message.offset"].map(said);
        assert!(numbers.iter().all(|number| number.parse::<u64>().is_ok()), "{span}");
    }
    let offset = |name: &str, kind: &str| {
        let found = spans.iter().find(|span| span["name"] == name && above(span)[0] == kind);
        let span = found.unwrap_or_else(|| panic!("{name} of {kind}: {spans:?}"));
        let said = |name: &str| text(&span["attributes"], name);
        format!("{}.{}", said("messaging.destination.partition.id"), said("messaging.kafka.message.offset"))
    };
    // As the receiver is told of it.
    let called = receiver.taken().first().cloned().expect("it was called");
    let settlement = called.json["data"]["position"].as_str().map(str::to_owned);
    assert_eq!(settlement, Some(format!("seats.{}", offset("send seats", "decide debit_wallet"))));
    let hook = named("webhook payment.completed");
    let delivered = [&["send outcomes"], &completed[..]].concat();
    assert_eq!(
        (above(hook), &hook["kind"]),
        (delivered.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &json!(client))
    );
    // What was decided is linked with its batch, and the batch with it.
    let debit = named("decide debit_wallet");
    let batch = text(&json!({"link": debit["links"][0]}), "link");
    let all = collector.spans();
    let batch = all.iter().find(|of| format!("{}-{}", text(of, "trace"), text(of, "id")) == batch).expect("the batch");
    assert_eq!(
        (&batch["name"], &batch["kind"], &batch["parent"]),
        (&json!("process wallets"), &json!(consumer), &json!(""))
    );
    let link = json!(format!("{TRACE}-{}", text(debit, "parent")));
    assert!(batch["links"].as_array().unwrap().contains(&link), "{batch}");
    // The receiver can go on with it.
    assert_eq!(
        called.headers["traceparent"],
        format!("00-{TRACE}-{}-01", text(named("webhook payment.completed"), "id"))
    );
    // With a ratio of 0 nothing else is sampled.
    let others = all.iter().filter(|span| span["trace"] != TRACE && !text(span, "name").starts_with("process "));
    assert_eq!(others.count(), 0);
}
