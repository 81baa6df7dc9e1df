//! What is fuzzed: whatever comes from outside must be understood or refused, and never panic. `tests/corpus.rs` runs
//! the same functions on the corpora.

#![allow(dead_code)]

mod http;
mod owner;

use turnstile::api::queue::token::{Claim, Signer};
use turnstile::domain::{Command, Position, ScheduleId, SectionName, UserId};
use turnstile::wire;

// Each binary uses one of the targets.
#[allow(unused_imports)]
pub use {http::http, owner::owner};

/// Record values of command and outcome topics. What is understood reads back equal from its own bytes.
pub fn record(bytes: &[u8]) {
    match wire::command::decode(bytes) {
        Ok(command) => reads_back(&command),
        Err(error) => {
            let reason = error.to_string();
            assert!(reason.len() < 1000 && !reason.contains('\0'), "a reason that a store or a header cannot keep");
        }
    }
    let _ = wire::outcome::decode_value(bytes);
    let headers = vec![
        (wire::headers::HOPS.to_owned(), bytes.to_vec()),
        (wire::headers::FINGERPRINT.to_owned(), bytes.to_vec()),
        (wire::headers::TRACEPARENT.to_owned(), bytes.to_vec()),
    ];
    let hops = wire::hops(&headers);
    assert_eq!(wire::hops(&wire::with_hops(headers.clone(), hops)), hops);
    let _ = (wire::fingerprint_of(&headers), wire::traceparent(&headers));
}

fn reads_back(command: &Command) {
    let again = wire::command::decode(&wire::command::encode(command)).expect("what was written can be read");
    assert_eq!(*command, again);
    assert_eq!(wire::fingerprint(&command.body), wire::fingerprint(&again.body));
    assert!(!command.body.routing_key().to_string().is_empty());
}

/// Keys, ids, positions and times. Every key has one partition, and what prints reads back.
pub fn routing(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for partitions in [1, 2, 7, 16, u32::MAX] {
        assert!(wire::partition_for(&text, partitions) < partitions);
    }
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string().parse(), Ok(position));
    }
    if let Ok(user) = text.parse::<UserId>() {
        assert_eq!(user.as_str(), text);
    }
    if let Ok(section) = text.parse::<SectionName>() {
        assert_eq!(section.as_str(), text);
    }
    if let Some(time) = wire::parse_rfc3339(&text) {
        assert_eq!(wire::parse_rfc3339(&wire::rfc3339(time)), Some(time));
    }
}

/// Queue tokens. Nobody finds one by guessing, and what was signed is what is read.
pub fn token(bytes: &[u8]) {
    let signer = Signer::new(b"0123456789abcdef0123456789abcdef");
    assert_eq!(signer.verify(&String::from_utf8_lossy(bytes)), None, "a token nobody signed");
    let Some((sequence, user)) = bytes.split_first_chunk::<8>() else { return };
    let Ok(user_id) = String::from_utf8_lossy(user).parse::<UserId>() else { return };
    let sequence = u64::from_be_bytes(*sequence);
    let claim = Claim { schedule_id: ScheduleId(uuid::Uuid::from_u128(u128::from(sequence))), user_id, sequence };
    assert_eq!(signer.verify(&signer.sign(&claim)), Some(claim));
}
