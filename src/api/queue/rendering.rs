//! The outcome of a join as its holder sees it: with the signed token.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::pace::POLL_MS_FIRST;
use super::token::{Claim, Signer};
use crate::api::openapi::results::JoinResult;
use crate::api::submission::answer::Answer;
use crate::api::submission::stored::Request;
use crate::domain::{CommandKind, ScheduleId, UserId};
use crate::wire::outcome::{DecidedRequest, RawReply};

/// Of a join's result on the log.
#[derive(Deserialize)]
struct Joined {
    schedule_id: Uuid,
    sequence: u64,
    status: String,
    ahead: u64,
    active_until: Option<String>,
}

/// The request with the token of its join, if it is one of this user's; any other request as it is. The same outcome
/// always reads the same.
pub fn with_token(signer: &Signer, user: &UserId, request: Arc<DecidedRequest>) -> Arc<DecidedRequest> {
    if request.command != CommandKind::JoinQueue || request.user_id.as_ref() != Some(user) {
        return request;
    }
    let Ok(RawReply(reply)) = &request.outcome else { return request };
    let joined = serde_json::from_str(reply.get()).ok().map(|joined| result(signer, user, joined));
    let Some(reply) = joined.and_then(|result| to_raw_value(&result).ok()) else { return request };
    Arc::new(DecidedRequest {
        request_id: request.request_id,
        command: request.command,
        user_id: request.user_id.clone(),
        by: request.by.clone(),
        schedule_id: request.schedule_id,
        outcome: Ok(RawReply(reply)),
        effects: None,
        decided: request.decided,
    })
}

/// [`with_token`] for an answer.
pub fn answer_with_token(signer: &Signer, user: &UserId, answer: Answer) -> Answer {
    match answer {
        Answer::Decided(request) => Answer::Decided(with_token(signer, user, request)),
        pending @ Answer::Pending { .. } => pending,
    }
}

/// [`with_token`] for a request that was looked up.
pub fn request_with_token(signer: &Signer, user: &UserId, request: Request) -> Request {
    match request {
        Request::Decided(request) => Request::Decided(with_token(signer, user, request)),
        pending @ Request::Pending(_) => pending,
    }
}

fn result(signer: &Signer, user: &UserId, joined: Joined) -> JoinResult {
    let Joined { schedule_id, sequence, status, ahead, active_until } = joined;
    let claim = Claim { schedule_id: ScheduleId(schedule_id), user_id: user.clone(), sequence };
    JoinResult {
        schedule_id: schedule_id.to_string(),
        token: signer.sign(&claim),
        position: sequence,
        status,
        ahead,
        poll_after_ms: POLL_MS_FIRST,
        active_until,
    }
}
