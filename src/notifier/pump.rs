//! One partition for one endpoint: event by event, one request in flight, so what an endpoint gets of an aggregate is in
//! order.

use std::sync::Arc;
use std::time::Duration;

use super::client::Line;
use super::delivery::{Courier, Ended, Parcel};
use super::event;
use super::feed::{Feed, Piece};
use crate::domain::LogTime;
use crate::log::Record;
use crate::telemetry::spans::{Context, Kind, Span};
use crate::wire::headers;

const RETRY: Duration = Duration::from_secs(1);

/// Runs until it is stopped; the reason if the endpoint must be disabled.
pub async fn run(courier: Arc<Courier>, feed: Arc<Feed>) -> Option<String> {
    let mut line = Line::new(Arc::clone(&courier.settings.client));
    let partition = feed.partition;
    loop {
        let from = courier.cursors.next_offset(partition);
        if !feed.has(from) {
            courier.cursors.waiting(partition, None);
        }
        let next = tokio::select! {
            biased;
            () = courier.stop.cancelled() => return None,
            next = feed.next(from) => next,
        };
        let ended = match next {
            Ok(Piece::Records(records)) => deliver_all(&courier, &mut line, partition, records).await,
            Ok(Piece::Gap { to }) => deliver_gap(&courier, &mut line, partition, (from, to)).await,
            Err(error) => {
                tracing::warn!(endpoint = courier.target.webhook.name, partition, %error, "outcomes cannot be read");
                tokio::select! {
                    biased;
                    () = courier.stop.cancelled() => Ended::Stopped,
                    () = tokio::time::sleep(RETRY) => Ended::Done,
                }
            }
        };
        match ended {
            Ended::Done => {}
            Ended::Stopped => return None,
            Ended::Disable(reason) => return Some(reason),
        }
    }
}

/// Delivers the records of a piece that the endpoint wants. After a failed attempt nothing behind it is kept in memory:
/// it is read again.
async fn deliver_all(courier: &Courier, line: &mut Line, partition: u32, records: Vec<Arc<Record>>) -> Ended {
    let mut records = records.into_iter();
    while let Some(record) = records.next() {
        courier.cursors.waiting(partition, Some(record.timestamp.millis()));
        let Some(events) = courier.wanted(&record).await else { return Ended::Stopped };
        for event in events {
            if courier.stop.is_cancelled() {
                return Ended::Stopped;
            }
            let mut parcel = courier.parcel(&event, record.offset);
            let call = Call::of(&mut parcel, &record, courier.clock.now());
            let ended = courier.deliver(line, partition, &parcel, &mut || records = Vec::new().into_iter()).await;
            if let Some(call) = call {
                call.end(courier, &parcel, ended == Ended::Done);
            }
            match ended {
                Ended::Done => {}
                other => return other,
            }
        }
        courier.cursors.advance(partition, record.offset + 1);
    }
    Ended::Done
}

/// The span of a delivery, with all its attempts, where the command of its outcome is sampled.
struct Call {
    context: Context,
    parent: [u8; 8],
    begun: LogTime,
}

impl Call {
    /// Also gives the parcel its trace context.
    fn of(parcel: &mut Parcel, record: &Record, begun: LogTime) -> Option<Call> {
        let traceparent = headers::traceparent(&record.headers);
        let outcome = Context::sampled(traceparent.as_deref());
        let context = outcome.map(Context::child);
        let passed_on = || traceparent.as_deref().and_then(|text| std::str::from_utf8(text).ok()).map(str::to_owned);
        parcel.traceparent = context.map(Context::traceparent).or_else(passed_on);
        outcome.zip(context).map(|(outcome, context)| Call { context, parent: outcome.span, begun })
    }

    fn end(self, courier: &Courier, parcel: &Parcel, taken: bool) {
        let endpoint = courier.target.webhook.name.clone();
        Span {
            context: self.context,
            parent: Some(self.parent),
            kind: Kind::Client,
            name: format!("webhook {}", parcel.kind),
            start_ms: self.begun.0,
            end_ms: courier.clock.now().0,
            attributes: vec![("turnstile.endpoint", endpoint), ("turnstile.webhook_id", parcel.id.clone())],
            links: Vec::new(),
            failed: !taken,
        }
        .end();
    }
}

async fn deliver_gap(courier: &Courier, line: &mut Line, partition: u32, (from, to): (u64, u64)) -> Ended {
    tracing::warn!(
        endpoint = courier.target.webhook.name,
        partition,
        from,
        to,
        "outcomes are gone before they were delivered"
    );
    let event = event::gap(partition, from, to, courier.clock.now());
    let ended = courier.deliver(line, partition, &courier.parcel(&event, from), &mut || {}).await;
    if ended == Ended::Done {
        courier.cursors.advance(partition, to);
    }
    ended
}
