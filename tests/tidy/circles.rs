//! No file depends on itself by way of others.
//!
//! File A uses file B if the code of A names something that is defined in B. Names are followed through `use`,
//! re-exports included, to the file that defines them: a `mod.rs` that only declares and re-exports its children uses
//! none of them, and whoever imports by way of it uses the child. A re-export counts once the re-exporting file names it
//! itself, and an import of a module counts for what is named through it. So a parent and its child make a circle only
//! if each needs the other's definitions.
//!
//! A scanner of lines does not see what macros make, what a method's receiver brings along, or which names a glob
//! import stands for: a glob counts as a use of the file it names.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Source, shipped};

/// Circles that must be, each with its reason. A circle is allowed if all its files lie in one of these lists; a name
/// that ends with `/` is a whole directory.
const ALLOWED_CIRCLES: [&[&str]; 0] = [];

/// From the root of the crate: `lib::log::kafka`, `bin::load`.
type Module = Vec<String>;

/// One name that a `use` brings.
struct Import {
    path: Vec<String>,
    /// `*` for a glob.
    name: String,
    public: bool,
}

struct File {
    path: String,
    imports: Vec<Import>,
    /// The code without its `use` lines.
    body: String,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Module(Module),
    /// Something that is defined in the file of this module.
    Definition(Module),
}

struct Tree {
    files: BTreeMap<Module, File>,
}

/// A re-export of a re-export of a re-export: deeper than that is a loop of globs.
const DEPTH_MAX: usize = 8;

impl Tree {
    fn of(sources: &[Source]) -> Tree {
        let files = sources.iter().map(|source| {
            let (imports, body) = imports_and_body(&source.code());
            (module_of(&source.path), File { path: source.path.clone(), imports, body })
        });
        Tree { files: files.collect() }
    }

    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        if depth > DEPTH_MAX {
            return None;
        }
        match first.as_str() {
            "crate" => self.walk(&from[..1], rest, depth),
            "turnstile" if from[0] == "bin" => self.walk(&["lib".to_owned()], rest, depth),
            "self" => self.walk(from, rest, depth),
            "super" => {
                let supers = path.iter().take_while(|segment| *segment == "super").count();
                self.walk(&from[..from.len().checked_sub(supers)?], &path[supers..], depth)
            }
            _ => self.walk_from_here(from, path, depth),
        }
    }

    /// A path that begins with a name of this file: a child module or an import.
    fn walk_from_here(&self, from: &Module, path: &[String], depth: usize) -> Option<Found> {
        let child = [from.as_slice(), &path[..1]].concat();
        if self.files.contains_key(&child) {
            return self.walk(&child, &path[1..], depth);
        }
        let import = self.files[from].imports.iter().find(|import| import.name == path[0])?;
        if import.path[0] == path[0] {
            return None;
        }
        self.resolve(from, &[import.path.as_slice(), &path[1..]].concat(), depth + 1)
    }

    fn walk(&self, start: &[String], path: &[String], depth: usize) -> Option<Found> {
        let mut module = start.to_vec();
        for (at, segment) in path.iter().enumerate() {
            let child = [module.as_slice(), std::slice::from_ref(segment)].concat();
            if !self.files.contains_key(&child) {
                return self.definition(&module, &path[at..], depth);
            }
            module = child;
        }
        self.files.contains_key(&module).then_some(Found::Module(module))
    }

    fn definition(&self, module: &Module, path: &[String], depth: usize) -> Option<Found> {
        let file = self.files.get(module)?;
        if path[0] != "*" && !defines(&file.body, &path[0]) {
            if let Some(found) = self.walk_from_here(module, path, depth + 1) {
                return Some(found);
            }
            let globs = file.imports.iter().filter(|import| import.public && import.name == "*");
            for glob in globs {
                let inside = glob.path.iter().take(glob.path.len() - 1).chain(path).cloned().collect::<Vec<_>>();
                match self.resolve(module, &inside, depth + 1) {
                    Some(Found::Definition(other)) if defines(&self.files[&other].body, &path[0]) => {
                        return Some(Found::Definition(other));
                    }
                    _ => {}
                }
            }
        }
        Some(Found::Definition(module.clone()))
    }

    /// The files that this one uses, with a name that shows it.
    fn uses(&self, module: &Module) -> BTreeMap<Module, String> {
        let file = &self.files[module];
        let mut uses = BTreeMap::new();
        let mut note = |path: &[String]| match self.resolve(module, path, 0) {
            Some(Found::Definition(other)) if other != *module => {
                uses.entry(other).or_insert_with(|| path.join("::"));
            }
            _ => {}
        };
        for import in &file.imports {
            if !import.public || words(&file.body).any(|word| word == import.name) {
                note(&import.path);
            }
        }
        for path in paths(&file.body) {
            note(&path);
        }
        uses
    }

    /// Sets of files that all reach each other, each with the uses that close it.
    fn circles(&self) -> Vec<Circle> {
        let uses: BTreeMap<_, _> = self.files.keys().map(|module| (module, self.uses(module))).collect();
        let reach: BTreeMap<_, _> = self.files.keys().map(|module| (module, reachable(module, &uses))).collect();
        let mut seen = BTreeSet::new();
        let mut circles = Vec::new();
        for module in self.files.keys() {
            let members: BTreeSet<_> =
                reach[module].iter().copied().filter(|other| reach[*other].contains(module)).collect();
            if members.is_empty() || !seen.insert(members.clone()) {
                continue;
            }
            let inside = members.iter().flat_map(|from| uses[*from].iter().map(move |(to, name)| (*from, to, name)));
            let inside = inside.filter(|(_, to, _)| members.contains(to));
            let line = |from: &Module, to: &Module, name: &str| {
                format!("    {} uses {}: {name}", self.files[from].path, self.files[to].path)
            };
            circles.push(Circle {
                files: members.iter().map(|member| self.files[*member].path.clone()).collect(),
                uses: inside.map(|(from, to, name)| line(from, to, name)).collect(),
            });
        }
        circles
    }
}

