//! `settle_payment`: the wallet's answer decides the request that asked for money to move.
//!
//! A debit is never dropped: one that nothing waits for is paid back under its own payment id, so that the wallet does
//! so at most once.

use crate::domain::block::draft::Draft;
use crate::domain::block::{
    Block, Origin, Payment, PaymentState, Reply, Reservation, ReservationState, SettlePayment, Settlement,
};
use crate::domain::{
    Arrival, Asking, Balance, Body, Code, CommandKind, Completion, Decision, Outcome, Refusal, wallet,
};

pub(super) fn decide(block: &Block, command: &SettlePayment, at: &Arrival) -> Decision<Block> {
    let payment = match payment(block, command) {
        Ok(payment) => payment,
        Err(refusal) => return unasked(command, refusal),
    };
    match command.settlement {
        Settlement::Debited { balance } => debited(block, command, payment, balance, at),
        Settlement::DebitDeclined { code } => debit_declined(block, payment, code, at),
        Settlement::Refunded { balance } => refunded(block, payment, balance, at),
        Settlement::RefundDeclined { code } => refund_declined(block, payment, code, at),
    }
}

pub(super) fn decide_without_block(command: &SettlePayment) -> Decision<Block> {
    unasked(command, Refusal::new(Code::BlockNotFound, "there is no such block"))
}

fn payment<'a>(block: &'a Block, command: &SettlePayment) -> Result<&'a Payment, Refusal> {
    let Some(payment) = block.payment(command.origin.payment_id) else {
        return Err(Refusal::new(Code::ReservationNotFound, "there is no such payment"));
    };
    if payment.user_id != command.user_id {
        return Err(Refusal::new(Code::NotReservationOwner, "the payment is another user's"));
    }
    Ok(payment)
}

/// What a settlement is that no payment waits for: refused, and a debit is paid back.
fn unasked(command: &SettlePayment, refusal: Refusal) -> Decision<Block> {
    let follow_ups = match command.settlement {
        Settlement::Debited { .. } => vec![give_back(command)],
        Settlement::DebitDeclined { .. } | Settlement::Refunded { .. } | Settlement::RefundDeclined { .. } => {
            Vec::new()
        }
    };
    Decision { follow_ups, ..Decision::rejected(refusal) }
}

/// Asks the wallet to take back exactly what it says it has given.
fn give_back(command: &SettlePayment) -> Body {
    Body::Wallets(wallet::Command::CreditWallet(wallet::ForPayment {
        user_id: command.user_id.clone(),
        amount: command.amount,
        reason: format!("reservation {}", command.origin.reservation_id).parse().ok(),
        origin: Origin { asking: None, ..command.origin.clone() },
    }))
}

fn debited(
    block: &Block,
    command: &SettlePayment,
    payment: &Payment,
    balance: Balance,
    at: &Arrival,
) -> Decision<Block> {
    let as_asked = command.amount == payment.amount;
    match (&payment.state, paying(block, payment)) {
        (PaymentState::Pending(_), Some(reservation)) if !as_asked => {
            mismatched(block, command, reservation, payment, at)
        }
        (PaymentState::Pending(_), Some(reservation)) if block.row.cancelled.is_some() => {
            let mut draft = Draft::new(block, at);
            let reservation = draft.refund(reservation.clone(), payment.clone(), None);
            draft.completed(Reply::Settled(reservation), of_pay(payment, Err(show_cancelled())))
        }
        (PaymentState::Pending(_), Some(reservation)) => {
            let mut draft = Draft::new(block, at);
            let sold = draft.confirm(reservation.clone(), Some(payment.id));
            let completed = draft.payment(payment.clone(), PaymentState::Completed);
            let reply = Reply::PaymentCompleted { payment: completed, balance: Some(balance) };
            draft.completed(Reply::Settled(sold), of_pay(payment, Ok(reply.into())))
        }
        (PaymentState::Completed, _) if as_asked => already_settled(),
        _ if !as_asked => unasked(command, Refusal::new(Code::AmountMismatch, "the payment is of another amount")),
        _ => unasked(command, Refusal::new(Code::HoldExpired, "the payment has ended, what was debited is paid back")),
    }
}

