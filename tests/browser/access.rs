//! A1, A7: nothing leaves the origin; every screen can be read and used by ear and by keys, at 320 pixels too.

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::tour;
use crate::world::{self, World, no_complaints};

/// What a checker of pages would complain about, as far as it can be said in a page: names, roles, labels, headings,
/// ids, targets, contrast of texts.
const COMPLAINTS: &str = include_str!("complaints.js");

/// Light, dark, and the colors that the user forces on all pages.
const THEMES: [(&str, &str); 3] = [("light", "none"), ("dark", "none"), ("dark", "active")];

/// A phone, a tablet, a desk.
const WIDTHS: [u32; 3] = [320, 768, 1440];

async fn theme(browser: &Browser, (scheme, forced): (&str, &str)) {
    let features =
        json!([{ "name": "prefers-color-scheme", "value": scheme }, { "name": "forced-colors", "value": forced }]);
    browser.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
}

pub async fn width(browser: &Browser, width: u32) {
    size(browser, width, 800).await;
}

async fn size(browser: &Browser, width: u32, height: u32) {
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    browser.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
}

/// axe-core, from `scripts/axe`; `None` where it is not asked for.
fn axe() -> Option<String> {
    let path = std::env::var("TURNSTILE_TEST_AXE").ok();
    let required = std::env::var("TURNSTILE_TEST_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    assert!(path.is_some() || !required, "TURNSTILE_TEST_AXE is missing: scripts/axe up; eval \"$(scripts/axe env)\"");
    path.map(|path| std::fs::read_to_string(path).expect("axe-core"))
}

