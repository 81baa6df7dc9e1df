//! Headless Chromium by chromedriver: the few WebDriver calls that the tests need, over the HTTP client that is there.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// For a debug build beside compilers.
const WITHIN: Duration = Duration::from_secs(60);
/// The key of a WebDriver element reference.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser with a profile of its own; gone when dropped.
pub struct Browser {
    http: reqwest::Client,
    session: String,
    driver: Child,
}

/// Whether there is a browser; whether that is a failure the environment says.
pub fn is_there() -> bool {
    let found = Command::new("chromedriver").arg("--version").stdout(Stdio::null()).status().is_ok();
    let required = std::env::var("TURNSTILE_TEST_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    assert!(found || !required, "chromedriver is missing (package chromium-driver)");
    found
}

impl Browser {
    pub async fn start(language: &str, width: u32, height: u32) -> Browser {
        Self::start_with(language, width, height, &[]).await
    }

    /// One that lets pages keep nothing: no cookies, no storage, no locks.
    pub async fn forgetful() -> Browser {
        Self::start_with("en", 1280, 900, &[("profile.default_content_setting_values.cookies", 2)]).await
    }

    async fn start_with(language: &str, width: u32, height: u32, preferences: &[(&str, i32)]) -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts");
        let port = port_of(&mut driver);
        let http = reqwest::Client::builder().timeout(WITHIN + WITHIN).build().expect("an HTTP client");
        let mut options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--force-prefers-reduced-motion", "--autoplay-policy=no-user-gesture-required",
                // A moving picture for a camera, and no question.
                "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                format!("--window-size={width},{height}"), format!("--lang={language}"),
            ],
            "prefs": { "intl.accept_languages": language },
        });
        preferences.iter().for_each(|(name, value)| options["prefs"][*name] = json!(value));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "script": WITHIN.as_millis() as u64, "pageLoad": WITHIN.as_millis() as u64 },
        } } });
        let base = format!("http://127.0.0.1:{port}/session");
        let answer = http.post(&base).json(&capabilities).send().await.expect("chromedriver answers");
        let body: Value = answer.json().await.expect("JSON");
        let id = body["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {body}"));
        Browser { session: format!("{base}/{id}"), http, driver }
    }

    /// A WebDriver call; `Err`: what it says went wrong.
    async fn call(&self, path: &str, body: Option<Value>) -> Result<Value, String> {
        let url = format!("{}/{path}", self.session);
        let request = body.map_or_else(|| self.http.get(&url), |body| self.http.post(&url).json(&body));
        let answer = request.send().await.map_err(|error| format!("{path}: {error:?}"))?;
        let ok = answer.status().is_success();
        let body: Value = answer.json().await.map_err(|error| format!("{path}: {error:?}"))?;
        if ok { Ok(body["value"].clone()) } else { Err(format!("{path}: {}", body["value"]["message"])) }
    }

    async fn must(&self, path: &str, body: Value) -> Value {
        self.call(path, Some(body)).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn open(&self, url: &str) {
        self.must("url", json!({ "url": url })).await;
    }

    pub async fn reload(&self) {
        self.must("refresh", json!({})).await;
    }

    pub async fn back(&self) {
        self.must("back", json!({})).await;
    }

    /// Opens a further tab and goes to it.
    pub async fn new_tab(&self) -> String {
        let tab = self.must("window/new", json!({ "type": "tab" })).await;
        let handle = tab["handle"].as_str().expect("a tab").to_owned();
        self.switch_to(&handle).await;
        handle
    }

    pub async fn tab(&self) -> String {
        self.call("window", None).await.expect("a tab").as_str().expect("a handle").to_owned()
    }

    pub async fn switch_to(&self, handle: &str) {
        self.must("window", json!({ "handle": handle })).await;
    }

    /// Closes this tab; another one must be switched to.
    pub async fn close_tab(&self) {
        let url = format!("{}/window", self.session);
        self.http.delete(url).send().await.expect("a tab that closes");
    }

    /// Runs a script's body; what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.must("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Runs a script's body that calls `arguments[0]` with its result.
    pub async fn run_until_done(&self, script: &str) -> Value {
        self.must("execute/async", json!({ "script": script, "args": [] })).await
    }

    pub async fn text(&self, script: &str) -> String {
        self.run(&format!("return String({script})")).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is truthy, looking at every change of the document; its value.
    pub async fn until(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0];
             const look = () => {{ try {{ return ({expression}); }} catch {{ return null; }} }};
             const now = look();
             if (now) return done(now);
             const eye = new MutationObserver(() => {{ const value = look(); if (value) {{ eye.disconnect(); done(value); }} }});
             eye.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});"
        );
        let began = Instant::now();
        loop {
            match self.call("execute/async", Some(json!({ "script": script, "args": [] }))).await {
                Ok(value) => return value,
                // The page went away under the script: the next one may have it.
                Err(error) if error.contains("unloaded") || error.contains("navigat") || error.contains("detached") => {
                    assert!(began.elapsed() < WITHIN, "waited in vain for {expression}: {error}");
                }
                Err(error) => {
                    let kept = self.text("JSON.stringify(Object.entries(localStorage))").await;
                    let text = self.text("document.body.innerText").await;
                    panic!("waited in vain for {expression}: {error}\nkept: {kept}\n--- the page ---\n{text}");
                }
            }
        }
    }

    async fn find(&self, css: &str) -> String {
        self.until(&format!("document.querySelector({})", json!(css))).await;
        let found = self.must("element", json!({ "using": "css selector", "value": css })).await;
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// Clicks as a user does: scrolled into view, and only if nothing covers it.
    pub async fn click(&self, css: &str) {
        self.until(&format!("(e => e && !e.disabled)(document.querySelector({}))", json!(css))).await;
        let id = self.find(css).await;
        self.must(&format!("element/{id}/click"), json!({})).await;
    }

    pub async fn write(&self, css: &str, text: &str) {
        let id = self.find(css).await;
        self.must(&format!("element/{id}/clear"), json!({})).await;
        self.must(&format!("element/{id}/value"), json!({ "text": text })).await;
    }

    /// Gives a file to a field for files.
    pub async fn attach(&self, css: &str, path: &str) {
        let id = self.find(css).await;
        self.must(&format!("element/{id}/value"), json!({ "text": path })).await;
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: &[&str]) {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|key| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })])
            .collect();
        self.must("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] })).await;
    }

    pub async fn cdp(&self, method: &str, params: Value) -> Value {
        self.must("goog/cdp/execute", json!({ "cmd": method, "params": params })).await
    }

    /// What the console has said since it was last asked: level, text.
    pub async fn console(&self) -> Vec<(String, String)> {
        let entries = self.must("se/log", json!({ "type": "browser" })).await;
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| (text(entry, "level"), text(entry, "message"))).collect()
    }

    /// A PNG of the whole page.
    pub async fn picture(&self) -> Vec<u8> {
        self.captured(json!({ "format": "png", "captureBeyondViewport": true })).await
    }

    /// The same for documents, small: a WebP.
    pub async fn small_picture(&self) -> Vec<u8> {
        self.captured(json!({ "format": "webp", "quality": 70, "captureBeyondViewport": true })).await
    }

    async fn captured(&self, how: Value) -> Vec<u8> {
        let shot = self.cdp("Page.captureScreenshot", how).await;
        BASE64_STANDARD.decode(shot["data"].as_str().unwrap_or_default()).expect("a picture")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser's processes are of the driver's group.
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
    }
}

fn port_of(driver: &mut Child) -> u16 {
    let lines = BufReader::new(driver.stdout.take().expect("stdout is piped")).lines();
    for line in lines.map_while(Result::ok) {
        if let Some((_, port)) = line.split_once("successfully on port ") {
            return port.trim_end_matches('.').parse().expect("a port");
        }
    }
    panic!("chromedriver never said where it listens");
}
