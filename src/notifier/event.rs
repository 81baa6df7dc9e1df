//! From an outcome to events.

use serde_json::{Map, Value};

use crate::domain::{CommandKind, LanePartition, LogTime};
use crate::log::Record;
use crate::store::{PartitionChange, PartitionEvent, WebhookContent};
use crate::wire::headers;
use crate::wire::outcome::{self, DecidedRequest};
use crate::wire::time::rfc3339;

/// Every type, and what has happened.
pub const TYPES: [(&str, &str); 29] = [
    ("block.opened", "Seats of a date are on sale"),
    ("block.amended", "Sections, prices or times of a date were changed"),
    ("block.cancelled", "A date was cancelled"),
    ("reservation.held", "Seats are held"),
    ("reservation.confirmed", "Seats are sold"),
    ("reservation.cancelled", "Somebody gave back seats that were not paid"),
    ("reservation.expired", "Unpaid holds have ended; all reservations of one decision"),
    ("reservation.refunded", "Sold seats were given back, and the money too"),
    ("payment.completed", "A reservation is paid"),
    ("payment.failed", "A payment was refused; `problem` says why"),
    ("ticket.checked", "Somebody was let in at the door"),
    ("wallet.charged", "Money went into a wallet"),
    ("wallet.debited", "Money went out of a wallet; `kind` says what for"),
    ("wallet.refunded", "Money came back into a wallet"),
    ("queue.opened", "The queue of a date is open"),
    ("queue.configured", "Limits of a queue were changed"),
    ("queue.joined", "Somebody has a place in the queue"),
    ("queue.left", "Somebody gave up a place"),
    ("queue.completed", "Somebody has bought, and the turn is over"),
    ("queue.admitted", "It is the turn of these places"),
    ("queue.expired", "These places or turns are over"),
    ("queue.absent", "These places are passed over while their holders are away"),
    ("queue.returned", "The holders of these places are back"),
    ("queue.requeued", "These turns are over, and wait again at the end"),
    ("request.rejected", "A command was refused; `problem` says why"),
    (PARKED, "A partition stands still, and its commands wait; `reason` says why"),
    (RECOVERED, "A partition that was parked goes on"),
    ("turnstile.gap", "Outcomes were deleted before they could be delivered"),
    ("turnstile.test", "A test"),
];

const PARKED: &str = "partition.parked";
const RECOVERED: &str = "partition.recovered";

/// Most tokens or reservations of one event: a body stays near the 20 KB that the specification recommends.
const LIST_MAX: usize = 100;

/// Whether `kind.name`, `kind.*` or `*` takes events of this type.
pub fn takes(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => prefix.ends_with('.') && kind.starts_with(prefix),
        None => pattern == kind,
    }
}

/// One event, ready for any endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `webhook-id`: the same on every attempt.
    pub id: String,
    pub kind: &'static str,
    pub at: LogTime,
    /// With all names of users.
    pub data: Map<String, Value>,
}

impl Event {
    /// Whether the endpoint wants it. An event that only this endpoint has always comes.
    pub fn is_for(&self, endpoint: &WebhookContent) -> bool {
        self.kind.starts_with("turnstile.") || is_chosen(endpoint, self.kind)
    }

    /// The body: `{"type", "timestamp", "data"}`.
    pub fn body(&self, include_user: bool) -> Vec<u8> {
        let mut data = Value::Object(self.data.clone());
        if !include_user {
            without_users(&mut data);
        }
        let body = serde_json::json!({ "type": self.kind, "timestamp": rfc3339(self.at), "data": data });
        body.to_string().into_bytes()
    }
}

fn is_chosen(endpoint: &WebhookContent, kind: &str) -> bool {
    endpoint.types.is_empty() || endpoint.types.iter().any(|pattern| takes(pattern, kind))
}

/// Whether an endpoint hears of partitions.
pub fn takes_partitions(endpoint: &WebhookContent) -> bool {
    [PARKED, RECOVERED].into_iter().any(|kind| is_chosen(endpoint, kind))
}

