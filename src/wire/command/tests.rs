use proptest::prelude::*;

use super::*;
use crate::domain::block::{Choice, HoldSeats};
use crate::domain::{RequestId, SeatId, queue};
use crate::testing::wire::{arbitrary, samples};
use crate::wire::outcome;

const IDS: &str = r#""request_id":"0192e4b0-0000-7000-8000-000000000010","user_id":"alice","#;
const DATE: &str = r#""schedule_id":"0192e4b0-0000-7000-8000-00000000005c","#;

fn json(kind: &str, rest: &str) -> String {
    format!(r#"{{"type":"{kind}","version":1,{IDS}{DATE}{rest}}}"#)
}

fn refused(json: &str) -> String {
    decode(json.as_bytes()).expect_err(json).to_string()
}

fn hold(rest: &str) -> String {
    json("hold_seats", rest)
}

fn held(rest: &str) -> HoldSeats {
    let command = decode(hold(rest).as_bytes()).unwrap();
    let Body::Seats(block::Command::HoldSeats(hold)) = command.body else { panic!("{command:?}") };
    hold
}

proptest! {
    #[test]
    fn any_command_reads_back_as_it_was_written(command in arbitrary::command()) {
        let bytes = encode(&command);
        prop_assert!(bytes.len() <= bytes_max(command.body.kind()));
        prop_assert_eq!(decode(&bytes), Ok(command));
    }

    #[test]
    fn a_fingerprint_leaves_out_the_request_id_and_nothing_of_who_asks_what(
        command in arbitrary::command(),
        other in arbitrary::command(),
    ) {
        let again = Command { request_id: RequestId(uuid::Uuid::nil()), ..command.clone() };
        prop_assert_eq!(fingerprint(&command), fingerprint(&again));
        let by = Command { by: other.by.clone(), ..command.clone() };
        prop_assert_eq!(by.by == command.by, fingerprint(&by) == fingerprint(&command));
        let body = Command { body: other.body, ..command.clone() };
        let same = without_admission(&body) == without_admission(&command);
        prop_assert_eq!(same, fingerprint(&body) == fingerprint(&command));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode(&bytes);
        let _ = outcome::decode(&bytes);
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

fn without_admission(command: &Command) -> Command {
    let mut command = command.clone();
    if let Body::Seats(block::Command::HoldSeats(hold)) = &mut command.body {
        hold.admitted = false;
    }
    command
}

#[test]
fn an_admission_is_no_part_of_what_is_asked() {
    let with = |rest: &str| decode(hold(rest).as_bytes()).unwrap();
    let (admitted, not) = (with(r#""seats":["A-1"],"admitted":true"#), with(r#""seats":["A-1"],"admitted":false"#));
    assert_ne!(admitted, not);
    assert_eq!(fingerprint(&admitted), fingerprint(&not));
    let all: std::collections::BTreeSet<u64> =
        samples::commands().iter().map(|(_, command)| fingerprint(command).0).collect();
    assert_eq!(all.len(), samples::commands().len());
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
        (hold(r#""seats":["A-1"],"seats":["A-2"]"#), "field seats: given twice"),
        (hold(r#""seats":"A-1""#), "field seats: not a list"),
        (hold(r#""seats":[]"#), "field seats: must have 1 to 100 entries, has 0"),
        (hold(r#""seats":["A-3","A-1","A-3"]"#), "field seats: A-3 is there twice"),
        (hold(r#""seats":["A-1","A-0"]"#), "field seats[1]: a seat is {section}-{number}, e.g. A-12"),
        (hold(r#""seats":[1]"#), "field seats[0]: not a text"),
        (hold(r#""best_available":0"#), "field best_available: must be 1 to 100, is 0"),
        (hold(r#""best_available":"2""#), "field best_available: not an integer of 0 to 4294967295"),
        (hold(r#""x":1"#), "exactly one of the fields seats and best_available must be given"),
        (
            hold(r#""seats":["A-1"],"best_available":2"#),
            "exactly one of the fields seats and best_available must be given",
        ),
        (hold(r#""seats":["A-1"],"section":"A""#), "fields section and category may be given with best_available only"),
        (hold(r#""seats":["A-1"],"block":"a/b""#), "field block: a block name is 1 to 32 of A-Z a-z 0-9 . _ -"),
        (
            hold(r#""best_available":2,"section":"Ue\u0301""#),
            "field section: a section name is 1 to 64 characters in NFC, none of them a control or format character",
        ),
    ];
    for (json, reason) in cases {
        assert_eq!(refused(&json), reason, "{json}");
    }
}

/// Each text of each command, ids and names of fields of fields too.
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
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| collect_texts(value, format!("{pointer}/{i}"), found));
        }
        serde_json::Value::String(_) => found.push(pointer),
        _ => {}
    }
}

#[test]
fn other_encodings_and_large_records_are_refused() {
    assert_eq!(decode(b"{\"type\":\"\xff\"}").unwrap_err().to_string(), "not UTF-8");
    let large = vec![b' '; SECTIONS_BYTES_MAX + 1];
    assert_eq!(decode(&large).unwrap_err().to_string(), "1048577 bytes, at most 1048576 are allowed");
    let filled = |kind: &str, bytes: usize| {
        let json = json(kind, r#""note":"""#);
        json.replace(r#""note":""#, &format!(r#""note":"{}"#, "x".repeat(bytes - json.len())))
    };
    assert_eq!(refused(&filled("tick", 65_537)), "65537 bytes, at most 65536 are allowed");
    assert!(decode(filled("tick", 65_536).as_bytes()).is_ok());
    assert!(decode(filled("amend_block", SECTIONS_BYTES_MAX).as_bytes()).is_ok());
    let long_type = format!(r#"{{"type":"{}"}}"#, "x".repeat(60_000));
    assert!(refused(&long_type).len() < 100);
    let text_for_object = refused(&format!("{:?}", "x".repeat(60_000)));
    assert!(text_for_object.starts_with("not a JSON object: invalid type: string") && text_for_object.len() < 300);
}

#[test]
fn limits_of_money_and_queues_are_checked() {
    let wallet = |rest: &str| json("charge_wallet", rest);
    let long = "ä".repeat(201);
    assert_eq!(refused(&wallet(r#""amount":1.5"#)), "field amount: not a 64-bit integer");
    assert_eq!(refused(&wallet(r#""amount":"100""#)), "field amount: not a 64-bit integer");
    let reason = "field reason: a reason is at most 200 characters, none of them a control character";
    assert_eq!(refused(&wallet(&format!(r#""amount":1,"reason":"{long}""#))), reason);
    assert_eq!(refused(&wallet(r#""amount":1,"reason":"a\n""#)), reason);
    assert_eq!(refused(&wallet(r#""amount":1,"reason":"a\u0000""#)), "field reason: holds U+0000");
    assert!(decode(wallet(r#""amount":-1,"reason":null"#).as_bytes()).is_ok(), "the rule refuses it");

    let configure = |rest: &str| json("configure_queue", rest);
    assert_eq!(refused(&configure(r#""admit_per_minute":0"#)), "field admit_per_minute: must be 1 to 1000000, is 0");
    let seen = |list: &str| json("seen", &format!(r#""seen":[{list}]"#));
    assert!(decode(seen("").as_bytes()).is_ok(), "nobody was seen");
    assert!(decode(seen("[1,3999,0],[4000,1,86400000]").as_bytes()).is_ok());
    for (list, why) in [
        ("[1,4001,0]", "is too much for one record"),
        ("[0,1,0]", "is empty, or not behind the one before"),
        ("[1,0,0]", "is empty, or not behind the one before"),
        ("[5,2,0],[6,1,0]", "is empty, or not behind the one before"),
        ("[9223372036854775807,2,0]", "has numbers out of bounds"),
        ("[18446744073709551615,1,0]", "has numbers out of bounds"),
        ("[1,1,-1]", "is not at most a day old"),
        ("[1,1,86400001]", "is not at most a day old"),
    ] {
        let last = list.rsplit("],").next().expect("an entry").trim_matches(['[', ']']);
        assert_eq!(refused(&seen(list)), format!("field seen: [{last}] {why}"));
    }
    assert_eq!(refused(&seen("[1,1]")), "field seen: not a list of [first, count, milliseconds]");
}

#[test]
fn a_debit_with_an_origin_is_the_programs_own_and_its_amount_is_checked() {
    let origin = |asking: &str| {
        let ids = r#""reservation_id":"0192e4b0-0000-7000-8000-0000000000e1","payment_id":"0192e4b0-0000-7000-8000-0000000000a1""#;
        format!(r#""origin":{{{DATE}{ids}{asking}}}"#)
    };
    let debit = |amount: i64, origin: &str| json("debit_wallet", &format!(r#""amount":{amount},{origin}"#));
    let is_internal = |json: &str| decode(json.as_bytes()).unwrap().body.is_internal();
    assert!(!is_internal(&debit(-1, r#""reason":"shop""#)));
    assert_eq!(refused(&debit(1, r#""origin":null"#)), "field origin: missing");
    assert!(is_internal(&debit(1, &origin(""))));
    assert_eq!(refused(&debit(-1, &origin(""))), "field amount: not an amount of 0 to 10^14");

    let id = r#","request_id":"0192e4b0-0000-7000-8000-000000000010""#;
    let hash = r#","fingerprint":"0123456789abcdef""#;
    assert!(is_internal(&debit(1, &origin(&format!("{id}{hash}")))));
    for half in [id, hash, r#","by":"clerk""#] {
        let reason = "origin: request_id and fingerprint must be given together, and by only with them";
        assert_eq!(refused(&debit(1, &origin(half))), reason);
    }
    let short = debit(1, &origin(&format!(r#"{id},"fingerprint":"abc""#)));
    assert_eq!(refused(&short), "origin: field fingerprint: not 16 lower-case hex digits");
}

#[test]
fn seats_are_sorted_unknown_fields_ignored_and_the_block_is_main() {
    let hold = held(r#""seats":["B-1","A-13","A-2"],"color":{"deep":[1,{}]},"note":null"#);
    let seats = ["A-2", "A-13", "B-1"].map(|seat| seat.parse::<SeatId>().unwrap());
    assert_eq!(hold.choice, Choice::Seats(seats.into()));
    assert_eq!(hold.key.block.as_str(), "main");
    assert!(!hold.admitted);
    assert!(
        encode(&decode(self::hold(r#""best_available":1"#).as_bytes()).unwrap())
            .windows(14)
            .any(|w| w == br#""block":"main""#)
    );
}

#[test]
fn names_are_read_as_what_they_say_however_they_are_escaped() {
    let hold = held(r#""seats":["R\u00e4ng \"1\"-2"]"#);
    assert_eq!(hold.choice, Choice::Seats(vec!["Räng \"1\"-2".parse().unwrap()]));
}

#[test]
fn an_absent_setting_is_left_and_a_null_one_is_taken_away() {
    let patch = |rest: &str| {
        let json = json("configure_queue", &format!(r#""paused":true{rest}"#));
        let command = decode(json.as_bytes()).unwrap();
        let Body::Queues(queue::Command::ConfigureQueue(c)) = command.body else { panic!("{json}") };
        c.patch.admit_per_minute
    };
    assert_eq!(patch(""), None);
    assert_eq!(patch(r#","admit_per_minute":null"#), Some(None));
    assert_eq!(patch(r#","admit_per_minute":5"#), Some(Some(5)));
    let close = |rest: &str| {
        let json = json("amend_block", &format!(r#""x":1{rest}"#));
        let command = decode(json.as_bytes()).unwrap();
        let Body::Seats(block::Command::AmendBlock(c)) = command.body else { panic!("{json}") };
        c.sales_close_at
    };
    assert_eq!(close(""), None);
    assert_eq!(close(r#","sales_close_at":null"#), Some(None));
    assert!(close(r#","sales_close_at":"2026-11-21T07:00:00Z""#).unwrap().is_some());
}

mod sections {
    use super::*;
    use crate::domain::block::{NewSection, OpenBlock};

    const TERMS: &str = r#""queue":false,"hold_ttl_ms":1,"rehold_after_ms":0,"payment_timeout_ms":1,"max_seats_per_user":4,"starts_at":"2026-11-21T07:00:00Z""#;

    fn open(sections: &str) -> String {
        json("open_block", &format!(r#""sections":[{sections}],{TERMS}"#))
    }

    fn opened(sections: &str) -> OpenBlock {
        let command = decode(open(sections).as_bytes()).unwrap();
        let Body::Seats(block::Command::OpenBlock(open)) = command.body else { panic!("{command:?}") };
        open
    }

    #[test]
    fn a_section_is_plain_or_described() {
        let short = opened(r#"{"name":"A","seats":20,"price":7}"#);
        let long = opened(
            r#"{"name":"A","seats":20,"runs":[[1,20]],"categories":[{"name":"A","price":7}],"category_runs":[[1,20,0]]}"#,
        );
        assert_eq!(short, long);
        // What is left out is one run and the first category.
        let middle = opened(r#"{"name":"A","seats":20,"categories":[{"name":"A","price":7}],"not_for_sale":[]}"#);
        assert_eq!(short, middle);
    }

    #[test]
    fn what_is_no_section_is_refused() {
        let cases = [
            ("", "field sections: must have 1 to 500 entries, has 0"),
            ("7", "field sections[0]: not an object"),
            (r#"{"name":"A","seats":0,"price":1}"#, "sections[0]: field seats: must be 1 to 100000, is 0"),
            (r#"{"name":"A","seats":1,"price":-1}"#, "sections[0]: field price: not a price of 0 to 10^12"),
            (r#"{"name":"A","seats":1}"#, "sections[0]: exactly one of the fields price and categories must be given"),
            (
                r#"{"name":"A","seats":1,"price":1},{"name":"A","seats":1,"price":1}"#,
                "field sections: A is there twice",
            ),
            (
                r#"{"name":"A","seats":100000,"price":1},{"name":"B","seats":100000,"price":1},{"name":"C","seats":1,"price":1}"#,
                "field sections: 200001 seats, at most 200000 are allowed",
            ),
            (
                r#"{"name":"A","seats":9,"price":1,"runs":[[1,5],[5,5]]}"#,
                "sections[0]: field runs: seat 5 is out of order",
            ),
            (
                r#"{"name":"A","seats":9,"price":1,"wheelchair":[[0,1]]}"#,
                "sections[0]: field wheelchair: [0,1] are no seats of 1 to 100000",
            ),
            (
                r#"{"name":"A","seats":9,"price":1,"wheelchair":[[4294967295,4294967295]]}"#,
                "sections[0]: field wheelchair: [4294967295,4294967295] are no seats of 1 to 100000",
            ),
            (
                r#"{"name":"A","seats":9,"price":1,"category_runs":[[1,9]]}"#,
                "sections[0]: field category_runs: not a list of triples of integers",
            ),
        ];
        for (sections, reason) in cases {
            assert_eq!(refused(&open(sections)), reason, "{sections}");
        }
        // What only the layout itself can tell.
        assert!(refused(&open(r#"{"name":"A","seats":9,"price":1,"runs":[[1,5]]}"#)).starts_with("sections[0]: "));
        for missing in ["hold_ttl_ms", "rehold_after_ms", "payment_timeout_ms", "max_seats_per_user", "queue"] {
            let json = open(r#"{"name":"A","seats":1,"price":1}"#).replace(missing, "other");
            assert_eq!(refused(&json), format!("field {missing}: missing"));
        }
    }

    #[test]
    fn the_largest_hall_fits_a_record() {
        let rows = (0..10_000).map(|row| block::Span { first: row * 10 + 1, last: row * 10 + 10 });
        let section = |name: &str| NewSection {
            name: name.parse().unwrap(),
            layout: block::Layout::new(block::LayoutParts {
                seats: 100_000,
                runs: rows.clone().collect(),
                categories: vec![block::Category { name: "R".parse().unwrap(), price: Default::default() }],
                category_runs: rows.clone().map(|span| (span, 0)).collect(),
                ..Default::default()
            })
            .unwrap(),
        };
        let open =
            OpenBlock { sections: vec![section("A"), section("B")], ..opened(r#"{"name":"A","seats":1,"price":1}"#) };
        let body = Body::Seats(block::Command::OpenBlock(open));
        let command = Command { request_id: RequestId(uuid::Uuid::nil()), by: None, body };
        let bytes = encode(&command);
        assert!(bytes.len() < SECTIONS_BYTES_MAX, "{} bytes", bytes.len());
        assert_eq!(decode(&bytes), Ok(command));
    }
}
