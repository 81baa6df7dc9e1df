//! What may be changed about a queue, as a body says it.

use serde_json::Value;

use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::domain::queue::{DURATION_MS_MAX, LimitsPatch, OnTimeout, TOKENS_MAX};

/// Shortest `abandon_after_seconds`. A user who polls when due, every 2 s then, is known to the rules for at most 6 s; an
/// outage adds two rounds of 2 s before the next reports come.
pub const ABANDON_SECONDS_MIN: i64 = 12;
const SECONDS_MAX: i64 = DURATION_MS_MAX / 1_000;

/// What an operator wants of a queue.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes {
    pub patch: LimitsPatch,
    pub paused: Option<bool>,
    /// So many are admitted now.
    pub admit: Option<u32>,
}

/// Names every wrong field.
pub fn changes(body: &Value) -> Result<Changes, Problem> {
    let mut fields = Fields::of(body)?;
    let count = |fields: &mut Fields<'_>, name: &str, min: i64| {
        let read = |fields: &mut Fields<'_>, name: &str| fields.integer(name, min..=i64::from(TOKENS_MAX));
        fields.optional(name, read).map(|count| count.and_then(|count| u32::try_from(count).ok()))
    };
    let seconds = |fields: &mut Fields<'_>, name: &str, min: i64| {
        let read = |fields: &mut Fields<'_>, name: &str| fields.integer(name, min..=SECONDS_MAX);
        fields.optional(name, read).map(|seconds| seconds.map(|seconds| seconds * 1_000))
    };
    let max_active = count(&mut fields, "max_active", 1);
    let active_ttl_ms = seconds(&mut fields, "active_ttl_seconds", 1);
    let max_waiting = count(&mut fields, "max_waiting", 0);
    // Null takes the limit away; absent leaves it.
    let unlimited = body.get("admit_per_minute").is_some_and(Value::is_null);
    let per_minute = count(&mut fields, "admit_per_minute", 1);
    let on_timeout = fields.optional("on_timeout", on_timeout);
    let abandon_after_ms = seconds(&mut fields, "abandon_after_seconds", ABANDON_SECONDS_MIN);
    let claim_after_ms = seconds(&mut fields, "claim_after_seconds", 1);
    let absent_max_ms = seconds(&mut fields, "absent_max_seconds", 1);
    let paused = fields.optional("paused", Fields::boolean);
    let admit = count(&mut fields, "admit", 1);
    let changes = (|| {
        let patch = LimitsPatch {
            max_active: max_active?,
            active_ttl_ms: active_ttl_ms?,
            max_waiting: max_waiting?,
            admit_per_minute: if unlimited { Some(None) } else { per_minute?.map(Some) },
            on_timeout: on_timeout?,
            abandon_after_ms: abandon_after_ms?,
            claim_after_ms: claim_after_ms?,
            absent_max_ms: absent_max_ms?,
        };
        Some(Changes { patch, paused: paused?, admit: admit? })
    })();
    let nothing = Changes { patch: LimitsPatch::default(), paused: None, admit: None };
    let changes = match changes {
        Some(changes) if changes == nothing => fields.reject("", "the body changes nothing"),
        changes => changes,
    };
    fields.finish(changes)
}

pub fn on_timeout(fields: &mut Fields<'_>, name: &str) -> Option<OnTimeout> {
    match fields.text(name, 16)?.parse() {
        Ok(choice) => Some(choice),
        Err(_) => fields.reject(name, "must be requeue or expire"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn f06_a_patch_says_what_to_change() {
        let all = json!({
            "max_active": 10, "active_ttl_seconds": 60, "max_waiting": 0, "admit_per_minute": 600,
            "on_timeout": "expire", "abandon_after_seconds": 180, "claim_after_seconds": 30, "absent_max_seconds": 600,
            "paused": true, "admit": 5,
        });
        let patch = LimitsPatch {
            max_active: Some(10),
            active_ttl_ms: Some(60_000),
            max_waiting: Some(0),
            admit_per_minute: Some(Some(600)),
            on_timeout: Some(OnTimeout::Expire),
            abandon_after_ms: Some(180_000),
            claim_after_ms: Some(30_000),
            absent_max_ms: Some(600_000),
        };
        assert_eq!(changes(&all).unwrap(), Changes { patch, paused: Some(true), admit: Some(5) });
        let unlimited = changes(&json!({"admit_per_minute": null})).unwrap();
        assert_eq!(unlimited.patch, LimitsPatch { admit_per_minute: Some(None), ..LimitsPatch::default() });
    }

    #[test]
    fn a_wrong_patch_is_refused_with_a_pointer() {
        for (body, pointer) in [
            (json!({}), "/"),
            (json!({"other": 1}), "/"),
            (json!([]), ""),
            (json!({"max_active": 0}), "/max_active"),
            (json!({"max_active": 1_000_001}), "/max_active"),
            (json!({"max_active": "10"}), "/max_active"),
            (json!({"active_ttl_seconds": 0}), "/active_ttl_seconds"),
            (json!({"active_ttl_seconds": 86_401}), "/active_ttl_seconds"),
            (json!({"max_waiting": -1}), "/max_waiting"),
            (json!({"admit_per_minute": 0}), "/admit_per_minute"),
            (json!({"on_timeout": "drop"}), "/on_timeout"),
            (json!({"abandon_after_seconds": 11}), "/abandon_after_seconds"),
            (json!({"paused": 1}), "/paused"),
            (json!({"admit": 0}), "/admit"),
        ] {
            let problem = changes(&body).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code.as_str()), (422, "invalid_fields"), "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
    }
}
