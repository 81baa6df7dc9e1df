//! `cancel_reservation`: seats free at once; what was paid goes back to the wallet.

use crate::domain::block::draft::Draft;
use crate::domain::block::{Block, CancelReservation, Reply, Reservation, ReservationState};
use crate::domain::{Arrival, Asking, Code, Decision, LogTime, Refusal, Verdict};

pub(super) fn decide(block: &Block, command: &CancelReservation, asking: &Asking, at: &Arrival) -> Decision<Block> {
    let reservation = match block.owned(command.reservation_id, &command.user_id) {
        Ok(reservation) => reservation.clone(),
        Err(refusal) => return Decision::rejected(refusal),
    };
    if let Some(refusal) = not_cancellable(block, &reservation, at.time) {
        return Decision::rejected(refusal);
    }
    let mut draft = Draft::new(block, at);
    let paid = match reservation.state {
        ReservationState::Confirmed { payment, .. } => payment.and_then(|id| block.payment(id)),
        _ => None,
    };
    if let Some(payment) = paid {
        draft.refund(reservation, payment.clone(), Some(asking.clone()));
        return draft.decided(Verdict::Pending);
    }
    let cancelled = match reservation.state {
        ReservationState::Held => draft.give_up(reservation),
        _ => draft.refund_nothing(reservation),
    };
    draft.succeeded(Reply::Cancelled(cancelled))
}

fn not_cancellable(block: &Block, reservation: &Reservation, time: LogTime) -> Option<Refusal> {
    let cancelled = block.row.cancelled.is_some();
    let started = time >= block.row.terms.starts_at;
    let (code, detail) = match reservation.state {
        ReservationState::Confirmed { .. } if block.is_checked(reservation) => {
            (Code::NotCancellable, "a ticket of the reservation was used")
        }
        ReservationState::Confirmed { .. } if started && !cancelled => (Code::NotCancellable, "the show has started"),
        ReservationState::Confirmed { .. } => return None,
        _ if cancelled => (Code::NotCancellable, "the show is cancelled"),
        ReservationState::Held if block.end_of(reservation) > time => return None,
        ReservationState::Held => (Code::HoldExpired, "the hold has run out"),
        ReservationState::Paying(_) => (Code::PaymentInProgress, "a payment of this reservation is under way"),
        ReservationState::Expired | ReservationState::Cancelled { .. } | ReservationState::Refunded { .. } => {
            (Code::NotCancellable, "the reservation has ended already")
        }
    };
    Some(Refusal::new(code, detail))
}
