//! A2, A4: two seats bought by clicks, by keys and through the list alone, in three languages; two users, one seat.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::{self, World, no_complaints};

const KEY_TAB: &str = "\u{e004}";
const KEY_ENTER: &str = "\u{e007}";
const KEY_RIGHT: &str = "\u{e014}";
const KEY_DOWN: &str = "\u{e015}";

const HELD: &str = "document.querySelector('[data-status=HELD]')";
const DONE: &str = "document.querySelector('[data-status=CONFIRMED]')";

const LANGUAGES: [(&str, &str); 3] = [("en", "alice"), ("ko", "민지"), ("ja", "さくら")];

/// From the first page to the tickets, for a user who knows where to go.
const WITHIN: Duration = Duration::from_secs(60);

async fn bought(world: &World, user: &str, amount: i64) {
    let own = world.reservations(user).await;
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!(own[0]["status"], "CONFIRMED");
    assert_eq!(own[0]["amount"], amount);
    assert_eq!(own[0]["seats"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.balance(user).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f61_a2_two_seats_are_bought_by_clicks_in_each_language() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        for (language, user) in LANGUAGES {
            let browser = world.browser(language).await;
            let began = Instant::now();
            world.visit(&browser, user, "/").await;
            assert_eq!(browser.text("document.documentElement.lang").await, language);
            browser.click(&format!("[data-schedule='{date}']")).await;
            browser.click("[data-act=best]").await;
            browser.until(HELD).await;
            browser.click("[data-act=charge]").await;
            browser.click("[data-act=pay]").await;
            browser.until(DONE).await;
            assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
            let keys = browser.text("document.body.innerText.match(/\\b[a-z]+\\.[a-zA-Z_]+\\b/g) ?? ''").await;
            let raw: Vec<&str> = keys.split(',').filter(|key| !key.is_empty() && !key.starts_with("seats.")).collect();
            assert!(raw.is_empty(), "texts that are missing in {language}: {raw:?}");
            no_complaints(&browser).await;
            bought(world, user, 24_000).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_two_seats_are_bought_by_keys_alone_with_the_map_removed() {
    world::run(async |world| {
        for (language, user) in LANGUAGES {
            by_keys_alone(world, language, user).await;
        }
    })
    .await;
}

async fn by_keys_alone(world: &World, language: &str, user: &str) {
    let date = world.date(json!({})).await;
    let browser = world.browser(language).await;
    let began = Instant::now();
    world.visit(&browser, user, "/").await;
    tab_to(&browser, &format!("document.activeElement.dataset.schedule === '{date}'")).await;
    browser.press(&[KEY_ENTER]).await;
    browser.until("document.querySelector('.cell')").await;
    browser.run("document.querySelector('canvas').remove()").await;
    tab_to(&browser, "document.activeElement.matches('.cell')").await;
    // Row by row: down one, then one to the right.
    browser.press(&[KEY_DOWN, KEY_ENTER, KEY_RIGHT, KEY_ENTER]).await;
    browser.until("document.querySelector('.choose').dataset.chosen === 'A-11 A-12'").await;
    tab_to(&browser, "document.activeElement.dataset.act === 'hold'").await;
    browser.press(&[KEY_ENTER]).await;
    browser.until(HELD).await;
    for act in ["charge", "pay"] {
        browser.until(&format!("(e => e && !e.disabled)(document.querySelector('[data-act={act}]'))")).await;
        tab_to(&browser, &format!("document.activeElement.dataset.act === '{act}'")).await;
        browser.press(&[KEY_ENTER]).await;
        browser.until("Number(document.querySelector('[data-missing]')?.dataset.missing) === 0").await;
    }
    browser.until(DONE).await;
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    no_complaints(&browser).await;
    bought(world, user, 24_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_two_neighbors_are_bought_in_the_list_alone() {
    world::run(async |world| {
        for (language, user) in LANGUAGES {
            in_the_list_alone(world, language, user).await;
        }
    })
    .await;
}

async fn in_the_list_alone(world: &World, language: &str, user: &str) {
    let date = world.date(json!({})).await;
    let browser = world.browser(language).await;
    let began = Instant::now();
    world.visit(&browser, user, "/").await;
    browser.click(&format!("[data-schedule='{date}']")).await;
    browser.until("document.querySelector('.cell')").await;
    browser.run("document.querySelector('.map-card').remove(); document.querySelector('.best-card').remove()").await;
    browser.click(".cell[data-seat='A-21']").await;
    browser.click(".cell[data-seat='A-22']").await;
    for act in ["hold", "charge", "pay"] {
        browser.click(&format!("[data-act={act}]")).await;
    }
    browser.until(DONE).await;
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    no_complaints(&browser).await;
    bought(world, user, 24_000).await;
}

/// From joining the queue to the tickets, in each language.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_who_waits_in_the_queue_buys_at_their_turn_without_a_reload() {
    world::run(async |world| {
        for (language, user) in LANGUAGES {
            let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
            let date = world.date(json!({ "queue": queue })).await;
            world.post("first", &format!("/v1/schedules/{date}/queue"), json!({})).await;
            let browser = world.browser(language).await;
            world.visit(&browser, user, "/").await;
            browser.click(&format!("[data-schedule='{date}']")).await;
            browser.run("document.documentElement.dataset.document = 'the first'").await;
            browser.click(".button.primary.large").await;
            browser.until("document.querySelector('[data-ahead]')?.dataset.ahead === '0'").await;
            world.delete("first", &format!("/v1/schedules/{date}/queue")).await;
            for act in ["best", "charge", "pay"] {
                browser.click(&format!("[data-act={act}]")).await;
            }
            browser.until(DONE).await;
            assert_eq!(browser.text("document.documentElement.dataset.document").await, "the first");
            bought(world, user, 24_000).await;
            crate::until("the turn to be over with the purchase", async || {
                let stats = world.get("admin", &format!("/v1/schedules/{date}/queue/stats")).await;
                if stats["completed"] == 1 { Ok(()) } else { Err(stats.to_string()) }
            })
            .await;
            no_complaints(&browser).await;
        }
    })
    .await;
}

/// Presses Tab until the focus is where it should be.
async fn tab_to(browser: &crate::driver::Browser, there: &str) {
    for _ in 0..80 {
        if browser.run(&format!("return Boolean({there})")).await == true {
            return;
        }
        browser.press(&[KEY_TAB]).await;
    }
    panic!("Tab never led to where {there}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_name_is_asked_for_one_when_it_is_needed() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        browser.open(&format!("{}/s/{date}", world.base)).await;
        browser.click("[data-act=best]").await;
        browser.write("dialog #name", "newcomer").await;
        browser.click("dialog .primary").await;
        browser.until(HELD).await;
        browser.until("document.querySelector('.who')?.textContent.includes('newcomer')").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_comes_in_the_address_and_leaves_it_at_once() {
    let settings = [
        ("AUTH__MODE", "jwt"),
        ("AUTH__HS256_SECRET", "a secret of at least thirty-two bytes"),
        ("WEB__LOGIN_URL", "http://127.0.0.1:9/login"),
        ("WEB__CURRENCY", "EUR"),
    ];
    world::run_with(&settings, async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        let address = format!("{}/s/{date}", world.base);
        browser.open(&format!("{address}#token={}", world.token("zoé"))).await;
        browser.until("document.querySelector('.who')?.textContent.includes('zoé')").await;
        assert_eq!(browser.text("location.href").await, address, "others may see the address");
        browser.click("[data-act=best]").await;
        browser.until(HELD).await;
        // A cashier charges here, not the user; amounts are euros.
        browser.until("document.querySelector('.purse')?.innerText.includes('Missing: €240.00')").await;
        assert_eq!(browser.run("return Boolean(document.querySelector('[data-act=charge]'))").await, false);
        let charge = json!({ "amount": 24_000, "user_id": "zoé" });
        world.post("admin", "/v1/wallet/charges", charge).await;
        browser.reload().await;
        browser.click("[data-act=pay]").await;
        browser.until(DONE).await;
        no_complaints(&browser).await;
        bought(world, "zoé", 24_000).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_a_seat_is_chosen_on_the_map() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "carol", &format!("/s/{date}")).await;
        browser.until("document.querySelector('.map').dataset.painted").await;
        // Where the seat is drawn, the page's own module says: it is loaded a second time for its arithmetic only.
        let at = "const map = document.querySelector('canvas').getBoundingClientRect();
            return [Math.round(map.x + map.width / 2), Math.round(map.y + map.height / 2)]";
        let at = browser.run(at).await;
        let (x, y) = (at[0].as_i64().unwrap(), at[1].as_i64().unwrap());
        for dy in [0, 12, 24, -12, -24] {
            click_at(&browser, x, y + dy).await;
            if browser.run("return document.querySelector('.choose').dataset.chosen !== ''").await == true {
                break;
            }
        }
        let chosen = browser.until("document.querySelector('.choose').dataset.chosen").await;
        let chosen = chosen.as_str().unwrap().to_owned();
        let marked = format!("document.querySelector('.cell[data-seat=\"{chosen}\"]')?.getAttribute('aria-selected')");
        let section = chosen.split('-').next().unwrap();
        browser
            .run(&format!(
                "const pick = document.querySelector('#section-of-list');
                 pick.value = [...pick.options].findIndex(o => o.text.startsWith('{section} '));
                 pick.dispatchEvent(new Event('change'));"
            ))
            .await;
        assert_eq!(browser.until(&marked).await, "true", "map and list share one choice");
        no_complaints(&browser).await;
    })
    .await;
}

async fn click_at(browser: &crate::driver::Browser, x: i64, y: i64) {
    for kind in ["mousePressed", "mouseReleased"] {
        let params = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
        browser.cdp("Input.dispatchMouseEvent", params).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_the_one_who_loses_a_seat_reads_when_it_went_and_what_is_near() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "slow", &format!("/s/{date}")).await;
        browser.click(".cell[data-seat='A-5']").await;
        // The page hears of it by its stream: the seat leaves the choice, named.
        world.post("fast", &format!("/v1/schedules/{date}/holds"), json!({ "seats": ["A-5"] })).await;
        browser.until("document.querySelector('.choose').dataset.chosen === ''").await;
        browser.until("document.querySelector('.notice.warn')?.innerText.includes('seat 5')").await;
        // Asked for anyway, as by a page whose stream was behind: the refusal says who was first and when.
        browser
            .run(
                "window.fetchBefore = fetch;
                 window.fetch = (path, options) => fetchBefore(path, String(path).endsWith('/holds')
                   ? { ...options, body: JSON.stringify({ seats: ['A-5'] }) } : options);",
            )
            .await;
        browser.click("[data-instead]").await;
        browser.click("[data-act=hold]").await;
        browser.until("document.querySelector('.notice.warn')?.innerText.match(/seat 5 went to somebody else .*seats\\.\\d+\\.\\d+/)").await;
        browser.run("window.fetch = window.fetchBefore").await;
        assert_eq!(browser.run("return document.activeElement.matches('[data-instead]')").await, true, "the focus is on the nearest seat");
        browser.click("[data-instead]").await;
        browser.click("[data-act=hold]").await;
        browser.until(HELD).await;
        no_complaints(&browser).await;
        assert_eq!(world.reservations("slow").await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_ten_tabs_share_one_stream_and_all_are_live() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "tabs", &format!("/s/{date}")).await;
        let mut tabs = vec![browser.tab().await];
        for _ in 1..10 {
            tabs.push(browser.new_tab().await);
            browser.open(&format!("{}/s/{date}", world.base)).await;
            browser.until("document.querySelector('.choose')?.dataset.free === '100'").await;
        }
        let opened = metric(world, |line| {
            line.starts_with("turnstile_http_requests_total{") && line.contains("/seats/events") && line.contains("200")
        });
        assert_eq!(opened.await, Some(1), "streams that ten tabs opened");
        let open = || metric(world, |line| line.starts_with("turnstile_seat_streams "));
        assert_eq!(open().await, Some(1), "streams that are open");
        // Each tab writes down when it saw the change.
        for tab in &tabs {
            browser.switch_to(tab).await;
            browser
                .run(
                    "new MutationObserver((_, eye) => {
                if (document.querySelector('.choose').dataset.free !== '98') return;
                document.documentElement.dataset.followedAt = Date.now(); eye.disconnect();
              }).observe(document, { subtree: true, attributes: true });",
                )
                .await;
        }
        let held =
            world.post("other", &format!("/v1/schedules/{date}/holds"), json!({ "seats": ["A-1", "A-2"] })).await;
        let decided = held["decided"]["at"].as_str().unwrap();
        for tab in &tabs {
            browser.switch_to(tab).await;
            browser.until("document.documentElement.dataset.followedAt").await;
            let after = format!("return Number(document.documentElement.dataset.followedAt) - Date.parse('{decided}')");
            let after = browser.run(&after).await.as_i64().unwrap();
            println!("the page followed {after} ms after the hold was decided");
            assert!(after <= 1_000 || std::env::var_os("TURNSTILE_TEST_FIGURES").is_none(), "{after} ms");
        }
        // The tab that reads goes: another one reads, still alone.
        for _ in 0..9 {
            browser.switch_to(&tabs.remove(0)).await;
            browser.close_tab().await;
        }
        browser.switch_to(&tabs[0]).await;
        crate::until("one stream of the tab that is left", async || match open().await {
            Some(1) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        world.post("third", &format!("/v1/schedules/{date}/holds"), json!({ "seats": ["A-3"] })).await;
        browser.until("document.querySelector('.choose').dataset.free === '97'").await;
        assert_eq!(open().await, Some(1), "streams that are open");
        no_complaints(&browser).await;
    })
    .await;
}

/// The value of the first line of the metrics that fits.
async fn metric(world: &World, fits: impl Fn(&&str) -> bool) -> Option<u32> {
    let metrics = world.http.get(format!("{}/metrics", world.base)).send().await.unwrap().text().await.unwrap();
    metrics.lines().find(fits).and_then(|line| line.rsplit(' ').next()?.parse().ok())
}
