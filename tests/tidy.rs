//! What the documents promise about the code, checked: layers, sizes, names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Downhill only: what a module may use besides itself. Modules that are not listed sit on top and may use all.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("domain", &[]),
    ("wire", &["domain"]),
    ("telemetry", &[]),
    ("runtime", &["domain", "telemetry"]),
    ("log", &["domain", "runtime", "telemetry"]),
    ("store", &["domain", "log", "runtime", "telemetry"]),
    ("processor", &["domain", "wire", "log", "store", "runtime", "telemetry"]),
    ("api", &["domain", "wire", "log", "store", "runtime", "telemetry"]),
];

/// A crate that only these places may name.
const ONLY_IN: [(&str, &[&str]); 3] =
    [("rdkafka", &["src/log/kafka"]), ("sqlx", &["src/store", "src/log/embedded"]), ("axum", &["src/api"])];

const FILE_LINES_MAX: usize = 500;
const MAIN_LINES_MAX: usize = 80;
const FUNCTION_LINES_MAX: usize = 70;

/// Words that say nothing about what is inside.
const EMPTY_NAMES: [&str; 10] =
    ["util", "utils", "helper", "helpers", "common", "manager", "managers", "data", "misc", "shared"];

struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

/// The sources that ship: all but test modules that are files of their own.
fn shipped() -> Vec<Source> {
    let sources = sources();
    let tests: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    let is_test = |path: &str| {
        tests
            .iter()
            .any(|test| path.strip_prefix(test.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')))
    };
    let tests: Vec<bool> = sources.iter().map(|source| is_test(&source.path)).collect();
    sources.into_iter().zip(tests).filter_map(|(source, is_test)| (!is_test).then_some(source)).collect()
}

impl Source {
    /// `src/log/kafka/x.rs` → `log`; `src/config.rs` → `config`.
    fn module(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    /// Paths, without `.rs`, of the modules that this file declares for tests only.
    fn test_modules(&self) -> impl Iterator<Item = String> + '_ {
        let directory = match self.path.strip_suffix("/mod.rs").or(self.path.strip_suffix("/lib.rs")) {
            Some(directory) => directory,
            None => self.path.trim_end_matches(".rs"),
        };
        let declarations = self.text.split("#[cfg(test)]\n").skip(1).filter_map(|after| {
            let line = after.lines().next()?.trim();
            line.split_once("mod ")?.1.strip_suffix(';')
        });
        declarations.map(move |name| format!("{directory}/{name}"))
    }

    /// The code that ships: no comments, no test modules.
    fn code(&self) -> String {
        let shipped = self.text.split("\n#[cfg(test)]").next().unwrap_or_default();
        let lines = shipped.lines().map(|line| match line.trim_start().starts_with("//") {
            true => "",
            false => line.split(" // ").next().unwrap_or(line),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(under: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut directories = vec![root().join(under)];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn sources() -> Vec<Source> {
    let found = rust_files("src");
    assert!(found.len() > 20, "the sources are not where this test looks");
    found
}

fn must_be_empty(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The first names after each `crate::`, those of a group included.
fn modules_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            None => drop(used.insert(identifier(rest).to_owned())),
            Some(group) => used.extend(group_heads(group)),
        }
    }
    used
}

/// `a::{b, c}, d}` → a, d.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                heads.push(identifier(group[start..at].trim()).to_owned());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

#[test]
fn the_scanner_sees_groups_and_paths() {
    let code =
        "use crate::{log::{Log, Topic}, wire};\nuse crate::store::reads;\nlet x = crate::api::y(); mycrate::z();";
    let expected: BTreeSet<_> = ["api", "log", "store", "wire"].map(str::to_owned).into();
    assert_eq!(modules_used(code), expected);
}

#[test]
fn the_scanner_tells_test_modules() {
    let text = "#[cfg(test)]\nmod tests;\npub mod x;\n#[cfg(test)]\npub(crate) mod model;\n#[cfg(test)]\nmod here {\n";
    let found = |path: &str| -> Vec<String> {
        Source { path: path.to_owned(), text: text.to_owned() }.test_modules().collect()
    };
    assert_eq!(found("src/a/mod.rs"), ["src/a/tests", "src/a/model"]);
    assert_eq!(found("src/a.rs"), ["src/a/tests", "src/a/model"]);
    assert_eq!(found("src/lib.rs"), ["src/tests", "src/model"]);
    assert!(shipped().len() < sources().len() && shipped().iter().all(|source| !source.path.contains("/tests/")));
}

#[test]
fn modules_know_their_neighbours_downhill_only() {
    let rules: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let modules: BTreeSet<_> = sources().iter().map(|source| source.module().to_owned()).collect();
    let mut complaints = Vec::new();
    for source in shipped() {
        let Some(allowed) = rules.get(source.module()) else { continue };
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
            for name in names.iter().filter(|name| !["Lane", "LogTime"].contains(&name.as_str())) {
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
    for source in sources().into_iter().chain(rust_files("tests")) {
        let lines = source.text.lines().count();
        let max = if source.path == "src/main.rs" { MAIN_LINES_MAX } else { FILE_LINES_MAX };
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
fn lib_has_a_line_for_every_module_in_the_order_they_are_declared() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let names = |prefix: &str, end: &str| -> Vec<String> {
        lib.lines().filter_map(|line| Some(line.strip_prefix(prefix)?.split_once(end)?.0.to_owned())).collect()
    };
    let declared = names("pub mod ", ";");
    assert_eq!(names("//! * [`", "`]: "), declared, "the map and the declarations differ");
    let modules: BTreeSet<_> = sources().iter().map(|source| source.module().to_owned()).collect();
    let expected: BTreeSet<_> = modules.into_iter().filter(|module| module != "lib" && module != "main").collect();
    assert_eq!(declared.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_changelog_knows_this_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let heading = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(changelog.lines().any(|line| line.starts_with(&heading)), "CHANGELOG.md has no section {heading}");
}
