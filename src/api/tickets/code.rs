//! What a ticket says, as bytes. docs/tickets.md has the layout; a change needs another version.

use std::fmt;

use uuid::Uuid;

use crate::domain::{ReservationId, ScheduleId, SeatId};

/// What a code begins with; it is signed as well.
pub const PREFIX: &str = "TS1.";
const VERSION: u8 = 1;

/// The first 4 bytes of the public key's SHA-256: tells keys apart, proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One sold seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub schedule: ScheduleId,
    pub reservation: ReservationId,
    pub seat: SeatId,
    /// Offset of the confirmation: a seat that was sold, given back and sold again has another.
    pub serial: u64,
}

impl Ticket {
    /// Big-endian; the section's name has the rest.
    pub(super) fn payload(&self, key: KeyId) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&key.0);
        bytes.extend_from_slice(self.schedule.0.as_bytes());
        bytes.extend_from_slice(self.reservation.0.as_bytes());
        bytes.extend_from_slice(&self.seat.number.to_be_bytes());
        bytes.extend_from_slice(&self.serial.to_be_bytes());
        bytes.extend_from_slice(self.seat.section.as_str().as_bytes());
        bytes
    }

    /// The ticket, and the key that is said to have signed it.
    pub(super) fn parse(payload: &[u8]) -> Option<(KeyId, Ticket)> {
        let (version, rest) = payload.split_first()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (schedule, rest) = rest.split_first_chunk()?;
        let (reservation, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (serial, section) = rest.split_first_chunk()?;
        let section = std::str::from_utf8(section).ok()?.parse().ok()?;
        let ticket = Ticket {
            schedule: ScheduleId(Uuid::from_bytes(*schedule)),
            reservation: ReservationId(Uuid::from_bytes(*reservation)),
            seat: SeatId { section, number: u32::from_be_bytes(*number) },
            serial: u64::from_be_bytes(*serial),
        };
        (*version == VERSION && ticket.seat.number > 0).then_some((KeyId(*key), ticket))
    }
}
