//! Webhooks as an operator uses them, by HTTP and by the command line.

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{settings, text};
use crate::harness::server::run_to_end;
use crate::harness::{Pair, System, run_set, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_looks_after_webhooks() {
    let start = async |system: &System| system.start().await;
    let name = "an_operator_looks_after_webhooks";
    run_set(Pair::Embedded, name, settings(), start, async |system| a_life(system).await).await;
}

async fn a_life(system: &System) {
    let (admin, receiver) = (system.client.admin(), Receiver::start(0).await);
    let alice = system.client.user("alice");
    for (path, method) in
        [("", Method::GET), ("", Method::POST), ("/shop", Method::DELETE), ("/shop/test", Method::POST)]
    {
        let refused = alice.request(method, &format!("/v1/ops/webhooks{path}")).json(json!({})).send().await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }
    for (wrong, pointer) in [
        (json!({"name": "a b", "url": receiver.url()}), "/name"),
        (json!({"name": "shop", "url": "ftp://a.example"}), "/url"),
        (json!({"name": "shop", "url": "https://u:p@a.example"}), "/url"),
        (json!({"name": "shop", "url": receiver.url(), "types": ["seat.stolen"]}), "/types"),
        (json!({"name": "shop", "url": receiver.url(), "format": "fax"}), "/format"),
    ] {
        let refused = admin.post("/v1/ops/webhooks", wrong).send().await;
        assert_eq!((refused.status, text(&refused.body["errors"][0], "pointer")), (422, pointer), "{refused:?}");
    }
    let added = admin.post("/v1/ops/webhooks", json!({"name": "shop", "url": receiver.url()})).send().await;
    assert_eq!((added.status, added.header("location")), (201, "/v1/ops/webhooks/shop"), "{added:?}");
    let twice = admin.post("/v1/ops/webhooks", json!({"name": "shop", "url": receiver.url()})).send().await;
    assert_eq!((twice.status, twice.code()), (422, "invalid_fields"), "{twice:?}");
    let tested = admin.post("/v1/ops/webhooks/shop/test", json!({})).send().await;
    assert_eq!((tested.status, &tested.body["status"]), (200, &204.into()), "{tested:?}");
    alice.charge(500).decide().await.result();
    until("the charge to be delivered", async || receiver.has(2)).await;
    let charge = &receiver.taken()[1];
    assert_eq!(text(&charge.json, "type"), "wallet.charged");
    assert!(!charge.body.contains("alice"), "{}", charge.body);
    disabled_and_enabled(system, &receiver).await;
    let rotated = admin.post("/v1/ops/webhooks/shop/secret", json!({"overlap_hours": 1})).send().await;
    assert_ne!(text(&rotated.body, "secret"), text(&added.body, "secret"));
    let listed = admin.read("/v1/ops/webhooks").await;
    assert!(!listed.to_string().contains("whsec_"), "{listed}");
    let replayed = admin.request(Method::PATCH, "/v1/ops/webhooks/shop").json(json!({"replay_from": "first"}));
    assert_eq!(replayed.send().await.status, 200);
    until("the replay", async || {
        let again = receiver.taken().iter().filter(|received| received.headers == charge.headers).count();
        let ids = receiver.taken().iter().filter(|r| r.headers["webhook-id"] == charge.headers["webhook-id"]).count();
        if ids == 2 { Ok(()) } else { Err(format!("{ids} times, {again} alike")) }
    })
    .await;
    let removed = admin.delete("/v1/ops/webhooks/shop").send().await;
    assert_eq!(removed.status, 204, "{removed:?}");
    let notes = admin.read("/v1/ops/webhooks").await["notes"].clone();
    let notes: Vec<_> = notes.as_array().unwrap().iter().map(|note| (text(note, "act"), text(note, "by"))).collect();
    let wanted = ["removed", "replayed", "rotated", "enabled", "disabled", "tested", "added"];
    assert_eq!(notes.iter().map(|(act, _)| *act).collect::<Vec<_>>(), wanted);
    assert!(notes.contains(&("disabled", "kim")) && notes.contains(&("removed", "admin")), "{notes:?}");
    let gone = admin.get("/v1/ops/webhooks/shop").await;
    assert_eq!((gone.status, gone.code()), (404, "webhook_not_found"), "{gone:?}");
}

/// By the command line, beside the running program.
async fn disabled_and_enabled(system: &System, receiver: &Receiver) {
    let (admin, alice) = (system.client.admin(), system.client.user("alice"));
    run_to_end(&["webhooks", "disable", "shop", "--by", "kim"], system.env());
    let standing = |body: &Value| text(body, "standing").to_owned();
    assert_eq!(standing(&admin.read("/v1/ops/webhooks/shop").await), "disabled");
    alice.charge(500).decide().await.result();
    let shown = run_to_end(&["webhooks", "show", "shop"], system.env());
    assert!(shown.contains("disabled since") && shown.contains("by kim"), "{shown}");
    run_to_end(&["webhooks", "enable", "shop"], system.env());
    until("what was decided meanwhile", async || receiver.has(3)).await;
    until("it to say so", async || {
        let body = admin.read("/v1/ops/webhooks/shop").await;
        if standing(&body) == "delivering" && body["delivered"] == 2 { Ok(()) } else { Err(body.to_string()) }
    })
    .await;
    let listed = run_to_end(&["webhooks", "list"], system.env());
    assert!(listed.starts_with("shop  http://127.0.0.1:") && listed.contains("2 delivered"), "{listed}");
    let metrics = admin.get("/metrics").await.text;
    let counted = "turnstile_webhook_deliveries_total{endpoint=\"shop\",result=\"delivered\"} 2";
    assert!(metrics.contains(counted) && metrics.contains("turnstile_webhook_lag_seconds{endpoint=\"shop\"} 0"));
}
