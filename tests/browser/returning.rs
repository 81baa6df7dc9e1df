//! S17: back to a page that the browser had kept while another one was shown. It was stopped, not closed: it must ask again,
//! read its stream again, and meanwhile keep nothing from other tabs.

use serde_json::{Value, json};

use crate::asleep::CLOCK;
use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// The clock that [`CLOCK`] moves, by ten minutes as soon as the page is back.
const SET_ON_RETURN: &str = "addEventListener('pageshow', (event) => {
    if (event.persisted) { globalThis.sleptMs += 600_000; document.documentElement.dataset.returned = 'kept'; } }, { capture: true });";

/// A page as this user, with a clock that can be set.
async fn opened(world: &World, user: &str, path: &str) -> Browser {
    let browser = world.browser("en").await;
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": CLOCK })).await;
    world.visit(&browser, user, path).await;
    browser
}

/// Shows another document in the same tab; the page stays in the browser's cache.
async fn leave(world: &World, browser: &Browser) {
    browser.run(SET_ON_RETURN).await;
    browser.open(&format!("{}/web/icon.svg?elsewhere", world.base)).await;
}

/// Back, and by the cache: the document is the one that was left.
async fn come_back(browser: &Browser) {
    browser.back().await;
    browser.until("document.documentElement.dataset.returned === 'kept'").await;
    let why = browser
        .run("return JSON.stringify(performance.getEntriesByType('navigation')[0].notRestoredReasons ?? null)")
        .await;
    assert_eq!(why, "null", "the browser kept it");
}

/// Open streams of seats, as the server counts them.
async fn streams(world: &World, count: u32) {
    crate::until(&format!("{count} streams of seats"), async || {
        let metrics = world.http.get(format!("{}/metrics", world.base)).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        let line =
            metrics.lines().find(|line| line.starts_with("turnstile_seat_streams ")).unwrap_or_default().to_owned();
        if line == format!("turnstile_seat_streams {count}") { Ok(()) } else { Err(line) }
    })
    .await;
}

