//! B1, B3: the operators' page, with something wrong.

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// A statement on the store beside the server.
pub async fn alter(world: &World, statement: &str) {
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
async fn dead_letters_are_seen_as_bytes_and_dealt_with_together() {
    world::run(async |world| {
        let insert = "insert into dead_letter (lane, partition, log_offset, reason, record_key, record_value, headers, at) \
                      values ('seats', 0, 7, 'unknown type', x'6b', x'7b7d', '[]', 1700000000000), \
                      ('seats', 0, 8, 'no JSON', x'6b', x'00ff4142', '[]', 1700000000001)";
        alter(world, insert).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/ops").await;
        browser.click("[data-key='seats.0.8'] [data-act=show]").await;
        let hex = browser.until("document.querySelector('.letter .hex')?.textContent").await;
        assert_eq!(hex, format!("00000000  {:47}  ..AB", "00 ff 41 42"));
        // What the browser would save, as bytes.
        browser
            .run(
                "window.saved = null; const make = URL.createObjectURL; \
                 URL.createObjectURL = (blob) => { blob.arrayBuffer().then((bytes) => { \
                 window.saved = [...new Uint8Array(bytes)].join(' '); }); return make.call(URL, blob); };",
            )
            .await;
        browser.click(".letter [data-act=download]").await;
        assert_eq!(browser.run_until_done(&wait_for("window.saved")).await, "0 255 65 66");
        for offset in [7, 8] {
            browser.click(&format!("[data-key='seats.0.{offset}'] input[type=checkbox]")).await;
        }
        browser.until("document.querySelector('[data-all=dismiss]')?.textContent === 'Dismiss 2'").await;
        browser.click("[data-all=dismiss]").await;
        browser.until("document.querySelector('dialog')?.textContent.includes('Dismiss 2 dead letters?')").await;
        browser.click("dialog .danger").await;
        browser.until(&format!("{LEVEL} === 'ok'")).await;
        let letters = world.get("admin", "/v1/ops/dead-letters").await;
        assert!(letters["dead_letters"].as_array().unwrap().iter().all(|of| of["dismissed"]["by"] == "admin"), "{letters}");
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f36_a_parked_partition_is_acquired_again_on_the_page() {
    world::run(async |world| {
        world.post("fan", "/v1/wallet/charges", json!({ "amount": 5 })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/ops").await;
        browser.until(&format!("{LEVEL} === 'ok'")).await;
        alter(world, "alter table wallet_entry rename to hidden_entry").await;
        let charge = world.http.post(format!("{}/v1/wallet/charges", world.base)).header("X-User-Id", "fan");
        assert_eq!(charge.json(&json!({ "amount": 7 })).send().await.expect("an answer").status(), 202);
        let row = "document.querySelector('[data-panel=partitions] .state.parked')?.closest('tr')";
        browser.until(&format!("{row}?.querySelector('[data-act=acquire]')?.checkVisibility()")).await;
        let partition = browser.run(&format!("return {row}.dataset.key")).await;
        let partition = partition.as_str().expect("a name").to_owned();
        browser.run(&format!("{row}.querySelector('[data-act=acquire]').click()")).await;
        browser
            .until(&format!("document.querySelector('dialog')?.textContent.includes('{partition} again now')"))
            .await;
        browser.write("#reason", "the table is back").await;
        photograph(&browser, "ops-acquire").await;
        browser.click("dialog .primary").await;
        let said = format!("document.querySelector(\"[data-key='{partition}'] [role=status]\")?.textContent");
        assert_eq!(browser.until(&said).await, "Given to the owner.");
        alter(world, "alter table hidden_entry rename to wallet_entry").await;
        browser.until(&format!("{LEVEL} === 'ok'")).await;
        let acts = world.get("admin", &format!("/v1/ops/partitions/{partition}/interventions")).await;
        let act = &acts["interventions"][0];
        assert_eq!(
            (&act["kind"], &act["by"], &act["reason"]),
            (&json!("acquire"), &json!("admin"), &json!("the table is back"))
        );
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f36_a_date_is_on_the_page_by_section_category_and_age_of_holds() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        world.post("fan", "/v1/wallet/charges", json!({ "amount": 50_000 })).await;
        let path = format!("/v1/schedules/{date}/holds");
        let held = world.post("fan", &path, json!({ "seats": ["A-1", "A-2"] })).await;
        let reservation = held["result"]["reservation_id"].as_str().unwrap().to_owned();
        world.post("fan", &format!("/v1/reservations/{reservation}/payment"), json!({ "amount": 24_000 })).await;
        for (user, seats) in [("eve", json!(["B-1"])), ("gil", json!(["A-3", "A-4"])), ("hal", json!(["B-2"]))] {
            world.post(user, &path, json!({ "seats": seats })).await;
        }
        // As if they had held them for longer. The page reads what the store says.
        for (user, minutes) in [("gil", 3), ("hal", 90)] {
            let statement =
                format!("update reservation set held_at = held_at - {minutes} * 60000 where user_id = '{user}'");
            alter(world, &statement).await;
        }
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/ops").await;
        browser.click(&format!("[data-panel=sales] tr[data-key='{date}'] [data-act=parts]")).await;
        browser.until("document.querySelector('[data-parts]')?.checkVisibility()").await;
        let rows = |number: usize| {
            format!(
                "[...document.querySelectorAll('[data-parts] table')[{number}].querySelectorAll('tbody tr')] \
                 .map(row => [...row.children].map(cell => cell.textContent).join(' ')).join('; ')"
            )
        };
        // Free, held, being paid, sold, not for sale, seats, share, sold for.
        let sections = browser.run(&format!("return {}", rows(0))).await;
        let categories = browser.run(&format!("return {}", rows(1))).await;
        assert_eq!(sections, "A 36 2 0 2 0 40 5 % 24,000; B 58 2 0 0 0 60 0 % 0", "{categories}");
        assert_eq!(categories, CATEGORIES);
        let ages = "[...document.querySelectorAll('[data-parts] .figure')].map(of => of.textContent).join(', ')";
        browser.until(&format!("{ages} === '1under 1 min, 01 to 2 min, 12 to 5 min, 15 min and more'")).await;
        photograph(&browser, "ops-sale-parts").await;
        // It goes on while it is open, and is closed by the button that opened it.
        world.post("ida", &path, json!({ "seats": ["B-3"] })).await;
        browser.until(&format!("{}.startsWith('A 36 2 0 2 0 40 5 % 24,000; B 57 3 ')", rows(0))).await;
        browser.click(&format!("[data-panel=sales] tr[data-key='{date}'] [data-act=parts]")).await;
        browser.until("!document.querySelector('[data-parts]').checkVisibility()").await;
        let missing = world.http.get(format!("{}/v1/ops/sales/0192e4b0-0000-7000-8000-00000000005c", world.base));
        assert_eq!(missing.header("X-User-Id", "admin").send().await.expect("an answer").status(), 404);
        no_complaints(&browser).await;
    })
    .await;
}

/// The categories of the world's date, which are named as its sections are.
const CATEGORIES: &str = "A 36 2 0 2 0 40 5 % 24,000; B 58 2 0 0 0 60 0 % 0";

/// A picture for whoever asks for pictures.
async fn photograph(browser: &Browser, name: &str) {
    let Ok(pictures) = std::env::var("TURNSTILE_TEST_PICTURES") else { return };
    browser.run("document.querySelector('[data-panel=sales]')?.scrollIntoView()").await;
    std::fs::write(format!("{pictures}/{name}.png"), browser.picture().await).expect("written");
}

/// A script that ends once an expression that no change of the document announces has a value.
fn wait_for(expression: &str) -> String {
    format!(
        "const done = arguments[0]; const look = () => ({expression} ? done({expression}) : setTimeout(look, 10)); look();"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_has_what_is_sold_how_people_wait_and_what_a_user_did() {
    world::run(async |world| {
        let queue = json!({ "max_active": 5, "active_ttl_seconds": 300, "max_waiting": 100 });
        let queued = world.date(json!({ "queue": queue })).await;
        world.patch(&format!("/v1/schedules/{queued}/queue"), json!({ "paused": true })).await;
        let open = world.date(json!({})).await;
        for user in ["ann", "ben", "cem"] {
            world.post(user, &format!("/v1/schedules/{queued}/queue"), json!({})).await;
        }
        world.post("fan", "/v1/wallet/charges", json!({ "amount": 50_000 })).await;
        let path = format!("/v1/schedules/{open}/holds");
        let held = world.post("fan", &path, json!({ "seats": ["A-1", "A-2"] })).await;
        let reservation = held["result"]["reservation_id"].as_str().unwrap().to_owned();
        world.post("fan", &format!("/v1/reservations/{reservation}/payment"), json!({ "amount": 24_000 })).await;
        world.post("eve", &path, json!({ "seats": ["B-1"] })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/ops").await;
        // Free, held, being paid, sold, not for sale, seats, share, revenue.
        let cells = format!(
            "[...document.querySelectorAll(\"[data-panel=sales] tr[data-key='{open}'] td\")].slice(0, 8) \
             .map(cell => cell.textContent).join(' ')"
        );
        browser.until(&format!("{cells} === '97 1 0 2 0 100 2 % 24,000'")).await;
        // While the queue is paused, as many are let in as the operator says.
        let waiting =
            format!("document.querySelector(\"[data-panel=queues] tr[data-key='{queued}']\")?.children[2].textContent");
        browser.until(&format!("{waiting} === '3'")).await;
        browser.write("[data-panel=queues] .admit input", "2").await;
        browser.click("[data-panel=queues] [data-act=admit]").await;
        browser.until(&format!("{} === '2'", waiting.replace("children[2]", "children[5]"))).await;
        // From the user over the reservation's command to its life.
        browser.write("#request", "fan").await;
        browser.click(".find .button").await;
        browser.until("document.querySelector('.tree')?.textContent.includes('CONFIRMED: A-1 A-2')").await;
        browser.write("#request", &reservation).await;
        browser.click(".find .button").await;
        browser.until("document.querySelectorAll('.tree .button').length === 2").await;
        browser.run("[...document.querySelectorAll('.tree .button')].at(-1).click()").await;
        browser.until("document.querySelectorAll('.stages li').length >= 3").await;
        let curl = browser.until("document.querySelector('[data-act=curl]')?.dataset.command").await;
        let curl = curl.as_str().unwrap();
        assert!(curl.starts_with(&format!("curl '{}/v1/ops/requests/seats.", world.base)), "{curl}");
        assert!(curl.ends_with("-H \"X-User-Id: admin\""), "{curl}");
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
