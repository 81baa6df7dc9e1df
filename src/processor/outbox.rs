//! The records a batch asks to publish: outcomes, follow-up commands, forwarded strays, dead letters.
//!
//! Every id is derived from the position of its cause, so a batch decided again gives the same rows.

use bytes::Bytes;
use uuid::Uuid;

use super::decode::{Forward, Stray};
use crate::domain::{Arrival, Body, Command, DerivedId, RequestId};
use crate::log::{Headers, Record, Topic};
use crate::store::OutboxRow;
use crate::wire;
use crate::wire::headers::{dead_letter_headers, outcome_headers, traceparent, with_hops, with_traceparent};
use crate::wire::outcome::OutcomeRecord;

/// Which of a command's derived records; its follow-ups come behind, see [`DerivedId::of_follow_up`].
const STRAY: u32 = 3;
const DEAD_LETTER: u32 = 4;

/// Whose outcome a command gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own = 1,
    /// Of the earlier request that it completes.
    Earlier = 2,
}

/// The record that something follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause<'a> {
    pub at: Arrival,
    pub headers: &'a Headers,
}

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

    /// An outcome; returns its JSON without effects, which the request's row keeps.
    pub fn outcome(&mut self, whose: Whose, key: &str, record: &OutcomeRecord<'_>, cause: Cause<'_>) -> String {
        let id = derived(&cause.at, whose as u32);
        let headers = outcome_headers(id, key, record, traceparent(cause.headers));
        let encoded = wire::outcome::encode(record);
        let kind = record.command.as_str();
        self.push(id, Topic::Outcomes, key.to_owned(), kind, encoded.record.into(), headers);
        encoded.answer
    }

    /// A command for another aggregate. Its request id is derived too: however often it is published, it counts once.
    pub fn follow_up(&mut self, body: Body, index: usize, cause: Cause<'_>) {
        let index = u32::try_from(index).expect("a decision has a bounded number of follow-ups");
        let id = DerivedId::of_follow_up(&cause.at, index).0;
        let key = body.routing_key();
        let command = Command { request_id: RequestId(id), by: None, body };
        let headers = traceparent(cause.headers).map(with_traceparent).unwrap_or_default();
        let topic = Topic::Lane(key.lane());
        let payload = wire::command::encode(&command).into();
        self.push(id, topic, key.to_string(), command.body.kind().as_str(), payload, headers);
    }

    /// A record forwarded to the partition it belongs on, byte for byte.
    pub fn stray(&mut self, record: Record, stray: Stray, at: &Arrival) {
        let headers = with_hops(record.headers, stray.hops);
        let value = record.value.unwrap_or_default();
        self.push(derived(at, STRAY), stray.topic, stray.key_text, stray.kind.as_str(), value, headers);
    }

    /// A command from the inbox. Of its record's headers the trace goes along, nothing that a lane would believe.
    pub fn forward(&mut self, forward: Forward, cause: Cause<'_>) {
        let headers = traceparent(cause.headers).map(with_traceparent).unwrap_or_default();
        let Forward { key_text, topic, kind, value } = forward;
        self.push(derived(&cause.at, STRAY), topic, key_text, kind.as_str(), value.into(), headers);
    }

    pub fn dead_letter(&mut self, record: &Record, reason: &str, at: &Arrival) {
        let key = record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
        let headers = dead_letter_headers(&record.headers, &at.position, reason);
        let payload = record.value.clone().unwrap_or_default();
        self.push(derived(at, DEAD_LETTER), Topic::DeadLetters, key, "dead_letter", payload, headers);
    }

    fn push(&mut self, id: Uuid, topic: Topic, key: String, kind: &'static str, payload: Bytes, headers: Headers) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.rows.push(OutboxRow { id, seq, topic, key, kind: kind.into(), payload, headers });
    }
}

fn derived(at: &Arrival, index: u32) -> Uuid {
    DerivedId::of(at, index).0
}
