//! `cancel_reservation`: seats free at once; what was paid goes back to the wallet.

use super::edit::Edit;
use super::{Reservation, ReservationStatus, Section, pay};
use crate::domain::command::{CancelReservation, CreditWallet};
use crate::domain::{Arrival, Body, Code, Decision, LogTime, Refusal, RequestId, Success};

pub(super) fn decide(section: &Section, command: &CancelReservation, request_id: RequestId, at: &Arrival) -> Decision {
    let reservation = match section.owned(command.reservation_id, &command.user_id) {
        Ok(reservation) => reservation,
        Err(refusal) => return Decision::rejected(refusal),
    };
    if let Some(refusal) = not_cancellable(section, reservation, at.time) {
        return Decision::rejected(refusal);
    }
    let mut edit = Edit::new(section, at);
    let cancelled = edit.reservation(reservation.clone(), ReservationStatus::Cancelled);
    // A HELD reservation names no payment: a declined one was taken off it.
    let Some(payment_id) = cancelled.payment else {
        return Decision::succeeded(Success::Cancelled(cancelled), edit.finish());
    };
    let refund = Body::CreditWallet(CreditWallet {
        user_id: cancelled.user_id.clone(),
        amount: cancelled.amount,
        reason: Some(format!("reservation {}", cancelled.id)),
        origin: pay::origin(&cancelled, payment_id, request_id),
    });
    Decision::pending(edit.finish(), refund)
}

fn not_cancellable(section: &Section, reservation: &Reservation, time: LogTime) -> Option<Refusal> {
    let (code, detail) = match reservation.status {
        ReservationStatus::Held if !reservation.has_run_out(time) => return None,
        ReservationStatus::Confirmed if time < section.row.starts_at => return None,
        ReservationStatus::Held => (Code::HoldExpired, "the hold has run out"),
        ReservationStatus::Paying => (Code::PaymentInProgress, "a payment of this reservation is under way"),
        ReservationStatus::Confirmed => (Code::NotCancellable, "the show has started"),
        ReservationStatus::Expired | ReservationStatus::Cancelled | ReservationStatus::Refunded => {
            (Code::NotCancellable, "the reservation has ended already")
        }
    };
    Some(Refusal::new(code, detail))
}
