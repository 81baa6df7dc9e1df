//! The records a batch asks to publish: outcomes, follow-up commands, forwarded strays, dead letters.
//!
//! Every id is derived from the position of its cause, so a batch decided again gives the same rows.

use bytes::Bytes;
use uuid::Uuid;

use crate::domain::{Arrival, Body, Command, Completion, DerivedId, RequestId, RoutingKey, UserId, Verdict};
use crate::log::{Headers, Record, Topic};
use crate::store::OutboxRow;
use crate::wire;
use crate::wire::headers::{dead_letter_headers, traceparent, with_hops, with_traceparent};
use crate::wire::outcome::OutcomeRecord;

/// Which of a command's derived records: outcomes and the like first, then its follow-ups by index.
const OUTCOME: u32 = 1;
const COMPLETION: u32 = 2;
const STRAY: u32 = 3;
const DEAD_LETTER: u32 = 4;
const FOLLOW_UPS: u32 = 16;

pub(super) struct Outbox {
    rows: Vec<OutboxRow>,
    next_seq: u64,
}

impl Outbox {
    pub fn new(next_seq: u64) -> Self {
        Outbox { rows: Vec::new(), next_seq }
    }

    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub fn into_rows(self) -> Vec<OutboxRow> {
        self.rows
    }

    /// A command's own outcome; returns its JSON, which the request's row keeps.
    pub fn outcome(
        &mut self,
        command: &Command,
        key: &RoutingKey,
        fingerprint: u64,
        verdict: &Verdict,
        at: &Arrival,
        caused_by: &Headers,
    ) -> String {
        let name = command.body.name();
        let record = OutcomeRecord {
            request_id: command.request_id,
            command: name,
            user_id: command.body.user_id(),
            verdict,
            decided: *at,
        };
        self.publish_outcome(derived(at, OUTCOME), &record, key, fingerprint, caused_by)
    }

    /// The outcome of an earlier request that this command decides.
    pub fn completion(
        &mut self,
        completion: &Completion,
        key: &RoutingKey,
        user_id: Option<&UserId>,
        at: &Arrival,
        caused_by: &Headers,
    ) -> String {
        let record = OutcomeRecord {
            request_id: completion.request_id,
            command: completion.command,
            user_id,
            verdict: &completion.verdict,
            decided: *at,
        };
        self.publish_outcome(derived(at, COMPLETION), &record, key, 0, caused_by)
    }

    fn publish_outcome(
        &mut self,
        id: Uuid,
        record: &OutcomeRecord<'_>,
        key: &RoutingKey,
        fingerprint: u64,
        caused_by: &Headers,
    ) -> String {
        let value = wire::outcome::encode_value(record);
        let key = key.to_string();
        let headers = wire::headers::headers(id, &key, record, fingerprint, traceparent(caused_by));
        self.push(id, Topic::Outcomes, key, record.command, value.clone().into_bytes(), headers);
        value
    }

    /// A command for another aggregate. Its request id is derived too: however often it is published, it counts once.
    pub fn follow_up(&mut self, body: Body, index: usize, at: &Arrival, caused_by: &Headers) {
        let index = u32::try_from(index).expect("a decision has a bounded number of follow-ups");
        let id = derived(at, FOLLOW_UPS + index);
        let key = body.routing_key();
        let command = Command { request_id: RequestId(id), body };
        let headers = traceparent(caused_by).map(with_traceparent).unwrap_or_default();
        let topic = Topic::Lane(key.lane());
        let payload = wire::command::encode(&command);
        self.push(id, topic, key.to_string(), command.body.name(), payload, headers);
    }

    /// A record forwarded to the partition it belongs on, byte for byte.
    #[allow(clippy::too_many_arguments)]
    pub fn stray(
        &mut self,
        topic: Topic,
        key: &RoutingKey,
        kind: &str,
        value: Bytes,
        headers: Headers,
        hops: u32,
        at: &Arrival,
    ) {
        let headers = with_hops(headers, hops);
        self.push(derived(at, STRAY), topic, key.to_string(), kind, value.to_vec(), headers);
    }

    pub fn dead_letter(&mut self, record: &Record, reason: &str, at: &Arrival) {
        let key = record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
        let headers = dead_letter_headers(&record.headers, &at.position, reason);
        let payload = record.value.as_ref().map(|value| value.to_vec()).unwrap_or_default();
        self.push(derived(at, DEAD_LETTER), Topic::DeadLetters, key, "dead_letter", payload, headers);
    }

    fn push(&mut self, id: Uuid, topic: Topic, key: String, kind: &str, payload: Vec<u8>, headers: Headers) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.rows.push(OutboxRow { id, seq, topic, key, kind: kind.to_owned(), payload, headers });
    }
}

fn derived(at: &Arrival, index: u32) -> Uuid {
    DerivedId::of(at, index).0
}
