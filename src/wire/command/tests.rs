use proptest::prelude::*;

use super::*;
use crate::domain::command::{ChargeWallet, Choice, JoinQueue};
use crate::domain::{RequestId, ScheduleId};
use crate::testing::wire::{arbitrary, samples};
use crate::wire::decode_value;

const IDS: &str = r#""request_id":"0192e4b0-0000-7000-8000-000000000010","user_id":"alice","#;
const PLACE: &str = r#""schedule_id":"0192e4b0-0000-7000-8000-00000000005c","section":"A","#;

fn refused(json: &str) -> String {
    decode(json.as_bytes()).expect_err(json).to_string()
}

fn hold(rest: &str) -> String {
    format!(r#"{{"type":"hold_seats","version":1,{IDS}{PLACE}{rest}}}"#)
}

proptest! {
    #[test]
    fn any_command_reads_back_as_it_was_written(command in arbitrary::command()) {
        let bytes = encode(&command);
        prop_assert!(bytes.len() <= RECORD_BYTES_MAX);
        prop_assert_eq!(decode(&bytes), Ok(command));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode(&bytes);
        let _ = decode_value(&bytes);
    }

    /// Nearly right is where parsers break: a good command with some bytes replaced.
    #[test]
    fn no_damaged_command_makes_reading_panic(
        command in arbitrary::command(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = encode(&command);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&read)), Ok(read));
        }
    }
}

