//! What is fuzzed, on the corpora that are kept: every input, and every input with one byte changed, cut or doubled.

#[path = "corpus/mutations.rs"]
mod mutations;
#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::path::Path;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus of {name} is empty");
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Runs the target on each input and on `variants` variants of it.
fn run(name: &str, variants: usize, target: fn(&[u8])) {
    for input in corpus(name) {
        target(&input);
        let step = (input.len() / variants).max(1);
        for at in (0..input.len()).step_by(step) {
            let mut changed = input.clone();
            changed[at] = changed[at].wrapping_add(1 + (at % 254) as u8);
            target(&changed);
            target(&input[..at]);
            target(&[&input[..at], &input[at / 2..]].concat());
        }
    }
}

#[test]
fn records_are_understood_or_refused() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).unwrap() {
        targets::record(&std::fs::read(entry.unwrap().path()).unwrap());
    }
    run("record", 20, targets::record);
}

#[test]
fn the_inbox_takes_clients_commands_only() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).unwrap() {
        targets::inbox(&std::fs::read(entry.unwrap().path()).unwrap());
    }
    run("inbox", 50, targets::inbox);
}

#[test]
fn no_record_stops_its_owner() {
    run("owner", 5, targets::owner);
}

#[test]
fn every_key_has_a_partition_and_what_prints_reads_back() {
    run("routing", 100, targets::routing);
}

#[test]
fn tokens_cannot_be_guessed() {
    run("token", 100, targets::token);
}

#[test]
fn no_request_is_answered_with_a_fault_of_ours() {
    run("http", 6, targets::http);
}
