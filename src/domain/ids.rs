//! Identifiers, and the keys that decide a command's partition.

use std::fmt;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::names::{BlockName, SectionName, UserId};
use super::position::{Arrival, Lane};

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
        let partition = cause.position.partition;
        seed[0] = partition.lane as u8;
        seed[1..5].copy_from_slice(&partition.partition.to_be_bytes());
        seed[5..13].copy_from_slice(&cause.position.offset.to_be_bytes());
        seed[13..17].copy_from_slice(&index.to_be_bytes());
        let digest = xxh3_128(&seed).to_be_bytes();
        let mut random = [0u8; 10];
        random.copy_from_slice(&digest[..10]);
        let millis = u64::try_from(cause.time.0).unwrap_or(0);
        DerivedId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Of the follow-up command with this index in the cause's decision. Lower numbers are of other records.
    pub fn of_follow_up(cause: &Arrival, index: u32) -> Self {
        const FOLLOW_UPS: u32 = 16;
        DerivedId::of(cause, FOLLOW_UPS + index)
    }
}

/// One block of a date.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockKey {
    pub schedule_id: ScheduleId,
    pub block: BlockName,
}

impl fmt::Display for BlockKey {
    /// `{schedule_id}/{block}`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.schedule_id, self.block)
    }
}

/// One seat of a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeatId {
    pub section: SectionName,
    /// From 1.
    pub number: u32,
}

impl fmt::Display for SeatId {
    /// `{section}-{number}`, as people name a seat.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.section, self.number)
    }
}

impl std::str::FromStr for SeatId {
    type Err = super::InvalidText;

    /// Split at the last `-`: a section's name may hold others.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ERROR: super::InvalidText = super::InvalidText("a seat is {section}-{number}, e.g. A-12");
        let (section, number) = text.rsplit_once('-').ok_or(ERROR)?;
        // One spelling for a seat: neither A-012 nor A-+12.
        let plain = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
        let number = if plain { number.parse().map_err(|_| ERROR)? } else { return Err(ERROR) };
        Ok(SeatId { section: section.parse()?, number })
    }
}

/// The text that decides a command's partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoutingKey {
    /// `{schedule_id}/{block}`
    Block(BlockKey),
    /// `{user_id}`
    Wallet(UserId),
    /// `{schedule_id}`
    Queue(ScheduleId),
}

impl RoutingKey {
    pub fn lane(&self) -> Lane {
        match self {
            RoutingKey::Block(_) => Lane::Seats,
            RoutingKey::Wallet(_) => Lane::Wallets,
            RoutingKey::Queue(_) => Lane::Queues,
        }
    }

    /// The date it is about, if it is about one.
    pub fn schedule_id(&self) -> Option<ScheduleId> {
        match self {
            RoutingKey::Block(key) => Some(key.schedule_id),
            RoutingKey::Wallet(_) => None,
            RoutingKey::Queue(schedule_id) => Some(*schedule_id),
        }
    }
}

impl fmt::Display for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoutingKey::Block(key) => write!(f, "{key}"),
            RoutingKey::Wallet(user) => write!(f, "{user}"),
            RoutingKey::Queue(schedule) => write!(f, "{schedule}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{LogTime, Position};

    #[test]
    fn a_seat_is_split_at_its_last_hyphen() {
        let seat: SeatId = "Upper-Left-12".parse().unwrap();
        assert_eq!((seat.section.as_str(), seat.number), ("Upper-Left", 12));
        assert_eq!(seat.to_string(), "Upper-Left-12");
        for bad in ["", "A", "A-", "-1", "A-0", "A-012", "A-+1", "A-1x", "A-4294967296"] {
            assert!(bad.parse::<SeatId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn derived_ids_are_version_7_and_differ_by_every_part_of_their_cause() {
        let at = |lane, partition, offset| Arrival {
            position: Position::new(lane, partition, offset),
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