/// The wallet's answer to a payment's debit is final: the payment can only fail.
fn mismatched(
    block: &Block,
    command: &SettlePayment,
    reservation: &Reservation,
    payment: &Payment,
    at: &Arrival,
) -> Decision<Block> {
    let detail = format!("{} was debited for a payment of {}", command.amount, payment.amount);
    let mut decision = failed(block, reservation, payment, Refusal::new(Code::AmountMismatch, detail), at);
    decision.follow_ups.insert(0, give_back(command));
    decision
}

fn debit_declined(block: &Block, payment: &Payment, code: Code, at: &Arrival) -> Decision<Block> {
    match (&payment.state, paying(block, payment)) {
        (PaymentState::Pending(_), Some(reservation)) => {
            let refusal = Refusal::new(code, "the wallet declined the payment");
            failed(block, reservation, payment, refusal, at)
        }
        (PaymentState::Pending(_) | PaymentState::Failed(_), _) => {
            Decision::rejected(Refusal::new(Code::ReservationNotFound, "the payment has failed already"))
        }
        (PaymentState::Completed | PaymentState::Refunding { .. } | PaymentState::Refunded, _) => already_settled(),
    }
}

/// The hold goes on if its time has not run out, so that the user may charge the wallet and try again.
fn failed(
    block: &Block,
    reservation: &Reservation,
    payment: &Payment,
    refusal: Refusal,
    at: &Arrival,
) -> Decision<Block> {
    let mut draft = Draft::new(block, at);
    let cancelled = block.row.cancelled.is_some();
    let unpaid = if cancelled { draft.cancel(reservation.clone()) } else { draft.unpaid(reservation.clone()) };
    draft.payment(payment.clone(), PaymentState::Failed(refusal.code));
    let refusal = if cancelled { show_cancelled() } else { refusal };
    draft.completed(Reply::Settled(unpaid), of_pay(payment, Err(refusal)))
}

fn refunded(block: &Block, payment: &Payment, balance: Balance, at: &Arrival) -> Decision<Block> {
    let Some((reservation, asking)) = refunding(block, payment) else { return no_refund() };
    let mut draft = Draft::new(block, at);
    let over = draft.refunded(reservation.clone(), payment.id);
    draft.payment(payment.clone(), PaymentState::Refunded);
    draft.row.refunds_done += u32::from(asking.is_none());
    let reply = Reply::Refunded { reservation: over.clone(), balance };
    draft.completed(Reply::Settled(over), of_cancel(asking, Ok(reply.into())))
}

/// Only a balance at the end of an i64 leads here. The seats stay free and the payment stays COMPLETED for an operator
/// to see, and the cancel request still gets its outcome.
fn refund_declined(block: &Block, payment: &Payment, code: Code, at: &Arrival) -> Decision<Block> {
    let Some((reservation, asking)) = refunding(block, payment) else { return no_refund() };
    let mut draft = Draft::new(block, at);
    draft.payment(payment.clone(), PaymentState::Completed);
    let refusal = Refusal::new(code, "the wallet could not take the refund");
    draft.completed(Reply::Settled(reservation.clone()), of_cancel(asking, Err(refusal)))
}

/// The reservation that this payment locks.
fn paying<'a>(block: &'a Block, payment: &Payment) -> Option<&'a Reservation> {
    let reservation = block.reservation(payment.reservation_id)?;
    (reservation.state == ReservationState::Paying(payment.id)).then_some(reservation)
}

/// The reservation that this payment is paid back for, and the cancel request that waits for it.
fn refunding<'a>(block: &'a Block, payment: &Payment) -> Option<(&'a Reservation, Option<Asking>)> {
    let PaymentState::Refunding { asking, .. } = &payment.state else { return None };
    Some((block.reservation(payment.reservation_id)?, asking.clone()))
}

fn of_pay(payment: &Payment, outcome: Outcome) -> Option<Completion> {
    Some(Completion { asking: payment.asking.clone(), command: CommandKind::PayReservation, outcome })
}

fn of_cancel(asking: Option<Asking>, outcome: Outcome) -> Option<Completion> {
    Some(Completion { asking: asking?, command: CommandKind::CancelReservation, outcome })
}

fn show_cancelled() -> Refusal {
    Refusal::new(Code::ShowCancelled, "the show is cancelled")
}

fn already_settled() -> Decision<Block> {
    Decision::rejected(Refusal::new(Code::AlreadyPaid, "the payment is settled already"))
}

fn no_refund() -> Decision<Block> {
    Decision::rejected(Refusal::new(Code::NotCancellable, "no refund of this payment is under way"))
}
