//! Sends spans to a collector: OTLP over HTTP, in batches. What the collector does not take is dropped: a trace is a
//! convenience, and the log has everything.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::protobuf;
use super::span::{Kind, Span, collect};

/// Spans that wait; beyond it new ones are dropped.
const QUEUE_MAX: usize = 8_192;
const BATCH_MAX: usize = 512;
const SENT_EVERY: Duration = Duration::from_millis(500);
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// Collects spans from now on, and sends them until `shutdown`; then what is left. `endpoint` is the collector's base, such
/// as `http://127.0.0.1:4318`; `instance` says which process of the service this is, `system` what its log is.
pub async fn start(
    endpoint: String,
    service: String,
    instance: String,
    system: &'static str,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (queue, mut spans) = mpsc::channel(QUEUE_MAX);
    if !collect(queue) {
        anyhow::bail!("spans are collected already");
    }
    let http = reqwest::Client::builder().timeout(TAKEN_WITHIN).build()?;
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let resource = [
        ("service.name", service),
        ("service.instance.id", instance),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let mut taken = true;
    loop {
        let ending = shutdown.is_cancelled();
        let mut batch = gather(&mut spans, &shutdown).await;
        for span in batch.iter_mut().filter(|span| matches!(span.kind, Kind::Producer | Kind::Consumer)) {
            span.attributes.push(("messaging.system", system.to_owned()));
        }
        if !batch.is_empty() {
            let body = protobuf::request(&batch, &resource);
            let asked = http.post(&url).header("content-type", "application/x-protobuf").body(body).send().await;
            let answer = asked.and_then(reqwest::Response::error_for_status);
            match (&answer, taken) {
                (Err(error), true) => {
                    warn!(%error, spans = batch.len(), "the collector takes no spans; they are dropped")
                }
                (Ok(_), false) => info!("the collector takes spans again"),
                _ => {}
            }
            taken = answer.is_ok();
        } else if ending {
            return Ok(());
        }
    }
}

/// What comes within a moment after the first; what is there, once the process ends.
async fn gather(spans: &mut mpsc::Receiver<Span>, shutdown: &CancellationToken) -> Vec<Span> {
    let mut batch = Vec::new();
    let first = tokio::select! {
        biased;
        first = spans.recv() => first,
        () = shutdown.cancelled() => spans.try_recv().ok(),
    };
    batch.extend(first);
    let until = Instant::now() + SENT_EVERY;
    while !batch.is_empty() && batch.len() < BATCH_MAX && !shutdown.is_cancelled() {
        match timeout_at(until, spans.recv()).await {
            Ok(Some(span)) => batch.push(span),
            _ => break,
        }
    }
    batch
}
