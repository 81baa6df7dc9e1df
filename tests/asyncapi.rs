//! `asyncapi.yaml` says what the code does: topics, partitions, every command and outcome, every field and limit.

mod schema;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use turnstile::config::{self, Config};
use turnstile::domain::queue::Reply;
use turnstile::domain::{Code, CommandKind, Effects, Fingerprint, ScheduleId};
use turnstile::log::{APPEND_BYTES_MAX, Topic};
use turnstile::wire::outcome::OutcomeRecord;
use turnstile::wire::{command, headers, inbox, outcome, routing};

use schema::Schemas;

/// How the names of messages' golden files begin; the front door has others.
const MESSAGES: [&str; 2] = ["command_", "outcome_"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn document() -> Value {
    let text = std::fs::read_to_string(root().join("asyncapi.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Golden files of messages by name, e.g. `command_hold_seats`.
fn golden(prefix: &str) -> Vec<(String, Value)> {
    let mut files: Vec<(String, Value)> = std::fs::read_dir(root().join("tests/golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        })
        .filter(|(name, _)| name.starts_with(prefix) && MESSAGES.iter().any(|kind| name.starts_with(kind)))
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!files.is_empty());
    files
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn topics_and_default_partitions_are_the_programs() {
    let document = document();
    let names: BTreeSet<&str> = Topic::ALL.iter().map(|topic| topic.as_str()).collect();
    assert_eq!(keys(&document["channels"]), names);
    let kafka = [("TURNSTILE__LOG__BROKERS".to_owned(), "127.0.0.1:9092".to_owned())];
    let settings = Config::read(&config::layers(None, kafka.into_iter()).unwrap()).unwrap().log;
    for topic in Topic::ALL {
        let channel = &document["channels"][topic.as_str()];
        assert_eq!(text(channel, "address"), format!("{}.{topic}", settings.topic_prefix));
        let partitions = channel["bindings"]["kafka"]["partitions"].as_u64();
        assert_eq!(partitions, Some(u64::from(settings.partitions.of(topic))), "{topic}");
    }
}

#[test]
fn every_command_is_on_its_lane_and_every_outcome_on_the_outcomes() {
    let document = document();
    let mut types = BTreeSet::new();
    for (name, value) in golden("command_") {
        let kind = command::decode(value.to_string().as_bytes()).unwrap().body.kind();
        types.insert(kind.as_str());
        for (topic, message) in [(kind.lane().as_str(), kind.to_string()), ("outcomes", format!("{kind}_outcome"))] {
            let reference = &document["channels"][topic]["messages"][&message]["$ref"];
            assert_eq!(*reference, json!(format!("#/components/messages/{message}")), "{name}");
            assert!(document["components"]["messages"][&message].is_object(), "{message}");
        }
    }
    assert_eq!(types.len(), CommandKind::ALL.len());
    let outcomes: BTreeSet<String> = types.iter().map(|kind| format!("{kind}_outcome")).collect();
    let mut expected: BTreeSet<&str> = outcomes.iter().map(String::as_str).chain(types).collect();
    expected.insert("dead_letter");
    assert_eq!(keys(&document["components"]["messages"]), expected);
}

#[test]
fn the_inbox_has_the_commands_that_it_takes() {
    let document = document();
    let kinds: BTreeSet<&str> = inbox::KINDS.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(keys(&document["channels"]["inbox"]["messages"]), kinds);
}

#[test]
fn the_examples_are_the_golden_files() {
    let document = document();
    for (prefix, field, suffix) in [("command_", "type", ""), ("outcome_", "command", "_outcome")] {
        for (name, value) in golden(prefix) {
            let message = &document["components"]["messages"][format!("{}{suffix}", text(&value, field))];
            let short = name.strip_prefix(prefix).unwrap();
            let example = message["examples"].as_array().unwrap().iter().find(|example| example["name"] == short);
            assert_eq!(example.unwrap_or_else(|| panic!("no example {name}"))["payload"], value, "{name}");
        }
    }
    let examples = document["components"]["messages"]
        .as_object()
        .unwrap()
        .values()
        .map(|message| message["examples"].as_array().map_or(0, Vec::len));
    assert_eq!(examples.sum::<usize>(), golden("").len(), "an example without a golden file");
}

#[test]
fn the_code_writes_no_field_that_is_not_described_and_the_other_way_round() {
    let document = document();
    let schemas = Schemas::new(&document);
    for (name, value) in golden("") {
        let schema = match name.strip_prefix("command_") {
            Some(_) => text(&value, "type").to_owned(),
            None => format!("{}_outcome", text(&value, "command")),
        };
        assert_eq!(schemas.check(&schema, &value), Ok(()), "{name}");
    }
    // Every outcome may have these, and every command may be sent by staff: each is in some golden file.
    let everywhere = ["_outcome.problem", "_outcome.effects", "_outcome.schedule_id", ".by"];
    let unused = schemas.unused();
    let unused: Vec<&String> =
        unused.iter().filter(|path| !everywhere.iter().any(|ending| path.ends_with(ending))).collect();
    assert_eq!(unused, Vec::<&String>::new(), "described, but in no golden file");
}

/// Values that break one rule or another, to be put in the place of a good one.
fn replacements() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(101),
        json!(10_001),
        json!(1_000_001),
        json!(86_400_001),
        json!(5_000_000_000u64),
        json!(1_000_000_000_001i64),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("x"),
        json!("a b"),
        json!("a\u{0}b"),
        json!("x".repeat(65)),
        json!("x".repeat(129)),
        json!("a\u{200b}b"),
        json!("a \"b\""),
        json!("a/b"),
        json!("A-12"),
        json!("A-0"),
        json!("0123456789abcdef"),
        json!("ä".repeat(201)),
        json!("2026-11-21T16:00:00+09:00"),
        json!("2026-11-21"),
        json!("0192e4b0-0000-7000-8000-000000000010"),
        json!("requeue"),
        json!([]),
        json!([1]),
        json!([2, 1]),
        json!([1, 1]),
        json!([0]),
        json!(["1"]),
        json!(["a/b"]),
        json!(["A-2", "A-1"]),
        json!(["A-1", "A-1"]),
        json!((1..=101).map(|n| format!("A-{n}")).collect::<Vec<_>>()),
        json!((1..=257).map(|n| format!("b{n}")).collect::<Vec<_>>()),
        json!((1..=4_001).collect::<Vec<u32>>()),
        json!([[1, 1]]),
        json!([[1, 1, 0]]),
        json!([{}]),
        json!({}),
    ]
}

/// All that come of leaving out or replacing one of its fields, nested ones and those of a list's first entry included.
fn mutants(value: &Value) -> Vec<Value> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Array(entries) => {
            let Some((first, rest)) = entries.split_first() else { return Vec::new() };
            return mutants(first).into_iter().map(|new| json!([&[new], rest].concat())).collect();
        }
        _ => return Vec::new(),
    };
    let mut all = Vec::new();
    for (name, field) in fields {
        let with = |new: Option<Value>| {
            let mut changed: Map<String, Value> = fields.clone();
            match new {
                Some(new) => changed.insert(name.clone(), new),
                None => changed.remove(name),
            };
            Value::Object(changed)
        };
        all.push(with(None));
        all.extend(replacements().into_iter().chain(mutants(field)).map(|new| with(Some(new))));
    }
    all.push({
        let mut more = fields.clone();
        more.insert("unheard_of".to_owned(), json!({ "a": [1] }));
        Value::Object(more)
    });
    all
}

#[test]
fn the_schemas_accept_what_the_code_accepts() {
    let document = document();
    let schemas = Schemas::new(&document);
    let mut accepted = 0;
    for (name, value) in golden("command_") {
        let kind = text(&value, "type").to_owned();
        for mutant in mutants(&value).into_iter().filter(|mutant| mutant["type"] == kind) {
            let bytes = mutant.to_string();
            let decoded = command::decode(bytes.as_bytes());
            let described = schemas.accepts(&kind, &mutant);
            if described.is_ok() && decoded.as_ref().is_err_and(|error| is_beyond_schemas(&error.to_string())) {
                continue;
            }
            assert_eq!(decoded.is_ok(), described.is_ok(), "{name}\n{bytes}\n{decoded:?}\n{described:?}");
            accepted += u32::from(decoded.is_ok());
        }
    }
    assert!(accepted > 100, "only {accepted} accepted: nothing was compared");
}

/// How seats must lie to make a section is said in words only: that runs cover every seat once, and the like.
fn is_beyond_schemas(reason: &str) -> bool {
    let of_section = reason.starts_with("sections[") || reason.starts_with("new_sections[");
    // What names a field or says which fields belong together, a schema says too, except of consecutive seats.
    of_section
        && !reason.contains("exactly one")
        && (!reason.contains("field ") || reason.contains("are no seats") || reason.contains("out of order"))
}

#[test]
fn the_refusal_codes_are_the_rules() {
    let document = document();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(document["components"]["schemas"]["Code"]["enum"], json!(codes));
}

#[test]
fn the_known_hashes_and_the_limits_are_the_codes() {
    let document = document();
    let description = text(&document["info"], "description").replace('\n', " ");
    for key in ["foobar", "21"] {
        let hash = routing::murmur2(key.as_bytes()) as i32;
        assert!(description.contains(&format!("`{key}` is {hash}")), "{key}");
    }
    let limits = format!(
        "at most {} bytes; `open_block` and `amend_block` at most {} bytes",
        command::RECORD_BYTES_MAX,
        command::SECTIONS_BYTES_MAX
    );
    assert!(description.contains(&limits), "{limits}");
    assert!(description.contains(&format!("headers take at most {} bytes", headers::BYTES_MAX)));
    const { assert!(command::SECTIONS_BYTES_MAX + headers::BYTES_MAX < APPEND_BYTES_MAX) };
}

#[test]
fn the_headers_are_those_the_code_writes() {
    let document = document();
    let (_, value) = golden("outcome_left").remove(0);
    let read = outcome::decode(value.to_string().as_bytes()).unwrap();
    let schedule_id = ScheduleId(read.request_id.0);
    let record = OutcomeRecord {
        request_id: read.request_id,
        command: read.command,
        user_id: None,
        by: None,
        fingerprint: Fingerprint(1),
        schedule_id: Some(schedule_id),
        outcome: &Ok(Reply::Ticked { schedule_id }.into()),
        effects: &Effects::default(),
        decided: read.decided,
    };
    let written = headers::outcome_headers(read.request_id.0, "key", &record, Some(vec![b'0'; 55].into()));
    let written = headers::with_committed(written, read.decided.time);
    let names: BTreeSet<&str> = written.iter().map(|(name, _)| &**name).collect();
    assert_eq!(keys(&document["components"]["schemas"]["OutcomeHeaders"]["properties"]), names);
    let dead = headers::dead_letter_headers(&[], &read.decided.position, "why");
    let names: BTreeSet<&str> = dead.iter().map(|(name, _)| &**name).collect();
    assert_eq!(keys(&document["components"]["messages"]["dead_letter"]["headers"]["properties"]), names);
}
