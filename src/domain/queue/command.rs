//! The commands of the queues lane.

use super::{Limits, LimitsPatch, Queue, Token};
use crate::domain::block::SaleNote;
use crate::domain::{BlockName, CommandKind, LogTime, ScheduleId, UserId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    OpenQueue(OpenQueue),
    ConfigureQueue(ConfigureQueue),
    JoinQueue(OfUser),
    LeaveQueue(OfUser),
    /// Internal.
    Seen(Seen),
    /// Internal: the user paid; their token is done.
    CompleteToken(CompleteToken),
    /// Internal.
    NoteSale(NoteSale),
    /// Internal: something in the queue is due at this record's time.
    Tick(ScheduleId),
}

/// Creates a waiting queue, before the blocks of its date are opened. A repeat succeeds and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQueue {
    pub schedule_id: ScheduleId,
    /// The admin who opens it.
    pub user_id: UserId,
    pub limits: Limits,
    /// Nobody is admitted before; `None`: at once.
    pub sales_open_at: Option<LogTime>,
    pub starts_at: LogTime,
    /// The blocks of the date, ascending, at least one.
    pub blocks: Vec<BlockName>,
}

/// An operator's change: limits, pause or resume, admit a number now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigureQueue {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
    pub patch: LimitsPatch,
    pub paused: Option<bool>,
    /// Admit this many now, beyond the pace of both release controls but never beyond `max_active`.
    pub admit: Option<u32>,
}

/// A user joins or leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfUser {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
}

/// A front door's report of whom it saw, one each round, an empty one too: the records advance the presence clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub schedule_id: ScheduleId,
    /// Ascending, disjoint, of at most [`super::TOKENS_PER_DECISION_MAX`] tokens.
    pub sightings: Vec<Sighting>,
}

/// The holders of the tokens `first` to `last` were seen this long before the report, by the front door's monotonic
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    pub first: u64,
    pub last: u64,
    pub age_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteToken {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
    /// Log time of the payment: a token that joined after it is another turn.
    pub paid_at: LogTime,
}

/// A block's sale has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSale {
    pub schedule_id: ScheduleId,
    pub block: BlockName,
    pub note: SaleNote,
}

/// What a success hands back to the one who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    QueueOpened(Queue),
    QueueConfigured(Queue),
    /// `ahead`: waiting tokens before this one.
    Joined {
        token: Token,
        ahead: u64,
    },
    Left(Token),
    /// `tokens`: live ones that were named, by their own sequence or by that of the one they follow.
    SeenNoted {
        schedule_id: ScheduleId,
        tokens: u64,
    },
    TokenCompleted(Token),
    SaleNoted {
        schedule_id: ScheduleId,
    },
    Ticked {
        schedule_id: ScheduleId,
    },
}

impl Command {
    pub fn kind(&self) -> CommandKind {
        match self {
            Command::OpenQueue(_) => CommandKind::OpenQueue,
            Command::ConfigureQueue(_) => CommandKind::ConfigureQueue,
            Command::JoinQueue(_) => CommandKind::JoinQueue,
            Command::LeaveQueue(_) => CommandKind::LeaveQueue,
            Command::Seen(_) => CommandKind::Seen,
            Command::CompleteToken(_) => CommandKind::CompleteToken,
            Command::NoteSale(_) => CommandKind::NoteSale,
            Command::Tick(_) => CommandKind::Tick,
        }
    }

    pub fn schedule_id(&self) -> ScheduleId {
        match self {
            Command::OpenQueue(c) => c.schedule_id,
            Command::ConfigureQueue(c) => c.schedule_id,
            Command::JoinQueue(c) | Command::LeaveQueue(c) => c.schedule_id,
            Command::Seen(c) => c.schedule_id,
            Command::CompleteToken(c) => c.schedule_id,
            Command::NoteSale(c) => c.schedule_id,
            Command::Tick(schedule_id) => *schedule_id,
        }
    }

    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Command::OpenQueue(c) => Some(&c.user_id),
            Command::ConfigureQueue(c) => Some(&c.user_id),
            Command::JoinQueue(c) | Command::LeaveQueue(c) => Some(&c.user_id),
            Command::CompleteToken(c) => Some(&c.user_id),
            Command::Seen(_) | Command::NoteSale(_) | Command::Tick(_) => None,
        }
    }

    pub fn is_internal(&self) -> bool {
        matches!(self, Command::Seen(_) | Command::CompleteToken(_) | Command::NoteSale(_) | Command::Tick(_))
    }
}