async fn hold(world: &World, user: &str, date: &str, seats: Value) {
    world.post(user, &format!("/v1/schedules/{date}/holds"), json!({ "seats": seats })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_a_page_out_of_the_browsers_cache_has_the_seats_of_now_a_stream_and_the_right_clock() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = opened(world, "fan", &format!("/s/{date}")).await;
        browser.until("document.querySelector('.choose')?.dataset.free === '100'").await;
        browser.click(".cell[data-seat='A-9']").await;
        browser.click(".cell[data-seat='A-10']").await;
        streams(world, 1).await;
        leave(world, &browser).await;
        // A page that nobody sees is told nothing.
        streams(world, 0).await;
        hold(world, "rival", &date, json!(["A-9", "A-11"])).await;
        come_back(&browser).await;
        browser.until("document.querySelector('.choose').dataset.free === '98'").await;
        browser.until("document.querySelector('.choice-card').innerText.includes('seat 9')").await;
        assert_eq!(browser.run("return [...document.querySelectorAll('.cell.chosen')].map(c => c.dataset.seat)").await, json!(["A-10"]));
        // The clock on top is the server's, not the device's, which was set meanwhile.
        let shown = "document.querySelector('.server-clock').textContent";
        browser.until(&format!("{shown} === new Intl.DateTimeFormat('en', {{ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }}).format(Date.now() - sleptMs)")).await;
        // What happens from now on is heard.
        streams(world, 1).await;
        hold(world, "rival", &date, json!(["A-12"])).await;
        browser.until("document.querySelector('.choose').dataset.free === '97'").await;
        // Twice is as good.
        leave(world, &browser).await;
        streams(world, 0).await;
        come_back(&browser).await;
        streams(world, 1).await;
        hold(world, "rival", &date, json!(["A-13"])).await;
        browser.until("document.querySelector('.choose').dataset.free === '96'").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_who_comes_back_to_the_queue_or_to_a_hold_finds_what_has_become_of_it() {
    world::run(async |world| {
        let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
        let date = world.date(json!({ "queue": queue })).await;
        world.post("first", &format!("/v1/schedules/{date}/queue"), json!({})).await;
        let browser = opened(world, "second", &format!("/s/{date}")).await;
        browser.click(".button.primary.large").await;
        browser.until("document.querySelector('[data-ahead]')?.dataset.ahead === '0'").await;
        leave(world, &browser).await;
        world.delete("first", &format!("/v1/schedules/{date}/queue")).await;
        come_back(&browser).await;
        browser.click("[data-act=best]").await;
        browser.until("document.querySelector('[data-status=HELD]')").await;
        browser.run("delete document.documentElement.dataset.returned").await;
        leave(world, &browser).await;
        let own = world.reservations("second").await;
        world.delete("second", &format!("/v1/reservations/{}", own[0]["reservation_id"].as_str().unwrap())).await;
        come_back(&browser).await;
        browser.until("document.querySelector('[data-status=CANCELLED]')").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_a_page_in_the_cache_keeps_nothing_from_another_tab_and_no_former_user() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = opened(world, "fan", &format!("/s/{date}")).await;
        browser.until("document.querySelector('.choose')?.dataset.free === '100'").await;
        streams(world, 1).await;
        let first = browser.tab().await;
        leave(world, &browser).await;
        // The other tab leads at once.
        browser.new_tab().await;
        browser.open(&format!("{}/s/{date}", world.base)).await;
        browser.until("document.querySelector('.choose')?.dataset.free === '100'").await;
        streams(world, 1).await;
        hold(world, "rival", &date, json!(["A-1"])).await;
        browser.until("document.querySelector('.choose').dataset.free === '99'").await;
        // Here somebody else gives a name; the first tab is theirs, too, when it comes back.
        browser.run("localStorage.setItem('ts.user', 'sister')").await;
        browser.switch_to(&first).await;
        browser.back().await;
        browser.until("document.querySelector('.who')?.innerText === 'sister'").await;
        browser.until("document.querySelector('.choose')?.dataset.free === '99'").await;
        no_complaints(&browser).await;
    })
    .await;
}

/// A page that was left in the middle of a payment may keep its lock for a moment, and never tells how it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_a_payment_of_a_page_that_was_left_is_finished_once_its_lock_is_free() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        world.post("fan", "/v1/wallet/charges", json!({ "amount": 100_000 })).await;
        hold(world, "fan", &date, json!(["A-1"])).await;
        let own = world.reservations("fan").await.remove(0);
        let id = own["reservation_id"].as_str().expect("an id").to_owned();
        let browser = opened(world, "fan", &format!("/s/{date}")).await;
        browser.until("(b => b && !b.hidden)(document.querySelector('.hold-bar'))").await;
        let first = browser.tab().await;
        // What the page that was left has kept, and the lock that it has not given back yet.
        let slot = format!("ts.intent.fan.pay.{id}");
        let kept = json!({ "kind": "pay", "scope": id, "method": "POST", "path": format!("/v1/reservations/{id}/payment"),
            "body": { "amount": own["amount"] }, "key": format!("pay-{id}-1") });
        browser.new_tab().await;
        browser.open(&format!("{}/web/icon.svg?elsewhere", world.base)).await;
        browser
            .run_until_done(&format!(
                "const held = arguments[0]; navigator.locks.request({}, () => new Promise((free) => {{ globalThis.free = free; held(); }}))",
                json!(slot)
            ))
            .await;
        browser
            .run(&format!("localStorage.setItem({}, JSON.stringify({{ ...{kept}, at: Date.now() }}))", json!(slot)))
            .await;
        let second = browser.tab().await;
        browser.switch_to(&first).await;
        browser.reload().await;
        browser.until("(b => b && !b.hidden)(document.querySelector('.hold-bar'))").await;
        assert_eq!(world.reservations("fan").await[0]["status"], "HELD", "the other page is at it");
        browser.switch_to(&second).await;
        browser.run("globalThis.free()").await;
        browser.switch_to(&first).await;
        browser.until("document.querySelector('.hold-bar').hidden").await;
        browser.until(&format!("localStorage.getItem({}) === null", json!(slot))).await;
        assert_eq!(world.reservations("fan").await[0]["status"], "CONFIRMED");
        no_complaints(&browser).await;
    })
    .await;
}

/// The browser keeps the page that sends, and nothing of what it locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_a_page_that_is_left_in_the_middle_of_a_payment_leaves_it_to_the_next() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        world.post("fan", "/v1/wallet/charges", json!({ "amount": 100_000 })).await;
        let browser = opened(world, "fan", &format!("/s/{date}")).await;
        browser.click("[data-act=best]").await;
        browser.until("(b => b && !b.disabled)(document.querySelector('[data-act=pay]'))").await;
        // An answer that does not come before the page is left.
        browser
            .run("const send = globalThis.fetch; globalThis.fetch = (url, ...more) => String(url.url ?? url).includes('/payment') ? new Promise(() => {}) : send(url, ...more)")
            .await;
        browser.run("document.querySelector('[data-act=pay]').click()").await;
        browser.until("Object.keys(localStorage).some(k => k.startsWith('ts.intent.'))").await;
        leave(world, &browser).await;
        browser.open(&format!("{}/s/{date}", world.base)).await;
        browser.until("!Object.keys(localStorage).some(k => k.startsWith('ts.intent.'))").await;
        assert_eq!(world.reservations("fan").await[0]["status"], "CONFIRMED");
        assert_eq!(world.balance("fan").await, 100_000 - 24_000);
        no_complaints(&browser).await;
    })
    .await;
}
