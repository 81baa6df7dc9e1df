//! The HTTP client of the scenarios: who asks, what was answered, and which requests were ever accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::sync::Barrier;

/// How long an accepted command may take to be decided. A debug build beside compilers needs a wide one.
pub const DECIDED_WITHIN: Duration = Duration::from_secs(120);

/// What the checks at the end of a scenario need to know of what it did.
#[derive(Default)]
pub struct Seen {
    pub users: BTreeSet<String>,
    /// Every request id that the front door accepted (202) or decided.
    pub requests: BTreeSet<String>,
    /// Requests whose outcome was shown to a client: it must never be another one later.
    pub outcomes: BTreeMap<String, String>,
}

/// A user's bearer token.
type Login = Box<dyn Fn(&str) -> String + Send + Sync>;

/// Speaks to one or several front doors, in turn.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    bases: Arc<RwLock<Vec<String>>>,
    turn: Arc<AtomicUsize>,
    /// Unset: dev mode.
    login: Arc<OnceLock<Login>>,
    pub seen: Arc<Mutex<Seen>>,
}

impl Client {
    pub fn new() -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(100))
            .pool_idle_timeout(Duration::from_secs(20))
            .build()
            .expect("an HTTP client");
        Client { http, bases: Arc::default(), turn: Arc::default(), login: Arc::default(), seen: Arc::default() }
    }

    /// The front doors to use from now on, e.g. `http://127.0.0.1:41234`.
    pub fn point_at(&self, bases: Vec<String>) {
        *self.bases.write().unwrap() = bases;
    }

    /// From now on every user sends the token that `login` makes for the name.
    pub fn log_in(&self, login: impl Fn(&str) -> String + Send + Sync + 'static) {
        assert!(self.login.set(Box::new(login)).is_ok(), "users log in one way");
    }

    pub fn base(&self) -> String {
        let bases = self.bases.read().unwrap();
        bases[self.turn.fetch_add(1, Ordering::Relaxed) % bases.len()].clone()
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub fn user(&self, name: impl Into<String>) -> User {
        let name = name.into();
        self.seen.lock().unwrap().users.insert(name.clone());
        User { client: self.clone(), name }
    }

    pub fn admin(&self) -> User {
        User { client: self.clone(), name: "admin".to_owned() }
    }
}

/// One user.
#[derive(Clone)]
pub struct User {
    pub client: Client,
    pub name: String,
}

impl User {
    pub fn request(&self, method: Method, path: &str) -> Ask {
        let url = format!("{}{path}", self.client.base());
        let builder = self.client.http.request(method, url);
        let builder = match self.client.login.get() {
            Some(login) => builder.bearer_auth(login(&self.name)),
            None => builder.header("X-User-Id", &self.name),
        };
        Ask { user: self.clone(), builder }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// A GET that must succeed.
    pub async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "GET {path} by {}: {answer:?}", self.name);
        answer.body
    }

    /// The outcome of a command of mine that did not come through HTTP.
    pub async fn decided_later(&self, request_id: &str) -> Outcome {
        self.client.seen.lock().unwrap().requests.insert(request_id.to_owned());
        let path = format!("/v1/requests/{request_id}");
        super::until(&format!("{request_id} of {} to be decided", self.name), async || {
            let answer = self.get(&path).await;
            let decided = answer.status == 200 && answer.body["status"] != "PENDING";
            if decided { Ok(answer.outcome()) } else { Err(format!("{answer:?}")) }
        })
        .await
    }

    pub fn post(&self, path: &str, body: Value) -> Ask {
        self.request(Method::POST, path).json(body)
    }

    pub fn delete(&self, path: &str) -> Ask {
        self.request(Method::DELETE, path)
    }

    /// Waits for the outcome of an accepted request, by long polls.
    pub async fn outcome_of(&self, request_id: &str, position: Option<&str>) -> Outcome {
        let began = Instant::now();
        let path = match position {
            Some(position) => format!("/v1/requests/{request_id}?position={position}"),
            None => format!("/v1/requests/{request_id}"),
        };
        loop {
            let answer = self.request(Method::GET, &path).wait(30).send().await;
            if answer.status == 200 && answer.body["status"] != "PENDING" {
                return answer.outcome();
            }
            let pending = answer.status == 200 || answer.status == 202;
            assert!(pending, "accepted request {request_id} of {}: {answer:?}", self.name);
            assert!(began.elapsed() < DECIDED_WITHIN, "accepted request {request_id} is still undecided: {answer:?}");
        }
    }
}

/// A request being put together.
pub struct Ask {
    user: User,
    builder: reqwest::RequestBuilder,
}

impl Ask {
    pub fn json(mut self, body: Value) -> Self {
        self.builder = self.builder.json(&body);
        self
    }

    /// Body bytes as they are, said to be JSON.
    pub fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.builder = self.builder.header("content-type", "application/json").body(body.into());
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    pub fn wait(self, seconds: u32) -> Self {
        self.header("Prefer", &format!("wait={seconds}"))
    }

