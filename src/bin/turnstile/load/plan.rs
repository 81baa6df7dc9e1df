//! Sequence of requests and users. Equal arguments give an equal sequence.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::args::LoadArgs;
use super::mix::{Kind, Mix};
use super::report::{Ending, Outcome};
use super::sale::Sale;
use super::sender::{Answer, Sender};

/// Most unpaid reservations kept for payment; further ones expire.
const UNPAID_MAX: usize = 100_000;

pub struct Plan {
    mix: Mix,
    users: u32,
    sale: Sale,
    /// Number of the first user that joins during the run.
    first_joiner: u32,
    /// Users and their unpaid reservations.
    unpaid: Mutex<VecDeque<(u32, String)>>,
}

impl Plan {
    pub fn new(args: &LoadArgs, sale: Sale) -> Self {
        let first_joiner = args.users.saturating_add(args.waiting);
        Self { mix: args.mix.clone(), users: args.users, sale, first_joiner, unpaid: Mutex::default() }
    }

    /// Sends request number `turn`, which was due at `due`.
    pub async fn send(&self, sender: &Sender, turn: u64, second: u64, due: Instant) -> Outcome {
        let kind = self.mix.kind(turn);
        let (kind, answer) = match (kind, self.next_unpaid(kind)) {
            (Kind::Pay, Some((user, reservation))) => (Kind::Pay, self.pay(sender, user, &reservation).await),
            (Kind::Charge, _) => (Kind::Charge, self.charge(sender, turn).await),
            (Kind::Join, _) => (Kind::Join, self.join(sender, turn).await),
            (Kind::Poll, _) => (Kind::Poll, self.poll(sender, turn).await),
            // No reservation to pay yet: hold instead.
            _ => (Kind::Hold, self.hold(sender, turn).await),
        };
        Outcome { kind, second, latency: due.elapsed(), ending: ending(&answer) }
    }

    /// The request was not sent: too many are in flight.
    pub fn not_sent(&self, turn: u64, second: u64) -> Outcome {
        Outcome { kind: self.mix.kind(turn), second, latency: Duration::ZERO, ending: Ending::NotSent }
    }

    fn user_of(&self, turn: u64) -> u32 {
        u32::try_from(turn % u64::from(self.users)).unwrap_or(0)
    }

    fn next_unpaid(&self, kind: Kind) -> Option<(u32, String)> {
        let mut unpaid = self.unpaid.lock().unwrap_or_else(PoisonError::into_inner);
        if kind == Kind::Pay { unpaid.pop_front() } else { None }
    }

    async fn hold(&self, sender: &Sender, turn: u64) -> Answer {
        let user = self.user_of(turn);
        let section = &self.sale.sections[(turn / 3) as usize % self.sale.sections.len()];
        let path = format!("/v1/schedules/{}/holds", self.sale.schedule_id);
        let body = json!({"section": section, "best_available": 1});
        let answer = sender.post(&self.sale.user(user), &path, &body).await;
        if let Some(reservation) = result(&answer.body)["reservation_id"].as_str() {
            let mut unpaid = self.unpaid.lock().unwrap_or_else(PoisonError::into_inner);
            if unpaid.len() < UNPAID_MAX {
                unpaid.push_back((user, reservation.to_owned()));
            }
        }
        answer
    }

    async fn charge(&self, sender: &Sender, turn: u64) -> Answer {
        sender.post(&self.sale.user(self.user_of(turn)), "/v1/wallet/charges", &json!({"amount": 100})).await
    }

    async fn join(&self, sender: &Sender, turn: u64) -> Answer {
        let user = self.sale.user(self.first_joiner.saturating_add(u32::try_from(turn).unwrap_or(u32::MAX)));
        let mut answer = sender.post(&user, &self.sale.queue_path(), &json!({})).await;
        let joined = result(&answer.body);
        if answer.status == Some(StatusCode::OK) && !(joined["position"].is_u64() && joined["token"].is_string()) {
            // Decided without a place: must not count as a success.
            answer.status = None;
        }
        answer
    }

    async fn poll(&self, sender: &Sender, turn: u64) -> Answer {
        let places = &self.sale.places;
        if places.is_empty() {
            return Answer { status: None, body: Value::Null };
        }
        let (user, token) = &places[usize::try_from(turn).unwrap_or(0) % places.len()];
        let mut answer = sender.poll(&self.sale.user(*user), &self.sale.queue_path(), token).await;
        if answer.status == Some(StatusCode::OK) && !answer.body["ahead"].is_u64() {
            answer.status = None;
        }
        answer
    }

    async fn pay(&self, sender: &Sender, user: u32, reservation: &str) -> Answer {
        let path = format!("/v1/reservations/{reservation}/payment");
        sender.post(&self.sale.user(user), &path, &json!({})).await
    }
}

/// The `result` of a request object.
fn result(body: &Value) -> &Value {
    &body["result"]
}

fn ending(answer: &Answer) -> Ending {
    match answer.status {
        None => Ending::NoAnswer,
        Some(StatusCode::ACCEPTED) => Ending::Undecided,
        Some(status) if status.is_success() => Ending::Succeeded,
        Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => Ending::Overload,
        // A refusal is a decision, e.g. no seat left.
        Some(status) if status.is_client_error() && answer.body["decided"].is_object() => Ending::Refused,
        Some(_) => Ending::Failed,
    }
}
