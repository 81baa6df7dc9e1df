//! Delivers one event: attempt after attempt, until the endpoint has taken it or there is no more to be done.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::Url;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::client::{Answer, CallError, Line};
use super::concerts::Concerts;
use super::cursors::Cursors;
use super::event::{self, Event};
use super::message::message;
use super::settings::Settings;
use super::{client, signature};
use crate::domain::LogTime;
use crate::log::Record;
use crate::runtime::clock::Clock;
use crate::store::{
    FailedEvent, Failure, NotifierStore, OnFailure, StoreError, Webhook, WebhookContent, WebhookFormat,
};
use crate::telemetry::metrics::{WEBHOOK_ANSWERS, WEBHOOK_DELIVERIES};
use crate::wire::headers::TRACEPARENT;
use crate::wire::headers::schedule_of;

/// Longest text kept of a failure, in characters.
const REASON_CHARS_MAX: usize = 300;
const STORE_RETRY: Duration = Duration::from_secs(1);

/// An endpoint with its parsed URL.
pub struct Target {
    pub webhook: Webhook,
    pub url: Url,
}

/// What has become of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The endpoint has taken it, or it was given up and listed.
    Done,
    /// The endpoint must be disabled, for this reason.
    Disable(String),
    /// The pump stops.
    Stopped,
}

/// What is sent: one event or many.
pub struct Parcel {
    pub id: String,
    pub kind: &'static str,
    pub body: Vec<u8>,
    /// Where its last outcome lies.
    pub offset: u64,
    pub events: u64,
    /// Trace context of its outcome, or of the delivery's own span.
    pub traceparent: Option<String>,
}

/// What delivering for one endpoint uses.
pub struct Courier {
    pub target: Arc<Target>,
    pub cursors: Arc<Cursors>,
    pub store: Arc<dyn NotifierStore>,
    pub concerts: Arc<Concerts>,
    pub clock: Clock,
    pub settings: Settings,
    pub stop: CancellationToken,
}

impl Courier {
    fn content(&self) -> &WebhookContent {
        &self.target.webhook.content
    }

    fn count(&self, result: &str, events: u64) {
        WEBHOOK_DELIVERIES.with_label_values(&[&self.target.webhook.name, result]).inc_by(events);
    }

    pub fn parcel(&self, event: &Event, offset: u64) -> Parcel {
        let body = event.body(self.content().include_user);
        Parcel { id: event.id.clone(), kind: event.kind, body, offset, events: 1, traceparent: None }
    }

    /// Delivers what `partition` is at. Before it waits for another attempt, which may take hours, the caller lets go of
    /// what it holds besides.
    pub async fn deliver(
        &self,
        line: &mut Line,
        partition: u32,
        parcel: &Parcel,
        let_go: &mut (dyn FnMut() + Send),
    ) -> Ended {
        loop {
            if let Some(failure) = self.cursors.failure(partition)
                && !self.paused(failure.retry_at_ms).await
            {
                return Ended::Stopped;
            }
            let mut headers = headers(self.content(), &parcel.id, self.clock.now(), &parcel.body);
            let traced = parcel.traceparent.as_ref().and_then(|text| HeaderValue::from_str(text).ok());
            headers.extend(traced.map(|value| (HeaderName::from_static(TRACEPARENT), value)));
            let called = line.post(&self.target.url, &headers, &parcel.body).await;
            WEBHOOK_ANSWERS.with_label_values(&[self.target.webhook.name.as_str(), class(&called)]).inc();
            if called.as_ref().is_ok_and(Answer::is_success) {
                self.count("delivered", parcel.events);
                self.cursors.delivered(partition, parcel.events);
                return Ended::Done;
            }
            if let Some(ended) = self.failed(partition, parcel, &called).await {
                return ended;
            }
            let_go();
        }
    }

    /// The events of a record that the endpoint wants; `None`: the pump stops. Which concert a date belongs to is asked
    /// until the store says it: nothing is left out because of an outage.
    pub async fn wanted(&self, record: &Record) -> Option<Vec<Event>> {
        let (content, schedule) = (self.content(), schedule_of(&record.headers));
        if content.schedule.is_some_and(|only| schedule.map(|id| id.0) != Some(only)) {
            return Some(Vec::new());
        }
        if let Some(only) = content.concert {
            let Some(schedule) = schedule else { return Some(Vec::new()) };
            let concert = loop {
                match self.concerts.of(schedule).await {
                    Ok(concert) => break concert,
                    Err(error) => {
                        let endpoint = &self.target.webhook.name;
                        tracing::warn!(endpoint, %error, "the concert of a date cannot be read yet");
                        if !self.paused(self.clock.now().0 + STORE_RETRY.as_millis() as i64).await {
                            return None;
                        }
                    }
                }
            };
            if concert != Some(only) {
                return Some(Vec::new());
            }
        }
        let mut events = event::events(record);
        events.retain(|event| event.is_for(content));
        Some(events)
    }

