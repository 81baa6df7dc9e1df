//! What the documents promise about the code, checked: layers, circles, sizes, names.

mod api;
mod circles;
mod dependencies;
mod field;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sources::{Source, group_heads, identifier, modules_used, root, rust_files, shipped, sources};

/// Downhill only: what a module of the library may use besides itself. The program, `src/bin`, may use all of it.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("plan", &[]),
    ("web", &[]),
    ("telemetry", &[]),
    ("wire", &["domain"]),
    ("runtime", &["domain", "telemetry"]),
    ("log", &["domain", "runtime", "telemetry"]),
    ("store", &["domain", "log", "runtime", "telemetry"]),
    ("processor", &["domain", "wire", "log", "store", "runtime", "telemetry"]),
    ("notifier", &["domain", "wire", "log", "store", "runtime", "telemetry"]),
    ("api", &["domain", "plan", "wire", "log", "store", "notifier", "web", "runtime", "telemetry"]),
    ("audit", &["domain", "wire", "log", "store", "processor", "runtime", "telemetry"]),
    ("config", &["log", "telemetry"]),
    ("assembly", &["config", "domain", "log", "store", "runtime", "telemetry"]),
];

/// A crate that only these places may name.
const ONLY_IN: [(&str, &[&str]); 3] =
    [("rdkafka", &["src/log/kafka"]), ("sqlx", &["src/store", "src/log/embedded"]), ("axum", &["src/api"])];

const MAIN: &str = "src/bin/turnstile/main.rs";
const MAIN_LINES_MAX: usize = 49;
const FILE_LINES_MAX: usize = 400;
const TEST_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Words that say nothing about what is inside.
const EMPTY_NAMES: [&str; 10] =
    ["util", "utils", "helper", "helpers", "common", "manager", "managers", "data", "misc", "shared"];

