//! What a block asks of wallets, and when it asks again.

use super::command::Origin;
use super::{Payment, PaymentState, Terms, Waiting};
use crate::domain::wallet::{AnswerKind, AskPayment, Command, ForPayment};
use crate::domain::{Asking, Body, LogTime};

/// Longest wait between two times the wallet is asked.
const ASK_INTERVAL_MS_MAX: i64 = 3_600_000;

/// A wait that begins now.
pub(super) fn waiting(terms: &Terms, time: LogTime) -> Waiting {
    let timeout_ms = terms.payment_timeout_ms;
    Waiting { ask_at: time.plus_ms(timeout_ms), interval_ms: (2 * timeout_ms).min(ASK_INTERVAL_MS_MAX) }
}

/// The wait after the wallet was asked again.
pub(super) fn doubled(waiting: Waiting, time: LogTime) -> Waiting {
    Waiting {
        ask_at: time.plus_ms(waiting.interval_ms),
        interval_ms: (2 * waiting.interval_ms).min(ASK_INTERVAL_MS_MAX),
    }
}

pub(super) fn debit(payment: &Payment) -> Body {
    Body::Wallets(Command::DebitForPayment(for_payment(payment, Some(payment.asking.clone()))))
}

/// `asking`: the cancel request that waits for it.
pub(super) fn credit(payment: &Payment, asking: Option<Asking>) -> Body {
    Body::Wallets(Command::CreditWallet(for_payment(payment, asking)))
}

/// Asks again what was asked first; `None`: nothing is asked for this payment.
pub(super) fn ask(payment: &Payment) -> Option<Body> {
    let (what, asking) = match &payment.state {
        PaymentState::Pending(_) => (AnswerKind::Debit, Some(payment.asking.clone())),
        PaymentState::Refunding { asking, .. } => (AnswerKind::Refund, asking.clone()),
        PaymentState::Completed | PaymentState::Failed(_) | PaymentState::Refunded => return None,
    };
    let payment = for_payment(payment, asking);
    Some(Body::Wallets(Command::AskPayment(AskPayment { what, payment })))
}

fn for_payment(payment: &Payment, asking: Option<Asking>) -> ForPayment {
    ForPayment {
        user_id: payment.user_id.clone(),
        amount: payment.amount,
        reason: format!("reservation {}", payment.reservation_id).parse().ok(),
        origin: Origin {
            key: payment.key.clone(),
            reservation_id: payment.reservation_id,
            payment_id: payment.id,
            asking,
        },
    }
}
