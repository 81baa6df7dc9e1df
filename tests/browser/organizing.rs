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
        browser.write("#f-currency", "EUR").await;
        browser.write("#f-time_zone", "America/New_York").await;
        browser.click("form .primary").await;
        browser.until("document.querySelector('[data-screen=concert]')").await;
        browser.click("details summary").await;
        let wrong = directory.path().join("wrong.csv");
        std::fs::write(&wrong, "section,row,seat,category\nStalls,A,1,R\nStalls,A,1,R\n").unwrap();
        browser.attach("#f-file", wrong.to_str().unwrap()).await;
        browser.until("document.querySelector('.notice.warn:not([hidden])')?.innerText.startsWith('line 3: ')").await;
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
        // As the clocks of the venue show it, wherever the organizer is.
        assert_eq!(shown["starts_at"], "2099-11-22T00:00:00.000Z");
        browser.until("document.querySelector('h1').textContent.includes('7:00')").await;
        browser.until("document.querySelector('.sales').innerText.includes('€120.00')").await;

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
        let badge = browser.run("const {innerText, dataset} = document.querySelector('.badge[data-since]'); return [innerText, dataset.since]").await;
        assert_eq!(badge[1], stats["paused_since"]);
        assert!(badge[0].as_str().is_some_and(|text| text.starts_with("paused since ")), "{badge}");
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

/// Also in the night when clocks are changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_entered_as_the_clocks_of_the_venue_show_them() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/organizer").await;
        for (zone, entered, instant, shown) in [
            ("Europe/Berlin", "2027-07-01T20:00", "2027-07-01T18:00:00.000Z", "2027-07-01T20:00"),
            // Skipped: an hour later. Twice: the first.
            ("Europe/Berlin", "2027-03-28T02:30", "2027-03-28T01:30:00.000Z", "2027-03-28T03:30"),
            ("Europe/Berlin", "2027-10-31T02:30", "2027-10-31T00:30:00.000Z", "2027-10-31T02:30"),
            ("America/New_York", "2027-03-13T23:30", "2027-03-14T04:30:00.000Z", "2027-03-13T23:30"),
            ("Asia/Kathmandu", "2027-01-01T00:00", "2026-12-31T18:15:00.000Z", "2027-01-01T00:00"),
            ("Asia/Seoul", "2026-12-31T23:59", "2026-12-31T14:59:00.000Z", "2026-12-31T23:59"),
        ] {
            let script = format!(
                "const done = arguments[0]; import('/web/js/organizer/forms.js').then(({{ instant, local }}) => {{
                   const at = instant('{entered}', '{zone}'); done([at, local(at, '{zone}')]); }})"
            );
            assert_eq!(browser.run_until_done(&script).await, json!([instant, shown]), "{zone} {entered}");
        }
        no_complaints(&browser).await;
    })
    .await;
}
