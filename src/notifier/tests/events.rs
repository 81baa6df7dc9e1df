//! The events of every outcome there is.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use crate::log::{Record, Timestamp};
use crate::notifier::event::{TYPES, events};
use crate::testing::wire::samples;
use crate::wire::headers::outcome_headers;
use crate::wire::outcome::encode;

/// The record of a sample.
fn record(outcome: &samples::Outcome) -> Record {
    let written = outcome.record();
    Record {
        offset: 7,
        timestamp: Timestamp::LogAppend(0),
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::from(encode(&written).record)),
        headers: outcome_headers(Uuid::from_u128(1), "key", &written, None),
        unreadable_headers: 0,
    }
}

fn kinds(name: &str) -> Vec<&'static str> {
    let outcome = samples::outcomes().into_iter().find(|outcome| outcome.name == name).unwrap();
    events(&record(&outcome)).iter().map(|event| event.kind).collect()
}

#[test]
fn each_outcome_says_what_has_happened() {
    let cases: [(&str, &[&str]); 28] = [
        ("block_opened", &["block.opened"]),
        ("block_amended", &["block.amended"]),
        ("held", &["reservation.held"]),
        ("held_over_expired", &["reservation.held", "reservation.expired"]),
        ("cancelled", &["reservation.cancelled"]),
        ("refunded", &[]),
        ("payment_completed", &["payment.completed"]),
        ("confirmed_for_nothing", &["reservation.confirmed"]),
        ("settled", &["reservation.confirmed"]),
        ("holds_expired", &["reservation.expired"]),
        ("ticket_checked", &["ticket.checked"]),
        ("charged", &["wallet.charged"]),
        ("debited", &["wallet.debited"]),
        ("debited_for_payment", &["wallet.debited"]),
        ("debit_declined_before", &[]),
        ("credited", &["wallet.refunded"]),
        ("credited_before", &[]),
        ("asked_and_credited", &["wallet.refunded"]),
        ("asked_and_declined", &[]),
        ("queue_opened", &["queue.opened"]),
        ("queue_configured", &["queue.configured", "queue.admitted"]),
        ("joined_active", &["queue.joined", "queue.admitted", "queue.expired"]),
        ("joined_waiting", &["queue.joined"]),
        ("left", &["queue.left", "queue.admitted"]),
        ("token_completed", &["queue.completed", "queue.admitted"]),
        ("ticked", &["queue.admitted", "queue.expired", "queue.requeued"]),
        ("sale_noted", &["queue.admitted"]),
        ("rejected_seat_taken", &["request.rejected"]),
    ];
    for (name, expected) in cases {
        assert_eq!(kinds(name), expected, "{name}");
    }
}

#[test]
fn ids_differ_and_types_are_listed_once() {
    let known: BTreeSet<&str> = TYPES.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(known.len(), TYPES.len());
    for outcome in samples::outcomes() {
        let made = events(&record(&outcome));
        let ids: BTreeSet<&str> = made.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids.len(), made.len(), "{}", outcome.name);
        assert!(ids.iter().all(|id| !id.contains('.')), "{ids:?}");
        assert_eq!(made, events(&record(&outcome)), "{}: the same again", outcome.name);
        for event in &made {
            assert!(known.contains(event.kind), "{}", event.kind);
            let text = String::from_utf8(event.body(false)).unwrap();
            assert!(!text.contains("user_id") && !text.contains("alice") && !text.contains("Zoë"), "{text}");
            let body: Value = serde_json::from_slice(&event.body(true)).unwrap();
            assert_eq!((&body["type"], body["data"]["request_id"].is_string()), (&event.kind.into(), true));
        }
    }
}

#[test]
fn what_is_no_outcome_is_no_event() {
    let outcome = samples::outcomes().remove(0);
    let mut broken = record(&outcome);
    broken.value = Some(Bytes::from_static(b"{}"));
    assert_eq!(events(&broken), []);
    broken.value = None;
    assert_eq!(events(&broken), []);
}