/// What axe finds: rule, element, reason.
const AXE: &str = "const done = arguments[0];
    axe.run(document, { resultTypes: ['violations'] }).then(
      r => done(r.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 140)} (${n.failureSummary.slice(0, 160)})`))),
      e => done([String(e)]))";

async fn check(browser: &Browser, screen: &str, with_axe: bool, found: &mut Vec<String>) {
    let mut complaints = browser.run(COMPLAINTS).await.as_array().cloned().expect("a list");
    if with_axe {
        complaints.extend(browser.run_until_done(AXE).await.as_array().cloned().expect("a list"));
    }
    found.extend(complaints.iter().map(|complaint| format!("{screen}: {}", complaint.as_str().unwrap_or_default())));
}

/// Every screen of buyers and staff, in one language, in each theme at each width.
async fn barriers(world: &World, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let axe = axe();
    let browser = world.browser(language).await;
    if let Some(source) = &axe {
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
    }
    let mut look = async |browser: &Browser, screen: &str| {
        for (colors, pixels) in THEMES.into_iter().flat_map(|colors| WIDTHS.map(|pixels| (colors, pixels))) {
            theme(browser, colors).await;
            width(browser, pixels).await;
            let place = format!("{language} {} {} {pixels} {screen}", colors.0, colors.1);
            // A second a look: at one width.
            let with_axe = axe.is_some() && pixels == WIDTHS[1];
            check(browser, &place, with_axe, &mut found).await;
        }
    };
    tour::buyer(world, &browser, &format!("tourist-{language}"), &mut look).await;
    tour::staff(world, &browser, &format!("customer-{language}"), &mut look).await;
    no_complaints(&browser).await;
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_no_screen_has_a_barrier_in_english_in_any_theme_at_any_width() {
    world::run(async |world| assert_eq!(barriers(world, "en").await, Vec::<String>::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_no_screen_has_a_barrier_in_korean_in_any_theme_at_any_width() {
    world::run(async |world| assert_eq!(barriers(world, "ko").await, Vec::<String>::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_no_screen_has_a_barrier_in_japanese_in_any_theme_at_any_width() {
    world::run(async |world| assert_eq!(barriers(world, "ja").await, Vec::<String>::new())).await;
}

/// Pictures of each screen for the eyes of people: `TURNSTILE_TEST_PICTURES=dir cargo test --test browser pictures`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_all_screens() {
    let Ok(dir) = std::env::var("TURNSTILE_TEST_PICTURES") else { return };
    world::run(async |world| {
        for (language, colors, pixels) in [
            ("en", THEMES[0], 1440),
            ("en", THEMES[1], 768),
            ("ko", THEMES[0], 320),
            ("ja", THEMES[1], 1440),
            ("en", THEMES[2], 768),
        ] {
            let browser = world.browser(language).await;
            theme(&browser, colors).await;
            width(&browser, pixels).await;
            let user = format!("{language}{pixels}{}", colors.1);
            let mut look = async |browser: &Browser, screen: &str| {
                let theme = if colors.1 == "active" { "forced" } else { colors.0 };
                let name = format!("{dir}/{}-{language}-{theme}-{pixels}.webp", screen.replace(' ', "-"));
                // As tall as the page: what sticks to the edge of the window stands where the page ends.
                let tall = browser.run("return document.documentElement.scrollHeight").await;
                size(browser, pixels, u32::try_from(tall.as_u64().expect("pixels")).expect("a page")).await;
                std::fs::write(name, browser.small_picture().await).expect("a file");
                width(browser, pixels).await;
            };
            tour::buyer(world, &browser, &user, &mut look).await;
            tour::staff(world, &browser, &format!("customer-{user}"), &mut look).await;
        }
    })
    .await;
}

/// What is right of the screen's edge.
const TOO_WIDE: &str = "return [...document.querySelectorAll('body *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.unseen, .skip, .map, .scroll'))
    .slice(0, 3).map(e => e.outerHTML.slice(0, 120))";

/// 320 pixels, and 1280 at a zoom of 200 %. Korean and Japanese have the longest words in places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_no_screen_scrolls_both_ways_when_narrow_or_zoomed() {
    world::run(async |world| {
        let mut wide = Vec::new();
        for language in ["en", "ko", "ja"] {
            let browser = world.browser(language).await;
            let mut look = async |browser: &Browser, screen: &str| {
                for pixels in [320, 640] {
                    width(browser, pixels).await;
                    let over = browser.run(TOO_WIDE).await;
                    if over != json!([]) {
                        wide.push(format!("{language} {pixels} {screen}: {over}"));
                    }
                }
            };
            tour::buyer(world, &browser, &format!("narrow-{language}"), &mut look).await;
            tour::staff(world, &browser, &format!("narrow-customer-{language}"), &mut look).await;
        }
        assert!(wide.is_empty(), "{wide:#?}");
    })
    .await;
}

/// Titles and sections without a space, from right to left, with signs of markup; a price of 0, currencies of 0 and 3 digits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_the_oddest_names_fit_on_the_narrowest_screen() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        width(&browser, 320).await;
        let wide = "W".repeat(200);
        for (title, section, currency, price) in [
            (wide.as_str(), "S".repeat(64), "JPY", "¥12,345"),
            ("ليلة الأبواب الدوّارة مع الأوركسترا", "قاعة كبيرة".to_owned(), "KWD", "12.345"),
            ("<b>🎸 & \"quotes\"</b>", "長".repeat(64), "EUR", "€123.45"),
        ] {
            let concert = json!({ "title": title, "currency": currency, "time_zone": "Asia/Kuwait" });
            let concert = world.post("admin", "/v1/concerts", concert).await;
            let date = json!({
                "starts_at": "2099-11-21T19:00:00Z",
                "sections": [{ "name": section, "seats": 30, "price": 12_345 }, { "name": "0", "seats": 9, "price": 0 }],
            });
            let path = format!("/v1/concerts/{}/schedules", concert["id"].as_str().unwrap());
            let date = world.post("admin", &path, date).await;
            for address in ["/", &format!("/s/{}", date["id"].as_str().unwrap())] {
                world.visit(&browser, "narrow", address).await;
                assert_eq!(browser.run(TOO_WIDE).await, json!([]), "{title} {address}");
            }
            assert_eq!(browser.text("document.querySelector('h1').textContent").await, title);
            let prices = browser.text("document.querySelector('.prices').innerText").await;
            assert!(prices.contains(price) && prices.contains("free of charge"), "{prices}");
            // Of the zone of the venue, which is not this machine's.
            let when = browser.text("document.querySelector('.date-title .muted').textContent").await;
            assert!(when.contains("10:00") && when.ends_with("GMT+3"), "{when}");
        }
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_nothing_leaves_the_origin_and_pages_are_asked_for_once() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        let mut foreign: Vec<Value> = Vec::new();
        tour::buyer(world, &browser, "origin", async |browser: &Browser, _: &str| {
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
