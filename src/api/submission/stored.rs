//! What the store says of a request.

use std::sync::Arc;

use super::waiters::Decision;
use crate::api::http::problem::{Kind, Problem};
use crate::domain::{CommandKind, Fingerprint, Position, RequestId, UserId};
use crate::store::{RequestRow, RequestState};
use crate::wire::outcome::{self, DecidedRequest};

/// What is known of a client's request.
#[derive(Debug, Clone)]
pub enum Request {
    Pending(PendingRequest),
    Decided(Arc<DecidedRequest>),
}

/// A request that a settlement will decide.
#[derive(Debug, Clone)]
pub struct PendingRequest {
    pub request_id: RequestId,
    pub command: CommandKind,
    pub user_id: Option<UserId>,
    pub by: Option<UserId>,
}

impl Request {
    /// Whether it is this user's: a request belongs to the user it is for and to the one who acted.
    pub fn is_of(&self, user: &UserId) -> bool {
        let (user_id, by) = match self {
            Request::Pending(pending) => (&pending.user_id, &pending.by),
            Request::Decided(decided) => (&decided.user_id, &decided.by),
        };
        user_id.as_ref() == Some(user) || by.as_ref() == Some(user)
    }
}

/// What the store says of a request.
pub struct Stored {
    pub fingerprint: Fingerprint,
    pub position: Position,
    pub request: Request,
}

impl Stored {
    /// 500 if the store holds something that is not an outcome.
    pub(super) fn of(row: RequestRow) -> Result<Stored, Problem> {
        let RequestRow { key, position, fingerprint, command, user_id, by, state, .. } = row;
        let request = match state {
            RequestState::Pending => Request::Pending(PendingRequest { request_id: key.id, command, user_id, by }),
            RequestState::Decided(decided) => match outcome::decode(decided.outcome.as_bytes()) {
                Ok(request) => Request::Decided(Arc::new(request)),
                Err(error) => {
                    tracing::error!(request_id = %key.id, %error, "a stored outcome cannot be read");
                    return Err(Problem::new(Kind::Internal, "the request's outcome cannot be read"));
                }
            },
        };
        Ok(Stored { fingerprint, position, request })
    }

    pub(super) fn decision(self) -> Option<Decision> {
        match self.request {
            Request::Pending(_) => None,
            Request::Decided(request) => Some(Decision { fingerprint: self.fingerprint, request }),
        }
    }
}
