//! Every path of the front door, on one screen.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, patch, post};

use super::openapi::{document, page};
use super::routes::{
    concerts, health, holds, payments, queue, queue_position, queue_stats, queue_streams, requests, reservations,
    schedules, seats, wallet,
};
use super::{AppState, middleware};

/// All paths over one state.
pub fn router(state: Arc<AppState>) -> Router {
    let paths = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics));
    let paths = if state.settings.front_door { paths.merge(front_door()) } else { paths };
    paths
        .fallback(middleware::no_such_path)
        .method_not_allowed_fallback(middleware::no_such_method)
        .layer(from_fn_with_state(state.clone(), middleware::guard))
        .with_state(state)
}

fn front_door() -> Router<Arc<AppState>> {
    Router::new()
        .route("/openapi.json", get(document::get_openapi))
        .route("/docs", get(page::get_docs))
        .route("/v1/requests/{id}", get(requests::get_request))
        .route("/v1/concerts", get(concerts::list_concerts).post(concerts::create_concert))
        .route("/v1/concerts/{id}", get(concerts::get_concert))
        .route("/v1/concerts/{id}/schedules", get(schedules::list_schedules).post(schedules::create_schedule))
        .route("/v1/schedules/{id}", get(schedules::get_schedule))
        .route("/v1/schedules/{id}/seats", get(seats::get_seats))
        .route("/v1/schedules/{id}/seats/events", get(seats::seat_events))
        .route("/v1/schedules/{id}/holds", post(holds::hold_seats))
        .route("/v1/schedules/{id}/queue", post(queue::join_queue).delete(queue::leave_queue))
        .route("/v1/schedules/{id}/queue", patch(queue::configure_queue))
        .route("/v1/schedules/{id}/queue/position", get(queue_position::get_position))
        .route("/v1/schedules/{id}/queue/events", get(queue_streams::stream_events))
        .route("/v1/schedules/{id}/queue/ws", get(queue_streams::stream_socket))
        .route("/v1/schedules/{id}/queue/stats", get(queue_stats::get_stats))
        .route("/v1/reservations", get(reservations::list_reservations))
        .route("/v1/reservations/{id}", get(reservations::get_reservation))
        .route("/v1/reservations/{id}", delete(reservations::cancel_reservation))
        .route("/v1/reservations/{id}/payment", post(payments::pay_reservation))
        .route("/v1/payments", get(payments::list_payments))
        .route("/v1/wallet", get(wallet::get_wallet))
        .route("/v1/wallet/charges", post(wallet::charge_wallet))
        .route("/v1/wallet/debits", post(wallet::debit_wallet))
        .route("/v1/wallet/entries", get(wallet::list_entries))
}
