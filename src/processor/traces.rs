//! Spans of what was decided, made when its outcome is published: all times are known then, and a command that is not
//! sampled costs a look at its flag.

use crate::domain::{LanePartition, LogTime};
use crate::log::Topic;
use crate::runtime::clock::Clock;
use crate::store::OutboxRow;
use crate::telemetry::spans::{self, Context, Kind, LINKS_MAX, Span};
use crate::wire::headers;

/// An outcome whose command is sampled, on its way to the log.
pub(super) struct Traced {
    command: Context,
    batch: Context,
}

/// The command's context, of the outcomes of sampled commands only.
fn sampled(row: &OutboxRow) -> Option<Context> {
    if !spans::are_collected() || row.topic != Topic::Outcomes {
        return None;
    }
    Context::sampled(headers::traceparent(&row.headers).as_deref())
}

fn arrived(row: &OutboxRow) -> Option<LogTime> {
    headers::decided_of(&row.headers).map(|(_, at)| at)
}

/// The span of rows that were decided and committed together, in a trace of its own: linked with the commands that are
/// sampled. `None`: none of them is.
pub(super) fn batch(partition: LanePartition, rows: &[OutboxRow], clock: &Clock) -> Option<Context> {
    let links: Vec<Context> = rows.iter().filter_map(sampled).take(LINKS_MAX).collect();
    if links.is_empty() {
        return None;
    }
    let (context, now) = (Context::root(), clock.now());
    let first = rows.iter().filter(|row| sampled(row).is_some()).filter_map(arrived).min();
    Span {
        context,
        parent: None,
        kind: Kind::Consumer,
        name: format!("decide batch of {}", partition.lane),
        start_ms: first.unwrap_or(now).0,
        end_ms: now.0,
        attributes: vec![
            ("messaging.destination.name", partition.lane.to_string()),
            ("messaging.destination.partition.id", partition.partition.to_string()),
            ("messaging.batch.message_count", rows.len().to_string()),
        ],
        links,
        failed: false,
    }
    .end();
    Some(context)
}

impl Traced {
    pub fn of(row: &OutboxRow, batch: Context) -> Option<Traced> {
        sampled(row).map(|command| Traced { command, batch })
    }

    /// The log has the outcome: the span of the command, from its arrival on the log to now.
    pub fn published(self, row: &OutboxRow, offset: u64, now: LogTime) {
        let text = |name: &str| {
            let found = row.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let kind = text("ce_type");
        Span {
            context: self.command.child(),
            parent: Some(self.command.span),
            kind: Kind::Consumer,
            name: format!("decide {}", kind.split('.').nth(1).unwrap_or_default()),
            start_ms: arrived(row).unwrap_or(now).0,
            end_ms: now.0,
            attributes: vec![
                ("messaging.destination.name", text("ce_source")),
                ("messaging.message.id", text("ce_id")),
                ("messaging.kafka.message.offset", offset.to_string()),
                ("turnstile.outcome", kind),
                ("turnstile.request_id", text(headers::REQUEST_ID)),
            ],
            links: vec![self.batch],
            failed: false,
        }
        .end();
    }
}