#[test]
fn every_command_type_can_be_read() {
    for (_, command) in samples::commands() {
        assert!(reader(command.body.name()).is_some(), "{}", command.body.name());
    }
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let cases: Vec<(String, &str)> = vec![
        ("".into(), "not a JSON object: EOF while parsing a value at line 1 column 0"),
        ("[]".into(), "not a JSON object: invalid type: sequence, expected an object at line 1 column 0"),
        ("{} x".into(), "not a JSON object: trailing characters at line 1 column 4"),
        ("{}".into(), "field type: missing"),
        (r#"{"type":7}"#.into(), "field type: not a text"),
        (r#"{"type":"steal_seats","version":1}"#.into(), r#"unknown type "steal_seats""#),
        (r#"{"type":"a\u0000b"}"#.into(), "field type: holds U+0000"),
        (r#"{"type":"a\u0001b"}"#.into(), r#"unknown type "a\u{1}b""#),
        (r#"{"type":"tick"}"#.into(), "field version: missing"),
        (r#"{"type":"tick","version":2}"#.into(), "unknown version 2 of tick"),
        (r#"{"type":"tick","version":1}"#.into(), "field request_id: missing"),
        (r#"{"type":"tick","version":1,"request_id":"7"}"#.into(), "field request_id: not a UUID"),
        (hold(r#""seats":[1],"seats":[2]"#), "field seats: given twice"),
        (hold(r#""seats":[]"#), "field seats: must be 1 to 100 numbers, are 0"),
        (hold(r#""seats":[3,1,3]"#), "field seats: 3 is there twice"),
        (hold(r#""seats":[0,1]"#), "field seats: numbers start at 1"),
        (hold(r#""seats":[-1]"#), "field seats: not a list of integers of 0 to 4294967295"),
        (hold(r#""seats":[1.5]"#), "field seats: not a list of integers of 0 to 4294967295"),
        (hold(r#""best_available":0"#), "field best_available: must be 1 to 100, is 0"),
        (hold(r#""best_available":"2""#), "field best_available: not an integer of 0 to 4294967295"),
        (hold(r#""x":1"#), "exactly one of the fields seats and best_available must be given"),
        (hold(r#""seats":[1],"best_available":2"#), "exactly one of the fields seats and best_available must be given"),
    ];
    for (json, reason) in cases {
        assert_eq!(refused(&json), reason, "{json}");
    }
}

/// Each text of each command, ids and all.
#[test]
fn no_text_of_a_command_may_hold_nul() {
    for (name, command) in samples::commands() {
        let json: serde_json::Value = serde_json::from_slice(&encode(&command)).unwrap();
        let mut texts = Vec::new();
        collect_texts(&json, String::new(), &mut texts);
        assert!(texts.len() >= 2, "{name} has a type and an id at least");
        for pointer in texts {
            let mut spoilt = json.clone();
            let text = spoilt.pointer_mut(&pointer).unwrap();
            *text = format!("{}\0", text.as_str().unwrap()).into();
            let spoilt = spoilt.to_string();
            assert!(refused(&spoilt).contains("holds U+0000"), "{pointer} of {spoilt}");
        }
    }
}

fn collect_texts(value: &serde_json::Value, pointer: String, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| collect_texts(value, format!("{pointer}/{name}"), found));
        }
        serde_json::Value::String(_) => found.push(pointer),
        _ => {}
    }
}

#[test]
fn other_encodings_and_large_records_are_refused() {
    assert_eq!(decode(b"{\"type\":\"\xff\"}").unwrap_err().to_string(), "not UTF-8");
    let large = vec![b' '; RECORD_BYTES_MAX + 1];
    assert_eq!(decode(&large).unwrap_err().to_string(), "65537 bytes, at most 65536 are allowed");
    let long_type = format!(r#"{{"type":"{}"}}"#, "x".repeat(60_000));
    assert!(refused(&long_type).len() < 100);
    let text_for_object = refused(&format!("{:?}", "x".repeat(60_000)));
    assert!(text_for_object.starts_with("not a JSON object: invalid type: string") && text_for_object.len() < 300);
}

#[test]
fn limits_of_each_command_are_checked() {
    let wallet = |rest: &str| format!(r#"{{"type":"charge_wallet","version":1,{IDS}{rest}}}"#);
    let long = "ä".repeat(201);
    assert_eq!(refused(&wallet(r#""amount":1.5"#)), "field amount: not a 64-bit integer");
    assert_eq!(refused(&wallet(r#""amount":"100""#)), "field amount: not a 64-bit integer");
    assert_eq!(
        refused(&wallet(&format!(r#""amount":1,"reason":"{long}""#))),
        "field reason: longer than 200 characters"
    );
    assert_eq!(refused(&wallet(r#""amount":1,"reason":"a\u0000""#)), "field reason: holds U+0000");
    assert_eq!(refused(&wallet(r#""amount":1,"reason":"a\n""#)), "field reason: holds a control character");
    assert!(decode(wallet(r#""amount":-1,"reason":null"#).as_bytes()).is_ok());

    let open = |seats: &str, ttl: &str| {
        let rest = r#""price":1,"max_seats_per_user":4,"starts_at":"2026-11-21T07:00:00Z""#;
        format!(r#"{{"type":"open_section","version":1,{IDS}{PLACE}"seats":{seats},"hold_ttl_ms":{ttl},{rest}}}"#)
    };
    assert_eq!(refused(&open("10001", "1")), "field seats: must be 1 to 10000, is 10001");
    assert_eq!(refused(&open("1", "86400001")), "field hold_ttl_ms: must be 1 to 86400000, is 86400001");
    assert!(decode(open("1", "1").as_bytes()).is_ok());

    let configure = |rest: &str| format!(r#"{{"type":"configure_queue","version":1,{IDS}{PLACE}{rest}}}"#);
    assert_eq!(refused(&configure(r#""admit_per_minute":0"#)), "field admit_per_minute: must be 1 to 1000000, is 0");
    let seen = |n: u64| {
        let list: Vec<String> = (1..=n).map(|i| i.to_string()).collect();
        format!(r#"{{"type":"seen","version":1,{IDS}{PLACE}"sequences":[{}]}}"#, list.join(","))
    };
    assert!(decode(seen(10_000).as_bytes()).is_ok());
    assert_eq!(refused(&seen(10_001)), "field sequences: must be 1 to 10000 numbers, are 10001");
}

#[test]
fn seats_are_sorted_and_unknown_fields_ignored() {
    let command = decode(hold(r#""seats":[13,12],"color":{"deep":[1,{}]},"note":null"#).as_bytes()).unwrap();
    let Body::HoldSeats(hold) = command.body else { panic!("{command:?}") };
    assert_eq!(hold.choice, Choice::Seats(vec![12, 13]));
}

#[test]
fn an_absent_rate_is_left_and_a_null_rate_is_taken_away() {
    let patch = |rest: &str| {
        let json = format!(r#"{{"type":"configure_queue","version":1,{IDS}{PLACE}"paused":true{rest}}}"#);
        let Body::ConfigureQueue(c) = decode(json.as_bytes()).unwrap().body else { panic!("{json}") };
        c.patch.admit_per_minute
    };
    assert_eq!(patch(""), None);
    assert_eq!(patch(r#","admit_per_minute":null"#), Some(None));
    assert_eq!(patch(r#","admit_per_minute":5"#), Some(Some(5)));
}

#[test]
fn a_fingerprint_is_of_the_content_and_the_type_but_not_of_the_request_id() {
    let charge = |amount| Body::ChargeWallet(ChargeWallet { user_id: "alice".parse().unwrap(), amount, reason: None });
    assert_eq!(fingerprint(&charge(1)), fingerprint(&charge(1)));
    assert_ne!(fingerprint(&charge(1)), fingerprint(&charge(2)));
    let (schedule_id, user_id) = (ScheduleId(uuid::Uuid::from_u128(1)), "alice".parse().unwrap());
    let join = Command {
        request_id: RequestId(uuid::Uuid::from_u128(2)),
        body: Body::JoinQueue(JoinQueue { schedule_id, user_id }),
    };
    let again = Command { request_id: RequestId(uuid::Uuid::from_u128(3)), ..join.clone() };
    assert_eq!(fingerprint(&join.body), fingerprint(&decode(&encode(&again)).unwrap().body));
    let all: std::collections::BTreeSet<u64> =
        samples::commands().iter().map(|(_, command)| fingerprint(&command.body)).collect();
    assert_eq!(all.len(), samples::commands().len());
}
