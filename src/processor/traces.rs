//! Spans of what was decided and sent, made when it is published: all times are known then, and a command that is not
//! sampled costs a look at its flag.

use std::collections::HashMap;

use crate::domain::{LanePartition, LogTime};
use crate::log::{Headers, Topic};
use crate::runtime::clock::Clock;
use crate::store::OutboxRow;
use crate::telemetry::spans::{self, Context, Kind, LINKS_MAX, Span};
use crate::wire::headers;

/// The context that a record carries, if it is sampled. A dead letter keeps the headers that its record came with.
fn carried(row: &OutboxRow) -> Option<Context> {
    if !spans::are_collected() || row.topic == Topic::DeadLetters {
        return None;
    }
    Context::sampled(headers::traceparent(&row.headers).as_deref())
}

/// The command's context, of the outcomes of sampled commands only.
fn decided(row: &OutboxRow) -> Option<Context> {
    carried(row).filter(|_| row.topic == Topic::Outcomes)
}

fn arrived(row: &OutboxRow) -> Option<LogTime> {
    headers::decided_of(&row.headers).map(|(_, at)| at)
}

/// Rows that were decided and committed together.
pub(super) struct Traces {
    batch: Context,
    /// By the context of a command: its first outcome, and the span of that decision, to which follow-ups belong. Commands
    /// that foreign producers sent under one context share it.
    decisions: HashMap<Context, (u64, Context)>,
    committed: LogTime,
}

impl Traces {
    /// Ends the span of the batch, which is in a trace of its own: linked with the commands that are sampled. `None`: none of
    /// them is.
    pub fn of(partition: LanePartition, rows: &[OutboxRow], clock: &Clock) -> Option<Traces> {
        if !rows.iter().any(|row| carried(row).is_some()) {
            return None;
        }
        // Also those that are not decided yet, and only ask another lane.
        let mut links: Vec<Context> = Vec::new();
        for command in rows.iter().filter_map(carried) {
            if links.len() < LINKS_MAX && !links.contains(&command) {
                links.push(command);
            }
        }
        let (batch, now) = (Context::root(), clock.now());
        let first = rows.iter().filter(|row| decided(row).is_some()).filter_map(arrived).min();
        Span {
            context: batch,
            parent: None,
            kind: Kind::Consumer,
            name: format!("process {}", partition.lane),
            start_ms: first.unwrap_or(now).0,
            end_ms: now.0,
            attributes: vec![
                ("messaging.operation.name", "process".to_owned()),
                ("messaging.operation.type", "process".to_owned()),
                ("messaging.destination.name", partition.lane.to_string()),
                ("messaging.destination.partition.id", partition.partition.to_string()),
                ("messaging.batch.message_count", rows.len().to_string()),
            ],
            links,
            failed: false,
        }
        .end();
        let mut decisions = HashMap::new();
        for (row, command) in rows.iter().filter_map(|row| Some((row, decided(row)?))) {
            decisions.entry(command).or_insert_with(|| (row.seq, command.child()));
        }
        Some(Traces { batch, decisions, committed: now })
    }

    /// What is to become of this row, if it belongs to a sampled command.
    pub fn row(&self, row: &OutboxRow) -> Option<Traced> {
        let command = carried(row)?;
        // What asks another lane has no outcome yet: its follow-up belongs to the command itself.
        let first = self.decisions.get(&command).copied();
        let decision = match (row.topic, first) {
            (Topic::Outcomes, Some((seq, decision))) if seq == row.seq => Some(decision),
            // What the same decision says of an earlier request.
            (Topic::Outcomes, _) => Some(command.child()),
            _ => None,
        };
        let parent = decision.or(first.map(|(_, decision)| decision)).unwrap_or(command);
        Some(Traced { command, decision, parent, send: parent.child(), batch: self.batch, committed: self.committed })
    }
}

/// A record of a sampled command, on its way to the log.
pub(super) struct Traced {
    command: Context,
    /// Of an outcome.
    decision: Option<Context>,
    /// What the record was sent by.
    parent: Context,
    send: Context,
    batch: Context,
    committed: LogTime,
}

impl Traced {
    /// The headers with the context of the record's way to the log: what it leads to belongs to that.
    pub fn headers(&self, mut headers: Headers) -> Headers {
        let sent = headers.iter_mut().find(|(name, _)| name == headers::TRACEPARENT);
        if let Some((_, value)) = sent {
            *value = self.send.traceparent().into();
        }
        headers
    }

    /// The log has the record at this offset: the span of its way there, and before it that of the decision.
    pub fn published(self, row: &OutboxRow, (partition, offset): (u32, u64), now: LogTime) {
        self.decided(row);
        Span {
            context: self.send,
            parent: Some(self.parent.span),
            kind: Kind::Producer,
            name: format!("send {}", row.topic),
            start_ms: self.committed.0,
            end_ms: now.0,
            attributes: spans::sent(row.topic.as_str(), partition, Some(offset)),
            links: Vec::new(),
            failed: false,
        }
        .end();
    }

    /// From the command's arrival on the log until its outcome was committed.
    fn decided(&self, row: &OutboxRow) {
        let Some(decision) = self.decision else { return };
        let text = |name: &str| {
            let found = row.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let kind = text("ce_type");
        Span {
            context: decision,
            parent: Some(self.command.span),
            kind: Kind::Consumer,
            name: format!("decide {}", kind.split('.').nth(1).unwrap_or_default()),
            start_ms: arrived(row).unwrap_or(self.committed).0,
            end_ms: self.committed.0,
            attributes: vec![
                ("messaging.operation.name", "decide".to_owned()),
                ("messaging.operation.type", "process".to_owned()),
                ("messaging.destination.name", text("ce_source")),
                ("messaging.message.id", text("ce_id")),
                ("turnstile.outcome", kind),
                ("turnstile.request_id", text(headers::REQUEST_ID)),
            ],
            links: vec![self.batch],
            failed: false,
        }
        .end();
    }
}
