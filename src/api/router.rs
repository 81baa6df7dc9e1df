//! Every route of the API, once: what is served is what is described.

use std::sync::LazyLock;

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::http::problem::ProblemObject;
use super::openapi::handlers::{self, Documentation};
use super::routes::{
    amending, concerts, health, holds, me, opening, pages, payments, plans, queue, queue_position, queue_stats,
    queue_streams, requests, reservations, schedules, seats, wallet,
};
use super::submission::request_object::Accepted;
use super::{AppState, middleware};

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
        (name = "operations", description = "Operations"),
    ),
    components(schemas(ProblemObject, Accepted))
)]
struct Head;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::of(OpenApiRouter::with_openapi(Head::openapi()).merge(probes()).merge(front_door()).into_openapi())
});

/// The description of all routes.
pub fn documentation() -> &'static Documentation {
    &DOCUMENTATION
}

/// All routes over one state.
pub fn router(state: AppState) -> Router {
    let door = state.settings.front_door;
    let routes = if door { probes().merge(front_door()) } else { probes() };
    let (routes, _) = routes.split_for_parts();
    let routes = if door { routes.merge(pages::pages()) } else { routes };
    routes
        .fallback(middleware::no_such_path)
        .method_not_allowed_fallback(middleware::no_such_method)
        .layer(Extension(documentation()))
        .layer(from_fn_with_state(state.requests.clone(), middleware::guard))
        .with_state(state)
}

/// What every process answers.
fn probes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health::livez)).routes(routes!(health::readyz)).routes(routes!(health::metrics))
}

fn front_door() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(handlers::get_openapi))
        .routes(routes!(handlers::get_docs))
        .routes(routes!(requests::get_request))
        .routes(routes!(concerts::list_concerts, concerts::create_concert))
        .routes(routes!(concerts::get_concert))
        .routes(routes!(schedules::list_schedules, opening::create_schedule))
        .routes(routes!(schedules::get_schedule, amending::amend_schedule, amending::cancel_schedule))
        .routes(routes!(plans::list_plans, plans::import_plan))
        .routes(routes!(plans::get_plan))
        .routes(routes!(plans::get_schedule_plan))
        .routes(routes!(me::get_time))
        .routes(routes!(me::get_me))
        .routes(routes!(seats::get_seats))
        .routes(routes!(seats::seat_events))
        .routes(routes!(holds::hold_seats))
        .routes(routes!(queue::join_queue, queue::leave_queue, queue::configure_queue))
        .routes(routes!(queue_position::get_position))
        .routes(routes!(queue_streams::stream_events))
        .routes(routes!(queue_streams::stream_socket))
        .routes(routes!(queue_stats::get_stats))
        .routes(routes!(reservations::list_reservations))
        .routes(routes!(reservations::get_reservation, reservations::cancel_reservation))
        .routes(routes!(payments::pay_reservation))
        .routes(routes!(payments::list_payments))
        .routes(routes!(wallet::get_wallet))
        .routes(routes!(wallet::charge_wallet))
        .routes(routes!(wallet::debit_wallet))
        .routes(routes!(wallet::list_entries))
}