    /// The answer, or why there is none (the process died under the request).
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.builder.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { status, headers, text, body };
        self.user.client.seen.lock().unwrap().note(&answer);
        Ok(answer)
    }

    /// An event stream; the chunks of its body as they come.
    pub async fn stream(self) -> impl Stream<Item = reqwest::Result<Bytes>> + Unpin {
        let response = self.builder.send().await.expect("a stream");
        assert_eq!(response.status(), 200, "{}", response.url());
        Box::pin(response.bytes_stream())
    }

    /// An event stream, if it is not answered 503.
    pub async fn try_stream(self) -> Result<Option<reqwest::Response>, String> {
        let response = self.builder.send().await.map_err(|error| format!("{error:?}"))?;
        match response.status().as_u16() {
            200 => Ok(Some(response)),
            503 => Ok(None),
            other => Err(other.to_string()),
        }
    }

    pub async fn send(self) -> Answer {
        let who = self.user.name.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("no answer for {who}: {error:?}"))
    }

    /// Sends a command and waits until it is decided, however long the first answer's wait was.
    pub async fn decide(self) -> Outcome {
        let user = self.user.clone();
        let answer = self.wait(30).send().await;
        if answer.status != 202 {
            return answer.outcome();
        }
        let position = answer.location_position();
        user.outcome_of(answer.request_id(), position.as_deref()).await
    }
}

impl Seen {
    fn note(&mut self, answer: &Answer) {
        let Some(id) = answer.body["request_id"].as_str() else { return };
        // A key reused for another body answers with the first request's id and is no outcome of it.
        if answer.code() == "idempotency_key_reused" {
            return;
        }
        self.requests.insert(id.to_owned());
        if answer.body["status"] == "PENDING" || answer.status >= 500 {
            return;
        }
        let outcome = answer.outcome();
        let verdict = match &outcome.code {
            Some(code) => code.clone(),
            None => outcome.result.to_string(),
        };
        if let Some(before) = self.outcomes.insert(id.to_owned(), verdict.clone()) {
            assert_eq!(before, verdict, "request {id} was decided twice, differently");
        }
    }
}

/// What came back.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// Null if the body is no JSON.
    pub body: Value,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The problem's code, or nothing.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().or_else(|| self.body["problem"]["code"].as_str()).unwrap_or_default()
    }

    pub fn request_id(&self) -> &str {
        self.body["request_id"].as_str().unwrap_or_else(|| panic!("no request_id in {self:?}"))
    }

    /// The `position` of the Location header.
    pub fn location_position(&self) -> Option<String> {
        self.header("location").split_once("position=").map(|(_, position)| position.to_owned())
    }

    /// Reads a decided command's answer: the request object, or a refusal as problem+json.
    pub fn outcome(&self) -> Outcome {
        let refused = self.status >= 400;
        let problem = if refused { &self.body } else { &self.body["problem"] };
        let decided = if self.body["decided"].is_null() { &problem["decided"] } else { &self.body["decided"] };
        let code = problem["code"].as_str().map(str::to_owned);
        let succeeded = self.status == 200 && self.body["status"] == "SUCCEEDED";
        assert!(succeeded != code.is_some(), "neither success nor refusal, or both: {self:?}");
        Outcome {
            request_id: self.body["request_id"].as_str().unwrap_or_default().to_owned(),
            http_status: self.status,
            result: if succeeded { self.body["result"].clone() } else { Value::Null },
            taken: problem["taken"].clone(),
            decided: decided.clone(),
            code,
        }
    }
}

/// How a command ended, wherever the answer was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub request_id: String,
    pub http_status: u16,
    /// Null for a refusal.
    pub result: Value,
    /// The refusal's code.
    pub code: Option<String>,
    pub taken: Value,
    pub decided: Value,
}

impl Outcome {
    pub fn succeeded(&self) -> bool {
        self.code.is_none()
    }

    /// The result of what must have succeeded.
    pub fn result(self) -> Value {
        assert!(self.succeeded(), "refused: {self:?}");
        self.result
    }

    /// The code of what must have been refused.
    pub fn refused(&self) -> &str {
        self.code.as_deref().unwrap_or_else(|| panic!("not refused: {self:?}"))
    }

    /// Lane, partition and offset of the command.
    pub fn position(&self) -> Place {
        Place::of(&self.decided)
    }
}

/// A position as the answers write it; places of one partition are ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub lane: String,
    pub partition: u64,
    pub offset: u64,
}

impl Place {
    pub fn of(json: &Value) -> Place {
        let field = |name: &str| json[name].as_u64().unwrap_or_else(|| panic!("no {name} in {json}"));
        Place {
            lane: json["lane"].as_str().unwrap_or_else(|| panic!("no lane in {json}")).to_owned(),
            partition: field("partition"),
            offset: field("offset"),
        }
    }
}

/// Runs `n` calls at once: all are ready before the first is let go.
pub async fn at_once<T, F>(n: usize, call: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(n));
    let tasks: Vec<_> = (0..n)
        .map(|i| {
            let (barrier, future) = (barrier.clone(), call(i));
            tokio::spawn(async move {
                barrier.wait().await;
                future.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(n);
    for task in tasks {
        results.push(task.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic())));
    }
    results
}