fn without_users(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("user_id");
            fields.remove("by");
            fields.values_mut().for_each(without_users);
        }
        Value::Array(items) => items.iter_mut().for_each(without_users),
        _ => {}
    }
}

/// The events of a record of the outcomes topic, in order; none for one that says nothing to others. A record that is no
/// outcome is none either: the feed of the front door says so.
pub fn events(record: &Record) -> Vec<Event> {
    let Some(value) = record.value.as_deref() else { return Vec::new() };
    let Ok(decided) = outcome::decode(value) else { return Vec::new() };
    let mut made = Made { events: Vec::new(), id: id_of(record), decided: &decided, common: common(record, &decided) };
    made.own();
    made.effects();
    made.events
}

/// The id of the outcome, the same on every attempt to publish it.
fn id_of(record: &Record) -> String {
    let id = record.headers.iter().find(|(name, _)| name == "ce_id");
    let text = id.and_then(|(_, value)| std::str::from_utf8(value).ok());
    text.map_or_else(|| format!("offset-{}", record.offset), str::to_owned)
}

/// What every event of an outcome says.
fn common(record: &Record, decided: &DecidedRequest) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("position".into(), decided.decided.position.to_string().into());
    data.insert("request_id".into(), decided.request_id.to_string().into());
    data.insert("command".into(), decided.command.to_string().into());
    if let Some(schedule) = headers::schedule_of(&record.headers) {
        data.insert("schedule_id".into(), schedule.to_string().into());
    }
    data
}

struct Made<'a> {
    events: Vec<Event>,
    id: String,
    decided: &'a DecidedRequest,
    common: Map<String, Value>,
}

impl Made<'_> {
    fn push(&mut self, kind: &'static str, fields: Map<String, Value>) {
        let id = match self.events.len() {
            0 => self.id.clone(),
            number => format!("{}-{number}", self.id),
        };
        let mut data = self.common.clone();
        data.extend(fields);
        self.events.push(Event { id, kind, at: self.decided.decided.time, data });
    }

    /// Of the one who asked.
    fn own(&mut self) {
        let decided = self.decided;
        let mut fields = Map::new();
        for (name, user) in [("user_id", &decided.user_id), ("by", &decided.by)] {
            fields.extend(user.as_ref().map(|user| (name.to_owned(), user.as_str().into())));
        }
        match &decided.outcome {
            Ok(reply) => {
                let Ok(Value::Object(result)) = serde_json::from_str(reply.0.get()) else { return };
                let Some(kind) = succeeded(decided.command, &result) else { return };
                if kind == "reservation.expired" && self.lists("reservation.expired", "reservations", &result) {
                    return;
                }
                fields.extend(result);
                self.push(kind, fields);
            }
            // What the program asks of itself, and nobody waits for.
            Err(_) if decided.command.refusals().is_empty() => {}
            Err(refusal) => {
                let kind = match decided.command {
                    CommandKind::PayReservation => "payment.failed",
                    _ => "request.rejected",
                };
                let problem = serde_json::json!({ "code": refusal.code.to_string(), "detail": refusal.detail });
                fields.insert("problem".into(), problem);
                self.push(kind, fields);
            }
        }
    }

    /// One event for each part of a long list; whether there was one.
    fn lists(&mut self, kind: &'static str, name: &str, from: &Map<String, Value>) -> bool {
        let Some(Value::Array(items)) = from.get(name) else { return false };
        for part in items.chunks(LIST_MAX) {
            self.push(kind, Map::from_iter([(name.to_owned(), Value::from(part.to_vec()))]));
        }
        true
    }

    /// Of others.
    fn effects(&mut self) {
        let Some(effects) = &self.decided.effects else { return };
        let Ok(Value::Object(effects)) = serde_json::from_str(effects.get()) else { return };
        let renamed = |from: &str, to: &str| effects.get(from).map(|list| Map::from_iter([(to.into(), list.clone())]));
        if let Some(expired) = renamed("expired", "reservations") {
            self.lists("reservation.expired", "reservations", &expired);
        }
        for (from, kind) in [
            ("admitted", "queue.admitted"),
            ("ended", "queue.expired"),
            ("absent", "queue.absent"),
            ("returned", "queue.returned"),
            ("requeued", "queue.requeued"),
        ] {
            if let Some(tokens) = renamed(from, "tokens") {
                self.lists(kind, "tokens", &tokens);
            }
        }
    }
}

