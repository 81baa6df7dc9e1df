//! What `deploy/` ships is what the program has: metrics, alerts with their tests and runbook, dashboard, units,
//! packages.

mod debian;
mod strangers;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap()
}

/// Runs `program`; false if it is not installed, unless this run requires all tools.
fn run(program: &str, args: &[&str], directory: &Path) -> bool {
    match Command::new(program).args(args).current_dir(directory).output() {
        Ok(output) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert!(output.status.success(), "{program} {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
            true
        }
        Err(error) => {
            assert!(std::env::var_os("TURNSTILE_TEST_REQUIRE_SERVICES").is_none(), "{program}: {error}");
            eprintln!("skipped: {program} is not installed");
            false
        }
    }
}

/// Names of the program's metrics, from their definitions.
fn metrics() -> BTreeSet<String> {
    let source = read("src/telemetry/metrics.rs");
    let names = source.split('"').filter(|text| text.starts_with("turnstile_") && !text.contains(' '));
    names.map(str::to_owned).collect()
}

/// Names of the program's metrics that an expression reads. A recorded series is named otherwise: `by:metric:how`.
fn read_by(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let names = words.filter(|word| word.starts_with("turnstile_"));
    names
        .map(|name| ["_bucket", "_sum", "_count"].iter().fold(name, |name, end| name.trim_end_matches(end)).to_owned())
        .collect()
}

fn rules() -> Vec<Value> {
    let groups = yaml("deploy/prometheus/rules.yml")["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/dashboards/turnstile.json")).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

fn expressions(panel: &Value) -> Vec<String> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn rules_pass_promtool_and_their_tests() {
    let directory = path("deploy/prometheus");
    run("promtool", &["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"], &directory);
    run("promtool", &["test", "rules", "rules_test.yml"], &directory);
    run("promtool", &["check", "config", "--syntax-only", "prometheus.yml"], &directory);
}

/// An alert without a case in which it must be silent would pass by firing always.
#[test]
fn each_alert_has_a_firing_and_a_silent_test_and_a_section_in_the_runbook() {
    let tests = yaml("deploy/prometheus/rules_test.yml");
    let runbook = read("docs/runbook.md");
    let mut alerts = BTreeSet::new();
    for rule in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let name = rule["alert"].as_str().unwrap();
        assert!(alerts.insert(name.to_owned()), "{name} twice");
        let cases: Vec<bool> = tests["tests"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
            .filter(|case| case["alertname"] == name)
            .map(|case| case["exp_alerts"].as_array().unwrap().is_empty())
            .collect();
        assert!(cases.contains(&true) && cases.contains(&false), "{name}: {cases:?}");
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(url, format!("docs/runbook.md#{}", name.to_lowercase()));
        let section =
            runbook.split(&format!("\n## {name}\n")).nth(1).unwrap_or_else(|| panic!("{name} in the runbook"));
        let section = section.split("\n## ").next().unwrap();
        for part in ["**Symptom.**", "**Check.**", "**Remedy.**"] {
            assert!(section.contains(part), "{name} has no {part}");
        }
    }
    assert!(alerts.len() >= 14, "{alerts:?}");
    assert_eq!(runbook.matches("\n## ").count(), alerts.len(), "a section for each alert, and no other");
}

#[test]
fn rules_and_dashboard_read_metrics_that_exist_and_every_metric_is_shown() {
    let known = metrics();
    assert!(known.len() > 20, "{known:?}");
    let recorded: BTreeSet<String> =
        rules().iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned)).collect();
    let mut shown = BTreeSet::new();
    for rule in rules() {
        let expression = rule["expr"].as_str().unwrap();
        shown.extend(read_by(expression));
        assert!(read_by(expression).is_subset(&known), "{expression}");
    }
    for panel in panels() {
        for expression in expressions(&panel) {
            assert!(read_by(&expression).is_subset(&known), "{expression}");
            for word in expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':') {
                assert!(!word.contains(':') || recorded.contains(word), "{word} is not recorded");
            }
            shown.extend(read_by(&expression));
        }
    }
    let hidden: Vec<_> = known.difference(&shown).collect();
    assert!(hidden.is_empty(), "in no panel and no rule: {hidden:?}");
}

#[test]
fn the_dashboard_is_complete_and_every_panel_says_what_it_shows() {
    let panels = panels();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are unique");
    let mut cells = BTreeSet::new();
    for panel in &panels {
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(x < 24 && cells.insert((x, y)), "{} overlaps", panel["title"]);
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{}", panel["title"]);
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{}", panel["title"]);
        assert!(!expressions(panel).is_empty(), "{}", panel["title"]);
        let sources = panel["targets"].as_array().unwrap().iter().map(|target| &target["datasource"]["uid"]);
        for source in sources.chain([&panel["datasource"]["uid"]]) {
            assert_eq!(source, "${datasource}", "{}", panel["title"]);
        }
    }
}

/// Prometheus reads each expression, with Grafana's variables replaced.
#[test]
fn expressions_of_the_dashboard_pass_promtool() {
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for (index, expression) in panels().iter().flat_map(expressions).enumerate() {
        let expression = expression.replace("$__rate_interval", "5m");
        let expression = ["$job", "$lane", "$schedule"].iter().fold(expression, |text, name| text.replace(name, ".+"));
        assert!(!expression.contains('$'), "{expression}");
        let expression = serde_json::to_string(&expression).unwrap();
        rules += &format!("      - record: panel:expression:{index}\n        expr: {expression}\n");
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("panels.yml"), rules).unwrap();
    run("promtool", &["check", "rules", "panels.yml"], directory.path());
}

#[test]
fn the_unit_starts_the_program_as_it_expects() {
    let unit = read("deploy/systemd/turnstile.service");
    let setting = |name: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} is set"))
    };
    let defaults: toml::Table = read("config/default.toml").parse().unwrap();
    let number = |table: &str, key: &str| defaults[table][key].as_integer().unwrap();
    assert!(setting("LimitNOFILE").parse::<i64>().unwrap() > 2 * number("http", "connections_max"));
    assert!(setting("TimeoutStopSec").parse::<i64>().unwrap() > number("shutdown", "deadline_seconds"));
    assert_eq!(setting("RestartPreventExitStatus"), "64");
    let program = setting("ExecStart").split(' ').next().unwrap();
    // The path of an installation; `verify` wants a program that exists.
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("turnstile.service");
    fs::write(&copy, unit.replace(program, env!("CARGO_BIN_EXE_turnstile"))).unwrap();
    run("systemd-analyze", &["verify", "--man=no", copy.to_str().unwrap()], directory.path());
}
