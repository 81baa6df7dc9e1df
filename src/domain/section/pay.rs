//! `pay_reservation`: the seats are locked first, then the wallet is asked for the money.

use super::edit::Edit;
use super::{Payment, PaymentStatus, Reservation, ReservationStatus, Section};
use crate::domain::command::{DebitWallet, Origin, PayReservation};
use crate::domain::{Arrival, Body, Code, Decision, DerivedId, LogTime, PaymentId, Refusal, RequestId};

pub(super) fn decide(section: &Section, command: &PayReservation, request_id: RequestId, at: &Arrival) -> Decision {
    let reservation = match section.owned(command.reservation_id, &command.user_id) {
        Ok(reservation) => reservation,
        Err(refusal) => return Decision::rejected(refusal),
    };
    let refusal = not_payable(reservation, at.time).or_else(|| amount_mismatch(reservation, command.amount));
    if let Some(refusal) = refusal {
        return Decision::rejected(refusal);
    }

    let mut edit = Edit::new(section, at);
    let payment = Payment {
        id: DerivedId::of(at, 0).into(),
        reservation_id: reservation.id,
        user_id: reservation.user_id.clone(),
        amount: reservation.amount,
        status: PaymentStatus::Pending,
        failure: None,
        request_id,
        created_at: at.time,
        changed: *at,
    };
    let payment = edit.payment(payment, PaymentStatus::Pending);
    let paying = Reservation { payment: Some(payment.id), ..reservation.clone() };
    let paying = edit.reservation(paying, ReservationStatus::Paying);
    let debit = Body::DebitWallet(DebitWallet {
        user_id: paying.user_id.clone(),
        amount: paying.amount,
        reason: Some(format!("reservation {}", paying.id)),
        origin: Some(origin(&paying, payment.id, request_id)),
    });
    Decision::pending(edit.finish(), debit)
}

/// Whom the wallet answers, and which request that answer decides.
pub(super) fn origin(reservation: &Reservation, payment_id: PaymentId, request_id: RequestId) -> Origin {
    Origin {
        schedule_id: reservation.schedule_id,
        section: reservation.section.clone(),
        reservation_id: reservation.id,
        payment_id,
        request_id,
    }
}

/// Why a reservation in this state cannot be paid. A cancelled one is `hold_expired` too: to the payer it is the same,
/// the reservation is there but has no seats any more.
fn not_payable(reservation: &Reservation, time: LogTime) -> Option<Refusal> {
    let (code, detail) = match reservation.status {
        ReservationStatus::Held if !reservation.has_run_out(time) => return None,
        ReservationStatus::Held | ReservationStatus::Expired => (Code::HoldExpired, "the hold has run out"),
        ReservationStatus::Paying => (Code::PaymentInProgress, "a payment of this reservation is under way"),
        ReservationStatus::Confirmed => (Code::AlreadyPaid, "the reservation is paid"),
        ReservationStatus::Cancelled | ReservationStatus::Refunded => {
            (Code::HoldExpired, "the reservation was cancelled")
        }
    };
    Some(Refusal::new(code, detail))
}

fn amount_mismatch(reservation: &Reservation, given: Option<i64>) -> Option<Refusal> {
    let given = given.filter(|given| *given != reservation.amount)?;
    let detail = format!("the reservation costs {}, not {given}", reservation.amount);
    Some(Refusal::new(Code::AmountMismatch, detail))
}
