//! S5, S6, S16 and the ends of a sale: what the page says when nothing can be bought, and that it finds out by itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

fn queue(max_active: u32) -> Value {
    json!({ "max_active": max_active, "active_ttl_seconds": 300, "max_waiting": 200_000, "abandon_after_seconds": 12 })
}

async fn join(world: &World, user: &str, date: &str) {
    world.post(user, &format!("/v1/schedules/{date}/queue"), json!({})).await;
}

/// Waits on the page of a date, behind whoever joined before.
async fn waiting(world: &World, browser: &Browser, user: &str, date: &str) {
    world.visit(browser, user, &format!("/s/{date}")).await;
    browser.click(".button.primary.large").await;
    browser.until("document.querySelector('[data-ahead]')").await;
}

async fn note(browser: &Browser, text: &str) {
    browser
        .until(&format!("document.querySelector('.waiting .notice:not([hidden])')?.innerText.includes('{text}')"))
        .await;
}

/// Buys at the box office, so that no queue stands before it.
async fn sell(world: &World, date: &str, customer: &str, choice: Value) {
    let mut body = choice;
    body["user_id"] = json!(customer);
    let held = world.post("admin", &format!("/v1/schedules/{date}/holds"), body).await;
    let id = held["result"]["reservation_id"].as_str().expect("an id").to_owned();
    let charge = json!({ "amount": held["result"]["amount"], "user_id": customer });
    world.post("admin", "/v1/wallet/charges", charge).await;
    world.post("admin", &format!("/v1/reservations/{id}/payment"), json!({ "user_id": customer })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_reads_what_is_left_by_category_and_when_admission_pauses() {
    world::run(async |world| {
        let sections =
            json!([{ "name": "R", "seats": 4, "price": 12_000 }, { "name": "S", "seats": 60, "price": 9_000 }]);
        let date = world.date(json!({ "queue": queue(1), "sections": sections, "max_seats_per_user": 10 })).await;
        join(world, "first", &date).await;
        let browser = world.browser("en").await;
        waiting(world, &browser, "second", &date).await;
        let prices = "document.querySelector('.prices').innerText";
        browser.until(&format!("{prices}.includes('4 of 4 left') && {prices}.includes('60 of 60 left')")).await;
        sell(world, &date, "early", json!({ "seats": ["R-1", "R-2", "R-3", "S-1"] })).await;
        browser.until(&format!("{prices}.includes('1 of 4 left') && {prices}.includes('59 of 60 left')")).await;
        sell(world, &date, "early", json!({ "seats": ["R-4"] })).await;
        browser.until(&format!("{prices}.includes('none left')")).await;
        browser.until("document.querySelector('.notice.warn')?.innerText.includes('R is gone for now')").await;

        world.patch(&format!("/v1/schedules/{date}/queue"), json!({ "paused": true })).await;
        note(&browser, "paused admission").await;
        let stats = world.get("admin", &format!("/v1/schedules/{date}/queue/stats")).await;
        let time = browser.run(&format!("return new Date({}).toTimeString().slice(0, 5)", stats["paused_since"])).await;
        let time = time.as_str().expect("a time");
        note(
            &browser,
            &format!("The organizer has paused admission since {time}. Nobody is let in; nobody loses a place."),
        )
        .await;
        for (language, text) in [
            ("ko", format!("주최자가 {time}부터 입장을 잠시 멈췄습니다.")),
            ("ja", format!("主催者が{time}から入場を一時停止しています。")),
        ] {
            let other = world.browser(language).await;
            world.visit(&other, "second", &format!("/s/{date}")).await;
            note(&other, &text).await;
            no_complaints(&other).await;
        }
        world.patch(&format!("/v1/schedules/{date}/queue"), json!({ "paused": false })).await;
        browser.until("!document.querySelector('.waiting').innerText.includes('paused')").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f53_who_waits_hears_that_all_is_held_then_sold_and_of_a_seat_that_comes_back() {
    world::run(async |world| {
        let sections = json!([{ "name": "A", "seats": 2, "price": 12_000 }]);
        let date = world.date(json!({ "queue": queue(1), "sections": sections })).await;
        join(world, "first", &date).await;
        let browser = world.browser("en").await;
        waiting(world, &browser, "second", &date).await;
        let hold = json!({ "seats": ["A-1", "A-2"], "user_id": "early" });
        let held = world.post("admin", &format!("/v1/schedules/{date}/holds"), hold).await;
        note(&browser, "All seats are held").await;
        let reservation = format!("/v1/reservations/{}", held["result"]["reservation_id"].as_str().unwrap());
        world.post("admin", "/v1/wallet/charges", json!({ "amount": 24_000, "user_id": "early" })).await;
        world.post("admin", &format!("{reservation}/payment"), json!({ "user_id": "early" })).await;
        note(&browser, "Everything is sold").await;
        // Who comes now is told so, too.
        let late = world.browser("en").await;
        world.visit(&late, "late", &format!("/s/{date}")).await;
        late.until("document.querySelector('.date-page').innerText.includes('Sold out')").await;
        no_complaints(&late).await;
        world.delete("admin", &format!("{reservation}?user_id=early")).await;
        world.delete("first", &format!("/v1/schedules/{date}/queue")).await;
        browser.until("document.querySelector('.choose')?.dataset.free === '2'").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_that_sells_out_ends_or_is_canceled_says_so_without_a_reload() {
    world::run(async |world| {
        let sections = json!([{ "name": "A", "seats": 2, "price": 12_000 }]);
        let date = world.date(json!({ "sections": sections })).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "guest", &format!("/s/{date}")).await;
        browser.until("document.querySelector('.choose')?.dataset.free === '2'").await;
        sell(world, &date, "early", json!({ "seats": ["A-1"] })).await;
        world.post("other", &format!("/v1/schedules/{date}/holds"), json!({ "seats": ["A-2"] })).await;
        // This page saw the last seat go.
        browser.until("/^Sold out since \\d\\d:\\d\\d:\\d\\d\\. 1 seat is held and not yet paid: it may come back\\.$/.test(document.querySelector('.live').innerText)").await;
        let late = world.browser("en").await;
        world.visit(&late, "late", &format!("/s/{date}")).await;
        late.until("document.querySelector('.live')?.innerText.startsWith('Sold out at the moment. 1 seat')").await;
        drop(late);
        browser.click("[data-act=best]").await;
        browser.until("document.querySelector('.notice.warn')?.innerText.includes('not that many free seats')").await;
        let soon = time::OffsetDateTime::from(std::time::SystemTime::now() + Duration::from_secs(2));
        let soon = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
        world.patch(&format!("/v1/schedules/{date}"), json!({ "sales_close_at": soon })).await;
        browser.until("document.querySelector('.date-page').dataset.screen === 'ended'").await;
        browser.until("document.querySelector('.stage').innerText.includes('Sales for this date are over')").await;
        world.delete("admin", &format!("/v1/schedules/{date}")).await;
        browser.until("document.querySelector('.stage').innerText.includes('This date was canceled')").await;
        // Whoever bought has the money back, and no ticket.
        let own = world.reservations("early").await;
        world.visit(&browser, "early", &format!("/s/{date}?r={}", own[0]["reservation_id"].as_str().unwrap())).await;
        browser.until("document.querySelector('[data-status=REFUNDED]')").await;
        no_complaints(&browser).await;
    })
    .await;
}
