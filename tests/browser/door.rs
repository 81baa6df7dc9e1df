//! The door: each scan has one answer, by keys alone, by the camera, after lost answers and without a connection.

use serde_json::json;

use crate::driver::Browser;
use crate::tickets::{bought, no_connection};
use crate::world::{self, World, no_complaints};

const KEY_ENTER: &str = "\u{e007}";

async fn answer(browser: &Browser, kind: &str) -> String {
    browser.until(&format!("document.querySelector('.answer').dataset.answer === '{kind}'")).await;
    browser.text("document.querySelector('.answer').innerText").await
}

/// As a scanner does that types: the page need not be touched before.
async fn type_code(browser: &Browser, code: &str) {
    let mut keys: Vec<String> = code.chars().map(String::from).collect();
    keys.push(KEY_ENTER.to_owned());
    browser.press(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// The form that Enter sends, without the keys.
async fn scan(browser: &Browser, code: &str) {
    browser
        .run(&format!(
            "const field = document.querySelector('#code'); field.value = {}; field.form.requestSubmit()",
            json!(code)
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_admits_once_by_keys_alone_and_says_when_it_was_used() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let other = world.date(json!({ "starts_at": "2099-12-24T19:00:00Z" })).await;
        let (_, codes) = bought(world, "guest", &date).await;
        let (_, others) = bought(world, "other", &other).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "gate-1", "/door").await;
        browser.run("document.activeElement.blur()").await;
        type_code(&browser, &codes[0]).await;
        let text = answer(&browser, "admitted").await;
        assert!(text.contains("Admitted") && text.contains("seat 1") && text.contains("Sequential Nights"), "{text}");
        type_code(&browser, &codes[0]).await;
        let text = answer(&browser, "used").await;
        assert!(text.contains("First scan:") && text.contains("seats."), "{text}");
        type_code(&browser, "TS1.rubbish").await;
        answer(&browser, "invalid").await;
        // A ticket of another date is not used up by a wrong door.
        scan(&browser, &others[0]).await;
        answer(&browser, "other").await;
        browser
            .run("const p = document.querySelector('#date'); p.value = ''; p.dispatchEvent(new Event('change'))")
            .await;
        scan(&browser, &others[0]).await;
        answer(&browser, "admitted").await;
        let kinds = "[...document.querySelectorAll('.scan')].map(li => li.dataset.kind).join(' ')";
        assert_eq!(browser.text(kinds).await, "admitted other invalid used admitted");
        browser.reload().await;
        browser.until("document.querySelectorAll('.scan').length === 5").await;
        assert!(browser.text("document.querySelector('.figure').textContent").await.ends_with("door: 2"));
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_and_a_lost_connection_make_no_ticket_look_used() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let (reservation, codes) = bought(world, "guest", &date).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "gate-1", "/door").await;
        super::faults::cut_answer(&browser, "/check").await;
        scan(&browser, &codes[0]).await;
        answer(&browser, "away").await;
        browser.run("dispatchEvent(new Event('ts.retry'))").await;
        answer(&browser, "admitted").await;
        assert_eq!(browser.text("document.documentElement.dataset.cut").await, "yes");
        // Without a connection the signature is still checked; the scan goes on by itself, also after a reload.
        no_connection(&browser, true).await;
        scan(&browser, &codes[1]).await;
        let text = answer(&browser, "away").await;
        assert!(text.contains("signature is genuine"), "{text}");
        let at = codes[1].len() - 40;
        let swap = if codes[1].as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut forged = codes[1].clone();
        forged.replace_range(at..=at, swap);
        scan(&browser, &forged).await;
        browser.until("document.querySelector('.answer').innerText.includes('No key of this house')").await;
        no_connection(&browser, false).await;
        browser.reload().await;
        browser.until("[...document.querySelectorAll('.scan')].map(li => li.dataset.kind).join(' ') === 'invalid admitted admitted'").await;
        let cancel = world.http.delete(format!("{}/v1/reservations/{reservation}", world.base)).header("X-User-Id", "guest");
        let cancel = cancel.header("Prefer", "wait=30").send().await.unwrap();
        assert_eq!(cancel.status(), 409, "both seats have been entered");
        no_complaints(&browser).await;
    })
    .await;
}

/// The detector is the test's: this browser has none. The camera is the browser's own moving picture.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_camera_scans_what_comes_into_sight_once() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let (_, codes) = bought(world, "guest", &date).await;
        let browser = world.browser("ko").await;
        let detector = "globalThis.inSight = [];
            globalThis.BarcodeDetector = class {
              async detect(video) { globalThis.frames = video.videoWidth; return inSight.map(rawValue => ({ rawValue })); } };";
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": detector })).await;
        world.visit(&browser, "gate-1", "/door").await;
        browser.click("[data-act=camera]").await;
        browser.until("!document.querySelector('video').hidden").await;
        browser.run(&format!("inSight = [{}]", json!(codes[0]))).await;
        answer(&browser, "admitted").await;
        browser.run(&format!("inSight = [{}, {}]", json!(codes[0]), json!(codes[1]))).await;
        browser.until("document.querySelectorAll('.scan.admitted').length === 2").await;
        assert_eq!(browser.run("return document.querySelectorAll('.scan').length").await, 2, "in sight, scanned once");
        assert!(browser.run("return frames").await.as_i64() > Some(0));
        browser.click("[data-act=camera]").await;
        browser.until("document.querySelector('video').hidden").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_is_for_those_whose_login_says_so() {
    let settings = [("AUTH__MODE", "jwt"), ("AUTH__HS256_SECRET", "a secret of at least thirty-two bytes")];
    world::run_with(&settings, async |world: &World| {
        let browser = world.browser("en").await;
        for (roles, expected) in [("", "stranger"), ("box_office", "stranger"), ("door", "door"), ("admin", "door")] {
            browser.open(&format!("{}/door#token={}", world.base, world.token_with("kim", roles))).await;
            // Another fragment alone loads nothing.
            browser.reload().await;
            let screen = browser.until("document.querySelector('[data-screen]')?.dataset.screen").await;
            assert_eq!(screen, expected, "{roles}");
        }
        no_complaints(&browser).await;
    })
    .await;
}
