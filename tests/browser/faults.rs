//! A3, A5: whatever happens between a tap and its answer, what was meant happens once; the clock is the server's.

use serde_json::json;

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

const HELD: &str = "document.querySelector('[data-status=HELD]')";
const DONE: &str = "document.querySelector('[data-status=CONFIRMED]')";

/// The next POST that ends so is sent, and its answer never arrives.
pub async fn cut_answer(browser: &Browser, ending: &str) {
    let script = format!(
        "const real = window.fetch; let cut = false;
         window.fetch = async (path, options) => {{
           if (cut || !String(path).endsWith('{ending}')) return real(path, options);
           cut = true;
           await real(path, options);
           document.documentElement.dataset.cut = 'yes';
           throw new TypeError('cut');
         }};"
    );
    browser.run(&script).await;
}

async fn one_hold_of(world: &World, user: &str, seats: usize) {
    let own = world.reservations(user).await;
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!(own[0]["seats"].as_array().map(Vec::len), Some(seats));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_double_tap_a_lost_answer_and_a_reload_hold_once() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "double", &format!("/s/{date}")).await;
        browser.run("const b = document.querySelector('[data-act=best]'); b.click(); b.click(); b.click();").await;
        browser.until(HELD).await;
        one_hold_of(world, "double", 2).await;

        world.visit(&browser, "lost", &format!("/s/{date}")).await;
        cut_answer(&browser, "/holds").await;
        browser.click("[data-act=best]").await;
        browser.until(HELD).await;
        assert_eq!(browser.text("document.documentElement.dataset.cut").await, "yes");
        one_hold_of(world, "lost", 2).await;

        // The page goes away right after the command was sent.
        world.visit(&browser, "reload", &format!("/s/{date}")).await;
        browser.run("window.fetch = ((real) => (p, o) => real(p, o).then(() => new Promise(() => {})))(window.fetch); document.querySelector('[data-act=best]').click();").await;
        browser.until("Object.keys(localStorage).some(k => k.startsWith('ts.intent.reload.hold'))").await;
        browser.reload().await;
        browser.until(HELD).await;
        one_hold_of(world, "reload", 2).await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_back_from_paying_shows_the_hold_and_makes_no_second_one() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "back", &format!("/s/{date}")).await;
        browser.click("[data-act=best]").await;
        browser.until(HELD).await;
        browser.back().await;
        browser.until("(b => b && !b.hidden)(document.querySelector('.hold-bar'))").await;
        browser.click("[data-act=to-pay]").await;
        browser.until(HELD).await;
        one_hold_of(world, "back", 2).await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_payment_from_two_tabs_with_a_lost_answer_moves_money_once() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        world.post("payer", "/v1/wallet/charges", json!({ "amount": 100_000 })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "payer", &format!("/s/{date}")).await;
        browser.click("[data-act=best]").await;
        browser.until(HELD).await;
        let address = browser.text("location.pathname + location.search").await;
        let first = browser.tab().await;
        browser.new_tab().await;
        browser.open(&format!("{}{address}", world.base)).await;
        browser.until("(e => e && !e.disabled)(document.querySelector('[data-act=pay]'))").await;
        browser.switch_to(&first).await;
        cut_answer(&browser, "/payment").await;
        browser.click("[data-act=pay]").await;
        browser.until(DONE).await;
        assert_eq!(world.balance("payer").await, 76_000);
        let payments = world.get("payer", "/v1/payments").await;
        assert_eq!(payments["payments"].as_array().map(Vec::len), Some(1));
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_server_killed_under_a_tap_decides_it_once_when_it_is_back() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        for round in 0..3 {
            let user = format!("killed-{round}");
            world.visit(&browser, &user, &format!("/s/{date}")).await;
            browser.run("document.querySelector('[data-act=best]').click()").await;
            browser.until("Object.keys(localStorage).some(k => k.startsWith('ts.intent.') && k.includes('.hold.')) || document.querySelector('[data-status]')").await;
            world.kill();
            browser.until("document.documentElement.dataset.connection === 'no_connection'").await;
            world.start_again().await;
            browser.run("dispatchEvent(new Event('ts.retry'))").await;
            browser.until(HELD).await;
            browser.until("document.documentElement.dataset.connection !== 'no_connection'").await;
            one_hold_of(world, &user, 2).await;
        }
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_refused_payment_is_followed_by_a_good_one() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "short", &format!("/s/{date}")).await;
        browser.click("[data-act=best]").await;
        browser.until(HELD).await;
        browser.until("document.querySelector('[data-act=charge]')").await;
        browser.run("const b = document.querySelector('[data-act=pay]'); b.disabled = false; b.click();").await;
        browser.until("document.querySelector('.notice.warn')?.innerText.includes('not enough')").await;
        // Storage is wiped: the key begins again, and the old refusal is passed over.
        browser.run("Object.keys(localStorage).filter(k => k.startsWith('ts.count')).forEach(k => localStorage.removeItem(k))").await;
        browser.reload().await;
        browser.click("[data-act=charge]").await;
        browser.until("Number(document.querySelector('[data-missing]')?.dataset.missing) === 0").await;
        browser.until("new Promise(r => r) && true").await;
        browser.click("[data-act=pay]").await;
        browser.until(DONE).await;
        assert_eq!(world.balance("short").await, 0);
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_browser_that_keeps_nothing_for_pages_buys_once_too() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = Browser::forgetful().await;
        browser.open(&format!("{}/s/{date}", world.base)).await;
        browser.click("[data-act=best]").await;
        browser.write("dialog #name", "forgotten").await;
        browser.click("dialog .primary").await;
        browser.until(HELD).await;
        browser.click("[data-act=charge]").await;
        browser.until("Number(document.querySelector('[data-missing]')?.dataset.missing) === 0").await;
        browser.run("const b = document.querySelector('[data-act=pay]'); b.click(); b.click();").await;
        browser.until(DONE).await;
        one_hold_of(world, "forgotten", 2).await;
        assert_eq!(world.balance("forgotten").await, 0);
        // The stream lives without a lock.
        browser.back().await;
        browser.until("document.querySelector('.choose')?.dataset.free === '98'").await;
        world.post("other", &format!("/v1/schedules/{date}/holds"), json!({ "best_available": 1 })).await;
        browser.until("document.querySelector('.choose')?.dataset.free === '97'").await;
        no_complaints(&browser).await;
    })
    .await;
}

