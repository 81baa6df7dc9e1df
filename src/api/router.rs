//! Every path of the front door, on one screen.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, patch, post};

use super::queue::{commands, position, stats, streams};
use super::{AppState, catalog, docs, edge, health, holds, openapi, opening, requests, reservations, seats, wallet};

/// All paths over one state.
pub fn router(state: Arc<AppState>) -> Router {
    let paths = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics));
    let paths = if state.settings.front_door { paths.merge(front_door()) } else { paths };
    paths
        .fallback(edge::no_such_path)
        .method_not_allowed_fallback(edge::no_such_method)
        .layer(from_fn_with_state(state.clone(), edge::guard))
        .with_state(state)
}

fn front_door() -> Router<Arc<AppState>> {
    Router::new()
        .route("/openapi.json", get(openapi::get_openapi))
        .route("/docs", get(docs::get_docs))
        .route("/v1/requests/{id}", get(requests::get_request))
        .route("/v1/concerts", get(catalog::list_concerts).post(catalog::create_concert))
        .route("/v1/concerts/{id}", get(catalog::get_concert))
        .route("/v1/concerts/{id}/schedules", get(catalog::list_schedules).post(opening::create_schedule))
        .route("/v1/schedules/{id}", get(catalog::get_schedule))
        .route("/v1/schedules/{id}/seats", get(seats::get_seats))
        .route("/v1/schedules/{id}/seats/events", get(seats::seat_events))
        .route("/v1/schedules/{id}/holds", post(holds::hold_seats))
        .route("/v1/schedules/{id}/queue", post(commands::join_queue).delete(commands::leave_queue))
        .route("/v1/schedules/{id}/queue", patch(commands::configure_queue))
        .route("/v1/schedules/{id}/queue/position", get(position::get_position))
        .route("/v1/schedules/{id}/queue/events", get(streams::stream_events))
        .route("/v1/schedules/{id}/queue/ws", get(streams::stream_socket))
        .route("/v1/schedules/{id}/queue/stats", get(stats::get_stats))
        .route("/v1/reservations", get(reservations::list_reservations))
        .route("/v1/reservations/{id}", get(reservations::get_reservation))
        .route("/v1/reservations/{id}", delete(reservations::cancel_reservation))
        .route("/v1/reservations/{id}/payment", post(reservations::pay_reservation))
        .route("/v1/payments", get(reservations::list_payments))
        .route("/v1/wallet", get(wallet::get_wallet))
        .route("/v1/wallet/charges", post(wallet::charge_wallet))
        .route("/v1/wallet/debits", post(wallet::debit_wallet))
        .route("/v1/wallet/entries", get(wallet::list_entries))
}
