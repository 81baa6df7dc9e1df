//! Outcomes as JSON records, and how the front door reads them back.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::fields::{DecodeError, Field, Fields};
pub use super::headers::{Headers, fingerprint_of, headers};
use super::json::Object;
use super::results::{seat_name, write_result};
use super::time::rfc3339;
use crate::domain::{Arrival, Position, Refusal, RequestId, UserId, Verdict};

/// A decided command, to be written.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeRecord<'a> {
    pub request_id: RequestId,
    /// The command's type, e.g. `hold_seats`.
    pub command: &'a str,
    pub user_id: Option<&'a UserId>,
    /// Not [`Verdict::Pending`]: what is pending has no outcome yet.
    pub verdict: &'a Verdict,
    /// The command that decided it: of a payment the settlement.
    pub decided: Arrival,
}

/// The record value: the request object of the HTTP interface plus `user_id`.
pub fn encode_value(o: &OutcomeRecord<'_>) -> String {
    debug_assert!(*o.verdict != Verdict::Pending, "a pending request has no outcome");
    let mut out = String::with_capacity(512);
    Object::write(&mut out, |object| {
        object.plain("request_id", o.request_id).plain("command", o.command);
        if let Some(user) = o.user_id {
            object.plain("user_id", user);
        }
        match o.verdict {
            Verdict::Succeeded(success) => {
                object.plain("status", "SUCCEEDED").object("result", |result| write_result(result, success));
            }
            Verdict::Rejected(refusal) => {
                object.plain("status", "REJECTED").object("problem", |problem| write_problem(problem, refusal));
            }
            Verdict::Pending => {
                object.plain("status", "PENDING");
            }
        }
        write_arrival(object, "decided", &o.decided);
    });
    out
}

fn write_problem(o: &mut Object<'_>, refusal: &Refusal) {
    o.plain("code", refusal.code.as_str()).text("detail", &refusal.detail);
    if let Some(taken) = &refusal.taken {
        o.object("taken", |o| {
            o.plain("seat", seat_name(&taken.section, taken.seat));
            let position = taken.by.position;
            o.object("position", |o| {
                write_position(o, position);
            });
            o.time("at", taken.by.time);
        });
    }
}

fn write_position(o: &mut Object<'_>, position: Position) {
    o.plain("lane", position.lane).bare("partition", position.partition).bare("offset", position.offset);
}

fn write_arrival(o: &mut Object<'_>, name: &str, arrival: &Arrival) {
    o.object(name, |o| {
        write_position(o, arrival.position);
        o.time("at", arrival.time);
    });
}

/// The status of a request, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestStatusText {
    Pending,
    Succeeded,
    Rejected,
}

impl RequestStatusText {
    pub const ALL: [RequestStatusText; 3] =
        [RequestStatusText::Pending, RequestStatusText::Succeeded, RequestStatusText::Rejected];

    pub fn as_str(self) -> &'static str {
        match self {
            RequestStatusText::Pending => "PENDING",
            RequestStatusText::Succeeded => "SUCCEEDED",
            RequestStatusText::Rejected => "REJECTED",
        }
    }
}

impl Serialize for RequestStatusText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Field for RequestStatusText {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        let text = String::read(json)?;
        RequestStatusText::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| "not a request's status".into())
    }
}

/// Where and when a request was decided. Serializes as `{lane, partition, offset, at}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedView(pub Arrival);

impl Serialize for DecidedView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Decided {
            lane: &'static str,
            partition: u32,
            offset: u64,
            at: String,
        }
        let Arrival { position, time } = self.0;
        let decided = Decided {
            lane: position.lane.as_str(),
            partition: position.partition,
            offset: position.offset,
            at: rfc3339(time),
        };
        decided.serialize(serializer)
    }
}

/// An outcome as read back. `result` stays the text it was, so that it reaches the client unchanged.
#[derive(Debug, Clone)]
pub struct OutcomeView {
    pub request_id: RequestId,
    pub command: String,
    pub user_id: Option<UserId>,
    pub status: RequestStatusText,
    /// There when SUCCEEDED.
    pub result: Option<Box<RawValue>>,
    /// There when REJECTED: `code`, `detail`, and `taken` if somebody was first.
    pub problem: Option<serde_json::Value>,
    pub decided: DecidedView,
}

/// Reads what [`encode_value`] wrote; unknown fields are ignored.
pub fn decode_value(value: &[u8]) -> Result<OutcomeView, DecodeError> {
    let fields = Fields::parse(value)?;
    let decided = fields.object("decided")?;
    let problem = match fields.raw("problem")? {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|error| DecodeError::field("problem", error))?,
        None => None,
    };
    Ok(OutcomeView {
        request_id: fields.required("request_id")?,
        command: fields.required("command")?,
        user_id: fields.optional("user_id")?,
        status: fields.required("status")?,
        result: fields.raw("result")?.map(ToOwned::to_owned),
        problem,
        decided: DecidedView(Arrival {
            position: Position {
                lane: decided.required("lane")?,
                partition: decided.required("partition")?,
                offset: decided.required("offset")?,
            },
            time: decided.required("at")?,
        }),
    })
}
