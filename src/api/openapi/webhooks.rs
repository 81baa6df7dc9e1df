//! Bodies of requests about webhooks.
#![allow(dead_code, reason = "their fields are read by the derive alone")]

use utoipa::ToSchema;

/// An endpoint to add.
#[derive(ToSchema)]
pub struct WebhookRequest {
    /// Of `A-Za-z0-9._-`.
    #[schema(min_length = 1, max_length = 64, example = "shop")]
    name: String,
    /// Of the scheme https, without user and password.
    #[schema(max_length = 2048)]
    url: String,
    /// Event types, or all of a kind: `payment.*`. Left out: all.
    #[schema(max_items = 64, example = json!(["reservation.confirmed", "payment.*"]))]
    types: Option<Vec<String>>,
    /// Only events about this date.
    #[schema(format = "uuid")]
    schedule_id: Option<String>,
    /// Only events about dates of this concert.
    #[schema(format = "uuid")]
    concert_id: Option<String>,
    /// Whether events name users. Left out: no.
    include_user: Option<bool>,
    /// `slack`: one message with many events for a chat, at most one a second.
    #[schema(pattern = "^(standard|slack)$", example = "standard")]
    format: Option<String>,
    /// What happens to an event after its last attempt: it is listed as failed, or the endpoint is disabled.
    #[schema(pattern = "^(skip|stop)$", example = "skip")]
    on_failure: Option<String>,
}

/// A change of an endpoint.
#[derive(ToSchema)]
pub struct WebhookChange {
    enabled: Option<bool>,
    /// Deliver again from here: `first`, a time, or a position such as `outcomes.3.1234` or `partitions.12`.
    #[schema(max_length = 64, example = "2026-11-21T07:00:00Z")]
    replay_from: Option<String>,
}

/// A new secret.
#[derive(ToSchema)]
pub struct SecretRequest {
    /// Hours for which the former secret still signs. Left out: 24.
    #[schema(minimum = 0, maximum = 720)]
    overlap_hours: Option<u32>,
}
