//! B4: what a live process says as metrics is what Prometheus' own tool takes without a complaint.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::services::required;
use crate::harness::{Offer, System, scenarios, text};

scenarios!(f47_b4_a_live_scrape_is_clean);

/// Something of all that is counted: both lanes of a sale, a queue, refusals, a webhook.
async fn traffic(system: &System) {
    let client = &system.client;
    // Nothing may be called on this machine: attempts fail, and are counted too.
    let body = json!({"name": "shop", "url": "https://127.0.0.1:9/hook"});
    let added = client.admin().post("/v1/ops/webhooks", body).send().await;
    assert_eq!(added.status, 201, "{added:?}");
    let queue = json!({"max_active": 5, "active_ttl_seconds": 300, "max_waiting": 9});
    let queued = Offer { queue: Some(queue), ..Offer::default() }.open(client).await;
    client.user("carol").post(&queued.path("/queue"), json!({})).decide().await.result();
    let sale = crate::harness::one_section(client, 50).await;
    let user = client.user("alice");
    user.start_with(5_000).await;
    let held = user.hold(&sale, &["A-1"]).decide().await;
    user.pay(&text(&held.result(), "reservation_id")).decide().await.result();
    client.user("dave").hold(&sale, &["A-2"]).decide().await.result();
    assert_eq!(client.user("bob").hold(&sale, &["A-1"]).decide().await.refused(), "seat_taken");
}

/// The value of a series, which must be there.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in {metrics}"));
    line.trim().parse().expect("a number")
}

async fn f47_b4_a_live_scrape_is_clean(system: &System) {
    traffic(system).await;
    // The counted sale may be some seconds old.
    let metrics = crate::harness::until("the sale in the metrics", async || {
        let metrics = system.client.admin().get("/metrics").await.text;
        let called = "turnstile_webhook_answers_total{endpoint=\"shop\",status=\"none\"}";
        if !metrics.contains(called) || !metrics.contains("turnstile_webhook_disabled{endpoint=\"shop\"} 0") {
            return Err("no attempt on the webhook is counted".to_owned());
        }
        let sold = metrics
            .lines()
            .find(|line| line.starts_with("turnstile_sale_seats") && line.contains("sold") && line.ends_with(" 1"));
        sold.map(|_| metrics.clone())
            .ok_or_else(|| metrics.lines().filter(|line| line.contains("sale_seats")).collect())
    })
    .await;
    let held = metrics.lines().filter(|line| line.starts_with("turnstile_sale_seats") && line.contains("\"held\""));
    assert_eq!(held.filter(|line| line.ends_with(" 1")).count(), 1, "the hold of dave");
    assert!(value(&metrics, "turnstile_refusals_total{code=\"seat_taken\",lane=\"seats\"}") >= 1.0);
    for check in ["store", "log", "outcome feed", "not draining"] {
        assert_eq!(value(&metrics, &format!("turnstile_ready{{check=\"{check}\"}}")), 1.0);
    }
    assert!(metrics.contains(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION"))) && metrics.contains("commit=\""));
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            assert!(!required(), "promtool: {error}");
            println!("skipped: promtool is not installed");
            return;
        }
    };
    child.stdin.take().expect("it is piped").write_all(metrics.as_bytes()).expect("it reads everything");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
