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
async fn b5_embedded() {
    traced(Pair::Embedded, "b5_embedded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b5_real() {
    traced(Pair::Real, "b5_real").await;
}

async fn traced(pair: Pair, name: &str) {
    let Some(collector) = Collector::start() else { return };
    let endpoint = format!("http://127.0.0.1:{}", collector.port);
    let mut further = webhooks::settings();
    further.push(("TURNSTILE__TELEMETRY__OTLP_ENDPOINT".to_owned(), endpoint));
    further.push(("TURNSTILE__TELEMETRY__TRACE_RATIO".to_owned(), "0".to_owned()));
    run_set(pair, name, further, start, async |system| one_trace(system, &collector).await).await;
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
        if all.into_iter().all(has) { Ok(spans) } else { Err(format!("{spans:?}")) }
    })
    .await;
    let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}"));
    let request = named("POST pay_reservation");
    assert_eq!((&request["parent"], &request["kind"]), (&json!(CLIENTS_SPAN), &json!(2)), "{request}");
    for span in &spans {
        assert!(span["start"].as_u64() <= span["end"].as_u64() && span["failed"] == false, "{span}");
        assert_eq!(span["service"]["service.name"], "turnstile");
        if span != request {
            assert_eq!(span["parent"], request["id"], "all that it led to belongs to the request: {span}");
        }
    }
    // What was decided is linked with its batch, and the batch with it.
    let debit = named("decide debit_wallet");
    let batch = text(&json!({"link": debit["links"][0]}), "link");
    let all = collector.spans();
    let batch = all.iter().find(|of| format!("{}-{}", text(of, "trace"), text(of, "id")) == batch).expect("the batch");
    assert_eq!(batch["name"], "decide batch of wallets");
    let link = json!(format!("{TRACE}-{}", text(request, "id")));
    assert!(batch["links"].as_array().unwrap().contains(&link), "{batch}");
    // The receiver can go on with it.
    let called = receiver.taken().first().map(|of| of.headers["traceparent"].clone()).expect("it was called");
    assert_eq!(called, format!("00-{TRACE}-{}-01", text(named("webhook payment.completed"), "id")));
    // With a ratio of 0 nothing else is sampled.
    let others = all.iter().filter(|span| span["trace"] != TRACE && !text(span, "name").starts_with("decide batch"));
    assert_eq!(others.count(), 0);
}
