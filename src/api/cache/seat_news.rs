//! What an outcome says of the seats of its date.

use serde::Deserialize;
use uuid::Uuid;

use crate::domain::{BlockName, CommandKind, Position, ReservationId, SeatId};
use crate::log::Record;
use crate::wire::outcome::{self, DecidedRequest};

/// What one decision of a block changed, for a map that knows which seats a reservation has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeatNews {
    pub block: BlockName,
    pub decided: Position,
    /// In this order.
    pub changes: Vec<SeatChange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SeatChange {
    /// A hold that had run out, as another takes a seat of it. Its seats are not named.
    End(ReservationId),
    Hold(ReservationId, Vec<SeatId>),
    /// Each of the seats is free, and was of one of the reservations.
    Free(Vec<ReservationId>, Vec<SeatId>),
    /// The same, if it is not free already and another's by now: a paid reservation loses its seats when it is
    /// cancelled, and its outcome comes when the money is back.
    GiveBack(ReservationId, Vec<SeatId>),
    Sell(ReservationId, Vec<SeatId>),
    /// A hold that costs nothing is sold. Its seats are not named.
    SellHeld(ReservationId),
    /// Sections have changed: the store knows how.
    Sections,
}

/// The members of the results that say something of seats.
#[derive(Deserialize)]
struct Result {
    reservation_id: Option<Uuid>,
    payment_id: Option<Uuid>,
    balance: Option<i64>,
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
    pub fn of_record(record: &Record) -> Option<SeatNews> {
        let key = std::str::from_utf8(record.key.as_ref()?).ok()?;
        let (_, block) = key.split_once('/')?;
        SeatNews::of(block.parse().ok()?, &outcome::decode(record.value.as_ref()?).ok()?)
    }

    fn of(block: BlockName, request: &DecidedRequest) -> Option<SeatNews> {
        let effects: Effects = match &request.effects {
            Some(raw) => serde_json::from_str(raw.get()).ok()?,
            None => Effects::default(),
        };
        let mut changes: Vec<SeatChange> =
            effects.expired.into_iter().map(|id| SeatChange::End(ReservationId(id))).collect();
        if let Ok(reply) = &request.outcome {
            changes.extend(of_reply(request.command, reply.0.get())?);
        }
        Some(SeatNews { block, decided: request.decided.position, changes })
    }
}

/// `None`: something is missing.
fn of_reply(command: CommandKind, result: &str) -> Option<Option<SeatChange>> {
    match command {
        CommandKind::OpenBlock | CommandKind::AmendBlock => return Some(Some(SeatChange::Sections)),
        CommandKind::CheckTicket => return Some(None),
        _ => {}
    }
    let result: Result = serde_json::from_str(result).ok()?;
    let reservation = || result.reservation_id.map(ReservationId);
    let seats = || result.seats.as_ref()?.iter().map(|seat| seat.parse().ok()).collect::<Option<Vec<SeatId>>>();
    Some(Some(match command {
        CommandKind::HoldSeats => SeatChange::Hold(reservation()?, seats()?),
        // Where money moved, the settlement of the same decision says what became of the seats.
        CommandKind::CancelReservation if result.balance.is_some() => return Some(None),
        CommandKind::PayReservation if result.payment_id.is_some() => return Some(None),
        CommandKind::CancelReservation => SeatChange::Free(vec![reservation()?], seats()?),
        CommandKind::PayReservation => SeatChange::SellHeld(reservation()?),
        CommandKind::SettlePayment => match result.status.as_deref()? {
            "CONFIRMED" => SeatChange::Sell(reservation()?, seats()?),
            "EXPIRED" => SeatChange::Free(vec![reservation()?], seats()?),
            "CANCELLED" | "REFUNDED" => SeatChange::GiveBack(reservation()?, seats()?),
            // The hold goes on.
            "HELD" => return Some(None),
            _ => return None,
        },
        CommandKind::ExpireHolds => {
            SeatChange::Free(result.reservations?.into_iter().map(ReservationId).collect(), seats()?)
        }
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;
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
            let news = SeatNews::of(BlockName::main(), &request);
            let of_block = request.outcome.is_err() || request.command.lane() == Lane::Seats;
            assert_eq!(news.is_some(), of_block, "{}", sample.name);
        }
    }

    #[test]
    fn a_hold_names_its_seats_and_which_holds_it_ended() {
        assert!(matches!(&news("held")[..], [SeatChange::Hold(_, seats)] if !seats.is_empty()));
        assert!(matches!(&news("held_over_expired")[..], [SeatChange::End(_), SeatChange::Hold(..)]));
    }

    #[test]
    fn what_is_sold_or_free_is_said_by_the_outcome() {
        assert!(matches!(&news("settled")[..], [SeatChange::Sell(_, seats)] if !seats.is_empty()));
        assert!(matches!(&news("confirmed_for_nothing")[..], [SeatChange::SellHeld(_)]));
        assert!(
            matches!(&news("cancelled")[..], [SeatChange::Free(one, seats)] if one.len() == 1 && !seats.is_empty())
        );
        assert!(matches!(&news("holds_expired")[..], [SeatChange::Free(..)]));
        assert!(
            matches!(&news("refunded_nothing")[..], [SeatChange::Free(one, seats)] if one.len() == 1 && !seats.is_empty())
        );
        assert_eq!(news("block_amended"), [SeatChange::Sections]);
        for says_nothing in ["ticket_checked", "refunded", "payment_completed"] {
            assert_eq!(news(says_nothing), []);
        }
    }
}
