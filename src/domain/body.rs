//! What may be asked of the aggregates. `wire` turns these to and from bytes.

use super::command::CommandKind;
use super::ids::{RequestId, RoutingKey};
use super::names::UserId;
use super::{block, queue, wallet};

/// One command: an id that makes its repeats harmless, who acts, and what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub request_id: RequestId,
    /// Who acted, if not the user it is for: staff. A request belongs to both.
    pub by: Option<UserId>,
    pub body: Body,
}

/// What is asked; the variant is the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Seats(block::Command),
    Wallets(wallet::Command),
    Queues(queue::Command),
}

impl Body {
    pub fn kind(&self) -> CommandKind {
        match self {
            Body::Seats(command) => command.kind(),
            Body::Wallets(command) => command.kind(),
            Body::Queues(command) => command.kind(),
        }
    }

    /// What decides the partition, recomputed from the content: a record's own key is not to be trusted.
    pub fn routing_key(&self) -> RoutingKey {
        match self {
            Body::Seats(command) => RoutingKey::Block(command.key()),
            Body::Wallets(command) => RoutingKey::Wallet(command.user_id().clone()),
            Body::Queues(command) => RoutingKey::Queue(command.schedule_id()),
        }
    }

    /// Whose request it is; `None` for the program's own timers and notes.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Body::Seats(command) => command.user_id(),
            Body::Wallets(command) => Some(command.user_id()),
            Body::Queues(command) => command.user_id(),
        }
    }

    /// Whether the program itself asks, as a follow-up or a timer. Its request ids are derived, and kept apart from
    /// those of clients, so that nobody can claim one beforehand.
    pub fn is_internal(&self) -> bool {
        match self {
            Body::Seats(command) => command.is_internal(),
            Body::Wallets(command) => command.is_internal(),
            Body::Queues(command) => command.is_internal(),
        }
    }
}
