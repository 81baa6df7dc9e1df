//! The sources, and what a line scanner can see in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
}

/// The sources that ship: all but test modules that are files of their own.
pub fn shipped() -> Vec<Source> {
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
    /// `src/log/kafka/x.rs` → `log`; of the program: `bin`.
    pub fn module(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    /// Paths, without `.rs`, of the modules that this file declares for tests only.
    pub fn test_modules(&self) -> impl Iterator<Item = String> + '_ {
        let directory = match self.path.strip_suffix("/mod.rs").or(self.path.strip_suffix("/lib.rs")) {
            Some(directory) => directory,
            None => self.path.trim_end_matches(".rs"),
        };
        let declarations = self.text.lines().zip(self.text.lines().skip(1)).filter_map(|(line, next)| {
            let declaration = is_for_tests(line).then(|| next.trim())?;
            declaration.split_once("mod ")?.1.strip_suffix(';')
        });
        declarations.map(move |name| format!("{directory}/{name}"))
    }

    /// The code that ships: no comments, no items for tests.
    pub fn code(&self) -> String {
        let mut kept = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if is_for_tests(line) {
                skip_item(indent(line), &mut lines);
                continue;
            }
            kept.push(match line.trim_start().starts_with("//") {
                true => "",
                false => line.split(" // ").next().unwrap_or(line),
            });
        }
        kept.join("\n")
    }
}

fn is_for_tests(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(any(test,")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// As rustfmt lays it out: an item is one line, or ends with the first `}` as far in as it began.
fn skip_item<'a>(from: usize, lines: &mut impl Iterator<Item = &'a str>) {
    let mut first = true;
    for line in lines {
        let text = line.trim();
        if first && (text.starts_with("#[") || text.starts_with("//")) {
            continue;
        }
        if (first && text.ends_with([';', ',', '}'])) || (indent(line) == from && text.starts_with('}')) {
            return;
        }
        first = false;
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn rust_files(under: &str) -> Vec<Source> {
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

pub fn sources() -> Vec<Source> {
    let found = rust_files("src");
    assert!(found.len() > 20, "the sources are not where this test looks");
    found
}

pub fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The first names after each `crate::`, those of a group included.
pub fn modules_used(code: &str) -> BTreeSet<String> {
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
pub fn group_heads(group: &str) -> Vec<String> {
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
fn items_for_tests_are_no_code() {
    let text = "use a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\n#[path = \"c\"]\nmod c;\nmod d;\nimpl X {\n    #[cfg(test)]\n    \
                fn e() {\n        f\n    }\n    fn g() {}\n}\n#[cfg(test)]\nmod h {\n    i\n}\n";
    let source = Source { path: "src/x.rs".to_owned(), text: text.to_owned() };
    assert_eq!(source.code(), "use a;\nmod d;\nimpl X {\n    fn g() {}\n}");
}
