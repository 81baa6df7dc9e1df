//! Concerts with more dates than a page of a list has: whoever buys, sells or admits finds the ones to come.

use std::time::Duration;

use serde_json::{Value, json};
use turnstile::domain::{ConcertId, LogTime, ScheduleId};
use turnstile::store::sqlite::SqliteStore;
use turnstile::store::{Catalog, Schedule};

use crate::world::{self, World, no_complaints};

const MANY: usize = 60;
const DAY: Duration = Duration::from_secs(86_400);

/// Dates that were, as only time makes them: the API opens none in the past.
async fn past_dates(world: &World, concert: &str) {
    world.kill();
    let store = SqliteStore::open(&world.data_dir().join("store.db")).await.expect("the store");
    for day in 0..MANY as i64 {
        let schedule = Schedule {
            id: ScheduleId(uuid::Uuid::now_v7()),
            concert_id: ConcertId(concert.parse().expect("an id")),
            starts_at: LogTime(1_577_905_200_000 + day * 86_400_000),
            duration_ms: None,
            hold_ttl_ms: 300_000,
            max_seats_per_user: 4,
            sales_open_at: None,
            sales_close_at: None,
            queue: false,
            plan: None,
            larger_plan: None,
            created_at: LogTime(1_577_000_000_000),
        };
        store.insert_schedule(&schedule).await.expect("a date");
    }
    drop(store);
    world.start_again().await;
}

/// Dates to come, a day apart; their ids.
async fn dates_to_come(world: &World, concert: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let first = time::OffsetDateTime::from(std::time::SystemTime::now() + DAY);
    for day in 0..MANY as i64 {
        let at = (first + time::Duration::days(day)).format(&time::format_description::well_known::Rfc3339).unwrap();
        let body = json!({ "starts_at": at, "sections": [{ "name": "A", "seats": 4, "price": 1_000 }] });
        let made = world.post("admin", &format!("/v1/concerts/{concert}/schedules"), body).await;
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    ids
}

async fn shown(browser: &crate::driver::Browser, selector: &str) -> Vec<Value> {
    let script = format!(
        "return [...document.querySelectorAll('{selector}')].map(e => e.dataset.schedule ?? e.dataset.date ?? e.value)"
    );
    browser.run(&script).await.as_array().cloned().expect("a list")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_to_come_are_found_behind_sixty_that_were_by_buyers_and_staff() {
    world::run(async |world| {
        let concert = world.concert("Daily Nights").await;
        past_dates(world, &concert).await;
        let ids = dates_to_come(world, &concert).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "guest", "/").await;
        assert_eq!(shown(&browser, "[data-schedule]").await, ids[..12], "the next dozen of each concert");
        browser.click("[data-act=more]").await;
        browser.until("document.querySelectorAll('[data-schedule]').length === 24").await;
        let focused = browser.text("document.activeElement.dataset.schedule").await;
        assert_eq!(focused, ids[12], "the reader goes on where the list does");

        world.visit(&browser, "guest", &format!("/c/{concert}")).await;
        assert_eq!(shown(&browser, "[data-schedule]").await, ids[..50]);
        browser.click("[data-act=more]").await;
        browser.until("document.querySelectorAll('[data-schedule]').length === 60").await;
        assert_eq!(shown(&browser, "[data-schedule]").await, ids);
        browser.until("document.querySelector('[data-act=more]').hidden").await;

        world.visit(&browser, "admin", "/organizer?desk=minji").await;
        browser.until("document.querySelector('#desk-date')").await;
        assert_eq!(shown(&browser, "#desk-date option:not([value=\"\"])").await, ids);
        world.visit(&browser, "gate", "/door").await;
        browser.until("document.querySelector('#date')").await;
        assert_eq!(shown(&browser, "#date option:not([value=\"\"])").await, ids);

        world.visit(&browser, "admin", &format!("/organizer?concert={concert}")).await;
        assert_eq!(shown(&browser, "[data-date]").await, ids[..50]);
        browser.click("[data-act=past-dates]").await;
        browser.until("document.querySelector('[data-date] strong')?.textContent.includes('2020')").await;
        for count in [100, 120] {
            browser.click("[data-act=more]").await;
            browser.until(&format!("document.querySelectorAll('[data-date]').length === {count}")).await;
        }
        assert_eq!(shown(&browser, "[data-date]").await[MANY..], ids);
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_go_on_say_so_and_payments_are_all_listed() {
    world::run(async |world| {
        let date = world.date(json!({ "max_seats_per_user": 100 })).await;
        // A failed payment, then one that is done and one that is paid back.
        let held = world.post("fan", &format!("/v1/schedules/{date}/holds"), json!({ "seats": ["A-1"] })).await;
        let reservation = format!("/v1/reservations/{}", held["result"]["reservation_id"].as_str().unwrap());
        let refused = world.http.post(format!("{}{reservation}/payment", world.base)).header("X-User-Id", "fan");
        let refused = refused.header("Prefer", "wait=30").json(&json!({})).send().await.unwrap();
        assert_eq!(refused.status(), 402);
        for amount in 1..=25 {
            world.post("fan", "/v1/wallet/charges", json!({ "amount": 1_000 + amount })).await;
        }
        world.post("fan", &format!("{reservation}/payment"), json!({})).await;
        world.delete("fan", &reservation).await;
        for n in 1..30 {
            world.concert(&format!("Night {n}")).await;
        }
        let browser = world.browser("en").await;
        world.visit(&browser, "fan", "/me").await;
        let kinds = "[...document.querySelectorAll('[data-payment]')].map(li => li.dataset.payment).join(' ')";
        browser.until(&format!("{kinds} === 'REFUNDED FAILED'")).await;
        browser.until("document.querySelector('[data-payment=FAILED]').innerText.includes('There is not enough in your wallet')").await;
        assert_eq!(browser.run("return document.querySelectorAll('[data-list=entries] li').length").await, 20);
        browser.click("[data-list=entries] [data-act=more]").await;
        browser.until("document.querySelectorAll('[data-list=entries] li').length === 27").await;
        // Thirty concerts: the newest two dozen, then the rest.
        world.visit(&browser, "fan", "/").await;
        assert_eq!(browser.run("return document.querySelectorAll('.concert').length").await, 24);
        browser.click(".concerts > .stack > [data-act=more]").await;
        browser.until("document.querySelectorAll('.concert').length === 30").await;
        no_complaints(&browser).await;
    })
    .await;
}
