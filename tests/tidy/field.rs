//! `docs/field.md` names the test that shows each line; it must be there.

use std::collections::BTreeSet;
use std::fs;

use super::must_be_empty;
use super::sources::{identifier, root, rust_files, sources};

/// Names of all functions of the product's and the tests' files, and of what macros make tests of.
fn functions() -> BTreeSet<String> {
    let files = sources().into_iter().chain(rust_files("tests"));
    let named = |text: &str| {
        text.match_indices("fn ")
            .map(|(at, found)| identifier(&text[at + found.len()..]).to_owned())
            .collect::<Vec<_>>()
    };
    files.flat_map(|file| named(&file.text)).collect()
}

#[test]
fn every_line_of_the_field_is_shown_by_a_test_or_says_why_not() {
    let text = fs::read_to_string(root().join("docs/field.md")).expect("docs/field.md");
    let functions = functions();
    let (mut complaints, mut shown) = (Vec::new(), 0);
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what happens")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, here, tests] = cells[..] else {
            complaints.push(format!("not three cells: {line}"));
            continue;
        };
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        let otherwise = ["left as it is", "seeded bug"].iter().any(|reason| tests.starts_with(reason));
        if here.is_empty() || (names.is_empty() && !otherwise) {
            complaints.push(format!("nothing shows: {what}"));
        }
        for name in names.into_iter().filter(|name| !functions.contains(*name)) {
            complaints.push(format!("{name}, which shows \"{what}\", is no test"));
        }
        shown += 1;
    }
    assert!(shown > 50, "{shown} lines");
    must_be_empty(&complaints);
}
