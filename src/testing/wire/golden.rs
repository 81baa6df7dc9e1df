//! The golden files pin every message byte by byte: other services depend on them.
//!
//! After a deliberate change run the tests once with `TURNSTILE_GOLDEN=write`, and read the difference.

use std::path::PathBuf;

use super::samples;
use crate::wire::{decode, decode_value, encode, encode_value, fingerprint};

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
    for (name, command) in samples::commands() {
        let name = format!("command_{name}.json");
        compare(&name, std::str::from_utf8(&encode(&command)).unwrap());
        let golden = std::fs::read(path(&name)).unwrap();
        assert_eq!(decode(&golden), Ok(command), "{name}");
    }
}

#[test]
fn every_outcome_is_written_as_its_golden_file_and_read_back_from_it() {
    for (name, outcome) in samples::outcomes() {
        let name = format!("outcome_{name}.json");
        let record = outcome.record();
        compare(&name, &encode_value(&record));
        let view = decode_value(&std::fs::read(path(&name)).unwrap()).unwrap();
        assert_eq!(view.request_id, record.request_id, "{name}");
        assert_eq!(view.command, record.command, "{name}");
        assert_eq!(view.user_id.as_ref(), record.user_id, "{name}");
        assert_eq!(view.decided.0, record.decided, "{name}");
        let succeeded = matches!(record.verdict, crate::domain::Verdict::Succeeded(_));
        assert_eq!((view.result.is_some(), view.problem.is_some()), (succeeded, !succeeded), "{name}");
        assert_eq!(view.status.as_str(), if succeeded { "SUCCEEDED" } else { "REJECTED" }, "{name}");
    }
}

#[test]
fn no_golden_file_is_left_over() {
    let commands = samples::commands().into_iter().map(|(name, _)| format!("command_{name}.json"));
    let outcomes = samples::outcomes().into_iter().map(|(name, _)| format!("outcome_{name}.json"));
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
    let written: Vec<String> =
        samples::commands().iter().map(|(name, c)| format!("{name} {:016x}", fingerprint(&c.body))).collect();
    compare("fingerprints.txt", &written.join("\n"));
}