fn must_be_empty(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn modules_know_their_neighbours_downhill_only() {
    let rules: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let modules: BTreeSet<_> = sources().iter().map(|source| source.module().to_owned()).collect();
    let mut complaints = Vec::new();
    for source in shipped().into_iter().filter(|source| !["lib", "bin"].contains(&source.module())) {
        let Some(allowed) = rules.get(source.module()) else {
            complaints.push(format!("{} is of a module that has no place in the layers", source.path));
            continue;
        };
        for used in modules_used(&source.code()) {
            let foreign = used != source.module() && modules.contains(&used);
            if foreign && !allowed.contains(&used.as_str()) {
                complaints.push(format!("{} uses crate::{used}, which lies above it", source.path));
            }
        }
    }
    must_be_empty(&complaints);
}

#[test]
fn of_the_domain_the_log_knows_lanes_and_time_only() {
    let mut complaints = Vec::new();
    for source in shipped().iter().filter(|source| source.module() == "log") {
        let code = source.code();
        for (at, found) in code.match_indices("crate::domain::") {
            let rest = &code[at + found.len()..];
            let names = rest.strip_prefix('{').map_or_else(|| vec![identifier(rest).to_owned()], group_heads);
            for name in names.iter().filter(|name| !["Lane", "LanePartition", "LogTime"].contains(&name.as_str())) {
                complaints.push(format!("{} names domain::{name}; the log moves opaque records", source.path));
            }
        }
    }
    must_be_empty(&complaints);
}

#[test]
fn each_driver_is_named_in_its_own_place_only() {
    let mut complaints = Vec::new();
    for source in shipped() {
        let code = source.code();
        for (driver, places) in ONLY_IN {
            let named = code.contains(&format!("{driver}::")) || code.contains(&format!("use {driver}"));
            if named && !places.iter().any(|place| source.path.starts_with(place)) {
                complaints.push(format!("{} names {driver}, which only {places:?} may", source.path));
            }
        }
    }
    must_be_empty(&complaints);
}

#[test]
fn the_rules_have_no_clock_no_randomness_no_floats_and_no_map_order() {
    let forbidden = ["SystemTime", "Instant", "f32", "f64", "tokio", "async", "rand", "v4", "v7"];
    let mut complaints = Vec::new();
    for source in shipped().iter().filter(|source| source.module() == "domain") {
        let code = source.code();
        let words: BTreeSet<_> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for word in forbidden.iter().filter(|word| words.contains(**word)) {
            complaints.push(format!("{} names {word}", source.path));
        }
        let random_order = ["HashMap", "HashSet"].iter().any(|word| words.contains(word));
        if random_order && !source.text.contains("never walked") {
            complaints
                .push(format!("{} has a map of random order and does not say that it is never walked", source.path));
        }
    }
    must_be_empty(&complaints);
}

#[test]
fn files_are_short() {
    let mut complaints = Vec::new();
    assert!(root().join(MAIN).is_file(), "{MAIN} is not there");
    for source in sources().into_iter().chain(rust_files("tests")) {
        let lines = source.text.lines().count();
        let max = match source.path.as_str() {
            MAIN => MAIN_LINES_MAX,
            path if path.starts_with("tests/") => TEST_LINES_MAX,
            _ => FILE_LINES_MAX,
        };
        if lines > max {
            complaints.push(format!("{} has {lines} lines, more than {max}", source.path));
        }
    }
    must_be_empty(&complaints);
}

/// As rustfmt lays it out: a function ends with the first `}` as far in as it began.
fn long_functions(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize, &str)> = None;
    for (number, line) in source.text.lines().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let head = text.split('(').next().unwrap_or_default();
        if head.split_whitespace().any(|word| word == "fn") && !text.starts_with("//") {
            open = Some((indent, number, head));
        }
        if let Some((from, start, head)) = open
            && text == "}"
            && indent == from
        {
            let lines = number - start + 1;
            if lines > FUNCTION_LINES_MAX {
                found.push(format!("{}:{} {head} has {lines} lines", source.path, start + 1));
            }
            open = None;
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let complaints: Vec<_> = shipped().iter().flat_map(long_functions).collect();
    must_be_empty(&complaints);
}

#[test]
fn names_say_what_is_inside() {
    let mut complaints = Vec::new();
    for source in sources().into_iter().chain(rust_files("tests")) {
        for part in Path::new(&source.path).with_extension("").components().skip(1) {
            let name = part.as_os_str().to_str().unwrap_or_default();
            if EMPTY_NAMES.contains(&name) {
                complaints.push(format!("{} says nothing: {name}", source.path));
            }
        }
    }
    must_be_empty(&complaints);
}

#[test]
fn nothing_is_left_undone() {
    // Put together so that this file does not find itself.
    let marks = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let mut complaints = Vec::new();
    for source in sources().into_iter().chain(rust_files("tests")).chain(rust_files("benches")) {
        for mark in marks.iter().filter(|mark| source.text.contains(mark.as_str())) {
            complaints.push(format!("{} has {mark}…)", source.path));
        }
    }
    must_be_empty(&complaints);
}

#[test]
fn the_product_has_right_behavior_only() {
    let mut complaints = Vec::new();
    for source in sources() {
        let text = source.text.to_lowercase();
        for word in ["planted", "mutant"].iter().filter(|word| text.contains(**word)) {
            complaints.push(format!("{} says {word}; seeded bugs belong in tests/simulation/mutants", source.path));
        }
    }
    must_be_empty(&complaints);
}

#[test]
fn lib_has_a_line_for_every_module() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let names = |prefix: &str, end: &str| -> Vec<String> {
        lib.lines().filter_map(|line| Some(line.strip_prefix(prefix)?.split_once(end)?.0.to_owned())).collect()
    };
    let mut listed = names("//! * [`", "`]: ");
    // The map is in the order of the walk, the declarations in rustfmt's.
    listed.sort();
    assert_eq!(listed, names("pub mod ", ";"), "the map and the declarations differ");
    let modules: BTreeSet<_> = sources().iter().map(|source| source.module().to_owned()).collect();
    let expected: Vec<_> = modules.into_iter().filter(|module| !["lib", "bin"].contains(&module.as_str())).collect();
    assert_eq!(listed, expected);
}

#[test]
fn the_changelog_knows_this_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let heading = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(changelog.lines().any(|line| line.starts_with(&heading)), "CHANGELOG.md has no section {heading}");
}
