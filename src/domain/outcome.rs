//! How requests end, and what a decision changes for others.

use super::command::{Asking, CommandKind};
use super::ids::ReservationId;
use super::refusal::Refusal;
use super::{block, queue, wallet};

/// How a request ended: a reply for the one who asked, or a refusal.
pub type Outcome = Result<Reply, Refusal>;

/// What becomes of a command's request.
// Almost every decision is `Decided`: a box would cost each of them an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Decided(Outcome),
    /// A settlement decides it.
    Pending,
    /// Of a timer's record: nothing was due.
    Nothing,
}

/// The outcome of an earlier, pending request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub asking: Asking,
    /// The pending command's type: `pay_reservation` or `cancel_reservation`.
    pub command: CommandKind,
    pub outcome: Outcome,
}

/// What a decision changed for others than the one who asked: for the feed, never for the asker's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Reservations that this decision ended because their time had run out.
    pub expired: Vec<ReservationId>,
    /// Tokens that became ACTIVE.
    pub admitted: Vec<queue::Token>,
    /// Tokens that ended.
    pub ended: Vec<queue::Token>,
    /// Tokens that became ABSENT.
    pub absent: Vec<queue::Token>,
    /// ABSENT tokens that wait again.
    pub returned: Vec<queue::Token>,
    /// New WAITING tokens of users whose turn was over.
    pub requeued: Vec<queue::Token>,
}

impl Effects {
    pub fn is_empty(&self) -> bool {
        let Effects { expired, admitted, ended, absent, returned, requeued } = self;
        expired.is_empty() && [admitted, ended, absent, returned, requeued].iter().all(|tokens| tokens.is_empty())
    }
}

/// What a success hands back to the one who asked; the variant is the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Seats(block::Reply),
    Wallets(wallet::Reply),
    Queues(queue::Reply),
}

impl From<block::Reply> for Reply {
    fn from(reply: block::Reply) -> Reply {
        Reply::Seats(reply)
    }
}

impl From<wallet::Reply> for Reply {
    fn from(reply: wallet::Reply) -> Reply {
        Reply::Wallets(reply)
    }
}

impl From<queue::Reply> for Reply {
    fn from(reply: queue::Reply) -> Reply {
        Reply::Queues(reply)
    }
}
