//! The codes of problems: found by the API itself, or refused by the rules.

use axum::http::StatusCode;

use crate::domain::Code;

macro_rules! kinds {
    ($($name:ident = $status:ident $code:literal: $meaning:literal;)+) => {
        /// A kind of problem that the API itself finds. Refusals of the rules are [`Code`]s.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($name,)+
        }

        impl Kind {
            /// In order of status.
            pub const ALL: [Kind; [$($code),+].len()] = [$(Kind::$name,)+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$name => $code,)+
                }
            }

            pub fn status(self) -> StatusCode {
                match self {
                    $(Kind::$name => StatusCode::$status,)+
                }
            }

            /// When it happens, for the documentation.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Kind::$name => $meaning,)+
                }
            }
        }
    };
}

kinds! {
    MalformedJson = BAD_REQUEST "malformed_json": "the body is not JSON";
    InvalidRequest = BAD_REQUEST "invalid_request": "a path segment, query parameter or header is not what it must be";
    Unauthenticated = UNAUTHORIZED "unauthenticated": "credentials are missing or invalid";
    Forbidden = FORBIDDEN "forbidden": "the caller lacks the role this needs";
    NotFound = NOT_FOUND "not_found": "no resource has this path";
    RequestNotFound = NOT_FOUND "request_not_found": "no request of the caller has this id";
    ConcertNotFound = NOT_FOUND "concert_not_found": "no concert has this id";
    DeadLetterNotFound = NOT_FOUND "dead_letter_not_found": "no dead letter lies at this position";
    PlanNotFound = NOT_FOUND "plan_not_found": "no plan has this id, or the schedule was made without one";
    ScheduleNotFound = NOT_FOUND "schedule_not_found": "no schedule has this id";
    WebhookNotFound = NOT_FOUND "webhook_not_found": "no webhook has this name";
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed": "the path does not take this method";
    RequestTimeout = REQUEST_TIMEOUT "request_timeout": "the body did not arrive in time";
    NotPossible = CONFLICT "not_possible": "the partition or record is not as the operator's act needs it";
    BodyTooLarge = PAYLOAD_TOO_LARGE "body_too_large": "the body is larger than 64 KiB (a schedule: 1 MiB, a plan: 16 MiB)";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type": "the body is not declared application/json (a plan: or text/csv)";
    InvalidFields = UNPROCESSABLE_ENTITY "invalid_fields": "fields of the body are missing or wrong; errors says which";
    RateLimited = TOO_MANY_REQUESTS "rate_limited": "the caller, or who is not logged in from this address, asks faster than allowed";
    Internal = INTERNAL_SERVER_ERROR "internal": "the program failed; the log of the server says why";
    Overloaded = SERVICE_UNAVAILABLE "overloaded": "too much is waiting to be decided; nothing was recorded";
    Unavailable = SERVICE_UNAVAILABLE "unavailable": "the log or the store does not answer; nothing was recorded";
    OutcomeUnknown = SERVICE_UNAVAILABLE "outcome_unknown":
        "whether the command was recorded, now or before under its key, is unknown; repeat it with the same Idempotency-Key, which is safe";
}

/// What went wrong: found by the API, or refused by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemCode {
    Kind(Kind),
    Refusal(Code),
}

impl ProblemCode {
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemCode::Kind(kind) => kind.as_str(),
            ProblemCode::Refusal(code) => code.as_str(),
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            ProblemCode::Kind(kind) => kind.status(),
            ProblemCode::Refusal(code) => refusal_status(code),
        }
    }

    /// `Seat taken`
    pub(super) fn title(self) -> String {
        let mut title = self.as_str().replace('_', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        title
    }
}

impl From<Kind> for ProblemCode {
    fn from(kind: Kind) -> Self {
        ProblemCode::Kind(kind)
    }
}

impl From<Code> for ProblemCode {
    fn from(code: Code) -> Self {
        ProblemCode::Refusal(code)
    }
}

/// The HTTP status of a refusal.
pub fn refusal_status(code: Code) -> StatusCode {
    use Code::*;
    match code {
        SeatNotFound | SectionNotFound | BlockNotFound | ReservationNotFound | QueueNotFound | TokenNotFound => {
            StatusCode::NOT_FOUND
        }
        NotAdmitted | NotReservationOwner => StatusCode::FORBIDDEN,
        InsufficientBalance => StatusCode::PAYMENT_REQUIRED,
        AmountMismatch | InvalidAmount | IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        ShowCancelled => StatusCode::GONE,
        SeatTaken
        | SeatNotForSale
        | BlockConflict
        | SalesClosed
        | TicketLimitExceeded
        | HoldCooldown
        | CompanionOnly
        | NotEnoughAdjacentSeats
        | HoldExpired
        | PaymentInProgress
        | AlreadyPaid
        | BalanceLimitExceeded
        | QueueFull
        | NotCancellable
        | TicketUsed
        | TicketInvalid
        | SkippedByOperator => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_statuses_of_the_contract() {
        for (code, expected) in [
            (Code::SeatNotFound, 404),
            (Code::QueueNotFound, 404),
            (Code::NotAdmitted, 403),
            (Code::NotReservationOwner, 403),
            (Code::InsufficientBalance, 402),
            (Code::AmountMismatch, 422),
            (Code::InvalidAmount, 422),
            (Code::IdempotencyKeyReused, 422),
            (Code::ShowCancelled, 410),
            (Code::QueueFull, 409),
            (Code::SeatTaken, 409),
            (Code::HoldExpired, 409),
            (Code::NotCancellable, 409),
        ] {
            assert_eq!(refusal_status(code).as_u16(), expected, "{code}");
        }
        let not_found = Code::ALL.into_iter().filter(|code| code.as_str().ends_with("_not_found"));
        assert!(not_found.into_iter().all(|code| refusal_status(code) == StatusCode::NOT_FOUND));
    }
}
