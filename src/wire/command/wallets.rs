//! The commands of the wallets lane. What a client wants to move may be any 64-bit integer here: the rules refuse it,
//! with an outcome.

use super::origin;
use crate::domain::Reason;
use crate::domain::wallet::{AskPayment, Command, ForPayment, Movement};
use crate::wire::fields::{DecodeError, Fields};
use crate::wire::json::Object;

pub(super) fn write(o: &mut Object<'_>, command: &Command) {
    match command {
        Command::ChargeWallet(c) | Command::DebitWallet(c) => {
            o.bare("amount", c.amount).text_if("reason", c.reason.as_ref().map(Reason::as_str));
        }
        Command::DebitForPayment(c) | Command::CreditWallet(c) => write_for_payment(o, c),
        Command::AskPayment(c) => {
            o.plain("what", c.what);
            write_for_payment(o, &c.payment);
        }
    }
}

pub(super) fn read_movement(f: &Fields<'_>) -> Result<Movement, DecodeError> {
    Ok(Movement { user_id: f.required("user_id")?, amount: f.required("amount")?, reason: f.optional("reason")? })
}

/// With an origin it is the program's own: it takes the money of a payment.
pub(super) fn read_debit_wallet(f: &Fields<'_>) -> Result<Command, DecodeError> {
    match f.optional_object("origin", |_| Ok(()))? {
        None => read_movement(f).map(Command::DebitWallet),
        Some(_) => read_for_payment(f).map(Command::DebitForPayment),
    }
}

pub(super) fn read_for_payment(f: &Fields<'_>) -> Result<ForPayment, DecodeError> {
    Ok(ForPayment {
        user_id: f.required("user_id")?,
        amount: f.required("amount")?,
        reason: f.optional("reason")?,
        origin: f.object("origin", origin::read)?,
    })
}

fn write_for_payment(o: &mut Object<'_>, c: &ForPayment) {
    o.bare("amount", c.amount).text_if("reason", c.reason.as_ref().map(Reason::as_str));
    origin::write(o, &c.origin);
}

pub(super) fn read_ask_payment(f: &Fields<'_>) -> Result<AskPayment, DecodeError> {
    Ok(AskPayment { what: f.required("what")?, payment: read_for_payment(f)? })
}
