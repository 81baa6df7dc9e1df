//! One test: a server with a date on sale, a browser, and what holds for every page at its end.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::{FutureExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::sync::Mutex as AsyncMutex;

use crate::driver::{Browser, is_there};
use crate::server::Server;

/// Browsers are heavy: one test at a time.
static TURN: AsyncMutex<()> = AsyncMutex::const_new(());

pub struct World {
    server: Mutex<Server>,
    env: Vec<(String, String)>,
    data: TempDir,
    pub http: reqwest::Client,
    pub base: String,
    /// Signs logins; dev mode has none.
    secret: Option<String>,
}

/// Runs a test if there is a browser.
pub async fn run(test: impl AsyncFnOnce(&World)) {
    run_with(&[], test).await;
}

/// The same with further settings of the server.
pub async fn run_with(settings: &[(&str, &str)], test: impl AsyncFnOnce(&World)) {
    if !is_there() {
        println!("skipped: there is no chromedriver");
        return;
    }
    let _turn = TURN.lock().await;
    let world = World::start(settings).await;
    let result = AssertUnwindSafe(test(&world)).catch_unwind().await;
    if let Err(panic) = result {
        println!("--- log of the server ---\n{}", world.server().tail(60));
        std::panic::resume_unwind(panic);
    }
}

impl World {
    async fn start(settings: &[(&str, &str)]) -> World {
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut env: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| env.push((format!("TURNSTILE__{name}"), value.to_owned()));
        // A port that stays the same when the server is started again.
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        set("HTTP__LISTEN", &port.expect("a free port").to_string());
        set("DATA_DIR", data.path().to_str().expect("a path"));
        set("DEMO__ON_FIRST_START", "false");
        set("TELEMETRY__LOG_FORMAT", "json");
        // Pages being worked on need no build: `TURNSTILE_TEST_PAGES=web cargo test --test browser`.
        if let Ok(pages) = std::env::var("TURNSTILE_TEST_PAGES") {
            set("WEB__DIR", &pages);
        }
        settings.iter().for_each(|(name, value)| set(name, value));
        let secret = settings.iter().find(|(name, _)| *name == "AUTH__HS256_SECRET");
        let secret = secret.map(|(_, secret)| (*secret).to_owned());
        let http = reqwest::Client::new();
        let server = Server::start(&[], &env);
        server.until_ready(&http).await;
        World { base: server.base.clone(), server: Mutex::new(server), env, data, http, secret }
    }

    pub fn data_dir(&self) -> &std::path::Path {
        self.data.path()
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().expect("nobody panics with it")
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.server().kill();
    }

    pub async fn start_again(&self) {
        let server = Server::start(&[], &self.env);
        server.until_ready(&self.http).await;
        *self.server() = server;
    }

    pub async fn browser(&self, language: &str) -> Browser {
        Browser::start(language, 1280, 900).await
    }

    /// Opens a page as a user of this name.
    pub async fn visit(&self, browser: &Browser, user: &str, path: &str) {
        browser.open(&format!("{}/web/icon.svg", self.base)).await;
        browser.run(&format!("localStorage.setItem('ts.user', {})", json!(user))).await;
        browser.open(&format!("{}{path}", self.base)).await;
        browser.until("document.querySelector('main')?.dataset.state === 'shown'").await;
    }

    /// The login of a user: a token good for an hour, or dev mode's header.
    fn as_user(&self, request: reqwest::RequestBuilder, user: &str) -> reqwest::RequestBuilder {
        match &self.secret {
            Some(_) => request.bearer_auth(self.token(user)),
            None => request.header("X-User-Id", user),
        }
    }

    /// Signed as a login server does; `admin` is one.
    pub fn token(&self, user: &str) -> String {
        self.token_with(user, if user == "admin" { "admin" } else { "" })
    }

