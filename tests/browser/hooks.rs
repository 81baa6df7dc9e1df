//! Webhooks on the operators' page: a good endpoint, one that fails and one that is disabled, and what is done about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::driver::Browser;
use crate::operating::alter;
use crate::world::{self, World, no_complaints};

/// Calls this machine, and tries again only after hours: what has failed stays as it is.
const SETTINGS: [(&str, &str); 3] =
    [("NOTIFIER__ALLOW_HTTP", "true"), ("NOTIFIER__ALLOW_PRIVATE", "127.0.0.0/8"), ("NOTIFIER__RETRY", "5h,5h,5h")];

/// Answers everything with one status.
struct Receiver {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Receiver {
    async fn start(status: &'static str) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !is_whole(&request) {
                        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    counted.fetch_add(1, Ordering::SeqCst);
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Receiver { url, asked }
    }
}

/// Head and body have come.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

fn row(name: &str) -> String {
    format!("document.querySelector(\"[data-panel=webhooks] tr[data-key='{name}']\")")
}

/// Until the row has all these texts.
async fn shows(browser: &Browser, name: &str, texts: &[&str]) {
    let all = json!(texts);
    browser.until(&format!("(row => row && {all}.every(text => row.textContent.includes(text)))({})", row(name))).await;
}

async fn press(browser: &Browser, name: &str, act: &str) {
    browser.click(&format!("[data-panel=webhooks] tr[data-key='{name}'] [data-act={act}]")).await;
}

const SECRET: &str = "document.querySelector('[data-panel=webhooks] [data-secret]')?.textContent";

async fn add(world: &World, name: &str, url: &str) {
    world.post("admin", "/v1/ops/webhooks", json!({ "name": name, "url": url, "types": ["wallet.*"] })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_on_the_page_as_they_stand_and_are_looked_after_there() {
    world::run_with(&SETTINGS, async |world| {
        let good = Receiver::start("204 No Content").await;
        let (failing, gone) = (Receiver::start("500 Oh").await, Receiver::start("410 Gone").await);
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/ops").await;
        // A new one, in the form; its secret is shown once.
        browser.click("[data-panel=webhooks] summary").await;
        browser.write("#f-name", "good").await;
        browser.write("#f-url", "ftp://a.example").await;
        browser.click("[data-panel=webhooks] details .primary").await;
        browser
            .until("document.querySelector('[data-panel=webhooks] details .notice')?.textContent.includes('/url')")
            .await;
        browser.write("#f-url", &good.url).await;
        browser.write("#f-types", "wallet.*").await;
        browser.click("[data-panel=webhooks] details .primary").await;
        let first = browser.until(&format!("{SECRET}?.startsWith('whsec_') && {SECRET}")).await;
        add(world, "failing", &failing.url).await;
        add(world, "gone", &gone.url).await;
        for name in ["good", "failing", "gone"] {
            browser.until(&format!("(row => row && !row.textContent.includes('not begun'))({})", row(name))).await;
        }
        world.post("fan", "/v1/wallet/charges", json!({ "amount": 5 })).await;
        shows(&browser, "good", &["delivering"]).await;
        browser.until(&format!("{}.children[3].textContent === '1'", row("good"))).await;
        // Behind, with the next attempt and what it answered.
        shows(&browser, "failing", &["failing", "it answered 500", "2, "]).await;
        let lag = format!("/^\\d+ s$/.test({}.children[2].textContent)", row("failing"));
        browser.until(&lag).await;
        shows(&browser, "gone", &["disabled", "it answered 410 Gone"]).await;
        // It waits for what it has not got, also while it is disabled.
        browser.until(&lag.replace("failing", "gone")).await;
        if let Ok(pictures) = std::env::var("TURNSTILE_TEST_PICTURES") {
            browser.run("document.querySelector('[data-panel=webhooks]').scrollIntoView()").await;
            std::fs::write(format!("{pictures}/ops-webhooks.png"), browser.picture().await).expect("written");
        }
        acts(&browser, &good, first.as_str().expect("a text")).await;
        no_complaints(&browser).await;
    })
    .await;
}

/// Pause, resume, test, deliver again, a new secret, removal.
async fn acts(browser: &Browser, good: &Receiver, first: &str) {
    press(browser, "good", "disable").await;
    shows(browser, "good", &["disabled", "by admin"]).await;
    press(browser, "good", "enable").await;
    shows(browser, "good", &["delivering"]).await;
    press(browser, "good", "test").await;
    browser
        .until("document.querySelector('[data-panel=webhooks] > .notice')?.textContent.includes('good answered 204')")
        .await;
    let before = good.asked.load(Ordering::SeqCst);
    press(browser, "good", "show").await;
    let open = "[data-endpoint=good]";
    browser.until(&format!("document.querySelector('{open} tr[data-key^=\"outcomes.\"]')")).await;
    let choose = format!(
        "const from = document.querySelector('{open} #f-from'); from.value = 'first'; \
         from.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    );
    browser.run(&choose).await;
    browser.click(&format!("{open} form:nth-of-type(1) .primary")).await;
    crate::until("the replay", async || {
        let asked = good.asked.load(Ordering::SeqCst);
        if asked > before { Ok(()) } else { Err(format!("{asked} calls")) }
    })
    .await;
    browser.click(&format!("{open} form:nth-of-type(2) .primary")).await;
    let second = browser.until(&format!("{SECRET} !== {} && {SECRET}", json!(first))).await;
    assert!(second.as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{second}");
    browser.click(&format!("{open} [data-act=remove]")).await;
    browser.click("dialog .danger").await;
    browser.until(&format!("!{}", row("good"))).await;
    browser.until("document.querySelector('.notes')?.textContent.includes('admin removed good')").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_an_endpoint_of_a_file_is_looked_after_on_the_page_and_changed_elsewhere() {
    world::run(async |world| {
        for name in ["filed", "ours"] {
            add(world, name, "https://127.0.0.1:9/hook").await;
        }
        let file = "/etc/turnstile/turnstile.toml";
        let statement =
            format!("update webhook set content = json_set(content, '$.declared_in', '{file}') where name = 'filed'");
        alter(world, &statement).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/ops").await;
        // Delivering again is offered of both; a new secret and removing of one alone.
        for (name, forms, removes) in [("filed", 1, 0), ("ours", 2, 1)] {
            press(&browser, name, "show").await;
            let shown = format!("document.querySelector('[data-endpoint={name}]')");
            browser.until(&shown).await;
            let count = |what: &str| format!("return {shown}.querySelectorAll('{what}').length");
            assert_eq!(browser.run(&count("form")).await, forms, "{name}");
            assert_eq!(browser.run(&count("[data-act=remove]")).await, removes, "{name}");
            let named = browser.run(&format!("return {shown}.textContent.includes('{file}')")).await;
            assert_eq!(named, name == "filed");
        }
        press(&browser, "filed", "disable").await;
        shows(&browser, "filed", &["admin"]).await;
        no_complaints(&browser).await;
    })
    .await;
}
