//! The wallets lane.

use super::*;
use crate::domain::Body;
use crate::domain::wallet::{AnswerKind, AskPayment, Command, ForPayment, Movement};

fn movement() -> impl Strategy<Value = Movement> {
    (user(), any::<i64>(), reason()).prop_map(|(user_id, amount, reason)| Movement { user_id, amount, reason })
}

fn for_payment() -> impl Strategy<Value = ForPayment> {
    (user(), amount(), reason(), origin()).prop_map(|(user_id, amount, reason, origin)| ForPayment {
        user_id,
        amount,
        reason,
        origin,
    })
}

pub(super) fn body() -> BoxedStrategy<Body> {
    prop_oneof![
        movement().prop_map(Command::ChargeWallet),
        movement().prop_map(Command::DebitWallet),
        for_payment().prop_map(Command::DebitForPayment),
        for_payment().prop_map(Command::CreditWallet),
        (proptest::sample::select(&AnswerKind::ALL[..]), for_payment())
            .prop_map(|(what, payment)| Command::AskPayment(AskPayment { what, payment })),
    ]
    .prop_map(Body::Wallets)
    .boxed()
}