    /// `roles`: with spaces between them.
    pub fn token_with(&self, user: &str, roles: &str) -> String {
        let secret = self.secret.as_deref().expect("a server that takes tokens");
        let until =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs() + 3_600;
        let claims = json!({ "sub": user, "exp": until, "roles": roles }).to_string();
        let signed = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
            BASE64_URL_SAFE_NO_PAD.encode(claims)
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
        mac.update(signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    pub async fn post(&self, user: &str, path: &str, body: Value) -> Value {
        let request = self.as_user(self.http.post(format!("{}{path}", self.base)), user);
        let answer = request.header("Prefer", "wait=30").json(&body).send().await.expect("an answer");
        let (status, body) = (answer.status(), answer.json::<Value>().await.expect("JSON"));
        assert!(status.is_success(), "POST {path}: {status} {body}");
        body
    }

    /// As an admin.
    pub async fn patch(&self, path: &str, body: Value) {
        let request = self.as_user(self.http.patch(format!("{}{path}", self.base)), "admin");
        self.keyed(request.json(&body), path).await;
    }

    pub async fn delete(&self, user: &str, path: &str) {
        let request = self.as_user(self.http.delete(format!("{}{path}", self.base)), user);
        self.keyed(request, path).await;
    }

    async fn keyed(&self, request: reqwest::RequestBuilder, path: &str) {
        let key = uuid::Uuid::new_v4().to_string();
        let answer =
            request.header("Prefer", "wait=30").header("Idempotency-Key", key).send().await.expect("an answer");
        let status = answer.status();
        assert!(status.is_success(), "{path}: {status} {}", answer.text().await.unwrap_or_default());
    }

    /// So many users post this, 64 at a time, and do not wait for the outcome.
    pub async fn crowd(&self, count: u32, path: &str) {
        let post = async |number: u32| {
            let request = self.http.post(format!("{}{path}", self.base)).header("X-User-Id", format!("crowd-{number}"));
            loop {
                let answer = request.try_clone().expect("no stream").send().await.expect("an answer");
                match answer.status().as_u16() {
                    202 => return,
                    429 | 503 => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
                    status => panic!("POST {path}: {status}"),
                }
            }
        };
        futures_util::stream::iter(0..count).for_each_concurrent(64, post).await;
    }

    pub async fn get(&self, user: &str, path: &str) -> Value {
        let request = self.as_user(self.http.get(format!("{}{path}", self.base)), user);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "GET {path}");
        answer.json().await.expect("JSON")
    }

    /// A concert without dates; its id.
    pub async fn concert(&self, title: &str) -> String {
        let concert = self.post("admin", "/v1/concerts", json!({ "title": title })).await;
        concert["id"].as_str().expect("an id").to_owned()
    }

    /// A concert with one date; `more` goes into its body. The date's id.
    pub async fn date(&self, more: Value) -> String {
        let concert = self.concert("Sequential Nights").await;
        let mut body = json!({
            "starts_at": "2099-11-21T19:00:00Z",
            "sections": [
                { "name": "A", "seats": 40, "price": 12_000 },
                { "name": "B", "seats": 60, "price": 9_000 },
            ],
        });
        let members = more.as_object().cloned().unwrap_or_default();
        members.into_iter().for_each(|(name, value)| body[name] = value);
        let path = format!("/v1/concerts/{concert}/schedules");
        self.post("admin", &path, body).await["id"].as_str().expect("an id").to_owned()
    }

    /// The user's reservations, newest first.
    pub async fn reservations(&self, user: &str) -> Vec<Value> {
        self.get(user, "/v1/reservations").await["reservations"].as_array().cloned().expect("a list")
    }

    pub async fn balance(&self, user: &str) -> i64 {
        self.get(user, "/v1/wallet").await["balance"].as_i64().expect("a balance")
    }
}

/// No page may complain: no error of a script, nothing that the security policy had to stop. Failed requests are the
/// tests' own doing.
pub async fn no_complaints(browser: &Browser) {
    let complaints: Vec<_> = browser
        .console()
        .await
        .into_iter()
        .filter(|(level, text)| level == "SEVERE" && !text.contains("Failed to load resource"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
