//! Outcomes as JSON records, and how the front door reads them back.
//!
//! An outcome has two parts: `result` or `problem` for the one who asked, `effects` for those who follow the feed. A
//! user's answer is never taken from a value that has effects.

use serde_json::value::RawValue;

use super::command::{write_result, write_status};
use super::fields::{DecodeError, Fields, missing, quoted};
use super::json::Object;
use super::problem::{read_decided, read_problem, write_decided, write_problem};
use crate::domain::{
    Arrival, Code, CommandKind, Effects, Fingerprint, Outcome, Refusal, RequestId, ScheduleId, UserId,
};

/// A decided command, to be written.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeRecord<'a> {
    pub request_id: RequestId,
    pub command: CommandKind,
    /// Whose request it is; `None`: the program's own.
    pub user_id: Option<&'a UserId>,
    /// Who acted, if not that user.
    pub by: Option<&'a UserId>,
    /// Of the command that asked; in the headers only.
    pub fingerprint: Fingerprint,
    /// The date it is about, if it is about one; in the headers, and of a refusal in the value: a result names it itself.
    pub schedule_id: Option<ScheduleId>,
    pub outcome: &'a Outcome,
    pub effects: &'a Effects,
    /// The command that decided it: of a payment the settlement.
    pub decided: Arrival,
}

/// One outcome as text, in both of its forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedOutcome {
    /// For the one who asked: without effects.
    pub answer: String,
    /// The record value: with effects. Equal to `answer` if there are none.
    pub record: String,
}

pub fn encode(o: &OutcomeRecord<'_>) -> EncodedOutcome {
    let answer = value(o, &Effects::default());
    let record = if o.effects.is_empty() { answer.clone() } else { value(o, o.effects) };
    EncodedOutcome { answer, record }
}

fn value(o: &OutcomeRecord<'_>, effects: &Effects) -> String {
    let mut out = String::with_capacity(512);
    Object::write(&mut out, |object| {
        object.plain("request_id", o.request_id).plain("command", o.command);
        object.text_if("user_id", o.user_id.map(UserId::as_str)).text_if("by", o.by.map(UserId::as_str));
        match o.outcome {
            Ok(reply) => object.plain("status", SUCCEEDED).object("result", |result| write_result(result, reply)),
            Err(refusal) => {
                if let Some(schedule_id) = o.schedule_id {
                    object.plain("schedule_id", schedule_id);
                }
                object.plain("status", REJECTED).object("problem", |problem| write_problem(problem, refusal))
            }
        };
        if !effects.is_empty() {
            object.object("effects", |object| write_effects(object, effects));
        }
        object.object("decided", |decided| write_decided(decided, &o.decided));
    });
    out
}

/// Only what there is.
fn write_effects(o: &mut Object<'_>, effects: &Effects) {
    if !effects.expired.is_empty() {
        o.plains("expired", &effects.expired);
    }
    let Effects { expired: _, admitted, ended, absent, returned, requeued } = effects;
    let lists =
        [("admitted", admitted), ("ended", ended), ("absent", absent), ("returned", returned), ("requeued", requeued)];
    for (name, tokens) in lists {
        if !tokens.is_empty() {
            o.objects(name, tokens, |o, token| {
                o.bare("sequence", token.sequence).text("user_id", token.user_id.as_str());
                write_status(o, token);
            });
        }
    }
}

const SUCCEEDED: &str = "SUCCEEDED";
const REJECTED: &str = "REJECTED";

/// A decided request, as read back.
#[derive(Debug, Clone)]
pub struct DecidedRequest {
    pub request_id: RequestId,
    pub command: CommandKind,
    pub user_id: Option<UserId>,
    pub by: Option<UserId>,
    /// Of a refusal: the date it is about, if it is about one.
    pub schedule_id: Option<ScheduleId>,
    pub outcome: Result<RawReply, Refusal>,
    /// What it changed for others. Of a record only: the store's answers have none.
    pub effects: Option<Box<RawValue>>,
    pub decided: Arrival,
}

/// The text of a `result` object, unchanged on its way to the client.
#[derive(Debug, Clone)]
pub struct RawReply(pub Box<RawValue>);

/// Reads either form of what [`encode`] wrote; unknown fields are ignored.
pub fn decode(value: &[u8]) -> Result<DecidedRequest, DecodeError> {
    let fields = Fields::parse(value)?;
    let status: String = fields.required("status")?;
    let outcome = match status.as_str() {
        SUCCEEDED => {
            let result = fields.raw("result")?.ok_or_else(|| missing("result"))?;
            Ok(RawReply(result.to_owned()))
        }
        REJECTED => Err(fields.object("problem", read_problem)?),
        other => return Err(DecodeError::field("status", format_args!("unknown: {}", quoted(other)))),
    };
    Ok(DecidedRequest {
        request_id: fields.required("request_id")?,
        command: fields.required("command")?,
        user_id: fields.optional("user_id")?,
        by: fields.optional("by")?,
        schedule_id: fields.optional("schedule_id")?,
        outcome,
        effects: fields.raw("effects")?.map(ToOwned::to_owned),
        decided: fields.object("decided", read_decided)?,
    })
}

/// The code of a refusal as [`encode`] writes it, found without parsing the rest; `None` if it does not stand there.
pub fn refusal_code(value: &[u8]) -> Option<Code> {
    const BEFORE: &[u8] = b"\"problem\":{\"code\":\"";
    let at = value.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
    let text = value[at..].split(|byte| *byte == b'"').next()?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::wire::{arbitrary, samples};

    proptest! {
        #[test]
        fn any_refusal_reads_back_as_it_was_written(
            refusal in arbitrary::refusal(),
            user in arbitrary::user(),
            by in proptest::option::of(arbitrary::user()),
        ) {
            let sample = &samples::outcomes()[0];
            let outcome = Err(refusal.clone());
            let record =
                OutcomeRecord { user_id: Some(&user), by: by.as_ref(), outcome: &outcome, ..sample.record() };
            let encoded = encode(&record);
            prop_assert_eq!(&encoded.answer, &encoded.record);
            let read = decode(encoded.answer.as_bytes()).unwrap();
            prop_assert_eq!((read.user_id.as_ref(), read.by.as_ref()), (Some(&user), by.as_ref()));
            prop_assert_eq!(read.outcome.map(|reply| reply.0.get().to_owned()), Err(refusal));
        }
    }

    #[test]
    fn what_is_no_outcome_is_refused() {
        let held = samples::outcomes().into_iter().find(|outcome| outcome.name == "held").unwrap();
        let good = encode(&held.record()).record;
        let refused = |from: &str, to: &str| {
            let spoilt = good.replacen(from, to, 1);
            assert_ne!(spoilt, good);
            decode(spoilt.as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(refused("hold_seats", "steal_seats"), "field command: not a command type");
        assert_eq!(refused("SUCCEEDED", "PENDING"), r#"field status: unknown: "PENDING""#);
        assert_eq!(refused("SUCCEEDED", "REJECTED"), "field problem: missing");
        assert_eq!(refused("result", "results"), "field result: missing");
        assert_eq!(
            refused(r#""lane":"seats""#, r#""lane":"rows""#),
            "decided: field lane: not a lane: seats, wallets, queues or inbox"
        );
    }
}
