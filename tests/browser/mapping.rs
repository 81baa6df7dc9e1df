//! The map: sections from afar, and everything it does by keys.

use serde_json::{Value, json};
use turnstile::plan::demo::Hall;

use crate::driver::Browser;
use crate::organizing::hall;
use crate::world::{self, no_complaints};

const KEY_TAB: &str = "\u{e004}";
const KEY_RIGHT: &str = "\u{e014}";

/// Texts that the map paints.
const PAINTED: &str = "globalThis.texts = [];
    const fillText = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) { texts.push(text); return fillText.call(this, text, ...rest); };";

async fn picture(browser: &Browser) -> String {
    browser.text("document.querySelector('.map-canvas').toDataURL()").await
}

/// Presses a key, and waits for the picture after it.
async fn press(browser: &Browser, key: &str) {
    let painted = browser.text("document.querySelector('.map').dataset.painted").await;
    browser.press(&[key]).await;
    browser.until(&format!("document.querySelector('.map').dataset.painted !== '{painted}'")).await;
}

/// Zooms until seats can be told apart, or no longer.
async fn until_level(browser: &Browser, key: &str, level: &str) {
    for _ in 0..10 {
        press(browser, key).await;
        if browser.text("document.querySelector('.map').dataset.level").await == level {
            return;
        }
    }
    panic!("{key} never led to level {level}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hall_from_afar_says_how_many_seats_each_section_has_left_and_moves_by_keys() {
    world::run(async |world| {
        let plan = Hall::Stadium.plan();
        let prices: serde_json::Map<String, Value> =
            plan.categories().iter().map(|category| (category.name.clone(), json!(5_000))).collect();
        let date = hall(world, Hall::Stadium, prices.into()).await;
        let browser = world.browser("en").await;
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": PAINTED })).await;
        world.visit(&browser, "fan", &format!("/s/{date}")).await;
        browser.until("document.querySelector('.map')?.dataset.level === '1'").await;
        let sections = world.get("fan", &format!("/v1/schedules/{date}")).await["sections"].clone();
        let first = &sections[0];
        let (name, free) = (first["name"].as_str().unwrap(), first["available_seats"].as_u64().unwrap());
        let written =
            |free: u64| if free < 1_000 { free.to_string() } else { format!("{},{:03}", free / 1_000, free % 1_000) };
        browser.until(&format!("texts.includes('{}')", written(free))).await;
        browser.run("texts.length = 0").await;
        world
            .post("other", &format!("/v1/schedules/{date}/holds"), json!({ "best_available": 4, "section": name }))
            .await;
        browser.until(&format!("texts.includes('{}')", written(free - 4))).await;

        // By keys: Tab leads to the map.
        browser.run("document.querySelector('h1').focus()").await;
        for _ in 0..20 {
            browser.press(&[KEY_TAB]).await;
            if browser.run("return document.activeElement.matches('.map-hand')").await == true {
                break;
            }
        }
        assert_eq!(browser.text("document.activeElement.getAttribute('role')").await, "application");
        // Painted anew: seats that were painted one by one leave traces of the old ones at their edges.
        press(&browser, "0").await;
        let whole = picture(&browser).await;
        press(&browser, KEY_RIGHT).await;
        assert_ne!(picture(&browser).await, whole, "an arrow moves it");
        press(&browser, "0").await;
        assert_eq!(picture(&browser).await, whole, "0 shows all of it");
        until_level(&browser, "+", "2").await;
        until_level(&browser, "-", "1").await;
        no_complaints(&browser).await;
    })
    .await;
}
