//! A hall that was drawn by a plan gets more seats by a larger drawing, on the organizer's page; buyers see them at once.

use serde_json::{Value, json};

use crate::amending::{fill, open_all, organize, save};
use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// Rows of seats 20 apart, as the editor of pretix writes them.
fn drawing(rows: &[(&str, &str, i32, std::ops::RangeInclusive<i32>)]) -> Value {
    let mut zones: Vec<Value> = Vec::new();
    for (zone, name, y, seats) in rows {
        let category = if *zone == "Rang" { "S" } else { "R" };
        let seats: Vec<Value> = seats
            .clone()
            .map(|number| {
                json!({ "seat_guid": format!("{zone}-{name}-{number}"), "seat_number": number.to_string(),
                "position": { "x": 100 + 20 * number, "y": y }, "category": category })
            })
            .collect();
        let row = json!({ "row_number": name, "seats": seats });
        match zones.iter_mut().find(|known| known["name"] == *zone) {
            Some(known) => known["rows"].as_array_mut().unwrap().push(row),
            None => zones.push(json!({ "name": zone, "position": { "x": 0, "y": 0 }, "rows": [row] })),
        }
    }
    json!({ "name": "Haus", "size": { "width": 500, "height": 400 }, "categories": [{ "name": "R" }, { "name": "S" }], "zones": zones })
}

fn hall() -> Value {
    drawing(&[("Parkett", "A", 100, 1..=6), ("Parkett", "B", 130, 1..=6)])
}

/// A row in front, two seats more beside row B, and a balcony.
fn larger() -> Value {
    drawing(&[
        ("Parkett", "0", 70, 1..=4),
        ("Parkett", "A", 100, 1..=6),
        ("Parkett", "B", 130, 0..=7),
        ("Rang", "1", 250, 1..=5),
    ])
}

/// Gives a drawing to a field for files.
async fn attach(browser: &Browser, field: &str, directory: &tempfile::TempDir, drawing: &Value) {
    let file = directory.path().join(format!("{}.json", uuid::Uuid::new_v4()));
    std::fs::write(&file, drawing.to_string()).unwrap();
    browser.attach(field, file.to_str().unwrap()).await;
}

/// A date of `hall`, made on the page.
async fn opened(world: &World, browser: &Browser, directory: &tempfile::TempDir) -> String {
    let concert = world.concert("Growing").await;
    world.visit(browser, "admin", &format!("/organizer?concert={concert}")).await;
    open_all(browser).await;
    attach(browser, "#f-file", directory, &hall()).await;
    browser.until("document.querySelector('.preview .map')?.dataset.painted").await;
    fill(browser, "#f-starts_at", "2099-11-21T19:00").await;
    fill(browser, "#f-price-R", "9000").await;
    browser.click("form[aria-label='New date'] .primary").await;
    browser.until("document.querySelector('[data-sold]')").await;
    browser.text("new URLSearchParams(location.search).get('date')").await
}

