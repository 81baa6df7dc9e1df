//! A1, A7: nothing leaves the origin; every screen can be read and used by ear and by keys, at 320 pixels too.

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// What a checker of pages would complain about, as far as it can be said in a page: names, roles, labels, headings,
/// ids, targets, contrast of texts.
const COMPLAINTS: &str = include_str!("complaints.js");

async fn check(browser: &Browser, screen: &str, found: &mut Vec<String>) {
    let complaints = browser.run(COMPLAINTS).await;
    for complaint in complaints.as_array().expect("a list") {
        found.push(format!("{screen}: {}", complaint.as_str().unwrap_or_default()));
    }
}

/// Each screen, in the order a buyer meets them; `look` sees each.
async fn tour(world: &World, browser: &Browser, user: &str, mut look: impl AsyncFnMut(&Browser, &str)) {
    let date = world.date(json!({})).await;
    let queued = json!({ "queue": { "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 } });
    let queued = world.date(queued).await;
    let later = world.date(json!({ "sales_open_at": "2098-01-01T00:00:00Z" })).await;
    world.post(&format!("{user}-first"), &format!("/v1/schedules/{queued}/queue"), json!({})).await;
    world.visit(browser, user, "/").await;
    look(browser, "concerts").await;
    world.visit(browser, user, &format!("/s/{later}")).await;
    look(browser, "before").await;
    world.visit(browser, user, &format!("/s/{queued}")).await;
    look(browser, "gate").await;
    browser.click(".button.primary.large").await;
    browser.until("document.querySelector('[data-ahead]')").await;
    look(browser, "waiting").await;
    world.visit(browser, user, &format!("/s/{date}")).await;
    browser.click(".cell[data-seat='A-3']").await;
    browser.until("document.querySelector('.map').dataset.painted").await;
    look(browser, "choose").await;
    browser.click("[data-act=hold]").await;
    browser.until("document.querySelector('[data-act=charge]')").await;
    look(browser, "held").await;
    browser.back().await;
    browser
        .until("(b => b && !b.hidden)(document.querySelector('.hold-bar')) && document.querySelector('.choose')")
        .await;
    look(browser, "hold bar").await;
    browser.click("[data-act=to-pay]").await;
    browser.click("[data-act=charge]").await;
    browser.click("[data-act=pay]").await;
    browser.until("document.querySelector('[data-status=CONFIRMED]')").await;
    look(browser, "done").await;
    world.visit(browser, user, "/me").await;
    look(browser, "mine").await;
    world.visit(browser, user, "/s/00000000-0000-7000-8000-000000000000").await;
    look(browser, "not found").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_no_screen_has_a_barrier_in_any_language_or_theme() {
    world::run(async |world| {
        let mut found = Vec::new();
        for (language, scheme) in [("en", "light"), ("ko", "dark"), ("ja", "light")] {
            let browser = world.browser(language).await;
            theme(&browser, scheme).await;
            tour(world, &browser, &format!("tourist-{language}"), async |browser: &Browser, screen: &str| {
                check(browser, &format!("{language} {scheme} {screen}"), &mut found).await;
            })
            .await;
            no_complaints(&browser).await;
        }
        assert!(found.is_empty(), "{found:#?}");
    })
    .await;
}

/// Pictures of each screen for the eyes of people: `TURNSTILE_TEST_PICTURES=dir cargo test --test browser pictures`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_all_screens() {
    let Ok(dir) = std::env::var("TURNSTILE_TEST_PICTURES") else { return };
    world::run(async |world| {
        for (language, scheme, pixels) in
            [("en", "light", 1440), ("en", "dark", 768), ("ko", "light", 320), ("ja", "dark", 1440)]
        {
            let browser = world.browser(language).await;
            theme(&browser, scheme).await;
            width(&browser, pixels).await;
            let user = format!("{language}{pixels}");
            tour(world, &browser, &user, async |browser: &Browser, screen: &str| {
                let name = format!("{dir}/{}-{language}-{scheme}-{pixels}.png", screen.replace(' ', "-"));
                std::fs::write(name, browser.picture(true).await).expect("a file");
            })
            .await;
        }
    })
    .await;
}

/// What is right of the screen's edge.
const TOO_WIDE: &str = "return [...document.querySelectorAll('body *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.unseen, .skip, .map, .scroll'))
    .slice(0, 3).map(e => e.outerHTML.slice(0, 120))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_the_organizers_screens_have_no_barrier_either() {
    world::run(async |world| {
        let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
        let date = world.date(json!({ "queue": queue })).await;
        let shown = world.get("admin", &format!("/v1/schedules/{date}")).await;
        let concert = shown["concert_id"].as_str().expect("an id");
        let mut found = Vec::new();
        for (language, scheme) in [("en", "light"), ("ko", "dark"), ("ja", "light")] {
            let browser = world.browser(language).await;
            theme(&browser, scheme).await;
            width(&browser, 320).await;
            for query in [String::new(), format!("?concert={concert}"), format!("?date={date}")] {
                world.visit(&browser, "admin", &format!("/organizer{query}")).await;
                browser.run("document.querySelectorAll('details').forEach(d => d.open = true)").await;
                check(&browser, &format!("{language} {scheme} {query}"), &mut found).await;
                let wide = browser.run(TOO_WIDE).await;
                if wide != json!([]) {
                    found.push(format!("{language} {query}: {wide}"));
                }
            }
            no_complaints(&browser).await;
        }
        assert!(found.is_empty(), "{found:#?}");
    })
    .await;
}

async fn theme(browser: &Browser, scheme: &str) {
    let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
    browser.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
}

async fn width(browser: &Browser, width: u32) {
    let metrics = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    browser.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_nothing_is_wider_than_a_screen_of_320_pixels() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        width(&browser, 320).await;
        let mut wide = Vec::new();
        tour(world, &browser, "narrow", async |browser: &Browser, screen: &str| {
            let over = browser.run(TOO_WIDE).await;
            if over != json!([]) {
                wide.push(format!("{screen}: {over}"));
            }
        })
        .await;
        assert!(wide.is_empty(), "{wide:#?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_nothing_leaves_the_origin_and_pages_are_asked_for_once() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        let mut foreign: Vec<Value> = Vec::new();
        tour(world, &browser, "origin", async |browser: &Browser, _: &str| {
            let others = "return performance.getEntriesByType('resource').map(e => e.name)
                .filter(name => !name.startsWith(location.origin + '/') && !name.startsWith('data:') && !name.startsWith('blob:'))";
            foreign.extend(browser.run(others).await.as_array().cloned().unwrap_or_default());
        })
        .await;
        assert!(foreign.is_empty(), "{foreign:?}");
        let page = world.http.get(&world.base).send().await.unwrap();
        let etag = page.headers()["etag"].to_str().unwrap().to_owned();
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        let again = world.http.get(&world.base).header("If-None-Match", etag).send().await.unwrap();
        assert_eq!(again.status(), 304);
        no_complaints(&browser).await;
    })
    .await;
}