struct Circle {
    files: Vec<String>,
    uses: Vec<String>,
}

impl Circle {
    fn lies_in(&self, places: &[&str]) -> bool {
        let within = |file: &String, place: &str| file == place || (place.ends_with('/') && file.starts_with(place));
        self.files.iter().all(|file| places.iter().any(|place| within(file, place)))
    }
}

fn reachable<'a>(from: &'a Module, uses: &'a BTreeMap<&'a Module, BTreeMap<Module, String>>) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        next.extend(uses[module].keys().filter(|other| reached.insert(*other)));
    }
    reached
}

/// `src/log/kafka/mod.rs` → `lib::log::kafka`; `src/bin/turnstile/load/plan.rs` → `bin::load::plan`.
fn module_of(path: &str) -> Module {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let (root, inside) = match inside.strip_prefix("bin/turnstile/") {
        Some(inside) => ("bin", inside),
        None => ("lib", inside),
    };
    let segments = inside.split('/').filter(|segment| !["mod", "lib", "main"].contains(segment));
    std::iter::once(root).chain(segments).map(str::to_owned).collect()
}

/// Takes the `use` statements out of the code.
fn imports_and_body(code: &str) -> (Vec<Import>, String) {
    let (mut imports, mut body) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        let head = text.split("use ").next().unwrap_or(text);
        let public = head.starts_with("pub");
        if !(text.starts_with("use ")
            || (public && text.contains("use ") && !head.contains("fn") && head.ends_with(' ')))
        {
            body.push_str(line);
            body.push('\n');
            continue;
        }
        let mut statement = text[head.len() + "use ".len()..].to_owned();
        while !statement.contains(';') {
            let Some(more) = lines.next() else { break };
            statement.push_str(more.trim());
        }
        expand(&[], statement.split(';').next().unwrap_or_default(), public, &mut imports);
    }
    (imports, body)
}

/// `a::{b, c::{self, D as E}}` → a::b, a::c, a::c::D named E.
fn expand(before: &[String], tree: &str, public: bool, into: &mut Vec<Import>) {
    if let Some((path, group)) = tree.split_once('{') {
        let before: Vec<_> = before.iter().cloned().chain(segments(path)).collect();
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&before, &group[start..at], public, into);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let (path, name) = match tree.split_once(" as ") {
        Some((path, name)) => (path, Some(name.trim().to_owned())),
        None => (tree, None),
    };
    let mut path: Vec<_> = before.iter().cloned().chain(segments(path)).collect();
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(last) = path.last().cloned() {
        into.push(Import { path, name: name.unwrap_or(last), public });
    }
}

fn segments(path: &str) -> impl Iterator<Item = String> + '_ {
    path.split("::").map(|segment| segment.trim().to_owned()).filter(|segment| !segment.is_empty())
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !is_of_a_word(c)).filter(|word| !word.is_empty())
}

/// Every `a::b::c` in the code.
fn paths(code: &str) -> BTreeSet<Vec<String>> {
    let whole = code.split(|c: char| !is_of_a_word(c) && c != ':');
    let paths = whole.map(|text| text.trim_matches(':')).filter(|text| text.contains("::"));
    // `x: a::b` keeps its space, `Vec::<T>` ends at the bracket.
    paths.map(|text| segments(text).collect::<Vec<_>>()).filter(|path| path.len() > 1).collect()
}

