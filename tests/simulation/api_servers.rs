//! The API servers of a cluster, and requests to them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use turnstile::api::{self, AppState};
use turnstile::log::{Log, Topic};
use turnstile::runtime::health::Health;

use crate::cluster::{Cluster, lock};
use crate::mutants::log::{Side, seen_by};

/// One API process.
pub struct ApiServer {
    service: TowerToHyperService<Router>,
    crashed: CancellationToken,
    _feeds: JoinSet<()>,
}

impl Cluster {
    pub fn start_api(&self, number: usize) {
        let (clock, clock_ms) = self.sim.skewed_clock();
        lock(&self.api_clocks).push(clock_ms);
        let log = seen_by(Side::Api, self.mutant, Arc::clone(&self.log) as Arc<dyn Log>, clock.clone());
        let settings = api::Settings { append_timeout: Duration::from_secs(5), ..api::Settings::default() };
        let state = AppState::new(log, Arc::new(self.store.clone()), clock, Health::default(), settings)
            .expect("dev mode needs no keys");
        let mut feeds = JoinSet::new();
        for partition in 0..self.log.partitions().of(Topic::Outcomes) {
            let feed = Arc::clone(&state.feed);
            feeds.spawn(async move { feed.follow(partition).await });
        }
        let service = TowerToHyperService::new(api::router(state));
        let server = ApiServer { service, crashed: CancellationToken::new(), _feeds: feeds };
        let mut servers = lock(&self.api_servers);
        while servers.len() <= number {
            servers.push(None);
        }
        servers[number] = Some(Arc::new(server));
    }

    pub fn stop_apis(&self) {
        lock(&self.api_servers).clear();
    }

    /// An API process dies with its requests and is replaced.
    pub fn crash_api(&self) {
        let count = lock(&self.api_servers).len();
        let number = self.sim.below(count as u64) as usize;
        self.sim.note("API server crashed", [number as u64, 0, 0]);
        if let Some(server) = lock(&self.api_servers)[number].take() {
            server.crashed.cancel();
        }
        self.start_api(number);
    }

    /// Sends a request to some API server. `None`: the connection broke, or the client timed out.
    pub async fn call(&self, request: Request<Body>) -> Option<(u16, Value)> {
        let server = {
            let servers = lock(&self.api_servers);
            let number = self.sim.below(servers.len() as u64) as usize;
            servers.get(number)?.clone()?
        };
        let timeout = match self.sim.strikes(30) {
            true => Duration::from_millis(1 + self.sim.below(1_000)),
            false => Duration::from_secs(40),
        };
        let answer = async {
            let response = server.service.call(request).await.ok()?;
            let status = response.status().as_u16();
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.ok()?;
            Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
        };
        tokio::select! {
            biased;
            () = server.crashed.cancelled() => None,
            answer = tokio::time::timeout(timeout, answer) => answer.ok()?,
        }
    }
}
