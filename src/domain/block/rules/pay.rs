//! `pay_reservation`: the seats are locked first, then the wallet is asked for the money.

use crate::domain::block::draft::Draft;
use crate::domain::block::{Block, PayReservation, Payment, PaymentState, Reply, Reservation, ReservationState, money};
use crate::domain::{Arrival, Asking, Code, Decision, DerivedId, LogTime, Refusal, Verdict};

pub(super) fn decide(block: &Block, command: &PayReservation, asking: &Asking, at: &Arrival) -> Decision<Block> {
    let reservation = match payable(block, command, at.time) {
        Ok(reservation) => reservation.clone(),
        Err(refusal) => return Decision::rejected(refusal),
    };
    let mut draft = Draft::new(block, at);
    if reservation.amount.is_zero() {
        let confirmed = draft.confirm(reservation, None);
        return draft.succeeded(Reply::Confirmed(confirmed));
    }
    let waiting = money::waiting(&block.row.terms, at.time);
    let payment = Payment {
        id: DerivedId::of(at, 0).into(),
        key: reservation.key.clone(),
        reservation_id: reservation.id,
        user_id: reservation.user_id.clone(),
        amount: reservation.amount,
        state: PaymentState::Pending(waiting),
        asking: asking.clone(),
        created_at: at.time,
        changed: *at,
    };
    let payment = draft.payment(payment, PaymentState::Pending(waiting));
    draft.pay(reservation, payment.id);
    draft.follow_ups.push(money::debit(&payment));
    draft.decided(Verdict::Pending)
}

fn payable<'a>(block: &'a Block, command: &PayReservation, time: LogTime) -> Result<&'a Reservation, Refusal> {
    if block.row.cancelled.is_some() {
        return Err(Refusal::new(Code::ShowCancelled, "the show is cancelled"));
    }
    let reservation = block.owned(command.reservation_id, &command.user_id)?;
    let refusal = not_payable(block, reservation, time).or_else(|| amount_mismatch(reservation, command.amount));
    refusal.map_or(Ok(reservation), Err)
}

/// Why a reservation in this state cannot be paid. A cancelled one is `hold_expired` too: to the payer it is the same,
/// the reservation is there but has no seats any more.
fn not_payable(block: &Block, reservation: &Reservation, time: LogTime) -> Option<Refusal> {
    let (code, detail) = match reservation.state {
        ReservationState::Held if block.end_of(reservation) > time => return None,
        ReservationState::Held | ReservationState::Expired => (Code::HoldExpired, "the hold has run out"),
        ReservationState::Paying(_) => (Code::PaymentInProgress, "a payment of this reservation is under way"),
        ReservationState::Confirmed { .. } => (Code::AlreadyPaid, "the reservation is paid"),
        ReservationState::Cancelled { .. } | ReservationState::Refunded { .. } => {
            (Code::HoldExpired, "the reservation was cancelled")
        }
    };
    Some(Refusal::new(code, detail))
}

fn amount_mismatch(reservation: &Reservation, given: Option<i64>) -> Option<Refusal> {
    let given = given.filter(|given| *given != reservation.amount.get())?;
    let detail = format!("the reservation costs {}, not {given}", reservation.amount);
    Some(Refusal::new(Code::AmountMismatch, detail))
}