fn defines(body: &str, name: &str) -> bool {
    const KEYWORDS: [&str; 8] = ["fn", "struct", "enum", "trait", "const", "static", "type", "macro_rules"];
    let mut before = "";
    words(body).any(|word| {
        let defined = word == name && KEYWORDS.contains(&before);
        before = word;
        defined
    })
}

#[test]
fn no_file_depends_on_itself_by_way_of_others() {
    let tree = Tree::of(&shipped());
    assert!(
        tree.files.keys().map(|module| tree.uses(module).len()).sum::<usize>() > 300,
        "the scanner sees too little"
    );
    let circles = tree.circles();
    let found = circles.iter().filter(|circle| !ALLOWED_CIRCLES.iter().any(|places| circle.lies_in(places)));
    let found = found.map(|circle| format!("a circle of {} files:\n{}", circle.files.len(), circle.uses.join("\n")));
    let gone = ALLOWED_CIRCLES.iter().filter(|places| !circles.iter().any(|circle| circle.lies_in(places)));
    let gone = gone.map(|places| format!("{places:?} is a circle no more: take it off the list"));
    let complaints: Vec<_> = found.chain(gone).collect();
    super::must_be_empty(&complaints);
}

fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let source = |(path, text): &(&str, &str)| Source { path: format!("src/{path}"), text: (*text).to_owned() };
    let sources: Vec<_> = files.iter().map(source).collect();
    Tree::of(&sources).circles().into_iter().map(|circle| circle.files).collect()
}

#[test]
fn a_parent_that_only_declares_and_exports_makes_no_circle() {
    let lib = ("lib.rs", "pub mod a;\n");
    let child = ("a/b.rs", "use super::c::C;\npub struct B(C);\n");
    let sister = ("a/c.rs", "pub struct C;\n");
    assert!(
        circles_of(&[lib, ("a/mod.rs", "mod b;\nmod c;\npub use b::B;\npub use c::C;\n"), child, sister]).is_empty()
    );
    let by_parent = ("a/b.rs", "use crate::a::{C};\npub struct B(C);\n");
    assert!(
        circles_of(&[lib, ("a/mod.rs", "mod b;\nmod c;\npub use b::B;\npub use c::C;\n"), by_parent, sister])
            .is_empty()
    );
    let port = ("a/mod.rs", "mod b;\npub use b::B;\npub trait Port {}\n");
    let implements = ("a/b.rs", "use super::Port;\npub struct B;\nimpl Port for B {}\n");
    assert!(circles_of(&[lib, port, implements]).is_empty());
}

#[test]
fn circles_are_found_however_they_are_written() {
    let expected = [vec!["src/a/b.rs".to_owned(), "src/a/c.rs".to_owned()]];
    let lib = ("lib.rs", "pub mod a;\n");
    let exports = ("a/mod.rs", "mod b;\nmod c;\npub use b::{b, B};\npub use c::*;\n");
    for uses_c in [
        "use super::c::C;\npub fn b(_: C) {}\npub struct B;\n",
        "use crate::a::C;\npub fn b(_: C) {}\npub struct B;\n",
        "use crate::a::{\n    self,\n    c::{self, C as D},\n};\npub fn b() {}\npub struct B;\n",
        "use super::c;\npub fn b() {\n    c::c()\n}\npub struct B;\n",
        "use crate::a;\npub fn b(_: a::C) {}\npub struct B;\n",
        "pub struct B;\npub fn b() -> Option<super::c::C> {}\n",
    ] {
        let files = [lib, exports, ("a/b.rs", uses_c), ("a/c.rs", "use super::B;\npub struct C(B);\npub fn c() {}\n")];
        assert_eq!(circles_of(&files), expected, "{uses_c}");
    }
    let both =
        [lib, ("a/mod.rs", "mod b;\npub struct A(b::B);\n"), ("a/b.rs", "use super::A;\npub struct B(Box<A>);\n")];
    assert_eq!(circles_of(&both), [vec!["src/a/mod.rs".to_owned(), "src/a/b.rs".to_owned()]]);
    let exported = [
        lib,
        ("a/mod.rs", "mod b;\npub use b::B;\npub struct A(B);\n"),
        ("a/b.rs", "use super::A;\npub struct B(Box<A>);\n"),
    ];
    assert_eq!(circles_of(&exported).len(), 1, "a re-export that the parent names itself");
    let tests = [
        lib,
        ("a/mod.rs", "mod b;\n"),
        ("a/b.rs", "pub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::a::c::C;\n}\n"),
        ("a/c.rs", "use super::b::B;\npub struct C(B);\n"),
    ];
    assert!(circles_of(&tests).is_empty(), "tests are no part of it");
}
