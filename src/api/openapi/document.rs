//! `/openapi.json`: the routes as their handlers describe them, plus what holds for all of them alike.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::results::schema_of;
use crate::api::http::problem::{Kind, ProblemCode};
use crate::domain::{Code, CommandKind};

/// The OpenAPI 3.1 document.
pub fn document(api: OpenApi) -> Value {
    // Strings and maps always serialize.
    let mut document = serde_json::to_value(api).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "The claim `sub` is the user; `roles` may hold `admin`, `cashier`, `box_office`, `door`. The server may \
                use other claims" },
        "dev_user": { "type": "apiKey", "in": "header", "name": "X-User-Id",
            "description": "Development mode on a loopback address: the user's name; `admin` is an admin. The header \
                `X-User-Roles` gives roles, with spaces or commas between them" },
    });
    document["components"]["parameters"] = json!({
        "IdempotencyKey": { "name": "Idempotency-Key", "in": "header", "schema": { "type": "string", "minLength": 1, "maxLength": 128,
            "pattern": "^[!-~]+$" },
            "description": "Names the command: a repeat with the same key and body gets the first outcome again, \
                also after a crash; the same key with another body is `idempotency_key_reused`. Without a key each \
                request counts, so a command sent again after a lost answer takes effect twice" },
        "Prefer": { "name": "Prefer", "in": "header", "schema": { "type": "string" }, "example": "wait=10",
            "description": "`wait=N`: wait up to N (30) seconds for the decision instead of answering 202 at once" },
    });
    // The command says which result it is, not the shape: an object may fit several.
    if let Some(result) = document["components"]["schemas"]["CommandResult"].as_object_mut()
        && let Some(choices) = result.remove("oneOf")
    {
        result.insert("anyOf".to_owned(), choices);
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, methods) in paths {
            for (_, operation) in methods.as_object_mut().into_iter().flatten() {
                complete(path, operation);
            }
        }
    }
    document
}

/// Adds what follows from an operation being a command, having a caller, or having a body.
fn complete(path: &str, operation: &mut Value) {
    let command: Option<CommandKind> =
        operation.get("x-command").and_then(Value::as_str).and_then(|name| name.parse().ok());
    let has_body = operation.get("requestBody").is_some();
    let open = operation.get("security").is_some();
    if !open {
        operation["security"] = json!([{ "bearer": [] }, { "dev_user": [] }]);
    }
    let mut codes: Vec<ProblemCode> = Vec::new();
    if path.starts_with("/v1/") {
        codes.extend([Kind::InvalidRequest, Kind::RateLimited, Kind::Unavailable].map(ProblemCode::from));
        codes.extend((!open).then_some(ProblemCode::Kind(Kind::Unauthenticated)));
    }
    if has_body {
        let kinds = [Kind::MalformedJson, Kind::BodyTooLarge, Kind::UnsupportedMediaType, Kind::InvalidFields];
        codes.extend(kinds.map(ProblemCode::from));
    }
    if let Some(command) = command {
        codes.extend(command.refusals().iter().copied().map(ProblemCode::from));
        codes.push(Code::IdempotencyKeyReused.into());
        codes.extend([Kind::Overloaded, Kind::OutcomeUnknown].map(ProblemCode::from));
        complete_command(operation, command);
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        describe_problems(responses, &codes);
    }
}

fn complete_command(operation: &mut Value, command: CommandKind) {
    let parameters = operation.as_object_mut().map(|o| o.entry("parameters").or_insert_with(|| json!([])));
    if let Some(Value::Array(parameters)) = parameters {
        for name in ["IdempotencyKey", "Prefer"] {
            parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
        }
    }
    operation["responses"]["200"] = decided(command);
    operation["responses"]["202"] = accepted();
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn decided(command: CommandKind) -> Value {
    let object = match schema_of(command) {
        Some(result) => json!({ "allOf": [schema("RequestObject"), { "properties": { "result": schema(result) } }] }),
        None => schema("RequestObject"),
    };
    json!({
        "description": "Decided while waiting, or earlier under this key",
        "content": { "application/json": { "schema": object } },
    })
}

fn accepted() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "description": "The log has the command; it will get exactly one outcome",
        "headers": {
            "Location": text("Where its outcome will be: `/v1/requests/{id}?position={lane}.{partition}.{offset}`"),
            "Retry-After": text("Seconds"),
            "Preference-Applied": text("If `Prefer: wait` was given"),
        },
        "content": { "application/json": { "schema": schema("Accepted") } },
    })
}

/// One response for each status, naming its codes; what a handler says of a status itself stays. Every error without a
/// content of its own is a problem.
fn describe_problems(responses: &mut Map<String, Value>, codes: &[ProblemCode]) {
    let mut by_status: Map<String, Value> = Map::new();
    for code in codes {
        let entry = by_status.entry(code.status().as_str()).or_insert_with(|| Value::from(""));
        let listed = entry.as_str().unwrap_or_default();
        let separator = if listed.is_empty() { "" } else { ", " };
        *entry = format!("{listed}{separator}`{}`", code.as_str()).into();
    }
    for (status, description) in by_status {
        responses.entry(status).or_insert_with(|| json!({ "description": description }));
    }
    for (status, response) in responses {
        let error = status.parse().is_ok_and(|status: u16| status >= StatusCode::BAD_REQUEST.as_u16());
        if error && response.get("content").is_none() {
            response["content"] = json!({ "application/problem+json": { "schema": schema("Problem") } });
        }
    }
}
