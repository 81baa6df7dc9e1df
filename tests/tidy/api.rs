//! Within the API server each module knows only those below it.

use super::must_be_empty;
use super::sources::{Source, group_heads, identifier, shipped};

/// What each module of `src/api` may use besides itself. The files beside them, which hold all of it together, may use
/// everything.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("http", &[]),
    ("connections", &[]),
    ("tickets", &[]),
    ("openapi", &["http"]),
    ("cache", &["http", "openapi"]),
    ("submission", &["http", "openapi"]),
    ("queue", &["http", "openapi", "cache", "submission"]),
    // The services that a handler takes are parts of the state.
    ("ops", &["http", "openapi", "cache", "submission", "queue", "AppState"]),
    ("routes", &["http", "openapi", "cache", "submission", "queue", "tickets", "AppState"]),
];

fn used(source: &Source) -> Vec<String> {
    let code = source.code();
    let heads = code.match_indices("crate::api::").flat_map(|(at, found)| {
        let rest = &code[at + found.len()..];
        rest.strip_prefix('{').map_or_else(|| vec![identifier(rest).to_owned()], group_heads)
    });
    heads.collect()
}

#[test]
fn the_modules_of_the_api_server_know_those_below_them_only() {
    let mut complaints = Vec::new();
    let mut seen = 0;
    for source in shipped() {
        let Some((module, _)) = source.path.strip_prefix("src/api/").and_then(|path| path.split_once('/')) else {
            continue;
        };
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            complaints.push(format!("{} is of a module that has no place in the layers", source.path));
            continue;
        };
        if source.code().contains("super::super::") {
            complaints.push(format!("{} reaches out by super::super; name crate::api", source.path));
        }
        for used in used(&source) {
            seen += 1;
            if used != module && !allowed.contains(&used.as_str()) {
                complaints.push(format!("{} uses crate::api::{used}, which lies above it", source.path));
            }
        }
    }
    assert!(seen > 100, "the imports are not where this test looks");
    must_be_empty(&complaints);
}
