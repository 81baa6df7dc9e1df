//! `settle_payment`: the wallet's answer decides the request that asked for money to move.

use super::edit::Edit;
use super::{Payment, PaymentStatus, Reservation, ReservationStatus, Section};
use crate::domain::command::{Body, CompleteToken, SettlePayment, Settlement};
use crate::domain::{Arrival, Code, Completion, Decision, Refusal, Success, Verdict};

pub(super) fn decide(section: &Section, command: &SettlePayment, at: &Arrival) -> Decision {
    let (reservation, payment) = match awaited(section, command) {
        Ok(found) => found,
        Err(refusal) => return Decision::rejected(refusal),
    };
    let refunding = reservation.status == ReservationStatus::Cancelled;
    match &command.settlement {
        Settlement::Debited { balance } => debited(section, command, reservation, payment, *balance, at),
        Settlement::Declined { code } if refunding => refund_declined(command, reservation, *code),
        Settlement::Declined { code } => declined(section, command, reservation, payment, *code, at),
        Settlement::Refunded { balance } => refunded(section, command, reservation, payment, *balance, at),
    }
}

/// The reservation and the payment that wait for this settlement; anything else changes nothing.
fn awaited<'a>(section: &'a Section, command: &SettlePayment) -> Result<(&'a Reservation, &'a Payment), Refusal> {
    let origin = &command.origin;
    let reservation = section.owned(origin.reservation_id, &command.user_id)?;
    if reservation.payment != Some(origin.payment_id) {
        return Err(Refusal::new(Code::ReservationNotFound, "the reservation has no such payment under way"));
    }
    let payment = section.payments.get(&origin.payment_id).map(|payment| (payment, payment.status));
    let is_refund = matches!(command.settlement, Settlement::Refunded { .. });
    let is_debit = matches!(command.settlement, Settlement::Debited { .. });
    match (reservation.status, payment) {
        (ReservationStatus::Paying, Some((payment, PaymentStatus::Pending)))
            if !is_refund && payment.request_id == origin.request_id =>
        {
            Ok((reservation, payment))
        }
        // A declined refund comes under the cancel request's id, a late answer to the payment under the payment's.
        (ReservationStatus::Cancelled, Some((payment, PaymentStatus::Completed)))
            if is_refund || (!is_debit && payment.request_id != origin.request_id) =>
        {
            Ok((reservation, payment))
        }
        _ if is_refund => Err(Refusal::new(Code::NotCancellable, "no refund of this reservation is under way")),
        (ReservationStatus::Paying, _) => {
            Err(Refusal::new(Code::ReservationNotFound, "the payment under way is another request's"))
        }
        _ => Err(Refusal::new(Code::AlreadyPaid, "the payment is settled already")),
    }
}

fn debited(
    section: &Section,
    command: &SettlePayment,
    reservation: &Reservation,
    payment: &Payment,
    balance: i64,
    at: &Arrival,
) -> Decision {
    let mut edit = Edit::new(section, at);
    let confirmed = edit.reservation(reservation.clone(), ReservationStatus::Confirmed);
    let payment = edit.payment(payment.clone(), PaymentStatus::Completed);
    let verdict = Verdict::Succeeded(Success::PaymentCompleted { payment, balance });
    let mut decision = settled(command, confirmed, edit, "pay_reservation", verdict);
    if section.row.queue {
        decision.follow_ups.push(Body::CompleteToken(CompleteToken {
            schedule_id: section.row.schedule_id,
            user_id: reservation.user_id.clone(),
        }));
    }
    decision
}

/// The hold goes on if its time has not run out, so that the user may charge the wallet and try again.
fn declined(
    section: &Section,
    command: &SettlePayment,
    reservation: &Reservation,
    payment: &Payment,
    code: Code,
    at: &Arrival,
) -> Decision {
    let mut edit = Edit::new(section, at);
    let next = if reservation.expires_at > at.time { ReservationStatus::Held } else { ReservationStatus::Expired };
    let unpaid = edit.reservation(Reservation { payment: None, ..reservation.clone() }, next);
    edit.payment(Payment { failure: Some(code), ..payment.clone() }, PaymentStatus::Failed);
    let refusal = Refusal::new(code, "the wallet declined the payment");
    settled(command, unpaid, edit, "pay_reservation", Verdict::Rejected(refusal))
}

fn refunded(
    section: &Section,
    command: &SettlePayment,
    reservation: &Reservation,
    payment: &Payment,
    balance: i64,
    at: &Arrival,
) -> Decision {
    let mut edit = Edit::new(section, at);
    // Its seats are free since the cancellation and may be others' by now.
    let mut over = reservation.clone();
    edit.reservation_only(&mut over, ReservationStatus::Refunded);
    edit.payment(payment.clone(), PaymentStatus::Refunded);
    let verdict = Verdict::Succeeded(Success::Refunded { reservation: over.clone(), balance });
    settled(command, over, edit, "cancel_reservation", verdict)
}

/// Only a balance at the end of an i64 leads here. The seats stay free and the payment stays COMPLETED for an operator
/// to see, and the cancel request still gets its outcome.
fn refund_declined(command: &SettlePayment, reservation: &Reservation, code: Code) -> Decision {
    Decision {
        verdict: Verdict::Succeeded(Success::Settled(reservation.clone())),
        changes: Vec::new(),
        follow_ups: Vec::new(),
        completes: Some(Completion {
            request_id: command.origin.request_id,
            command: "cancel_reservation",
            verdict: Verdict::Rejected(Refusal::new(code, "the wallet could not take the refund")),
        }),
    }
}

fn settled(
    command: &SettlePayment,
    reservation: Reservation,
    edit: Edit,
    decides: &'static str,
    verdict: Verdict,
) -> Decision {
    Decision {
        completes: Some(Completion { request_id: command.origin.request_id, command: decides, verdict }),
        ..Decision::succeeded(Success::Settled(reservation), edit.finish())
    }
}