/// The type of a success; `None`: it says nothing to others.
fn succeeded(command: CommandKind, result: &Map<String, Value>) -> Option<&'static str> {
    let status = result.get("status").and_then(Value::as_str).unwrap_or_default();
    Some(match command {
        CommandKind::OpenBlock => "block.opened",
        CommandKind::AmendBlock if result.get("cancelled") == Some(&Value::Bool(true)) => "block.cancelled",
        CommandKind::AmendBlock => "block.amended",
        CommandKind::HoldSeats => "reservation.held",
        // The settlement of the refund says it, also where nobody asked.
        CommandKind::CancelReservation if status == "REFUNDED" => return None,
        CommandKind::CancelReservation => "reservation.cancelled",
        // An amount of 0 is confirmed without a payment.
        CommandKind::PayReservation if !result.contains_key("payment_id") => "reservation.confirmed",
        CommandKind::PayReservation => "payment.completed",
        CommandKind::SettlePayment => match status {
            "CONFIRMED" => "reservation.confirmed",
            "REFUNDED" => "reservation.refunded",
            "EXPIRED" => "reservation.expired",
            "CANCELLED" => "reservation.cancelled",
            _ => return None,
        },
        CommandKind::ExpireHolds => "reservation.expired",
        CommandKind::CheckTicket => "ticket.checked",
        CommandKind::ChargeWallet | CommandKind::DebitWallet | CommandKind::CreditWallet | CommandKind::AskPayment => {
            match result.get("kind").and_then(Value::as_str)? {
                "CHARGE" => "wallet.charged",
                "REFUND" => "wallet.refunded",
                _ => "wallet.debited",
            }
        }
        CommandKind::OpenQueue => "queue.opened",
        CommandKind::ConfigureQueue => "queue.configured",
        CommandKind::JoinQueue => "queue.joined",
        CommandKind::LeaveQueue => "queue.left",
        CommandKind::CompleteToken => "queue.completed",
        CommandKind::Seen | CommandKind::NoteSale | CommandKind::Tick => return None,
    })
}

/// The outcomes before `to` are gone: what an endpoint gets instead.
pub fn gap(partition: u32, from: u64, to: u64, at: LogTime) -> Event {
    let fields =
        [("topic", "outcomes".into()), ("partition", partition.into()), ("from", from.into()), ("to", to.into())];
    let data = fields.map(|(name, value): (&str, Value)| (name.to_owned(), value));
    Event { id: format!("gap-{partition}-{from}-{to}"), kind: "turnstile.gap", at, data: Map::from_iter(data) }
}

/// What has become of a partition.
pub fn of_partition(change: &PartitionEvent) -> Event {
    let LanePartition { lane, partition } = change.partition;
    let id = |number: u64| format!("partition-{lane}-{partition}-{number}");
    let mut data = Map::new();
    data.insert("partition".to_owned(), change.partition.to_string().into());
    data.insert("next_offset".to_owned(), change.next_offset.into());
    data.insert("owner".to_owned(), change.owner.clone().into());
    let kind = match change.change {
        PartitionChange::Parked => {
            data.insert("reason".to_owned(), change.reason.clone().into());
            PARKED
        }
        PartitionChange::Recovered => {
            data.insert("parked_as".to_owned(), id(change.number.saturating_sub(1)).into());
            RECOVERED
        }
    };
    Event { id: id(change.number), kind, at: change.at, data }
}

/// What `webhooks test` sends.
pub fn test(at: LogTime) -> Event {
    let data = Map::from_iter([("message".to_owned(), Value::from("a test of this endpoint"))]);
    Event { id: format!("test-{}", uuid::Uuid::now_v7()), kind: "turnstile.test", at, data }
}