/// The page's clock is off by so much; the machine's own stays `RealDate`.
fn skew(minutes: i32) -> String {
    format!(
        "(() => {{ const Real = Date; const by = {minutes} * 60000;
          globalThis.Date = class extends Real {{
            constructor(...a) {{ if (a.length) super(...a); else super(Real.now() + by); }}
            static now() {{ return Real.now() + by; }} }};
          globalThis.RealDate = Real; }})();"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_a_device_clock_ten_minutes_off_changes_nothing() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        for (user, minutes) in [("ahead", 10), ("behind", -10)] {
            let browser = world.browser("en").await;
            browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": skew(minutes) })).await;
            world.visit(&browser, user, &format!("/s/{date}")).await;
            browser.click("[data-act=best]").await;
            browser.until(HELD).await;
            let own = world.reservations(user).await;
            let ends = own[0]["expires_at"].as_str().unwrap();
            browser.until("/^[0-4]:\\d\\d$/.test(document.querySelector('.countdown')?.textContent)").await;
            let off = browser
                .run(&format!(
                    "const [m, s] = document.querySelector('.countdown').textContent.split(':').map(Number);
                     return Math.abs((RealDate.parse('{ends}') - RealDate.now()) / 1000 - (m * 60 + s))"
                ))
                .await;
            assert!(off.as_f64().unwrap() <= 1.5, "{off} s off with the device {minutes} min off");
            assert_eq!(browser.run("return Boolean(document.querySelector('[data-status=EXPIRED]'))").await, false);
            no_complaints(&browser).await;
        }
    })
    .await;
}

/// What each second of the countdown showed, against the server's end of the hold, by the machine's true clock; and when the
/// end was shown.
fn watch_the_end(ends: &str) -> String {
    format!(
        "const ends = RealDate.parse('{ends}'); globalThis.drifts = [];
         const look = () => {{
           const shown = document.querySelector('.countdown')?.textContent.match(/^(\\d+):(\\d\\d)$/);
           const left = (ends - RealDate.now()) / 1000;
           if (shown && left > 0) drifts.push(Number(shown[1]) * 60 + Number(shown[2]) - left);
           if (document.querySelector('[data-status=EXPIRED]')) globalThis.endedAfter ??= (RealDate.now() - ends) / 1000;
         }};
         look();
         new MutationObserver(look).observe(document, {{ subtree: true, childList: true, characterData: true, attributes: true }});"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_a_hold_runs_out_on_time_on_a_device_whose_clock_is_off() {
    world::run(async |world| {
        let date = world.date(json!({ "hold_ttl_seconds": 8, "rehold_after_seconds": 0 })).await;
        for (user, minutes) in [("fast", 10), ("slow", -10)] {
            let browser = world.browser("en").await;
            browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": skew(minutes) })).await;
            world.visit(&browser, user, &format!("/s/{date}")).await;
            browser.click("[data-act=best]").await;
            browser.until(HELD).await;
            let own = world.reservations(user).await;
            browser.run(&watch_the_end(own[0]["expires_at"].as_str().unwrap())).await;
            browser.until("document.querySelector('[data-status=EXPIRED]')").await;
            let drifts = browser.run("return drifts").await;
            let drifts: Vec<f64> = drifts.as_array().unwrap().iter().filter_map(|drift| drift.as_f64()).collect();
            let worst = drifts.iter().fold(0.0_f64, |worst, drift| worst.max(drift.abs()));
            let ended = browser.run("return endedAfter").await.as_f64().unwrap();
            println!(
                "{minutes} min off: {worst:.2} s of drift in {} looks, the end shown after {ended:.2} s",
                drifts.len()
            );
            assert!(drifts.len() >= 3, "{drifts:?}");
            assert!(ended >= 0.0, "shown {ended} s after the end");
            let bound = std::env::var_os("TURNSTILE_TEST_FIGURES").is_some();
            assert!(
                !bound || (worst <= 1.05 && ended <= 1.0),
                "{worst} s of drift, the end after {ended} s: {drifts:?}"
            );
            no_complaints(&browser).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_a_hold_ends_when_the_server_says_so() {
    world::run(async |world| {
        let date = world.date(json!({ "hold_ttl_seconds": 2, "rehold_after_seconds": 0 })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "late", &format!("/s/{date}")).await;
        browser.click("[data-act=best]").await;
        browser.until("document.querySelector('[data-status=EXPIRED]')").await;
        assert_eq!(world.reservations("late").await[0]["status"], "EXPIRED");
        browser.click("[data-act=again]").await;
        browser.until(HELD).await;
        no_complaints(&browser).await;
    })
    .await;
}
