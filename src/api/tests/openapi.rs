//! The documentation says what the code does.

use super::*;
use crate::api::documentation;
use crate::api::http::problem::Kind;
use crate::api::openapi::results::COMMANDS;
use crate::domain::{Code, CommandKind};

fn document() -> &'static Value {
    documentation().document()
}

fn text() -> &'static str {
    documentation().text()
}

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");

#[test]
fn f33_the_document_is_the_one_in_the_golden_file() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, text()).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(golden == text(), "the interface changed: look at the difference, then run with UPDATE_GOLDEN=1");
}

/// What is served is described, as the router takes described routes only; here the other way round.
#[tokio::test]
async fn f33_every_documented_operation_is_served() {
    assert!(!include_str!("../router.rs").contains(".route("), "a route that is not described");
    let door = Door::open().await;
    let id = uuid::Uuid::now_v7().to_string();
    let mut operations = 0;
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = send(door.request(method.clone(), &path.replace("{id}", &id))).await;
            if answer.header("content-type") == "application/problem+json" {
                let code = answer.problem();
                assert!(!["not_found", "method_not_allowed"].contains(&code.as_str()), "{method} {path}");
            }
            operations += 1;
        }
    }
    assert_eq!(operations, 67);
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_is_described() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(document(), &mut found);
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document().pointer(place).is_some(), "{reference}");
    }
    let tags: Vec<&Value> = document()["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
            assert!(tags.contains(&&operation["tags"][0]), "{method} {path}");
            if operation["x-command"].is_string() {
                let command: CommandKind = operation["x-command"].as_str().unwrap().parse().unwrap();
                assert!(COMMANDS.contains(&command), "{command}");
                assert!(!command.refusals().is_empty(), "{command}");
                assert!(operation["responses"]["202"].is_object());
            }
        }
    }
}

#[tokio::test]
async fn f33_the_docs_explain_every_code_and_load_nothing() {
    let door = Door::open().await;
    let page = send(door.bare(Method::GET, "/docs")).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let codes = Code::ALL.into_iter().map(Code::as_str).chain(Kind::ALL.into_iter().map(Kind::as_str));
    for code in codes {
        assert!(page.text.contains(&format!("id=\"{code}\"")), "{code}");
    }
    for outside in ["http:", "https:", "<script", "<img", "@import", "src="] {
        assert!(!page.text.contains(outside), "{outside}");
    }
    let served = send(door.bare(Method::GET, "/openapi.json")).await;
    assert_eq!((served.status, &served.json()), (200, document()));
}

#[tokio::test]
async fn f33_answers_have_the_fields_the_document_names() {
    let door = Door::open().await;
    door.worker.start();
    let charged = send(waiting(door.charge(5), 10)).await.json();
    has_fields("RequestObject", &charged);
    has_fields("MovementResult", &charged["result"]);
    let debit = door.request(Method::POST, "/v1/wallet/debits").json(&json!({ "amount": 5 }));
    has_fields("Problem", &send(waiting(debit, 10)).await.json());
    has_fields("Problem", &send(door.charge(0)).await.json());
    has_fields("Accepted", &send(door.charge(5)).await.json());
    has_fields("WalletObject", &door.get("/v1/wallet").await.json());
    has_fields("EntryList", &door.get("/v1/wallet/entries").await.json());
}

/// All fields of `value` are in the schema, and all it requires are there.
fn has_fields(schema: &str, value: &Value) {
    let schema = &document()["components"]["schemas"][schema];
    let value = value.as_object().unwrap();
    for name in value.keys() {
        assert!(schema["properties"].get(name).is_some(), "{name} is not documented: {schema}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.contains_key(name.as_str().unwrap()), "{name} is missing: {value:?}");
    }
}
