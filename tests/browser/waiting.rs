//! S2–S7: the queue as its users see it.

use serde_json::json;

use crate::world::{self, no_complaints};

fn queue(max_active: u32) -> serde_json::Value {
    json!({ "queue": { "max_active": max_active, "active_ttl_seconds": 300, "max_waiting": 1000 } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_kept_over_reloads_and_leads_to_the_seats() {
    world::run(async |world| {
        let date = world.date(queue(1)).await;
        let path = format!("/v1/schedules/{date}/queue");
        world.post("first", &path, json!({})).await;
        world.post("second", &path, json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "third", &format!("/s/{date}")).await;
        browser.click(".button.primary.large").await;
        browser.until("document.querySelector('[data-ahead]')?.dataset.ahead === '1'").await;
        // Its receipt: number, time, place in the log.
        browser
            .until("/number 3, at .*queues\\.\\d+\\.\\d+/.test(document.querySelector('.proof')?.textContent)")
            .await;
        let receipt = browser.text("document.querySelector('.proof').textContent").await;
        browser.reload().await;
        browser.until("document.querySelector('[data-ahead]')?.dataset.ahead === '1'").await;
        assert_eq!(browser.text("document.querySelector('.proof').textContent").await, receipt);
        browser
            .run(
                "new MutationObserver(() => {
                   if (document.title.startsWith('▶')) document.documentElement.dataset.rung = document.querySelector('link[rel=icon]').getAttribute('href');
                 }).observe(document.head, { subtree: true, childList: true, characterData: true, attributes: true });",
            )
            .await;
        for user in ["first", "second"] {
            let leave = world.http.delete(format!("{}{path}", world.base)).header("X-User-Id", user);
            assert!(leave.header("Prefer", "wait=30").send().await.unwrap().status().is_success());
        }
        browser.until("document.querySelector('.choose')").await;
        browser.until("document.querySelector('.turn')?.innerText.includes('Your turn')").await;
        // In the browser's tab too, until it has been seen.
        browser.until("document.documentElement.dataset.rung === '/web/icon-turn.svg'").await;
        browser.until("document.title === 'Sequential Nights · Turnstile'").await;
        browser.until("document.querySelector('link[rel=icon]').getAttribute('href') === '/web/icon.svg'").await;
        browser.click("[data-act=best]").await;
        browser.until("document.querySelector('[data-status=HELD]')").await;
        no_complaints(&browser).await;
        assert_eq!(world.reservations("third").await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_the_queue_asks_first() {
    world::run(async |world| {
        let date = world.date(queue(1)).await;
        world.post("first", &format!("/v1/schedules/{date}/queue"), json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "leaver", &format!("/s/{date}")).await;
        browser.click(".button.primary.large").await;
        browser.click(".waiting .actions .quiet").await;
        browser.click("dialog .quiet").await;
        browser.until("!document.querySelector('dialog') && document.querySelector('[data-ahead]')").await;
        browser.click(".waiting .actions .quiet").await;
        browser.click("dialog .danger").await;
        browser.until("document.querySelector('.date-page')?.dataset.screen === 'gate'").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_opens_by_the_servers_clock_without_a_reload() {
    world::run(async |world| {
        let opens = world.get("admin", "/web/facts.json").await;
        assert_eq!(opens["auth"], "dev");
        let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(4);
        let soon = time::OffsetDateTime::from(soon).format(&time::format_description::well_known::Rfc3339).unwrap();
        let date = world.date(json!({ "sales_open_at": soon })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "early", &format!("/s/{date}")).await;
        let screen = browser.text("document.querySelector('.date-page').dataset.screen").await;
        assert!(["before", "choose"].contains(&screen.as_str()), "{screen}");
        browser.until("document.querySelector('.choose')").await;
        browser.click("[data-act=best]").await;
        browser.until("document.querySelector('[data-status=HELD]')").await;
        no_complaints(&browser).await;
    })
    .await;
}