/// Whether the map has a seat of this name: a mouse that goes over all of it finds it.
async fn is_on_the_map(browser: &Browser, label: &str) -> bool {
    let found = browser
        .run(&format!(
            "const map = document.querySelector('.map'); const canvas = map.querySelector('canvas');
             const box = canvas.getBoundingClientRect(); const tip = map.querySelector('.map-tip');
             for (let y = 4; y < box.height; y += 5) for (let x = 4; x < box.width; x += 5) {{
               canvas.dispatchEvent(new PointerEvent('pointermove', {{ bubbles: true, clientX: box.left + x, clientY: box.top + y, pointerType: 'mouse' }}));
               if (!tip.hidden && tip.textContent.includes({})) return true;
             }}
             return false;",
            json!(label)
        ))
        .await;
    found == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f54_a_drawn_hall_is_enlarged_by_a_larger_drawing_and_buyers_see_its_new_seats() {
    world::run(async |world| {
        let directory = tempfile::tempdir().unwrap();
        let organizer = world.browser("en").await;
        let date = opened(world, &organizer, &directory).await;
        let buyer = world.browser("en").await;
        world.visit(&buyer, "fan", &format!("/s/{date}")).await;
        buyer.click(".cell[data-seat='Parkett-1']").await;
        let first = "document.querySelector(\".cell[data-seat='Parkett-1']\").getAttribute('aria-label')";
        let label = buyer.text(first).await;

        organize(world, &organizer, &date).await;
        // Seats cannot be drawn away.
        attach(&organizer, "#f-larger", &directory, &drawing(&[("Parkett", "A", 100, 1..=6)])).await;
        organizer.until("[...document.querySelectorAll('.notice:not([hidden])')].some(n => n.innerText.startsWith('Parkett, row B, seat 1 and 5 more are not in this plan'))").await;
        attach(&organizer, "#f-larger", &directory, &hall()).await;
        organizer.until("[...document.querySelectorAll('.notice:not([hidden])')].some(n => n.innerText.includes('no seat that the date does not have'))").await;
        attach(&organizer, "#f-larger", &directory, &larger()).await;
        organizer.until("document.querySelector('#larger-new')?.textContent === 'New seats: Parkett 6, Rang 5.'").await;
        organizer.until("document.querySelector('.preview .map')?.dataset.painted").await;
        // Seats that the date has are shown, and not to be had here.
        organizer.click(".cell[data-seat='Parkett-1']").await;
        organizer.until("document.querySelector('#blocked-count').textContent.includes('Not for sale: 0.')").await;
        organizer.click(".cell[data-seat='Parkett-13']").await;
        organizer.until("document.querySelector('#blocked-count').textContent.includes('Not for sale: 1.')").await;
        assert_eq!(organizer.run("return document.querySelector('#f-larger-price-R')").await, Value::Null, "it has a price");
        fill(&organizer, "#f-larger-price-S", "4000").await;
        save(&organizer).await;
        let shown = world.get("admin", &format!("/v1/schedules/{date}?layout=true")).await;
        assert_eq!((&shown["total_seats"], &shown["available_seats"]), (&json!(23), &json!(22)), "{shown}");
        organizer.until("document.querySelector('[data-screen=sales]').innerText.includes('Rang')").await;

        // The page that was open: what was chosen is chosen, and the new seats are there, named and drawn.
        buyer.until("[...document.querySelector('#section-of-list').options].some(o => o.text.startsWith('Rang'))").await;
        assert_eq!(buyer.text(first).await, label);
        buyer.until("document.querySelector(\".cell[data-seat='Parkett-1'].chosen\")").await;
        let new = "document.querySelector(\".cell[data-seat='Parkett-14']\").getAttribute('aria-label')";
        assert!(buyer.text(new).await.starts_with("row 0, seat 2, R, 9,000, free"), "{}", buyer.text(new).await);
        let blocked = "document.querySelector(\".cell[data-seat='Parkett-13']\").getAttribute('aria-label')";
        assert!(buyer.text(blocked).await.contains("not for sale"), "{}", buyer.text(blocked).await);
        assert!(is_on_the_map(&buyer, "Parkett, row 0, seat 2").await, "it is drawn");
        buyer.click(".cell[data-seat='Parkett-14']").await;
        buyer.until("document.querySelectorAll('.chosen li').length === 2").await;
        buyer.until("document.querySelector('.total strong')?.textContent === '18,000'").await;
        buyer.click("[data-act=hold]").await;
        buyer.until("document.querySelector('[data-status=HELD]')").await;
        let labels = world.reservations("fan").await[0]["labels"].clone();
        assert!(labels.as_array().unwrap().contains(&json!("Parkett, row 0, seat 2")), "{labels}");
        no_complaints(&buyer).await;
        no_complaints(&organizer).await;
    })
    .await;
}
