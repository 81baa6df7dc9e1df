//! Alerts: what one tap on *Alert me* sets up, what happens at the turn, and the calendar's entry.

use serde_json::json;

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

/// The devices of a phone, each of which writes down what is asked of it. `hidden`: the page is out of sight.
fn devices(permission: &str) -> String {
    format!(
        "globalThis.asked = [];
         globalThis.hidden = false;
         Object.defineProperty(document, 'visibilityState', {{ get: () => (hidden ? 'hidden' : 'visible') }});
         const param = () => ({{ setValueAtTime() {{}}, linearRampToValueAtTime() {{}}, exponentialRampToValueAtTime() {{}} }});
         globalThis.AudioContext = class {{
           constructor() {{ this.currentTime = 0; this.destination = {{}}; }}
           async resume() {{ asked.push('sound unlocked'); }}
           createGain() {{ return {{ gain: param(), connect: (next) => next }}; }}
           createOscillator() {{ return {{ frequency: {{}}, connect: (next) => next, stop() {{}}, start() {{ asked.push('tone'); }} }}; }}
         }};
         globalThis.Notification = class {{
           static permission = 'default';
           static async requestPermission() {{ asked.push('permission'); return (Notification.permission = '{permission}'); }}
           constructor(title, options) {{ asked.push(`notification: ${{title}} / ${{options.body}}`); }}
         }};
         navigator.vibrate = (pattern) => asked.push(`vibration of ${{pattern.length}} parts`);
         Object.defineProperty(navigator, 'wakeLock', {{ value: {{ request: async (kind) => {{
           asked.push(`${{kind}} stays on`);
           return {{ release: async () => asked.push('screen may go off') }};
         }} }} }});
         globalThis.titles = [];
         addEventListener('DOMContentLoaded', () => document.head && new MutationObserver(() => titles.push(document.title))
           .observe(document.head, {{ subtree: true, childList: true, characterData: true }}));"
    )
}

/// Second in the queue of a date; the date.
async fn second(world: &World, browser: &Browser, permission: &str) -> String {
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": devices(permission) })).await;
    let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
    let date = world.date(json!({ "queue": queue })).await;
    world.post("first", &format!("/v1/schedules/{date}/queue"), json!({})).await;
    world.visit(browser, "second", &format!("/s/{date}")).await;
    browser.click(".button.primary.large").await;
    browser.until("document.querySelector('[data-ahead]')?.dataset.ahead === '0'").await;
    date
}

