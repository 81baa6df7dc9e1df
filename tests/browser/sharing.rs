//! S3, S4, S11: one question for all tabs while the queue is long, what is wished while waiting, and holds on every page.

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// More than this many ahead are asked for, not streamed.
const FAR: u32 = 230;

async fn ahead(browser: &Browser) -> u32 {
    browser.until("document.querySelector('[data-ahead]')").await;
    browser.text("document.querySelector('[data-ahead]').dataset.ahead").await.parse().expect("a number")
}

/// Somebody at the front goes, and the page follows.
async fn follows_one_who_leaves(world: &World, browser: &Browser, date: &str, who: u32) {
    let before = ahead(browser).await;
    world.delete(&format!("crowd-{who}"), &format!("/v1/schedules/{date}/queue")).await;
    browser.until(&format!("Number(document.querySelector('[data-ahead]').dataset.ahead) < {before}")).await;
}

/// How often this tab asked for its place from then on, in ms since 1970.
async fn asked_since(browser: &Browser, since: f64) -> u64 {
    let script = format!(
        "return performance.getEntriesByType('resource').filter(e => e.name.endsWith('/queue/position')
           && e.startTime + performance.timeOrigin > {since}).length"
    );
    browser.run(&script).await.as_u64().expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_tabs_far_back_in_the_queue_ask_once_for_all_of_them() {
    world::run(async |world| {
        let queue =
            json!({ "max_active": 1, "active_ttl_seconds": 3_600, "claim_after_seconds": 3_600, "max_waiting": 1_000 });
        let date = world.date(json!({ "queue": queue })).await;
        world.crowd(FAR, &format!("/v1/schedules/{date}/queue")).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "tabs", &format!("/s/{date}")).await;
        browser.click(".button.primary.large").await;
        assert!(ahead(&browser).await >= 200);
        let mut tabs = vec![browser.tab().await];
        for _ in 1..3 {
            tabs.push(browser.new_tab().await);
            browser.open(&format!("{}/s/{date}", world.base)).await;
            ahead(&browser).await;
        }
        // Once the tab in sight has heard of a change, it is settled who asks.
        follows_one_who_leaves(world, &browser, &date, 100).await;
        let since = browser.run("return Date.now()").await.as_f64().unwrap();
        for who in 101..104 {
            follows_one_who_leaves(world, &browser, &date, who).await;
        }
        let mut asked = Vec::new();
        for tab in &tabs {
            browser.switch_to(tab).await;
            asked.push(asked_since(&browser, since).await);
        }
        assert_eq!(asked.iter().filter(|count| **count > 0).count(), 1, "one tab asked: {asked:?}");
        assert!(asked.iter().sum::<u64>() >= 3, "{asked:?}");
        // Whichever tab asked, the others go on without it.
        let leader = asked.iter().position(|count| *count > 0).unwrap();
        browser.switch_to(&tabs[leader]).await;
        browser.close_tab().await;
        tabs.remove(leader);
        browser.switch_to(&tabs[0]).await;
        follows_one_who_leaves(world, &browser, &date, 104).await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_what_is_wished_while_waiting_is_kept_and_is_there_at_the_turn() {
    world::run(async |world| {
        let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
        let sections =
            json!([{ "name": "R", "seats": 9, "price": 12_000 }, { "name": "S", "seats": 9, "price": 9_000 }]);
        let date = world.date(json!({ "queue": queue, "sections": sections })).await;
        world.post("first", &format!("/v1/schedules/{date}/queue"), json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "wisher", &format!("/s/{date}")).await;
        browser.click(".button.primary.large").await;
        browser.click("[aria-label='One seat more']").await;
        browser.click(".prices li:nth-child(2) button").await;
        let kept = "document.querySelector('[data-ahead]') && document.querySelector('#best-count').value === '3'
            && document.querySelector('.prices li:nth-child(2) button').getAttribute('aria-pressed') === 'true'";
        browser.until(kept).await;
        browser.reload().await;
        browser.until(kept).await;
        world.delete("first", &format!("/v1/schedules/{date}/queue")).await;
        browser.until("document.querySelector('[data-act=best]')?.textContent === 'Best 3 together'").await;
        browser.click("[data-act=best]").await;
        browser.until("document.querySelector('[data-status=HELD]')").await;
        assert_eq!(world.reservations("wisher").await[0]["seats"], json!(["S-1", "S-2", "S-3"]));
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_holds_of_all_dates_are_on_every_page_with_their_end() {
    world::run(async |world| {
        let mut held = Vec::new();
        for _ in 0..2 {
            let date = world.date(json!({})).await;
            let hold = world.post("holder", &format!("/v1/schedules/{date}/holds"), json!({ "best_available": 2 })).await;
            held.push((date, hold["result"]["reservation_id"].as_str().unwrap().to_owned()));
        }
        let concert = world.get("holder", &format!("/v1/schedules/{}", held[0].0)).await["concert_id"].clone();
        let browser = world.browser("en").await;
        for address in ["/".to_owned(), format!("/c/{}", concert.as_str().unwrap()), "/me".to_owned()] {
            world.visit(&browser, "holder", &address).await;
            browser.until("document.querySelectorAll('.hold-bar:not([hidden])').length === 2").await;
            browser.until("/^[45]:\\d\\d$/.test(document.querySelector('.hold-bar .rest').textContent)").await;
        }
        // Given back here: the list below says so.
        browser.click(".hold-bar .quiet").await;
        browser.click("dialog .danger").await;
        browser.until("document.querySelectorAll('.hold-bar:not([hidden])').length === 1 && document.querySelector('.badge.cancelled')").await;
        let states: Vec<Value> = world.reservations("holder").await.iter().map(|own| own["status"].clone()).collect();
        assert_eq!(states, ["CANCELLED", "HELD"]);
        browser.click(".hold-bar:not([hidden]) [data-act=to-pay]").await;
        browser.until("document.querySelector('[data-status=HELD] [data-act=pay]')").await;
        assert_eq!(browser.text("location.pathname").await, format!("/s/{}", held[0].0));
        // Ended by its time, without a reload.
        let short = world.date(json!({ "hold_ttl_seconds": 3 })).await;
        world.post("hurried", &format!("/v1/schedules/{short}/holds"), json!({ "best_available": 1 })).await;
        world.visit(&browser, "hurried", "/me").await;
        browser.until("document.querySelector('.badge.expired') && !document.querySelector('.hold-bar:not([hidden])')").await;
        no_complaints(&browser).await;
    })
    .await;
}
