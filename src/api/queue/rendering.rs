//! Outcomes of the queue as the one who asked sees them: with their signed token, without the names of others.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::pace::{POLL_MS_SETTLED, poll_after_ms};
use super::token::{Claim, Signer};
use crate::api::http::auth::Caller;
use crate::api::submission::view::RequestView;
use crate::domain::ScheduleId;

/// Whom else a decision concerned: the feed of outcomes is for services, not for users.
const OTHERS: [&str; 3] = ["admitted", "ended", "requeued"];

/// Of a join's result on the log.
#[derive(Deserialize)]
struct Joined {
    schedule_id: Uuid,
    sequence: u64,
    status: String,
    ahead: u64,
    active_until: Option<String>,
}

/// What a join gives.
#[derive(Debug, Serialize)]
pub struct JoinResult {
    pub schedule_id: String,
    /// Shown with every poll and every hold; opaque.
    pub token: String,
    /// Place in the order of arrival, from 1.
    pub position: u64,
    /// WAITING or ACTIVE, as decided.
    pub status: String,
    /// Waiting users before this one.
    pub ahead: u64,
    /// When to ask for the position.
    pub poll_after_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_until: Option<String>,
}

/// The view as the caller may see it. The same outcome always reads the same.
pub fn for_caller(signer: &Signer, caller: &Caller, mut view: RequestView) -> RequestView {
    let Some(result) = &view.result else { return view };
    let shown = match view.command.as_str() {
        "join_queue" => view.user_id.as_ref().filter(|user| **user == caller.user).and_then(|user| {
            let joined: Joined = serde_json::from_str(result.get()).ok()?;
            to_raw_value(&with_token(signer, user.clone(), joined)).ok()
        }),
        _ => None,
    };
    if shown.is_some() {
        view.result = shown;
    } else if !caller.admin && matches!(view.command.as_str(), "join_queue" | "leave_queue" | "complete_token") {
        view.result = without_others(result);
    }
    view
}

fn with_token(signer: &Signer, user_id: crate::domain::UserId, joined: Joined) -> JoinResult {
    let Joined { schedule_id, sequence, status, ahead, active_until } = joined;
    let token = signer.sign(&Claim { schedule_id: ScheduleId(schedule_id), user_id, sequence });
    let poll_after_ms = if status == "WAITING" { poll_after_ms(ahead) } else { POLL_MS_SETTLED };
    let schedule_id = schedule_id.to_string();
    JoinResult { schedule_id, token, position: sequence, status, ahead, poll_after_ms, active_until }
}

fn without_others(result: &RawValue) -> Option<Box<RawValue>> {
    let mut result: Value = serde_json::from_str(result.get()).ok()?;
    if let Some(members) = result.as_object_mut() {
        members.retain(|name, _| !OTHERS.contains(&name.as_str()));
    }
    to_raw_value(&result).ok()
}