async fn asked(browser: &Browser) -> Vec<String> {
    serde_json::from_value(browser.run("return asked").await).expect("a list")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alert_me_tries_each_device_and_the_turn_uses_all_of_them() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        let date = second(world, &browser, "granted").await;
        assert_eq!(asked(&browser).await, Vec::<String>::new(), "nothing before the user asks for it");
        browser.click(".waiting .actions .plain").await;
        browser.until("document.querySelector('.waiting').innerText.includes('hear a sound and see a notification')").await;
        assert_eq!(asked(&browser).await, ["sound unlocked", "tone", "tone", "screen stays on", "permission"]);
        // Out of sight when the turn comes.
        browser.run("asked.length = 0; hidden = true").await;
        world.delete("first", &format!("/v1/schedules/{date}/queue")).await;
        browser.until("document.title.startsWith('▶') && document.querySelector('.choose')").await;
        let heard = asked(&browser).await;
        assert!(heard.contains(&"vibration of 5 parts".to_owned()), "{heard:?}");
        assert!(heard.contains(&"notification: It is your turn / It is your turn".to_owned()), "{heard:?}");
        // Three times two tones; the page's text changes with each second, so this looks again then.
        browser.until("asked.filter(what => what === 'tone').length === 6").await;
        // The title counts down, and takes turns with the page's own.
        browser.until("new Set(titles.filter(text => /^▶ [45]:[0-5]\\d It is your turn$/.test(text))).size >= 2").await;
        browser.until("titles.slice(titles.findIndex(text => text.startsWith('▶'))).includes('Sequential Nights · Turnstile')").await;
        // Seen: quiet again, and the screen may go off once the page is left.
        browser.run("hidden = false; document.dispatchEvent(new Event('visibilitychange'))").await;
        browser.until("document.title === 'Sequential Nights · Turnstile' && document.querySelector('link[rel=icon]').getAttribute('href') === '/web/icon.svg'").await;
        browser.click("nav a[data-link]").await;
        browser.until("document.querySelector('[data-screen=mine]')").await;
        assert!(asked(&browser).await.contains(&"screen may go off".to_owned()));
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_notifications_is_told_what_is_left() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        let date = second(world, &browser, "denied").await;
        browser.click(".waiting .actions .plain").await;
        browser
            .until("document.querySelector('.waiting').innerText.includes('This browser shows no notifications')")
            .await;
        browser.run("asked.length = 0; hidden = true").await;
        world.delete("first", &format!("/v1/schedules/{date}/queue")).await;
        browser.until("asked.includes('tone') && document.querySelector('.choose')").await;
        assert!(asked(&browser).await.iter().all(|what| !what.starts_with("notification")));
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_turn_says_until_when_and_what_comes_after_it() {
    world::run(async |world| {
        for (after, text) in [("requeue", "you go to the end of the queue"), ("expire", "your turn is over")] {
            let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100, "on_timeout": after });
            let date = world.date(json!({ "queue": queue })).await;
            let browser = world.browser("en").await;
            world.visit(&browser, "only", &format!("/s/{date}")).await;
            browser.click(".button.primary.large").await;
            browser.until(&format!("document.querySelector('.turn')?.innerText.includes('{text}')")).await;
            browser
                .until("/until \\d\\d:\\d\\d:\\d\\d \\([45]:\\d\\d\\)/.test(document.querySelector('.turn').innerText)")
                .await;
            no_complaints(&browser).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calendar_gets_what_was_bought_and_the_log_position_survives_a_reload() {
    world::run(async |world| {
        let concert = json!({ "title": "Nights, loud; late", "time_zone": "Asia/Seoul" });
        let concert = world.post("admin", "/v1/concerts", concert).await;
        let body = json!({ "starts_at": "2099-11-21T19:00:00Z", "duration": 5_400, "sections": [{ "name": "A", "seats": 9, "price": 0 }] });
        let path = format!("/v1/concerts/{}/schedules", concert["id"].as_str().unwrap());
        let date = world.post("admin", &path, body).await["id"].as_str().unwrap().to_owned();
        let browser = world.browser("en").await;
        world.visit(&browser, "guest", &format!("/s/{date}")).await;
        browser.click("[data-act=best]").await;
        browser.click("[data-act=pay]").await;
        browser.until("document.querySelector('[data-status=CONFIRMED]')").await;
        let proof = "document.querySelector('.proof').textContent";
        browser.until(&format!("/Decided at .*seats\\.\\d+\\.\\d+/.test({proof})")).await;
        let decided = browser.text(proof).await;
        let own = world.reservations("guest").await;
        let position = |part: &str| own[0]["decided"][part].clone();
        let place = format!("seats.{}.{}", position("partition"), position("offset"));
        assert!(decided.contains(&place), "{decided} has not {place}");
        browser.reload().await;
        browser.until("document.querySelector('.proof')").await;
        assert_eq!(browser.text(proof).await, decided);
        let link = "(link => decodeURIComponent(link.href.slice(link.href.indexOf(',') + 1)) + '|' + link.download)(document.querySelector('a[download]'))";
        let entry = browser.text(link).await;
        let id = own[0]["reservation_id"].as_str().unwrap();
        for line in ["BEGIN:VCALENDAR\r\n", "DTSTART:20991121T190000Z\r\n", "DTEND:20991121T203000Z\r\n",
            "SUMMARY:Nights\\, loud\\; late\r\n", "DESCRIPTION:A\\, seat 1\\nA\\, seat 2\r\n", "END:VCALENDAR|ticket.ics"] {
            assert!(entry.contains(line), "{entry} has not {line}");
        }
        assert!(entry.contains(&format!("UID:{id}\r\n")), "{entry}");
        no_complaints(&browser).await;
    })
    .await;
}
