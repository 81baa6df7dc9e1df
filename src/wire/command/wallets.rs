//! The commands of the wallets lane, and their results. What a client wants to move may be any 64-bit integer here: the
//! rules refuse it, with an outcome.

use super::origin;
use crate::domain::wallet::{AskPayment, Command, Entry, ForPayment, Movement, PaymentAnswer, Reply};
use crate::domain::{CommandKind, Reason};
use crate::wire::fields::{DecodeError, Fields, no_reader};
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

/// The readers of this lane.
pub(super) fn read(kind: CommandKind, f: &Fields<'_>) -> Result<Command, DecodeError> {
    Ok(match kind {
        CommandKind::ChargeWallet => Command::ChargeWallet(read_movement(f)?),
        CommandKind::DebitWallet => read_debit_wallet(f)?,
        CommandKind::CreditWallet => Command::CreditWallet(read_for_payment(f)?),
        CommandKind::AskPayment => Command::AskPayment(read_ask_payment(f)?),
        other => return Err(no_reader(other)),
    })
}

fn read_movement(f: &Fields<'_>) -> Result<Movement, DecodeError> {
    Ok(Movement { user_id: f.required("user_id")?, amount: f.required("amount")?, reason: f.optional("reason")? })
}

/// With an origin it is the program's own: it takes the money of a payment.
fn read_debit_wallet(f: &Fields<'_>) -> Result<Command, DecodeError> {
    // A null is no origin left out: what was to pay for a reservation must not become a debit of its own.
    match f.raw("origin")? {
        None => read_movement(f).map(Command::DebitWallet),
        Some(_) => read_for_payment(f).map(Command::DebitForPayment),
    }
}

fn read_for_payment(f: &Fields<'_>) -> Result<ForPayment, DecodeError> {
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

fn read_ask_payment(f: &Fields<'_>) -> Result<AskPayment, DecodeError> {
    Ok(AskPayment { what: f.required("what")?, payment: read_for_payment(f)? })
}

/// The result of a success.
pub(in crate::wire) fn write_result(o: &mut Object<'_>, reply: &Reply) {
    match reply {
        Reply::WalletChanged(entry) => write_entry(o, entry),
        Reply::Answered(answer) => write_answer(o, answer),
    }
}

fn write_entry(o: &mut Object<'_>, entry: &Entry) {
    o.plain("entry_id", entry.id).bare("balance", entry.balance_after);
    o.bare("amount", entry.amount).plain("kind", entry.kind);
}

fn write_answer(o: &mut Object<'_>, answer: &PaymentAnswer) {
    o.plain("payment_id", answer.payment_id).plain("what", answer.kind).bare("amount", answer.amount);
    match answer.answer {
        Ok(balance) => o.bare("balance", balance),
        Err(code) => o.plain("code", code),
    };
}
