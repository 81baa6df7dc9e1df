//! The golden files pin every message byte by byte: other services depend on them.
//!
//! After a deliberate change run the tests once with `TURNSTILE_GOLDEN=write`, and read the difference.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::samples;
use crate::domain::CommandKind;
use crate::wire::{command, outcome};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn compare(name: &str, written: &str) {
    if std::env::var("TURNSTILE_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::write(path(name), format!("{written}\n")).unwrap();
    }
    let golden = std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(written, golden.trim_end(), "{name}");
}

#[test]
fn every_command_is_written_as_its_golden_file_and_read_back_from_it() {
    let mut kinds = BTreeSet::new();
    for (name, sample) in samples::commands() {
        kinds.insert(sample.body.kind());
        let name = format!("command_{name}.json");
        compare(&name, std::str::from_utf8(&command::encode(&sample)).unwrap());
        let golden = std::fs::read(path(&name)).unwrap();
        assert_eq!(command::decode(&golden), Ok(sample), "{name}");
    }
    assert_eq!(kinds, CommandKind::ALL.into(), "a kind of command without a sample");
}

#[test]
fn every_outcome_is_written_as_its_golden_file_and_read_back_from_it() {
    let mut kinds = BTreeSet::new();
    for sample in samples::outcomes() {
        let name = format!("outcome_{}.json", sample.name);
        let record = sample.record();
        kinds.insert(record.command);
        compare(&name, &outcome::encode(&record).record);
        let read = outcome::decode(&std::fs::read(path(&name)).unwrap()).unwrap();
        assert_eq!(read.request_id, record.request_id, "{name}");
        assert_eq!(read.command, record.command, "{name}");
        assert_eq!((read.user_id.as_ref(), read.by.as_ref()), (record.user_id, record.by), "{name}");
        assert_eq!(read.decided, record.decided, "{name}");
        assert_eq!(read.outcome.as_ref().err(), record.outcome.as_ref().err(), "{name}");
        assert_eq!(read.schedule_id, record.schedule_id.filter(|_| record.outcome.is_err()), "{name}");
        assert_eq!(read.effects.is_some(), !record.effects.is_empty(), "{name}");
    }
    assert_eq!(kinds, CommandKind::ALL.into(), "a kind of command without an outcome");
}

#[test]
fn an_answer_is_the_record_without_its_effects() {
    for sample in samples::outcomes() {
        let record = sample.record();
        let encoded = outcome::encode(&record);
        let mut expected: serde_json::Value = serde_json::from_str(&encoded.record).unwrap();
        let effects = expected.as_object_mut().unwrap().remove("effects");
        assert_eq!(effects.is_some(), !record.effects.is_empty(), "{}", sample.name);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&encoded.answer).unwrap(), expected, "{}", sample.name);
        assert_eq!(encoded.answer == encoded.record, effects.is_none(), "{}", sample.name);
        let [answer, record] = [&encoded.answer, &encoded.record].map(|text| outcome::decode(text.as_bytes()).unwrap());
        assert!(answer.effects.is_none());
        if let (Ok(answer), Ok(record)) = (answer.outcome, record.outcome) {
            assert_eq!(answer.0.get(), record.0.get(), "{}", sample.name);
        }
    }
}

#[test]
fn no_golden_file_is_left_over() {
    let commands = samples::commands().into_iter().map(|(name, _)| format!("command_{name}.json"));
    let outcomes = samples::outcomes().into_iter().map(|sample| format!("outcome_{}.json", sample.name));
    let mut expected: Vec<String> = commands.chain(outcomes).chain(["fingerprints.txt".to_owned()]).collect();
    expected.sort();
    let mut found: Vec<String> = std::fs::read_dir(path("x").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        // The front door's own.
        .filter(|name| name != "openapi.json")
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

/// Fingerprints are stored: a change of one makes repeats across an upgrade look like reused keys.
#[test]
fn fingerprints_stay_the_same() {
    let written: Vec<String> = samples::commands()
        .iter()
        .map(|(name, sample)| format!("{name} {:016x}", command::fingerprint(sample).0))
        .collect();
    compare("fingerprints.txt", &written.join("\n"));
}
