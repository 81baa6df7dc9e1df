//! The README's first sale, as printed: every command is run, and every answer must look like the one on the page.
//!
//! `TURNSTILE_TEST_RECORD=1` writes the answers into the page instead.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Pair, System, run};

const MARK: &str = "--- next command ---";

/// A command and the answer printed below it.
#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    answer: String,
}

/// The console blocks: `$ ` begins a command, lines below it that are indented or inside quotes go on with it.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        let mut complete = true;
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), answer: String::new() });
            } else if let Some(step) = steps.last_mut() {
                let into = if complete { &mut step.answer } else { &mut step.command };
                if !into.is_empty() {
                    into.push('\n');
                }
                into.push_str(line);
            }
            complete = steps.last().is_some_and(|step| step.command.matches('\'').count() % 2 == 0);
        }
    }
    steps
}

/// Ids, times, offsets and ports differ from run to run.
fn shape(answer: &str) -> String {
    let words = answer.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || "-:.".contains(c)));
    let shaped = words.map(|word| {
        let end = word.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || "-:.".contains(c)));
        let rest = &word[end.len()..];
        let digits = end.chars().filter(char::is_ascii_digit).count();
        let kind = match end {
            _ if uuid::Uuid::try_parse(end).is_ok() => "<id>",
            _ if end.len() == 24 && end.ends_with('Z') && digits == 17 => "<time>",
            _ if is_position(end) => "<position>",
            _ => end,
        };
        format!("{kind}{rest}")
    });
    let text: String = shaped.collect();
    ["\"offset\":", "\"partition\":"].into_iter().fold(text, |text, field| without_number(&text, field))
}

fn without_number(text: &str, field: &str) -> String {
    let mut parts = text.split(field);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shaped, part| shaped + field + "<n>" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn is_position(word: &str) -> bool {
    word.parse::<turnstile::domain::Position>().is_ok()
}

fn walk(system: &System) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let page = std::fs::read_to_string(&path).expect("README.md");
    let steps = steps(&page);
    assert!(steps.len() > 8, "the walk is there: {steps:?}");
    let mut script = String::from("set -u\n");
    for step in &steps {
        script += &step.command.replace("http://127.0.0.1:8080", &system.client.base());
        script += &format!("\nprintf '\\n{MARK}\\n'\n");
    }
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let printed = String::from_utf8(output.stdout).expect("UTF-8").replace('\r', "");
    let answers: Vec<&str> = printed.split(MARK).map(str::trim).collect();
    if std::env::var("TURNSTILE_TEST_RECORD").is_ok() {
        return record(&path, page, &steps, &answers);
    }
    for (step, answer) in steps.iter().zip(&answers) {
        assert_eq!(shape(step.answer.trim()), shape(answer), "the answer to: {}", step.command);
    }
}

fn record(path: &PathBuf, mut page: String, steps: &[Step], answers: &[&str]) {
    let mut from = 0;
    for (step, answer) in steps.iter().zip(answers) {
        let start = from + page[from..].find(&format!("$ {}", step.command)).expect("the command is on the page");
        let after = start + 2 + step.command.len() + 1;
        let old = if step.answer.is_empty() { 0 } else { step.answer.len() + 1 };
        let new = if answer.is_empty() { String::new() } else { format!("{answer}\n") };
        page.replace_range(after..after + old, &new);
        from = after + new.len();
    }
    std::fs::write(path, page).expect("README.md");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_sale_in_the_readme_is_as_printed() {
    let name = "the_first_sale_in_the_readme_is_as_printed";
    run(Pair::Embedded, name, async |system| {
        system.client.user("alice");
        system.client.user("bob");
        walk(system);
    })
    .await;
}

#[test]
fn shapes_forget_only_what_differs_between_runs() {
    let a = r#"{"id":"0192f0a1-7c00-7000-8000-000000000001","at":"2026-11-21T07:00:00.123Z","offset":12,"n":7}"#;
    let b = r#"{"id":"0192f0a1-7c00-7000-8000-0000000000ff","at":"2027-01-01T00:00:00.000Z","offset":9,"n":7}"#;
    assert_eq!(shape(a), shape(b));
    assert_ne!(shape(a), shape(&b.replace("\"n\":7", "\"n\":8")));
    assert_eq!(shape("?position=seats.3.12"), shape("?position=seats.1.9"));
}
