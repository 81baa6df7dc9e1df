//! The API over HTTP, on a log and a store in memory, with a worker that decides what a test wants.

mod amending;
mod auth;
mod bodies;
mod box_office;
mod browsers;
mod budget;
mod catalog;
mod commands;
mod edges;
mod enlarging;
mod login;
mod login_keys;
mod me;
mod openapi;
mod opening;
mod ops;
mod plans;
mod queue;
mod records;
mod repeats;
mod requests;
mod tickets;
mod wallet;
mod worker;

use std::sync::Arc;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::worker::Worker;
use super::{AppState, Listeners, Settings, serve};
use crate::log::{Log, PartitionCounts, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::testing::{FaultyStore, MemoryLog};

/// An API server on a port of its own.
struct Door {
    log: MemoryLog,
    store: FaultyStore,
    state: AppState,
    worker: Worker,
    base: String,
    client: reqwest::Client,
    shutdown: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Its code, after a look at what every problem must have.
    fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let value = self.json();
        assert_eq!(value["status"], self.status);
        for member in ["type", "title", "detail", "code"] {
            assert!(value[member].is_string(), "{member}: {value}");
        }
        value["code"].as_str().unwrap().to_owned()
    }
}

impl Door {
    async fn open() -> Self {
        Self::with(Settings::default()).await
    }

    /// Returns once the outcomes are followed.
    async fn with(settings: Settings) -> Self {
        let counts = PartitionCounts { seats: 2, wallets: 2, queues: 1, inbox: 1, outcomes: 2, dead_letters: 1 };
        let log = MemoryLog::new(counts, Clock::System);
        let store = FaultyStore::in_memory();
        let (log_port, store_port) = (Arc::new(log.clone()), Arc::new(store.clone()));
        let state = AppState::new(log_port, store_port, Clock::System, Health::default(), settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let served =
            tokio::spawn(serve(Listeners { main: listener, operations: None }, state.clone(), shutdown.clone()));
        while !state.feed.is_running() {
            tokio::task::yield_now().await;
        }
        let worker = Worker::new(log.clone(), store.clone());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Door { log, store, state, worker, base, client, shutdown, served }
    }

    /// A request of the user `alice`.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("x-user-id", "alice")
    }

    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    fn charge(&self, amount: i64) -> RequestBuilder {
        self.request(Method::POST, "/v1/wallet/charges").json(&json!({ "amount": amount }))
    }

    /// How many commands lie on all wallet partitions.
    async fn wallet_commands(&self) -> u64 {
        let topic = Topic::Lane(crate::domain::Lane::Wallets);
        let mut count = 0;
        for partition in 0..self.log.partitions().of(topic) {
            count += self.log.end_offset(topic, partition).await.unwrap();
        }
        count
    }
}

async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

fn waiting(request: RequestBuilder, seconds: u64) -> RequestBuilder {
    request.header("prefer", format!("wait={seconds}"))
}

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("idempotency-key", key)
}
