//! What an outcome says of the seats of its date.

use serde::Deserialize;
use uuid::Uuid;

use crate::domain::{BlockName, CommandKind, Position, ReservationId, SeatId};
use crate::wire::outcome::DecidedRequest;

/// What one decision of a block changed, for a map that knows which seats a reservation has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatNews {
    pub block: BlockName,
    pub decided: Position,
    /// In this order.
    pub changes: Vec<SeatChange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatChange {
    /// The reservation's seats are free, but for those that another one has by now.
    Free(ReservationId),
    Hold(ReservationId, Vec<SeatId>),
    /// The reservation's seats are sold.
    Sell(ReservationId),
    /// Sections have changed: the store knows how.
    Sections,
}

/// The members of the results that say something of seats.
#[derive(Deserialize)]
struct Result {
    reservation_id: Option<Uuid>,
    seats: Option<Vec<String>>,
    status: Option<String>,
    reservations: Option<Vec<Uuid>>,
}

#[derive(Deserialize, Default)]
struct Effects {
    #[serde(default)]
    expired: Vec<Uuid>,
}

impl SeatNews {
    /// `None`: it cannot be read.
    pub fn of(block: BlockName, request: &DecidedRequest) -> Option<SeatNews> {
        let effects: Effects = match &request.effects {
            Some(raw) => serde_json::from_str(raw.get()).ok()?,
            None => Effects::default(),
        };
        let mut changes: Vec<SeatChange> = effects.expired.into_iter().map(free).collect();
        if let Ok(reply) = &request.outcome {
            changes.extend(of_reply(request.command, serde_json::from_str(reply.0.get()).ok()?)?);
        }
        Some(SeatNews { block, decided: request.decided.position, changes })
    }
}

fn free(reservation: Uuid) -> SeatChange {
    SeatChange::Free(ReservationId(reservation))
}

fn of_reply(command: CommandKind, result: Result) -> Option<Vec<SeatChange>> {
    let reservation = || result.reservation_id.map(ReservationId);
    Some(match command {
        CommandKind::HoldSeats => {
            let seats = result.seats.as_ref()?.iter().map(|seat| seat.parse().ok()).collect::<Option<_>>()?;
            vec![SeatChange::Hold(reservation()?, seats)]
        }
        CommandKind::CancelReservation => vec![SeatChange::Free(reservation()?)],
        CommandKind::PayReservation => vec![SeatChange::Sell(reservation()?)],
        CommandKind::SettlePayment => match result.status.as_deref()? {
            "CONFIRMED" => vec![SeatChange::Sell(reservation()?)],
            // The hold goes on.
            "HELD" | "PAYING" => Vec::new(),
            _ => vec![SeatChange::Free(reservation()?)],
        },
        CommandKind::ExpireHolds => result.reservations?.into_iter().map(free).collect(),
        CommandKind::OpenBlock | CommandKind::AmendBlock => vec![SeatChange::Sections],
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wire::samples;
    use crate::wire::outcome::{decode, encode};

    /// What the sample outcome of this name says.
    fn news(name: &str) -> Vec<SeatChange> {
        let sample = samples::outcomes().into_iter().find(|outcome| outcome.name == name);
        let sample = sample.unwrap_or_else(|| panic!("no sample {name}"));
        let request = decode(encode(&sample.record()).record.as_bytes()).unwrap();
        SeatNews::of(BlockName::main(), &request).expect("it can be read").changes
    }

    #[test]
    fn every_outcome_of_a_block_can_be_read() {
        for sample in samples::outcomes() {
            let request = decode(encode(&sample.record()).record.as_bytes()).unwrap();
            assert!(SeatNews::of(BlockName::main(), &request).is_some(), "{}", sample.name);
        }
    }

    #[test]
    fn a_hold_names_its_seats_and_whom_it_ended() {
        let changes = news("held");
        assert!(matches!(changes.last(), Some(SeatChange::Hold(_, seats)) if !seats.is_empty()), "{changes:?}");
    }
}
