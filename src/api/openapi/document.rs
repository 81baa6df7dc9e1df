//! `/openapi.json`: the paths as their handlers describe them, plus what holds for all commands alike.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::page;
use crate::api::http::problem::refusal_status;
use crate::api::http::schema;
use crate::api::routes::{
    concerts, health, holds, payments, queue, queue_position, queue_stats, queue_streams, requests, reservations,
    schedules, seats, wallet,
};
use crate::domain::Code;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Turnstile",
        description = "Sells seats to a crowd. Commands are answered once the log has them; the order of the log is \
            the order of arrival, and it alone decides who was first. Money is counted in integers of the smallest \
            currency unit, times are RFC 3339 UTC."
    ),
    tags(
        (name = "catalog", description = "Concerts, their dates and seats"),
        (name = "queue", description = "The waiting queue of a date"),
        (name = "seats", description = "Holding seats"),
        (name = "reservations", description = "What was held: paying, cancelling, listing"),
        (name = "wallet", description = "The money of a user"),
        (name = "requests", description = "What became of a command"),
        (name = "operations", description = "For those who keep it running"),
    ),
    paths(
        concerts::create_concert,
        concerts::list_concerts,
        concerts::get_concert,
        schedules::list_schedules,
        schedules::get_schedule,
        schedules::create_schedule,
        seats::get_seats,
        seats::seat_events,
        queue::join_queue,
        queue::leave_queue,
        queue::configure_queue,
        queue_position::get_position,
        queue_streams::stream_events,
        queue_streams::stream_socket,
        queue_stats::get_stats,
        holds::hold_seats,
        reservations::list_reservations,
        reservations::get_reservation,
        reservations::cancel_reservation,
        payments::pay_reservation,
        payments::list_payments,
        wallet::get_wallet,
        wallet::list_entries,
        wallet::charge_wallet,
        wallet::debit_wallet,
        requests::get_request,
        health::livez,
        health::readyz,
        health::metrics,
        get_openapi,
        page::get_docs,
    ),
    components(schemas(schema::Problem, schema::Accepted, schema::RequestObject))
)]
struct Handlers;

/// The commands that clients send by HTTP.
pub const COMMANDS: [&str; 9] = [
    "hold_seats",
    "cancel_reservation",
    "pay_reservation",
    "charge_wallet",
    "debit_wallet",
    "join_queue",
    "leave_queue",
    "configure_queue",
    "open_section",
];

/// The refusals each command may meet, besides `idempotency_key_reused`.
pub fn refusals_of(command: &str) -> &'static [Code] {
    match command {
        "hold_seats" => &[
            Code::SeatTaken,
            Code::SeatNotFound,
            Code::SectionNotFound,
            Code::SalesClosed,
            Code::TicketLimitExceeded,
            Code::NotEnoughAdjacentSeats,
            Code::NotAdmitted,
        ],
        "cancel_reservation" => &[
            Code::ReservationNotFound,
            Code::NotReservationOwner,
            Code::HoldExpired,
            Code::PaymentInProgress,
            Code::NotCancellable,
        ],
        "pay_reservation" => &[
            Code::ReservationNotFound,
            Code::NotReservationOwner,
            Code::HoldExpired,
            Code::PaymentInProgress,
            Code::AlreadyPaid,
            Code::AmountMismatch,
            Code::InvalidAmount,
            Code::InsufficientBalance,
        ],
        "charge_wallet" => &[Code::InvalidAmount, Code::BalanceLimitExceeded],
        "debit_wallet" => &[Code::InvalidAmount, Code::InsufficientBalance],
        "join_queue" => &[Code::QueueNotFound, Code::QueueFull],
        "leave_queue" => &[Code::QueueNotFound, Code::TokenNotFound],
        "configure_queue" => &[Code::QueueNotFound],
        "open_section" => &[Code::SectionConflict, Code::InvalidAmount],
        _ => &[],
    }
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", *DOCUMENT));

/// The OpenAPI 3.1 document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The same, as indented JSON text.
pub fn text() -> &'static str {
    &TEXT
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Value))
)]
pub async fn get_openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], text()).into_response()
}

fn build() -> Value {
    // Strings and maps always serialize.
    let mut document = serde_json::to_value(Handlers::openapi()).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "`sub` is the user; `roles` may hold `admin`" },
        "dev_user": { "type": "apiKey", "in": "header", "name": "X-User-Id",
            "description": "Development mode on a loopback address: the user's name; `admin` is an admin" },
    });
    document["components"]["parameters"] = json!({
        "IdempotencyKey": { "name": "Idempotency-Key", "in": "header", "schema": { "type": "string", "minLength": 1, "maxLength": 64,
            "pattern": "^[!-~]+$" },
            "description": "Names the command: a repeat with the same key and body gets the first outcome again, \
                also after a crash; the same key with another body is `idempotency_key_reused`" },
        "Prefer": { "name": "Prefer", "in": "header", "schema": { "type": "string" }, "example": "wait=10",
            "description": "`wait=N`: wait up to N (30) seconds for the decision instead of answering 202 at once" },
    });
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
    let command = operation.get("x-command").and_then(Value::as_str).map(str::to_owned);
    let has_body = operation.get("requestBody").is_some();
    let open = operation.get("security").is_some();
    if !open {
        operation["security"] = json!([{ "bearer": [] }, { "dev_user": [] }]);
    }
    let mut codes: Vec<(u16, String)> = Vec::new();
    let mut add = |status: u16, code: &str| codes.push((status, code.to_owned()));
    if path.starts_with("/v1/") {
        add(400, "invalid_request");
        add(503, "unavailable");
        if !open {
            add(401, "unauthenticated");
        }
    }
    if has_body {
        for (status, code) in
            [(400, "malformed_json"), (413, "body_too_large"), (415, "unsupported_media_type"), (422, "invalid_fields")]
        {
            add(status, code);
        }
    }
    if let Some(command) = &command {
        for code in refusals_of(command).iter().chain([&Code::IdempotencyKeyReused]) {
            add(refusal_status(code.as_str()).as_u16(), code.as_str());
        }
        for (status, code) in [(429, "rate_limited"), (503, "overloaded"), (503, "outcome_unknown")] {
            add(status, code);
        }
        let parameters = operation.as_object_mut().map(|o| o.entry("parameters").or_insert_with(|| json!([])));
        if let Some(Value::Array(parameters)) = parameters {
            for name in ["IdempotencyKey", "Prefer"] {
                parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
            }
        }
        operation["responses"]["202"] = accepted();
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        describe_problems(responses, codes);
    }
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
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Accepted" } } },
    })
}

/// One response for each status, naming its codes. What a handler says of a status itself stays.
fn describe_problems(responses: &mut Map<String, Value>, codes: Vec<(u16, String)>) {
    let mut by_status: Map<String, Value> = Map::new();
    for (status, code) in codes {
        let entry = by_status.entry(status.to_string()).or_insert_with(|| Value::from(""));
        let listed = entry.as_str().unwrap_or_default();
        let separator = if listed.is_empty() { "" } else { ", " };
        *entry = format!("{listed}{separator}`{code}`").into();
    }
    for (status, description) in by_status {
        responses.entry(status).or_insert_with(|| {
            json!({
                "description": description,
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            })
        });
    }
}
