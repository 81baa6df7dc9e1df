//! S17: a server that is too busy, or that says to ask less often. The page says it, waits as told, and goes on by itself.

use serde_json::json;

use crate::driver::Browser;
use crate::world::{self, no_complaints};

/// The next requests for a path that ends so are answered like this, by status and code, before any is sent on. Notes
/// when each was made.
fn answers(ending: &str, statuses: &[(u16, &str)], retry_after: u32) -> String {
    format!(
        "const real = window.fetch;
         const left = {};
         globalThis.madeAt = [];
         window.fetch = async (path, options) => {{
           if (!String(path).split('?')[0].endsWith('{ending}')) return real(path, options);
           madeAt.push(performance.now());
           const [status, code] = left.shift() ?? [];
           if (!status) return real(path, options);
           return new Response(JSON.stringify({{ code, status, title: code, detail: 'as the test says' }}),
             {{ status, headers: {{ 'content-type': 'application/problem+json', 'retry-after': '{retry_after}' }} }});
         }};",
        json!(statuses)
    )
}

async fn before_each_page(browser: &Browser, script: &str) {
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
}

/// The shortest time between two of the requests.
async fn shortest_wait(browser: &Browser) -> f64 {
    let script = "return Math.min(...madeAt.slice(1).map((at, index) => at - madeAt[index]))";
    browser.run(script).await.as_f64().expect("milliseconds")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_a_page_that_is_refused_for_now_waits_as_told_and_loads() {
    world::run(async |world| {
        world.date(json!({})).await;
        for (status, code, bar) in [(503, "unavailable", true), (429, "rate_limited", false)] {
            let browser = world.browser("en").await;
            before_each_page(&browser, &answers("/v1/concerts", &[(status, code), (status, code)], 3)).await;
            browser.open(&format!("{}/", world.base)).await;
            browser.until("document.querySelector('main').dataset.state === 'failed'").await;
            browser.until("document.querySelector('main').innerText.includes('The page tries again by itself')").await;
            let said =
                "(e => !e.hidden && e.innerText.includes('very busy since'))(document.querySelector('.trouble'))";
            assert_eq!(browser.run(&format!("return {said}")).await, bar, "{status}");
            browser.until("document.querySelector('[data-schedule]')").await;
            browser.until("document.querySelector('.trouble').hidden").await;
            let waited = shortest_wait(&browser).await;
            assert!(waited >= 3_000.0, "{status}: asked again after {waited} ms");
            no_complaints(&browser).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_a_command_that_is_refused_for_now_says_why_and_takes_effect_once() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "patient", &format!("/s/{date}")).await;
        browser
            .run(&answers("/holds", &[(503, "overloaded"), (429, "rate_limited"), (503, "outcome_unknown")], 2))
            .await;
        browser.click("[data-act=best]").await;
        let note = "document.querySelector('.choice-card .notice:not([hidden])')?.innerText";
        browser
            .until(&format!(
                "{note}.includes('Very many requests are waiting') && {note}.includes('sent again by itself')"
            ))
            .await;
        browser.until("document.documentElement.dataset.connection === 'unavailable'").await;
        browser.until(&format!("{note}.includes('Too many requests at once')")).await;
        browser.until(&format!("{note}.includes('not known yet')")).await;
        browser.until("document.querySelector('[data-status=HELD]')").await;
        assert_eq!(browser.run("return madeAt.length").await, 4);
        let waited = shortest_wait(&browser).await;
        assert!(waited >= 2_000.0, "asked again after {waited} ms");
        assert_eq!(world.reservations("patient").await.len(), 1);
        no_complaints(&browser).await;
    })
    .await;
}
