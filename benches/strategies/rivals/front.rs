//! HTTP in front of a rival: the paths, headers and answers of Turnstile's API that the load uses.

use std::io::Read;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::Deserialize;
use tokio_postgres::error::SqlState;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::session::Pool;
use super::{Charge, Decided, Failure, Hold, Pay, Rival};

/// The answer that was given before.
pub const REPEAT: &str = "select succeeded, outcome from request where request_id = $1";

struct Front {
    rival: Arc<dyn Rival>,
    /// For repeats.
    reads: Pool,
}

#[derive(Deserialize)]
struct ChargeBody {
    amount: i64,
}

#[derive(Deserialize)]
struct HoldBody {
    seats: Vec<String>,
}

/// Serves until standard input ends.
pub async fn serve(rival: Arc<dyn Rival>, reads: Pool) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/readyz", get(async || "ready"))
        .route("/v1/wallet/charges", post(charge))
        .route("/v1/schedules/{schedule}/holds", post(hold))
        .route("/v1/reservations/{reservation}/payment", post(pay))
        .with_state(Arc::new(Front { rival, reads }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    // It ends with the process that started this one.
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    let listener = listener.tap_io(|stream| {
        // Without it the answer waits with the socket; it works all the same.
        let _ = stream.set_nodelay(true);
    });
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served?,
        _ = end => {}
    }
    Ok(())
}

fn user_of(headers: &HeaderMap) -> String {
    headers.get("x-user-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Derived from user and key, so that a repeat has the same; without a key each request has its own.
fn request_id(user: &str, headers: &HeaderMap) -> Uuid {
    match headers.get("idempotency-key") {
        Some(key) => Uuid::from_u128(xxh3_128(&[user.as_bytes(), b"\0", key.as_bytes()].concat())),
        None => Uuid::now_v7(),
    }
}

async fn charge(State(front): State<Arc<Front>>, headers: HeaderMap, Json(body): Json<ChargeBody>) -> Response {
    let user = user_of(&headers);
    let request_id = request_id(&user, &headers);
    if body.amount <= 0 {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let decided = front.rival.charge(Charge { request_id, user, amount: body.amount }).await;
    front.answer("charge_wallet", request_id, decided).await
}

async fn hold(
    State(front): State<Arc<Front>>,
    Path(schedule): Path<Uuid>,
    headers: HeaderMap,
    Json(body): Json<HoldBody>,
) -> Response {
    let user = user_of(&headers);
    let request_id = request_id(&user, &headers);
    let seat = body.seats.first().and_then(|seat| seat.rsplit_once('-'));
    let Some((section, Ok(number))) = seat.map(|(section, number)| (section.to_owned(), number.parse())) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    let decided = front.rival.hold(Hold { request_id, user, schedule, section, number }).await;
    front.answer("hold_seats", request_id, decided).await
}

async fn pay(State(front): State<Arc<Front>>, Path(reservation): Path<Uuid>, headers: HeaderMap) -> Response {
    let user = user_of(&headers);
    let request_id = request_id(&user, &headers);
    let decided = front.rival.pay(Pay { request_id, user, reservation }).await;
    front.answer("pay_reservation", request_id, decided).await
}

impl Front {
    async fn answer(&self, command: &str, request_id: Uuid, decided: Result<Decided, Failure>) -> Response {
        let decided = match decided {
            Err(Failure::Postgres(error)) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                self.repeated(request_id).await
            }
            other => other,
        };
        let (status, kind, body) = match decided {
            Ok(Decided::Done(result)) => (
                StatusCode::OK,
                "application/json",
                format!(
                    r#"{{"request_id":"{request_id}","command":"{command}","status":"SUCCEEDED","result":{result}}}"#
                ),
            ),
            Ok(Decided::Refused(code)) => (
                StatusCode::CONFLICT,
                "application/problem+json",
                format!(r#"{{"request_id":"{request_id}","code":"{code}","status":409}}"#),
            ),
            Err(failure) => {
                let body = format!(r#"{{"status":503,"detail":{:?}}}"#, failure.to_string());
                (StatusCode::SERVICE_UNAVAILABLE, "application/problem+json", body)
            }
        };
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }

    async fn repeated(&self, request_id: Uuid) -> Result<Decided, Failure> {
        let row = self.reads.shared().row(REPEAT, [&request_id]).await?;
        let row = row.ok_or(Failure::Other("another row is there twice"))?;
        Ok(Decided::of(row.get(0), row.get(1)))
    }
}
