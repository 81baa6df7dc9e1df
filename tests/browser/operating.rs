//! B1, B3: the operators' page, with something wrong.

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::world::{self, World, no_complaints};

/// A statement on the store beside the server.
async fn alter(world: &World, statement: &str) {
    let options = SqliteConnectOptions::new().filename(world.data_dir().join("store.db"));
    let mut file = options.connect().await.expect("an SQLite file");
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut file).await.expect("altered");
    file.close().await.expect("closed");
}

const LEVEL: &str = "document.querySelector('[data-panel=glance]')?.dataset.level";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_a_parked_partition_is_on_the_page_with_its_reason() {
    world::run(async |world| {
        world.post("fan", "/v1/wallet/charges", json!({ "amount": 5 })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/ops").await;
        browser.until(&format!("{LEVEL} === 'ok'")).await;
        alter(world, "alter table wallet_entry rename to hidden_entry").await;
        let charge = world.http.post(format!("{}/v1/wallet/charges", world.base)).header("X-User-Id", "fan");
        assert_eq!(charge.json(&json!({ "amount": 7 })).send().await.expect("an answer").status(), 202);
        browser.until(&format!("{LEVEL} === 'failing'")).await;
        browser.until("document.querySelector('.verdict').textContent.includes('wallet_entry')").await;
        let row = "document.querySelector('[data-panel=partitions] .state.parked')?.closest('tr')";
        browser.until(&format!("{row}?.querySelector('.danger')?.checkVisibility()")).await;
        browser.run(&format!("{row}.querySelector('.danger').click()")).await;
        browser.write("#reason", "ticket 12").await;
        browser.click("dialog .danger").await;
        let given = browser.until(&format!("{row}?.querySelector('[role=status]').textContent")).await;
        assert_eq!(given, "Given to the owner.");
        alter(world, "alter table hidden_entry rename to wallet_entry").await;
        browser.until(&format!("{LEVEL} !== 'failing'")).await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_a_dead_letter_is_replayed_on_the_page() {
    world::run(async |world| {
        let insert = "insert into dead_letter (lane, partition, log_offset, reason, record_key, record_value, headers, at) \
                      values ('seats', 0, 7, 'unknown type', x'6b', x'7b7d', '[]', 1700000000000)";
        alter(world, insert).await;
        let browser = world.browser("ko").await;
        world.visit(&browser, "admin", "/ops").await;
        browser.until(&format!("{LEVEL} === 'degraded'")).await;
        for _ in 0..2 {
            browser.click("[data-key='seats.0.7'] [data-act=replay]").await;
            browser.until("document.querySelector('[data-panel=letters] [role=status]')?.textContent.includes('seats.0.7')").await;
        }
        browser.until("document.querySelector(\"[data-key='seats.0.7']\").textContent.includes('admin')").await;
        let letters = world.get("admin", "/v1/ops/dead-letters").await;
        let first = letters["dead_letters"].as_array().unwrap().iter().find(|letter| letter["position"] == "seats.0.7");
        assert_eq!(first.unwrap()["replayed"]["by"], "admin");
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_fits_narrow_screens_and_shows_strangers_nothing() {
    world::run(async |world| {
        world.date(json!({ "queue": { "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 } })).await;
        world.post("fan", "/v1/wallet/charges", json!({ "amount": 5 })).await;
        let browser = world.browser("ja").await;
        world.visit(&browser, "alice", "/ops").await;
        browser.until("document.querySelector('[data-screen=stranger]')").await;
        assert_eq!(browser.run("return document.querySelectorAll('table').length").await, 0);
        world.visit(&browser, "admin", "/ops").await;
        browser.until("Number(document.querySelector('main').dataset.ticks) > 0").await;
        for width in [320, 768, 1440] {
            let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
            browser.cdp("Emulation.setDeviceMetricsOverride", size).await;
            let wide = browser.run("return document.documentElement.scrollWidth").await;
            assert!(wide.as_i64().unwrap() <= width, "{wide} at {width}");
            if let Ok(pictures) = std::env::var("TURNSTILE_TEST_PICTURES") {
                std::fs::write(format!("{pictures}/ops-{width}.png"), browser.picture().await).expect("written");
            }
        }
        browser.click("[data-act=pause]").await;
        browser.until("document.querySelector('[data-panel=queues] .state.waiting')").await;
        let life = world.post("fan", "/v1/wallet/charges", json!({ "amount": 5 })).await;
        browser.write("#request", life["request_id"].as_str().unwrap()).await;
        browser.click(".find .button").await;
        browser.until("document.querySelectorAll('.stages li').length >= 4").await;
        no_complaints(&browser).await;
    })
    .await;
}
