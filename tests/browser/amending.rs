//! The organizer's way from an amendment to what buyers see, on the pages alone; and everything that their forms can say.

use serde_json::{Value, json};
use turnstile::plan::demo::Hall;
use turnstile::plan::{Format, write};

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

pub async fn organize(world: &World, browser: &Browser, date: &str) {
    world.visit(browser, "admin", &format!("/organizer?date={date}")).await;
    open_all(browser).await;
}

pub async fn open_all(browser: &Browser) {
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)").await;
}

pub async fn fill(browser: &Browser, field: &str, value: &str) {
    let script = format!(
        "const f = document.querySelector({}); f.value = {}; f.dispatchEvent(new Event('change', {{ bubbles: true }}))",
        json!(field),
        json!(value)
    );
    browser.until(&format!("document.querySelector({})", json!(field))).await;
    browser.run(&script).await;
}

/// Sends the form for amending, and waits until the page shows the date anew.
pub async fn save(browser: &Browser) {
    browser.run("document.querySelector('[data-screen=sales]').dataset.old = 'yes'").await;
    browser.click("form[aria-label='Change times and prices'] .primary").await;
    browser.until("(e => e && !e.dataset.old)(document.querySelector('[data-screen=sales]'))").await;
    open_all(browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_organizer_changes_the_buyers_page_follows() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let buyer = world.browser("en").await;
        world.visit(&buyer, "guest", &format!("/s/{date}")).await;
        buyer.until("document.querySelector('.prices')?.innerText.includes('12,000')").await;
        let organizer = world.browser("en").await;
        organize(world, &organizer, &date).await;
        organizer.until("document.querySelector('[data-sale=open]')").await;

        fill(&organizer, "#f-starts_at", "2098-12-24T18:30").await;
        organizer.write("#f-price-A", "13500").await;
        save(&organizer).await;
        let shown = world.get("guest", &format!("/v1/schedules/{date}")).await;
        assert_eq!(shown["sections"][0]["price"], 13_500);
        assert!(shown["starts_at"].as_str() < Some("2099"), "{shown}");
        // A page that was open: the new price, and what the seat costs once it is chosen.
        buyer.until("document.querySelector('.prices').innerText.includes('13,500')").await;
        buyer.click(".cell[data-seat='A-1']").await;
        buyer.until("document.querySelector('.total strong')?.textContent === '13,500'").await;
        buyer.reload().await;
        buyer.until("document.querySelector('.date-title .muted')?.textContent.includes('December 24, 2098')").await;

        organizer.click("[data-act=close-sales]").await;
        organizer.until("document.querySelector('[data-sale=closed]')").await;
        buyer.until("document.querySelector('.date-page').dataset.screen === 'ended'").await;
        organizer.click("details:not([open]) summary").await;
        organizer.click("[data-act=open-sales]").await;
        organizer.until("document.querySelector('[data-sale=open]')").await;
        buyer.until("document.querySelector('.date-page').dataset.screen === 'choose'").await;
        buyer.click("[data-act=best]").await;
        buyer.until("document.querySelector('[data-status=HELD]')").await;
        assert_eq!(world.reservations("guest").await[0]["amount"], 27_000);
        no_complaints(&buyer).await;
        no_complaints(&organizer).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_are_appended_sections_added_and_seats_taken_out_of_the_sale() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        organize(world, &browser, &date).await;
        fill(&browser, "#f-section", "A").await;
        fill(&browser, "#f-seats", "50").await;
        fill(&browser, "#f-not_for_sale", "1-3, 45").await;
        fill(&browser, "#f-new_sections", "Box 1 6 20000\nC 10 3000").await;
        browser.write("#f-price-A", "14000").await;
        save(&browser).await;
        let shown = world.get("admin", &format!("/v1/schedules/{date}?layout=true")).await;
        let names: Vec<&Value> = shown["sections"].as_array().unwrap().iter().map(|section| &section["name"]).collect();
        assert_eq!(names, ["A", "B", "Box 1", "C"]);
        assert_eq!(shown["total_seats"], 126);
        let layout = &shown["sections"][0]["layout"];
        assert_eq!(layout["runs"], json!([[1, 40], [41, 10]]));
        assert_eq!(layout["not_for_sale"], json!([[1, 3], [45, 1]]));
        assert_eq!((&shown["sections"][0]["price"], &shown["sections"][2]["price"]), (&json!(14_000), &json!(20_000)));
        assert!(world.get("admin", &format!("/v1/schedules/{date}")).await["sections"][0].get("layout").is_none());
        // Back on sale; and once more appended, behind what was.
        fill(&browser, "#f-section", "A").await;
        browser.until("document.querySelector('#f-not_for_sale')?.value === '1-3, 45'").await;
        fill(&browser, "#f-not_for_sale", "").await;
        fill(&browser, "#f-seats", "52").await;
        save(&browser).await;
        let layout = world.get("admin", &format!("/v1/schedules/{date}?layout=true")).await["sections"][0]["layout"].clone();
        assert_eq!((&layout["runs"], &layout["not_for_sale"]), (&json!([[1, 40], [41, 10], [51, 2]]), &json!([])));
        // What cannot be read is said, and changes nothing.
        fill(&browser, "#f-section", "B").await;
        fill(&browser, "#f-not_for_sale", "4-2").await;
        browser.click("form[aria-label='Change times and prices'] .primary").await;
        browser.until("[...document.querySelectorAll('.notice:not([hidden])')].some(n => n.innerText.includes('Seats not for sale: Line 1 cannot be read: 4-2'))").await;
        // Buyers find them.
        world.visit(&browser, "guest", &format!("/s/{date}")).await;
        browser.until("[...document.querySelector('#section-of-list').options].some(o => o.text.startsWith('Box 1 (6'))").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_about_a_new_date_can_be_said_on_the_page() {
    world::run(async |world| {
        let concert = world.concert("Everything").await;
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", &format!("/organizer?concert={concert}")).await;
        open_all(&browser).await;
        for (field, value) in [
            ("#f-starts_at", "2099-11-21T19:00"),
            ("#f-sales_open_at", "2026-01-01T10:00"),
            ("#f-sales_close_at", "2099-11-21T18:00"),
            ("#f-companions_free_at", "2099-11-20T10:00"),
            ("#f-sections", "A 10 5000\nA 2 7 9000"),
            ("#f-blocked", "A 1-2, 9\nA 2 7"),
            ("#f-on_timeout", "expire"),
            ("#f-claim_after", "45"),
            ("#f-abandon_after", "120"),
            ("#f-absent_max", "30"),
        ] {
            fill(&browser, field, value).await;
        }
        browser.run("document.querySelector('[name=queue]').checked = true").await;
        browser.click("form[aria-label='New date'] .primary").await;
        browser.until("document.querySelector('[data-sold]')").await;
        let date = browser.text("new URLSearchParams(location.search).get('date')").await;
        let shown = world.get("admin", &format!("/v1/schedules/{date}?layout=true")).await;
        for (time, day) in
            [("sales_open_at", "2026-01-0"), ("sales_close_at", "2099-11-2"), ("companions_free_at", "2099-11-")]
        {
            assert!(shown[time].as_str().is_some_and(|text| text.starts_with(day)), "{time}: {shown}");
        }
        let blocked: Vec<(&Value, &Value)> = shown["sections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|section| (&section["name"], &section["layout"]["not_for_sale"]))
            .collect();
        assert_eq!(blocked, [(&json!("A"), &json!([[1, 2], [9, 1]])), (&json!("A 2"), &json!([[7, 1]]))]);
        let limits = world.get("admin", &format!("/v1/schedules/{date}/queue/stats")).await["limits"].clone();
        for (limit, value) in [
            ("claim_after_seconds", json!(45)),
            ("abandon_after_seconds", json!(120)),
            ("absent_max_seconds", json!(1_800)),
            ("on_timeout", json!("expire")),
        ] {
            assert_eq!(limits[limit], value, "{limit}: {limits}");
        }
        no_complaints(&browser).await;
    })
    .await;
}

/// By the guids of the plan's file, and by those that a plan without guids implies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_of_a_plan_are_taken_out_of_the_sale_on_its_map_and_in_its_list() {
    world::run(async |world| {
        for format in [Format::Pretix, Format::Turnstile] {
            let concert = world.concert("Drawn").await;
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("theater.json");
            std::fs::write(&file, write(&Hall::Theater.plan(), format)).unwrap();
            let browser = world.browser("en").await;
            world.visit(&browser, "admin", &format!("/organizer?concert={concert}")).await;
            open_all(&browser).await;
            browser.attach("#f-file", file.to_str().unwrap()).await;
            browser.until("document.querySelector('.preview .map')?.dataset.painted").await;
            fill(&browser, "#f-starts_at", "2099-11-21T19:00").await;
            let seats: Vec<String> = serde_json::from_value(
                browser
                    .run("return [...document.querySelectorAll('.cell.free')].slice(0, 3).map(c => c.dataset.seat)")
                    .await,
            )
            .unwrap();
            for seat in &seats {
                browser.click(&format!(".cell[data-seat='{seat}']")).await;
            }
            // The third comes back.
            browser.until("document.querySelector('#blocked-count').textContent.includes('Not for sale: 3.')").await;
            browser.click(&format!(".cell[data-seat='{}']", seats[2])).await;
            browser.until("document.querySelector('#blocked-count').textContent.includes('Not for sale: 2.')").await;
            browser.click("form[aria-label='New date'] .primary").await;
            browser.until("document.querySelector('[data-sold]')").await;
            let date = browser.text("new URLSearchParams(location.search).get('date')").await;
            let blocked = world.get("admin", &format!("/v1/schedules/{date}/seats?status=NOT_FOR_SALE")).await;
            let blocked: Vec<&str> =
                blocked["seats"].as_array().unwrap().iter().filter_map(|seat| seat["seat"].as_str()).collect();
            assert_eq!(blocked, seats[..2]);
            no_complaints(&browser).await;
        }
    })
    .await;
}
