//! Names of things: identifiers, positions, log time. Each newtype is checked once, where it is made.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl From<DerivedId> for $name {
            fn from(id: DerivedId) -> Self {
                $name(id.0)
            }
        }
    )+};
}

uuid_id! {
    /// One request of a client or of the program itself; makes its retries harmless.
    RequestId,
    /// A concert of the catalog.
    ConcertId,
    /// One date of a concert.
    ScheduleId,
    /// The seats one user took in one hold.
    ReservationId,
    /// One attempt to pay a reservation.
    PaymentId,
    /// One line of a wallet's history.
    EntryId,
}

/// An id that follows from the log alone, so that a repeat of its cause gives the same id on any machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DerivedId(pub Uuid);

impl DerivedId {
    /// A UUIDv7 whose time is the cause's log time and whose other bits follow from (lane, partition, offset, index).
    pub fn of(cause: &Arrival, index: u32) -> Self {
        let mut seed = [0u8; 17];
        seed[0] = cause.position.lane as u8;
        seed[1..5].copy_from_slice(&cause.position.partition.to_be_bytes());
        seed[5..13].copy_from_slice(&cause.position.offset.to_be_bytes());
        seed[13..17].copy_from_slice(&index.to_be_bytes());
        let digest = xxh3_128(&seed).to_be_bytes();
        let mut random = [0u8; 10];
        random.copy_from_slice(&digest[..10]);
        let millis = u64::try_from(cause.time.0).unwrap_or(0);
        DerivedId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub &'static str);

fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! name_id {
    ($($(#[$doc:meta])* $name:ident, $max:literal, $error:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_name(text, $max) { Ok($name(text.into())) } else { Err(InvalidId($error)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

name_id! {
    /// A user: 1–64 of `A-Za-z0-9._-`.
    UserId, 64, "a user id is 1 to 64 of A-Z a-z 0-9 . _ -";
    /// A section of a hall: 1–32 of `A-Za-z0-9._-`.
    SectionName, 32, "a section name is 1 to 32 of A-Z a-z 0-9 . _ -";
}

/// One of the three command topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Lane {
    Seats = 0,
    Wallets = 1,
    Queues = 2,
}

impl Lane {
    pub const ALL: [Lane; 3] = [Lane::Seats, Lane::Wallets, Lane::Queues];

    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Seats => "seats",
            Lane::Wallets => "wallets",
            Lane::Queues => "queues",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Lane {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Lane::ALL.into_iter().find(|lane| lane.as_str() == text).ok_or(InvalidId("a lane is seats, wallets or queues"))
    }
}

/// Where the log has a command. Within a partition the order of positions is the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub lane: Lane,
    pub partition: u32,
    pub offset: u64,
}

impl fmt::Display for Position {
    /// `{lane}.{partition}.{offset}`, as in `Location: …?position=seats.3.1234`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.lane, self.partition, self.offset)
    }
}

impl FromStr for Position {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const ERROR: InvalidId = InvalidId("a position is {lane}.{partition}.{offset}");
        let mut parts = text.split('.');
        let (Some(lane), Some(partition), Some(offset), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ERROR);
        };
        let offset: u64 = offset.parse().map_err(|_| ERROR)?;
        if offset > i64::MAX as u64 {
            return Err(ERROR);
        }
        Ok(Position { lane: lane.parse()?, partition: partition.parse().map_err(|_| ERROR)?, offset })
    }
}

/// Milliseconds since 1970-01-01 UTC, as the log says them; never runs back within a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LogTime(pub i64);

impl LogTime {
    /// This time plus a duration in milliseconds; stays at the end of time instead of overflowing.
    pub fn plus_ms(self, ms: i64) -> LogTime {
        LogTime(self.0.saturating_add(ms))
    }
}

/// Position and log time of one command: all the rules know of "when" and "who was first".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    pub position: Position,
    pub time: LogTime,
}

/// The text that decides a command's partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoutingKey {
    /// `{schedule_id}/{section}`
    Section(ScheduleId, SectionName),
    /// `{user_id}`
    Wallet(UserId),
    /// `{schedule_id}`
    Queue(ScheduleId),
}

impl RoutingKey {
    pub fn lane(&self) -> Lane {
        match self {
            RoutingKey::Section(..) => Lane::Seats,
            RoutingKey::Wallet(_) => Lane::Wallets,
            RoutingKey::Queue(_) => Lane::Queues,
        }
    }
}

impl fmt::Display for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoutingKey::Section(schedule, section) => write!(f, "{schedule}/{section}"),
            RoutingKey::Wallet(user) => write!(f, "{user}"),
            RoutingKey::Queue(schedule) => write!(f, "{schedule}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_what_it_prints() {
        let position = Position { lane: Lane::Seats, partition: 3, offset: 1234 };
        assert_eq!(position.to_string(), "seats.3.1234");
        assert_eq!("seats.3.1234".parse(), Ok(position));
        for bad in ["", "seats", "seats.3", "seats.3.1.2", "rows.3.1", "seats.-1.1", "seats.1.18446744073709551615"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }

    #[test]
    fn user_ids_are_short_and_plain() {
        for good in ["a", "alice", "A.b_c-9", &"x".repeat(64)] {
            assert!(good.parse::<UserId>().is_ok(), "{good}");
        }
        for bad in ["", "al ice", "ä", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn derived_ids_are_version_7_and_differ_by_every_part_of_their_cause() {
        let at = |lane, partition, offset| Arrival {
            position: Position { lane, partition, offset },
            time: LogTime(1_700_000_000_000),
        };
        let ids = [
            DerivedId::of(&at(Lane::Seats, 0, 0), 0),
            DerivedId::of(&at(Lane::Wallets, 0, 0), 0),
            DerivedId::of(&at(Lane::Seats, 1, 0), 0),
            DerivedId::of(&at(Lane::Seats, 0, 1), 0),
            DerivedId::of(&at(Lane::Seats, 0, 0), 1),
        ];
        for (i, a) in ids.iter().enumerate() {
            assert_eq!(a.0.get_version_num(), 7);
            assert!(ids[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(ids[0], DerivedId::of(&at(Lane::Seats, 0, 0), 0));
    }
}
