//! A3, A6: a page that slept, as one does on a locked phone. Nothing of it ran, its connections died, the device's clock
//! went on; what it shows once it is awake is what the server says.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// From waking to the truth. Beside compilers a debug build may take longer: `TURNSTILE_TEST_FIGURES=1` for this bound.
const AWAKE_WITHIN: Duration = Duration::from_secs(3);
/// How far the device's clock moved meanwhile.
const SLEPT_MS: u64 = 600_000;

/// The page's clock, which [`wake`] moves.
pub const CLOCK: &str = "(() => { const Real = Date; globalThis.sleptMs = 0;
    globalThis.Date = class extends Real {
      constructor(...a) { if (a.length) super(...a); else super(Real.now() + sleptMs); }
      static now() { return Real.now() + sleptMs; } }; })();";

async fn sleeper(world: &World, user: &str, date: &str) -> Browser {
    let browser = world.browser("en").await;
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": CLOCK })).await;
    world.visit(&browser, user, &format!("/s/{date}")).await;
    browser
}

pub async fn sleep(browser: &Browser) {
    browser.cdp("Page.setWebLifecycleState", json!({ "state": "frozen" })).await;
}

pub async fn wake(browser: &Browser) -> Instant {
    browser.run(&format!("globalThis.sleptMs += {SLEPT_MS}")).await;
    let awake = Instant::now();
    browser.cdp("Page.setWebLifecycleState", json!({ "state": "active" })).await;
    awake
}

fn in_time(awake: Instant, what: &str) {
    let took = awake.elapsed();
    println!("{what}: {} ms after waking", took.as_millis());
    assert!(took <= AWAKE_WITHIN || std::env::var_os("TURNSTILE_TEST_FIGURES").is_none(), "{what}: {took:?}");
}

async fn join(world: &World, user: &str, date: &str) {
    world.post(user, &format!("/v1/schedules/{date}/queue"), json!({})).await;
}

async fn place(world: &World, user: &str, date: &str) -> Value {
    world.get(user, &format!("/v1/schedules/{date}/queue/position")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_page_that_slept_while_the_server_was_killed_shows_the_truth_when_it_wakes() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = sleeper(world, "sleeper", &date).await;
        browser.click("[data-act=best]").await;
        browser.until("document.querySelector('[data-status=HELD]')").await;
        browser.back().await;
        browser.until("(b => b && !b.hidden)(document.querySelector('.hold-bar'))").await;
        browser.until("document.querySelector('.choose')?.dataset.free === '98'").await;
        sleep(&browser).await;
        // The hold is given back on another device, others hold seats, and no connection survives.
        let own = world.reservations("sleeper").await;
        world.delete("sleeper", &format!("/v1/reservations/{}", own[0]["reservation_id"].as_str().unwrap())).await;
        world.kill();
        world.start_again().await;
        world.post("rival", &format!("/v1/schedules/{date}/holds"), json!({ "best_available": 3 })).await;
        let awake = wake(&browser).await;
        browser.until("document.querySelector('.hold-bar').hidden").await;
        in_time(awake, "the hold");
        browser.until("document.querySelector('.choose')?.dataset.free === '97'").await;
        in_time(awake, "the seats");
        // The clock on top is the server's, not the one that moved.
        let shown = "document.querySelector('.server-clock').textContent";
        browser.until(&format!("{shown} === new Intl.DateTimeFormat('en', {{ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }}).format(Date.now() - sleptMs)")).await;
        in_time(awake, "the clock");
        no_complaints(&browser).await;
    })
    .await;
}

fn waiting_count() -> u32 {
    std::env::var("TURNSTILE_TEST_WAITING").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// A6. `TURNSTILE_TEST_WAITING=100000` for a crowd.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a6_a_page_that_was_frozen_keeps_its_place_and_is_admitted_next() {
    world::run(async |world| {
        let crowd = waiting_count();
        // Long enough that all of the crowd still wait when the last of them has joined.
        let away = 12.max(crowd / 2_000);
        let queue = json!({
            "max_active": 1, "active_ttl_seconds": 3_600, "claim_after_seconds": 3_600, "max_waiting": 200_000,
            "abandon_after_seconds": away,
        });
        let date = world.date(json!({ "queue": queue })).await;
        join(world, "first", &date).await;
        let browser = sleeper(world, "frozen", &date).await;
        browser.until("document.querySelector('.button.primary.large')").await;
        // At once before the tap: nobody of the crowd asks again.
        let began = Instant::now();
        world.crowd(crowd, &format!("/v1/schedules/{date}/queue")).await;
        browser.click(".button.primary.large").await;
        browser.until("document.querySelector('[data-ahead]')").await;
        let receipt = browser.text("document.querySelector('.proof').textContent").await;
        // It is said for a moment only: to ask is to be back.
        browser
            .run(
                "new MutationObserver(() => {
                   if (document.querySelector('.waiting')?.innerText.includes('You were away when your turn came')) document.documentElement.dataset.wasAbsent = 'yes';
                 }).observe(document, { subtree: true, childList: true, characterData: true });",
            )
            .await;
        // A locked phone: nothing runs. So far back the page asks now and then; it has no stream that would stay open.
        let ahead = browser.text("document.querySelector('[data-ahead]').dataset.ahead").await;
        println!("{crowd} joined in {:.1} s; {ahead} ahead", began.elapsed().as_secs_f64());
        assert!(ahead.parse::<u32>().unwrap() >= 200, "{ahead}");
        sleep(&browser).await;
        // Away for longer than allowed, as are all who never asked again.
        crate::until("all to be absent", async || {
            let stats = world.get("admin", &format!("/v1/schedules/{date}/queue/stats")).await;
            if stats["absent"].as_u64() == Some(u64::from(crowd) + 1) { Ok(()) } else { Err(stats.to_string()) }
        })
        .await;
        join(world, "later", &date).await;
        world.delete("first", &format!("/v1/schedules/{date}/queue")).await;
        crate::until("the one who came later to be admitted", async || {
            let place = place(world, "later", &date).await;
            if place["status"] == "ACTIVE" { Ok(()) } else { Err(place.to_string()) }
        })
        .await;
        let awake = wake(&browser).await;
        browser.until("document.documentElement.dataset.wasAbsent === 'yes'").await;
        browser.until("(e => e?.dataset.status === 'WAITING' && e.dataset.ahead === '0')(document.querySelector('[data-ahead]'))").await;
        in_time(awake, "the place");
        assert_eq!(browser.text("document.querySelector('.proof').textContent").await, receipt, "the place is kept");
        // The next slot is theirs, before everybody who came later.
        join(world, "rival", &date).await;
        world.patch(&format!("/v1/schedules/{date}/queue"), json!({ "max_active": 2 })).await;
        browser.until("document.querySelector('.choose')").await;
        assert_ne!(place(world, "rival", &date).await["status"], "ACTIVE");
        no_complaints(&browser).await;
    })
    .await;
}
