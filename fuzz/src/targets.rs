//! What is fuzzed: whatever comes from outside must be understood or refused, and never panic. `tests/corpus.rs` runs
//! the same functions on the corpora.

#![allow(dead_code)]

mod http;
mod owner;

use turnstile::api::queue::token::{Claim, Signer};
use turnstile::domain::{BlockName, Body, Command, Lane, Position, ScheduleId, SeatId, SectionName, UserId, block};
use turnstile::wire::{command, headers, inbox, outcome, routing, time};

// Each binary uses one of the targets.
#[allow(unused_imports)]
pub use {http::http, owner::owner};

/// Record values of command and outcome topics, and header values. What is understood reads back equal from its own
/// bytes.
pub fn record(bytes: &[u8]) {
    match command::decode(bytes) {
        Ok(command) => reads_back(&command),
        Err(error) => {
            let reason = error.to_string();
            assert!(reason.len() < 1000 && !reason.contains('\0'), "a reason that a store or a header cannot keep");
        }
    }
    let _ = outcome::decode(bytes);
    let names = [headers::HOPS, headers::REQUEST_ID, headers::FINGERPRINT, headers::SCHEDULE, headers::TRACEPARENT];
    let headers: Vec<headers::Header> = names.map(|name| (name.into(), bytes::Bytes::copy_from_slice(bytes))).into();
    let hops = headers::hops(&headers);
    assert_eq!(headers::hops(&headers::with_hops(headers.clone(), hops)), hops);
    let _ = (headers::request_id_of(&headers), headers::fingerprint_of(&headers), headers::schedule_of(&headers));
    let _ = headers::traceparent(&headers);
}

/// Record values of the inbox. What is taken is a client's command, and what is written of it has nothing else.
pub fn inbox(bytes: &[u8]) {
    let Ok(command) = inbox::decode(bytes) else { return };
    assert!(inbox::KINDS.contains(&command.body.kind()) && !command.body.is_internal() && command.by.is_none());
    let written = command::encode(&command);
    assert_eq!(inbox::decode(&written), Ok(command.clone()), "what is forwarded could be sent again");
    assert_eq!(command::decode(&written), Ok(command.clone()));
    let lane = command.body.routing_key().lane();
    assert!(matches!(lane, Lane::Seats | Lane::Queues), "no wallet command");
    if let Body::Seats(block::Command::HoldSeats(hold)) = &command.body {
        assert!(!hold.admitted);
    }
}

fn reads_back(command: &Command) {
    let again = command::decode(&command::encode(command)).expect("what was written can be read");
    assert_eq!(*command, again);
    assert_eq!(command::fingerprint(command), command::fingerprint(&again));
    assert!(!command.body.routing_key().to_string().is_empty());
}

/// Keys, names, positions and times. Every key has one partition, and what prints reads back.
pub fn routing(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for partitions in [1, 2, 7, 16, u32::MAX] {
        assert!(routing::partition_for(&text, partitions) < partitions);
    }
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string().parse(), Ok(position));
    }
    if let Ok(seat) = text.parse::<SeatId>() {
        assert_eq!(seat.to_string(), text);
    }
    if let Ok(user) = text.parse::<UserId>() {
        assert_eq!(user.as_str(), text);
    }
    if let Ok(section) = text.parse::<SectionName>() {
        assert_eq!(section.as_str(), text);
    }
    if let Ok(block) = text.parse::<BlockName>() {
        assert_eq!(block.as_str(), text);
    }
    if let Some(at) = time::parse_rfc3339(&text) {
        assert_eq!(time::parse_rfc3339(&time::rfc3339(at)), Some(at));
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
