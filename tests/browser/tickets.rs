//! Tickets on the page: what a buyer shows at the door a stranger's reader understands, on every screen and on paper.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use turnstile::plan::demo::Hall;

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// What `zbarimg` (package zbar-tools) reads in a picture. Whoever has a browser for tests has this too.
fn read_codes(picture: &[u8]) -> BTreeSet<String> {
    let file = tempfile::Builder::new().suffix(".png").tempfile().expect("a temporary file");
    std::fs::write(file.path(), picture).expect("a picture");
    let reader = Command::new("zbarimg")
        .args(["--raw", "-q", "--nodbus", "-Sdisable", "-Sqrcode.enable"])
        .arg(file.path())
        .output();
    let output = reader.expect("zbarimg is missing (package zbar-tools)");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// Two seats of a reservation that is paid: its path and their codes.
pub async fn bought(world: &World, user: &str, date: &str) -> (String, Vec<String>) {
    world.post(user, "/v1/wallet/charges", json!({ "amount": 24_000 })).await;
    let held = world.post(user, &format!("/v1/schedules/{date}/holds"), json!({ "best_available": 2 })).await;
    let id = held["result"]["reservation_id"].as_str().expect("an id").to_owned();
    world.post(user, &format!("/v1/reservations/{id}/payment"), json!({})).await;
    let list = world.get(user, &format!("/v1/reservations/{id}/tickets")).await;
    let code = |ticket: &Value| ticket["code"].as_str().expect("a code").to_owned();
    (id, list["tickets"].as_array().expect("tickets").iter().map(code).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_are_read_by_a_stranger_from_screens_and_paper_and_without_a_connection() {
    world::run(async |world| {
        let date = super::organizing::hall(world, Hall::Theater, json!({ "R": 12_000, "S": 9_000, "A": 6_000 })).await;
        let browser = world.browser("en").await;
        let (id, codes) = bought(world, "guest", &date).await;
        let codes: BTreeSet<String> = codes.into_iter().collect();
        world.visit(&browser, "guest", "/me").await;
        browser.click("[data-act=tickets]").await;
        browser.until("document.querySelectorAll('.ticket').length === 2").await;
        for (scheme, pixels, medium) in
            [("light", 1280, "screen"), ("dark", 320, "screen"), ("light", 768, "screen"), ("light", 800, "print")]
        {
            let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            browser.cdp("Emulation.setEmulatedMedia", json!({ "media": medium, "features": features })).await;
            super::access::width(&browser, pixels).await;
            assert_eq!(read_codes(&browser.picture().await), codes, "{scheme} {pixels} {medium}");
        }
        let header = browser.run("return document.querySelector('.top').checkVisibility()").await;
        assert_eq!(header, false, "paper has the tickets alone");
        // The words of the hall, section, row and seat.
        let labels = world.get("guest", &format!("/v1/reservations/{id}")).await["labels"].clone();
        let shown = browser.run("return [...document.querySelectorAll('.ticket-seat')].map(h => [...h.children].map(s => s.textContent).join(', '))").await;
        assert_eq!(shown, labels);
        no_connection(&browser, true).await;
        world.kill();
        browser.run("document.dispatchEvent(new Event('visibilitychange'))").await;
        browser.until("document.documentElement.dataset.connection === 'no_connection'").await;
        assert_eq!(read_codes(&browser.picture().await), codes, "no connection is needed");
        no_connection(&browser, false).await;
        world.start_again().await;
        no_complaints(&browser).await;
    })
    .await;
}

pub async fn no_connection(browser: &Browser, is: bool) {
    browser.cdp("Network.enable", json!({})).await;
    let conditions = json!({ "offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.cdp("Network.emulateNetworkConditions", conditions).await;
}

/// In each language, with a section's name of many bytes, which makes the largest code there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_names_have_tickets_too_and_what_is_unpaid_has_none() {
    world::run(async |world| {
        let long = "\u{1f3ad}".repeat(64);
        let date = world.date(json!({ "sections": [{ "name": long, "seats": 9, "price": 12_000 }] })).await;
        let (id, codes) = bought(world, "guest", &date).await;
        let codes: BTreeSet<String> = codes.into_iter().collect();
        for language in ["en", "ko", "ja"] {
            let browser = world.browser(language).await;
            world.visit(&browser, "guest", &format!("/t/{id}")).await;
            assert_eq!(read_codes(&browser.picture().await), codes, "{language}");
            no_complaints(&browser).await;
        }
        let browser = world.browser("en").await;
        let held = world.post("late", &format!("/v1/schedules/{date}/holds"), json!({ "best_available": 1 })).await;
        let id = held["result"]["reservation_id"].as_str().unwrap();
        world.visit(&browser, "late", &format!("/t/{id}")).await;
        browser.until("document.querySelector('.card.empty')?.innerText.includes('not paid yet')").await;
        assert_eq!(browser.run("return document.querySelectorAll('.ticket').length").await, 0);
        no_complaints(&browser).await;
    })
    .await;
}
