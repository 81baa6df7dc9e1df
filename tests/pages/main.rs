//! The pages' modules without a browser: their types, by TypeScript, and what those that need no page compute, by Node's
//! own test runner. Both are of the tests alone; the modules run as they lie.

use std::path::Path;
use std::process::{Command, Output};

/// What the environment names; without it a test skips itself, or fails where the services are required.
fn tool(variable: &str, script: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    let required = std::env::var("TURNSTILE_TEST_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    assert!(found.is_some() || !required, "{variable} is not set; {script} up");
    if found.is_none() {
        println!("skipped: {variable} is not set ({script})");
    }
    found
}

/// The first Node that takes `.js` for modules by what is in it.
fn node() -> Option<String> {
    tool("TURNSTILE_TEST_NODE_22", "scripts/receivers")
}

fn run(node: &str, arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(node).args(arguments).current_dir(root).output().expect("node runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn f35_the_pages_modules_have_no_wrong_types() {
    let (Some(node), Some(tsc)) = (node(), tool("TURNSTILE_TEST_TSC", "scripts/typescript")) else { return };
    let checked = run(&node, &[&tsc, "--project", "tests/pages/tsconfig.json", "--listFiles"]);
    let said = said(&checked);
    let modules = said.lines().filter(|line| line.contains("/web/js/") && !line.contains("error TS")).count();
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("error TS") || line.starts_with(' ')).collect();
    assert!(errors.is_empty() && checked.status.success(), "{}", errors.join("\n"));
    assert!(modules > 50, "it looked at {modules} modules");
}

/// Those of the files of tests that are wanted.
fn tests(wanted: impl Fn(&str) -> bool) {
    let Some(node) = node() else { return };
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages")).expect("the directory");
    let mut files: Vec<String> = files
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".test.mjs") && wanted(name))
        .map(|name| format!("tests/pages/{name}"))
        .collect();
    files.sort();
    let mut arguments = vec!["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--test", "--test-reporter=tap"];
    arguments.extend(files.iter().map(String::as_str));
    let tested = run(&node, &arguments);
    let said = said(&tested);
    assert!(tested.status.success(), "{said}");
    assert!(said.lines().any(|line| line.strip_prefix("# pass ").is_some_and(|passed| passed != "0")), "{said}");
}

const TEXTS: &str = "texts.test.mjs";

#[test]
fn f35_the_pages_modules_compute_what_they_should() {
    tests(|name| name != TEXTS);
}

#[test]
fn f61_the_pages_have_the_same_texts_in_english_korean_and_japanese_and_use_all_of_them() {
    tests(|name| name == TEXTS);
}
