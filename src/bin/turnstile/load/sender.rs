//! HTTP client of the API.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Client, StatusCode};
use serde_json::Value;

pub struct Sender {
    http: Client,
    base: String,
}

/// A response, or none.
pub struct Answer {
    pub status: Option<StatusCode>,
    /// `null` if there was no response or it was not JSON.
    pub body: Value,
}

impl Sender {
    pub fn new(url: &str, timeout: Duration) -> anyhow::Result<Self> {
        let http = Client::builder().timeout(timeout).connect_timeout(Duration::from_secs(5)).no_proxy();
        Ok(Self { http: http.build().context("no HTTP client")?, base: url.trim_end_matches('/').to_owned() })
    }

    /// Polls the position of this token.
    pub async fn poll(&self, user: &str, queue: &str, token: &str) -> Answer {
        let request = self.http.get(format!("{}{queue}/position", self.base)).header("X-User-Id", user);
        let Ok(response) = request.header("Queue-Token", token).send().await else {
            return Answer { status: None, body: Value::Null };
        };
        let status = Some(response.status());
        Answer { status, body: response.json().await.unwrap_or(Value::Null) }
    }

    /// Posts as this user and waits up to 30 s for the decision.
    pub async fn post(&self, user: &str, path: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base)).header("X-User-Id", user);
        let sent = request.header("Prefer", "wait=30").json(body).send().await;
        let Ok(response) = sent else { return Answer { status: None, body: Value::Null } };
        let status = Some(response.status());
        Answer { status, body: response.json().await.unwrap_or(Value::Null) }
    }
}
