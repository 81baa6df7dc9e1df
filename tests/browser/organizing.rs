//! The organizer's page, and a date in a drawn hall as its buyers see it.

use serde_json::json;
use turnstile::plan::demo::Hall;
use turnstile::plan::{Format, write};

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// A date in a hall of the demo, opened through the API.
pub async fn hall(world: &World, hall: Hall, prices: serde_json::Value) -> String {
    let plan = serde_json::from_str(&write(&hall.plan(), Format::Turnstile)).expect("JSON");
    let plan = world.post("admin", "/v1/plans", plan).await;
    world.date(json!({ "sections": null, "plan": plan["id"], "prices": prices })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_show_is_made_from_a_plan_sold_and_canceled_on_the_page() {
    world::run(async |world| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("theater.json");
        std::fs::write(&file, write(&Hall::Theater.plan(), Format::Pretix)).unwrap();
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/organizer").await;
        browser.write("#f-title", "Sequential Nights").await;
        browser.click("form .primary").await;
        browser.until("document.querySelector('[data-screen=concert]')").await;
        browser.click("details summary").await;
        browser.attach("#f-file", file.to_str().unwrap()).await;
        browser.until("document.querySelector('.preview .map')?.dataset.painted").await;
        browser.run("document.querySelector('#f-starts_at').value = '2099-11-21T19:00'").await;
        for (category, price) in [("R", "12000"), ("S", "9000"), ("A", "6000")] {
            browser.write(&format!("#f-price-{category}"), price).await;
        }
        browser.click("details form > .actions .primary").await;
        browser.until("document.querySelector('[data-sold]')?.dataset.sold === '0'").await;
        let date = browser.text("new URLSearchParams(location.search).get('date')").await;
        let shown = world.get("admin", &format!("/v1/schedules/{date}")).await;
        assert_eq!(shown["total_seats"], 600);

        world.post("fan", "/v1/wallet/charges", json!({ "amount": 24_000 })).await;
        let held = world.post("fan", &format!("/v1/schedules/{date}/holds"), json!({ "best_available": 2 })).await;
        let path = format!("/v1/reservations/{}/payment", held["result"]["reservation_id"].as_str().unwrap());
        world.post("fan", &path, json!({})).await;
        browser.until("document.querySelector('[data-sold]')?.dataset.sold === '2'").await;
        no_complaints(&browser).await;

        browser.run("document.querySelectorAll('details').forEach(d => d.open = true)").await;
        browser.click("[data-act=cancel-show]").await;
        browser.click("dialog .danger").await;
        browser.until("document.querySelector('.notice.warn')?.innerText.includes('Paid back: 1')").await;
        assert_eq!(world.balance("fan").await, 24_000);
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admission_is_paused_and_limits_are_changed_on_the_page() {
    world::run(async |world| {
        let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
        let date = world.date(json!({ "queue": queue })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", &format!("/organizer?date={date}")).await;
        browser.click("[data-act=pause]").await;
        browser.until("document.querySelector('[data-act=pause]').textContent === 'Resume admission'").await;
        let stats = world.get("admin", &format!("/v1/schedules/{date}/queue/stats")).await;
        assert_eq!(stats["paused"], true);
        browser.write("#f-max_active", "7").await;
        browser.click("form[aria-label='Waiting queue'] .primary").await;
        browser
            .until("[...document.querySelectorAll('.notice:not([hidden])')].some(n => n.innerText.includes('Saved'))")
            .await;
        crate::until("the limit to be 7", async || {
            let stats = world.get("admin", &format!("/v1/schedules/{date}/queue/stats")).await;
            if stats["limits"]["max_active"] == 7 { Ok(()) } else { Err(stats.to_string()) }
        })
        .await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_organizer_sees_no_forms() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        world.visit(&browser, "alice", "/organizer").await;
        browser.until("document.querySelector('[data-screen=stranger]')").await;
        assert_eq!(browser.run("return document.forms.length").await, 0);
        no_complaints(&browser).await;
    })
    .await;
}

/// What the list says of a seat to those who hear it.
async fn spoken(browser: &Browser, seat: &str) -> String {
    browser.text(&format!("document.querySelector(\".cell[data-seat='{seat}']\").getAttribute('aria-label')")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a9_seats_of_a_drawn_hall_have_the_names_that_are_on_them() {
    world::run(async |world| {
        let date = hall(world, Hall::Theater, json!({ "R": 12_000, "S": 9_000, "A": 6_000 })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "guest", &format!("/s/{date}")).await;
        browser.until("document.querySelector('.cell')").await;
        let first = browser.text("document.querySelector('.cell').dataset.seat").await;
        let name = spoken(&browser, &first).await;
        assert!(name.starts_with("row A, seat 1, R, 12,000, free"), "{name}");
        // A letter goes to its row.
        browser.run("document.querySelector('.cell[tabindex=\"0\"]').focus()").await;
        browser.press(&["w"]).await;
        let focused = browser.text("document.activeElement.getAttribute('aria-label')").await;
        assert!(focused.starts_with("row W, seat 1,") && focused.contains("wheelchair place"), "{focused}");
        browser.click("[data-act=best]").await;
        browser.until("document.querySelector('[data-status=HELD]')").await;
        let held = world.reservations("guest").await;
        let labels: Vec<&str> = held[0]["labels"].as_array().unwrap().iter().filter_map(|l| l.as_str()).collect();
        let shown = browser
            .text("[...document.querySelectorAll('.tickets li')].map(li => li.innerText.trim()).join('|')")
            .await;
        assert_eq!(shown, labels.join("|"), "the page and the API call a seat the same");
        no_complaints(&browser).await;
    })
    .await;
}
