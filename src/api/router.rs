//! Every route of the API, once: what is served is what is described.

use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{HeaderName, Method};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::http::problem::ProblemObject;
use super::http::rate_limit::limit_address;
use super::http::{public_url, representation};
use super::openapi::handlers::{self, Documentation};
use super::ops::requests as lives;
use super::ops::{acts, dead_letters, metrics, overview, partitions, processes, queues, sales, throughput, webhooks};
use super::routes::{
    amending, concerts, health, holds, me, opening, pages, payments, plans, queue, queue_position, queue_stats,
    queue_streams, requests, reservations, schedules, seats, tickets, wallet,
};
use super::submission::request_object::Accepted;
use super::{AppState, middleware};

/// What pages of other origins may send, and read beside the body.
const REQUEST_HEADERS: [&str; 10] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "prefer",
    "queue-token",
    "traceparent",
    "x-user-id",
    "x-user-roles",
];
const RESPONSE_HEADERS: [&str; 4] = ["etag", "location", "preference-applied", "retry-after"];
/// How long a browser remembers that it may.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

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
        (name = "tickets", description = "Codes of sold seats, and the door"),
        (name = "wallet", description = "The money of a user"),
        (name = "requests", description = "What became of a command"),
        (name = "operations", description = "Operations"),
    ),
    components(schemas(ProblemObject, Accepted))
)]
struct Head;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::of(
        OpenApiRouter::with_openapi(Head::openapi())
            .merge(operators(true))
            .merge(open())
            .merge(of_callers())
            .into_openapi(),
    )
});

/// The description of all routes.
pub fn documentation() -> &'static Documentation {
    &DOCUMENTATION
}

/// All routes over one state.
pub fn router(state: AppState) -> Router {
    match state.settings.front_door {
        true => served(operators(true).merge(front_door(&state)), pages::pages(), state),
        false => served(operators(false), pages::operators_page(), state),
    }
}

/// The routes of operators alone, and all others.
pub fn routers_apart(state: &AppState) -> (Router, Router) {
    let others = served(front_door(state), pages::pages(), state.clone());
    (served(operators(state.settings.front_door), pages::operators_page(), state.clone()), others)
}

/// `pages`: for people, in no description.
fn served(routes: OpenApiRouter<AppState>, pages: Router<AppState>, state: AppState) -> Router {
    let (routes, _) = routes.split_for_parts();
    let mut routes = routes
        .merge(pages)
        .fallback(middleware::no_such_path)
        .method_not_allowed_fallback(middleware::no_such_method)
        .layer(Extension(documentation()))
        .layer(from_fn(representation::choose))
        .layer(from_fn_with_state(state.requests.clone(), middleware::guard));
    if let Some(base) = &state.settings.public_url {
        routes = routes.layer(from_fn_with_state(base.clone(), public_url::below));
    }
    if let Some(origins) = cross_origin(&state.settings.cors_origins) {
        routes = routes.layer(origins);
    }
    routes.with_state(state)
}

/// What pages of these origins may do. Never with credentials: a caller is known by a header, which no page of another
/// origin sends unless it has the token.
fn cross_origin(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let allowed = match origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok())),
    };
    let names =
        |names: &[&'static str]| -> Vec<HeaderName> { names.iter().copied().map(HeaderName::from_static).collect() };
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(names(&REQUEST_HEADERS))
        .expose_headers(names(&RESPONSE_HEADERS))
        .max_age(PREFLIGHT_AGE);
    Some(cors)
}

/// What every process answers, for operators and what they run; `front_door`: also what calls addresses of others, which
/// other processes do not check the configuration for.
fn operators(front_door: bool) -> OpenApiRouter<AppState> {
    let of_all = OpenApiRouter::new()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(overview::get_overview))
        .routes(routes!(throughput::get_throughput))
        .routes(routes!(partitions::list_partitions))
        .routes(routes!(acts::list_interventions))
        .routes(routes!(acts::skip_records))
        .routes(routes!(acts::set_time))
        .routes(routes!(acts::acquire_again))
        .routes(routes!(processes::list_processes))
        .routes(routes!(queues::list_queues))
        .routes(routes!(queues::change_queue))
        .routes(routes!(sales::list_sales))
        .routes(routes!(sales::get_sale))
        .routes(routes!(lives::find_requests))
        .routes(routes!(lives::get_life))
        .routes(routes!(dead_letters::list_dead_letters))
        .routes(routes!(dead_letters::get_dead_letter))
        .routes(routes!(dead_letters::replay_dead_letter))
        .routes(routes!(dead_letters::dismiss_dead_letter));
    match front_door {
        true => of_all.merge(of_webhooks()),
        false => of_all,
    }
}

fn of_webhooks() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(webhooks::list_webhooks, webhooks::add_webhook))
        .routes(routes!(webhooks::get_webhook, webhooks::change_webhook, webhooks::remove_webhook))
        .routes(routes!(webhooks::rotate_secret))
        .routes(routes!(webhooks::test_webhook))
}

fn front_door(state: &AppState) -> OpenApiRouter<AppState> {
    open().layer(from_fn_with_state(state.budget.clone(), limit_address)).merge(of_callers())
}

/// What needs no login, but for admins who change it.
fn open() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(handlers::get_openapi))
        .routes(routes!(handlers::get_docs))
        .routes(routes!(concerts::list_concerts, concerts::create_concert))
        .routes(routes!(concerts::get_concert))
        .routes(routes!(schedules::list_schedules, opening::create_schedule))
        .routes(routes!(schedules::get_schedule, amending::amend_schedule, amending::cancel_schedule))
        .routes(routes!(plans::list_plans, plans::import_plan))
        .routes(routes!(plans::get_plan))
        .routes(routes!(plans::get_schedule_plan))
        .routes(routes!(me::get_time))
        .routes(routes!(seats::get_seats))
        .routes(routes!(seats::seat_events))
}

fn of_callers() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(me::get_me))
        .routes(routes!(requests::get_request))
        .routes(routes!(holds::hold_seats))
        .routes(routes!(queue::join_queue, queue::leave_queue, queue::configure_queue))
        .routes(routes!(queue_position::get_position))
        .routes(routes!(queue_streams::stream_events))
        .routes(routes!(queue_streams::stream_socket))
        .routes(routes!(queue_stats::get_stats))
        .routes(routes!(reservations::list_reservations))
        .routes(routes!(reservations::get_reservation, reservations::cancel_reservation))
        .routes(routes!(tickets::get_tickets))
        .routes(routes!(tickets::get_keys))
        .routes(routes!(tickets::check_ticket))
        .routes(routes!(payments::pay_reservation))
        .routes(routes!(payments::list_payments))
        .routes(routes!(wallet::get_wallet))
        .routes(routes!(wallet::charge_wallet))
        .routes(routes!(wallet::debit_wallet))
        .routes(routes!(wallet::list_entries))
}
