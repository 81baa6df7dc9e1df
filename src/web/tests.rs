//! The table is the directory; texts are complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{EMBEDDED, Web, media_type};

const LANGUAGES: [&str; 3] = ["en", "ko", "ja"];

fn walk(dir: &Path, below: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            walk(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name);
        }
    }
}

fn text(path: &str) -> &'static str {
    let file = EMBEDDED.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"));
    std::str::from_utf8(file.bytes).unwrap()
}

fn texts(language: &str) -> Value {
    serde_json::from_str(text(&format!("i18n/{language}.json"))).unwrap()
}

#[test]
fn the_table_lists_the_directory() {
    let mut found = BTreeSet::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("web"), "", &mut found);
    let listed: BTreeSet<String> = EMBEDDED.iter().map(|file| file.path.to_owned()).collect();
    assert_eq!(found, listed);
    assert!(EMBEDDED.iter().all(|file| media_type(file.path).is_some()));
}

#[test]
fn the_pages_are_small() {
    // What buyers load; staff's pages have directories of their own.
    let staff = |path: &str| ["door", "ops", "organizer"].iter().any(|page| path.starts_with(&format!("js/{page}/")));
    let bytes = |ending: &str| -> usize {
        let buyers = EMBEDDED.iter().filter(|file| file.path.ends_with(ending) && !staff(file.path));
        buyers.map(|file| file.bytes.len()).sum()
    };
    // A slow phone loads them while a sale opens.
    assert!(bytes(".js") < 200_000, "{} bytes of scripts", bytes(".js"));
    assert!(bytes(".css") < 60_000, "{} bytes of styles", bytes(".css"));
}

/// What a script imports, itself first: `js/app.js` → `js/screens/date.js`.
fn imported(script: &str, found: &mut BTreeSet<String>) {
    if !found.insert(script.to_owned()) {
        return;
    }
    let directory = script.rsplit_once('/').unwrap().0;
    for line in text(script).lines().filter(|line| line.starts_with("import ")) {
        let path = line.split('\'').nth(1).unwrap();
        let path = match path.strip_prefix("../") {
            Some(rest) => format!("{}/{rest}", directory.rsplit_once('/').unwrap().0),
            None => format!("{directory}/{}", path.strip_prefix("./").unwrap()),
        };
        imported(&path, found);
    }
}

/// Otherwise a browser learns of them import by import: five rounds to the server before anything is asked for.
#[test]
fn buyers_browsers_are_told_of_all_scripts_at_once() {
    let mut scripts = BTreeSet::new();
    imported("js/app.js", &mut scripts);
    let preloaded = text("index.html").split("modulepreload\" href=\"/web/").skip(1);
    let preloaded: BTreeSet<String> = preloaded.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(preloaded, scripts);
}

#[test]
fn nothing_is_fetched_from_elsewhere() {
    for file in EMBEDDED.iter().filter(|file| !file.path.ends_with(".json")) {
        let text = text(file.path).replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http://", "https://", "//cdn", "@import"] {
            assert!(!text.contains(foreign), "{} names {foreign}", file.path);
        }
        if file.path.ends_with(".html") {
            assert!(!text.contains("<style") && !text.contains(" style=") && !text.contains(" onclick="));
        }
    }
}

#[test]
fn each_language_has_each_text_with_the_same_parts() {
    let parts = |text: &str| -> BTreeSet<String> {
        let found = text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()));
        found.collect()
    };
    let english = texts("en");
    let english = english.as_object().unwrap();
    for language in LANGUAGES {
        let texts = texts(language);
        let texts = texts.as_object().unwrap();
        let keys = |texts: &serde_json::Map<String, Value>| -> BTreeSet<String> {
            // Where a language has one form only, `other` is it.
            texts.keys().filter(|key| !key.ends_with(".one")).cloned().collect()
        };
        assert_eq!(keys(texts), keys(english), "{language}");
        for (key, text) in texts {
            let text = text.as_str().unwrap();
            assert!(!text.trim().is_empty() && !text.contains('!'), "{language} {key}: {text}");
            if let Some(original) = english.get(key).and_then(Value::as_str) {
                assert_eq!(parts(text), parts(original), "{language} {key}");
            }
        }
    }
}

/// A key that is written out in a script; keys made of codes are looked up below.
#[test]
fn each_text_that_a_script_names_is_there() {
    let english = texts("en");
    let mut named = 0;
    for file in EMBEDDED.iter().filter(|file| file.path.ends_with(".js")) {
        for call in ["t('", "plural('"] {
            let text = text(file.path);
            for (at, _) in text.match_indices(call) {
                let key = text[at + call.len()..].split('\'').next().unwrap();
                let other = text[..at].ends_with(|before: char| before.is_alphanumeric());
                if other || key.ends_with('.') || !key.contains('.') {
                    continue;
                }
                named += 1;
                let there = english.get(key).or(english.get(format!("{key}.other"))).is_some();
                assert!(there, "{} names {key}", file.path);
            }
        }
    }
    assert!(named > 100, "{named} keys: this test looks at the wrong place");
}

/// All that a page may be refused with, by the rules or by the API itself.
#[test]
fn each_problem_has_a_text_in_each_language() {
    let refusals = crate::domain::Code::ALL.iter().map(|code| code.as_str());
    let kinds = crate::api::http::codes::Kind::ALL.iter().map(|kind| kind.as_str());
    // What the page itself finds.
    let codes: BTreeSet<&str> = refusals.chain(kinds).chain(["no_connection"]).collect();
    assert!(codes.contains("seat_taken") && codes.contains("outcome_unknown"));
    for language in LANGUAGES {
        let texts = texts(language);
        let missing: Vec<_> = codes.iter().filter(|code| texts.get(format!("problem.{code}")).is_none()).collect();
        assert!(missing.is_empty(), "{language}: {missing:?}");
    }
}

#[tokio::test]
async fn a_directory_overrides_single_files_and_nothing_outside_it() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("web");
    fs::create_dir_all(inner.join("css")).unwrap();
    fs::write(inner.join("css/base.css"), "body{}").unwrap();
    fs::write(inner.join("logo.png"), "png").unwrap();
    fs::write(inner.join("notes.txt"), "private").unwrap();
    fs::write(inner.join(".hidden.css"), "private").unwrap();
    fs::write(dir.path().join("outside.css"), "private").unwrap();
    let web = Web::new(Some(inner));
    let plain = Web::default();
    let own = web.file("css/base.css").await.unwrap();
    assert_eq!(&own.bytes[..], b"body{}");
    assert_ne!(own.etag, plain.file("css/base.css").await.unwrap().etag);
    assert_eq!(web.file("index.html").await.unwrap().etag, plain.file("index.html").await.unwrap().etag);
    assert_eq!(web.file("logo.png").await.unwrap().media_type, "image/png");
    for path in [
        "../outside.css",
        "css/../../outside.css",
        "notes.txt",
        ".hidden.css",
        "css",
        "css//base.css",
        "",
        "/css/base.css",
    ] {
        assert!(web.file(path).await.is_none(), "{path}");
    }
}