    /// Waits until it is time for the next attempt; false: the pump stops.
    async fn paused(&self, until_ms: i64) -> bool {
        let rest = u64::try_from(until_ms.saturating_sub(self.clock.now().0)).unwrap_or(0);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(Duration::from_millis(rest)) => true,
        }
    }

    /// Notes a failed attempt; `None`: there is another one.
    async fn failed(&self, partition: u32, parcel: &Parcel, called: &Result<Answer, CallError>) -> Option<Ended> {
        self.count("failed", 1);
        let now = self.clock.now();
        let before = self.cursors.failure(partition);
        let attempts = before.as_ref().map_or(0, |failure| failure.attempts) + 1;
        let last = reason(called);
        let pause = self.settings.retry.get(attempts as usize - 1).copied();
        let asked = called.as_ref().ok().and_then(|answer| answer.retry_after).unwrap_or_default();
        let wait = jittered(pause.unwrap_or_default()).max(asked);
        let failure = Failure {
            attempts,
            since_ms: before.map_or(now.0, |failure| failure.since_ms),
            retry_at_ms: now.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
            last: last.clone(),
        };
        let failing_since = self.cursors.failed(partition, failure, now);
        if called.as_ref().is_ok_and(|answer| answer.status == 410) {
            return Some(Ended::Disable("it answered 410 Gone".to_owned()));
        }
        let failing = Duration::from_millis(u64::try_from(now.0 - failing_since.0).unwrap_or(0));
        if failing >= self.settings.disable_after {
            return Some(Ended::Disable(format!("nothing was delivered for {failing:?}; the last failure: {last}")));
        }
        match (pause, self.content().on_failure) {
            (Some(_), _) => None,
            (None, OnFailure::Stop) => Some(Ended::Disable(format!("{attempts} attempts have failed: {last}"))),
            (None, OnFailure::Skip) => Some(self.give_up(partition, parcel, attempts, last, now).await),
        }
    }

    async fn give_up(&self, partition: u32, parcel: &Parcel, attempts: u32, reason: String, at: LogTime) -> Ended {
        let event = FailedEvent {
            webhook_id: self.target.webhook.id,
            event_id: parcel.id.clone(),
            event_type: parcel.kind.to_owned(),
            partition,
            offset: parcel.offset,
            attempts,
            reason,
            at,
        };
        // It must not be lost between the two.
        while let Err(error) = self.store.keep_failed_event(&event).await {
            tracing::warn!(endpoint = self.target.webhook.name, %error, "a failed event cannot be listed yet");
            if let StoreError::Failed(_) = error {
                return Ended::Disable(format!("a failed event cannot be listed: {error}"));
            }
            if !self.paused(self.clock.now().0 + STORE_RETRY.as_millis() as i64).await {
                return Ended::Stopped;
            }
        }
        tracing::warn!(
            endpoint = self.target.webhook.name,
            id = event.event_id,
            reason = event.reason,
            "an event is given up"
        );
        self.count("given_up", parcel.events);
        self.cursors.given_up(partition);
        Ended::Done
    }
}

/// Up to a fifth longer, so that not everything comes at the same time.
fn jittered(pause: Duration) -> Duration {
    let random = u32::from(Uuid::new_v4().into_bytes()[0]);
    pause + pause / 5 * random / 255
}

/// Of the status, for metrics.
fn class(called: &Result<Answer, CallError>) -> &'static str {
    match called.as_ref().map(|answer| answer.status / 100) {
        Ok(1) => "1xx",
        Ok(2) => "2xx",
        Ok(3) => "3xx",
        Ok(4) => "4xx",
        Ok(5) => "5xx",
        Ok(_) => "other",
        Err(_) => "none",
    }
}

fn reason(called: &Result<Answer, CallError>) -> String {
    let text = match called {
        Ok(Answer { status, text, .. }) if text.trim().is_empty() => format!("it answered {status}"),
        Ok(Answer { status, text, .. }) => format!("it answered {status}: {}", text.trim()),
        Err(error) => error.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

/// A chat's URL is its secret: nothing is signed for it.
fn headers(content: &WebhookContent, id: &str, now: LogTime, body: &[u8]) -> HeaderMap {
    let timestamp = now.0.div_euclid(1000);
    let signing = content.secrets.iter().filter(|secret| secret.until_ms.is_none_or(|until| until > now.0));
    let signed = match content.format {
        WebhookFormat::Standard => signature::header(signing.map(|secret| secret.text.as_str()), id, timestamp, body),
        WebhookFormat::Slack => String::new(),
    };
    let texts = [("webhook-id", id), ("webhook-timestamp", &timestamp.to_string()), ("webhook-signature", &signed)];
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("turnstile/", env!("CARGO_PKG_VERSION"))));
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// Sends a test event once.
///
/// # Errors
/// There was no answer.
pub async fn send_test(client: Arc<client::Client>, webhook: &Webhook, now: LogTime) -> Result<Answer, CallError> {
    let content = &webhook.content;
    let url = Url::parse(&content.url).map_err(|error| CallError::Unresolved(error.to_string()))?;
    let event = event::test(now);
    let body = match content.format {
        WebhookFormat::Standard => event.body(content.include_user),
        WebhookFormat::Slack => message(std::slice::from_ref(&event)),
    };
    Line::new(client).post(&url, &headers(content, &event.id, now, &body), &body).await
}
