//! Naive models of blocks, wallets and the queue. They follow the log record by record, check each outcome, and predict what
//! one lane asks of another. They share no code with the rules.

mod best_available;
pub mod bookings;
pub mod hall;
mod holds;
pub mod queue;
pub mod seats;
pub mod wallets;

use turnstile::domain::block::{Origin, Settlement};
use turnstile::domain::{Arrival, Body, Command, LogTime, RequestId, UserId, block, queue as queue_rules, wallet};
use turnstile::store::RequestRow;

use serde_json::Value;

/// One decided command with its outcome.
pub struct Case {
    pub at: Arrival,
    pub command: Command,
    /// `None`: a timer's record that found nothing due.
    pub request: Option<RequestRow>,
    /// The stored outcome, without effects.
    pub answer: Value,
    /// What the record on the topic says besides; null if there are none.
    pub effects: Value,
    /// Decided by its own record; otherwise by a settlement.
    pub at_once: bool,
    /// When its record was stored, ms since the run began.
    pub stored_ms: u64,
}

impl Case {
    pub fn succeeded(&self) -> bool {
        self.answer["status"] == "SUCCEEDED"
    }

    pub fn result(&self) -> &Value {
        &self.answer["result"]
    }

    /// Of a refusal.
    pub fn code(&self) -> &str {
        self.answer["problem"]["code"].as_str().unwrap_or_default()
    }

    pub fn is_nothing(&self) -> bool {
        self.request.is_none()
    }

    pub fn time(&self) -> LogTime {
        self.at.time
    }

    pub fn offset(&self) -> u64 {
        self.at.position.offset
    }

    pub fn context(&self, why: &str) -> String {
        format!("{} at {}: {why}", self.command.body.kind(), self.at.position)
    }
}

/// A command that a decision of one lane must send to another, as text: exactly once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FollowUp {
    /// The payment id is the program's to choose.
    Debit {
        request: RequestId,
        reservation: String,
        user: String,
        amount: i64,
    },
    Credit {
        payment: String,
        reservation: String,
        user: String,
        amount: i64,
        asked_by: Option<RequestId>,
    },
    Ask {
        payment: String,
        kind: &'static str,
    },
    Settle {
        origin: String,
        user: String,
        amount: i64,
        settlement: String,
    },
    Complete {
        schedule: String,
        user: String,
        paid_at: LogTime,
    },
    Note {
        schedule: String,
        block: String,
        offset: u64,
        state: &'static str,
        opens: Option<LogTime>,
        starts: LogTime,
    },
}

impl FollowUp {
    pub fn settle(origin: &Origin, user: &UserId, amount: i64, settlement: Settlement) -> FollowUp {
        let (origin, settlement) = (format!("{origin:?}"), format!("{settlement:?}"));
        FollowUp::Settle { origin, user: user.to_string(), amount, settlement }
    }

    /// What a command on a lane is, if it is one of these.
    pub fn of(body: &Body) -> Option<FollowUp> {
        use queue_rules::Command as Queues;
        use wallet::Command as Wallets;
        Some(match body {
            Body::Wallets(Wallets::DebitForPayment(c)) => FollowUp::Debit {
                request: c.origin.asking.as_ref()?.request_id,
                reservation: c.origin.reservation_id.to_string(),
                user: c.user_id.to_string(),
                amount: c.amount.get(),
            },
            Body::Wallets(Wallets::CreditWallet(c)) => FollowUp::Credit {
                payment: c.origin.payment_id.to_string(),
                reservation: c.origin.reservation_id.to_string(),
                user: c.user_id.to_string(),
                amount: c.amount.get(),
                asked_by: c.origin.asking.as_ref().map(|asking| asking.request_id),
            },
            Body::Wallets(Wallets::AskPayment(c)) => {
                FollowUp::Ask { payment: c.payment.origin.payment_id.to_string(), kind: c.what.as_str() }
            }
            Body::Seats(block::Command::SettlePayment(c)) => {
                FollowUp::settle(&c.origin, &c.user_id, c.amount.get(), c.settlement)
            }
            Body::Queues(Queues::CompleteToken(c)) => FollowUp::Complete {
                schedule: c.schedule_id.to_string(),
                user: c.user_id.to_string(),
                paid_at: c.paid_at,
            },
            Body::Queues(Queues::NoteSale(c)) => FollowUp::Note {
                schedule: c.schedule_id.to_string(),
                block: c.block.to_string(),
                offset: c.note.version,
                state: c.note.state.as_str(),
                opens: c.note.sales_open_at,
                starts: c.note.starts_at,
            },
            _ => return None,
        })
    }
}
