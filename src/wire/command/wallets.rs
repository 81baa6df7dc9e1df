//! The commands of the wallets lane. Amounts may be any 64-bit integer here: the rules refuse, with an outcome.

use super::seats::{read_origin, write_origin};
use crate::domain::command::{ChargeWallet, CreditWallet, DebitWallet};
use crate::domain::wallet::REASON_MAX;
use crate::wire::fields::{DecodeError, Fields};
use crate::wire::json::Object;

pub(super) fn read_charge_wallet(f: &Fields<'_>) -> Result<ChargeWallet, DecodeError> {
    Ok(ChargeWallet { user_id: f.required("user_id")?, amount: f.required("amount")?, reason: read_reason(f)? })
}

pub(super) fn write_charge_wallet(o: &mut Object<'_>, c: &ChargeWallet) {
    o.plain("user_id", &c.user_id).bare("amount", c.amount);
    write_reason(o, c.reason.as_deref());
}

pub(super) fn read_debit_wallet(f: &Fields<'_>) -> Result<DebitWallet, DecodeError> {
    Ok(DebitWallet {
        user_id: f.required("user_id")?,
        amount: f.required("amount")?,
        reason: read_reason(f)?,
        origin: f.optional_object("origin")?.map(|origin| read_origin(&origin)).transpose()?,
    })
}

pub(super) fn write_debit_wallet(o: &mut Object<'_>, c: &DebitWallet) {
    o.plain("user_id", &c.user_id).bare("amount", c.amount);
    write_reason(o, c.reason.as_deref());
    if let Some(origin) = &c.origin {
        write_origin(o, origin);
    }
}

pub(super) fn read_credit_wallet(f: &Fields<'_>) -> Result<CreditWallet, DecodeError> {
    Ok(CreditWallet {
        user_id: f.required("user_id")?,
        amount: f.required("amount")?,
        reason: read_reason(f)?,
        origin: read_origin(&f.object("origin")?)?,
    })
}

pub(super) fn write_credit_wallet(o: &mut Object<'_>, c: &CreditWallet) {
    o.plain("user_id", &c.user_id).bare("amount", c.amount);
    write_reason(o, c.reason.as_deref());
    write_origin(o, &c.origin);
}

/// Whether a text may be the reason of a wallet entry; if not, why. No control characters: PostgreSQL cannot store NUL
/// in a text, and one such record would stop its partition.
pub fn check_reason(reason: &str) -> Result<(), &'static str> {
    const TOO_LONG: &str = "longer than 200 characters";
    const { assert!(REASON_MAX == 200) };
    // Bytes first, so that a long text is not counted through.
    if reason.len() > REASON_MAX * 4 || reason.chars().count() > REASON_MAX {
        return Err(TOO_LONG);
    }
    if reason.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    Ok(())
}

fn read_reason(f: &Fields<'_>) -> Result<Option<String>, DecodeError> {
    let reason: Option<String> = f.optional("reason")?;
    if let Some(text) = &reason {
        check_reason(text).map_err(|error| DecodeError::field("reason", error))?;
    }
    Ok(reason)
}

fn write_reason(o: &mut Object<'_>, reason: Option<&str>) {
    if let Some(text) = reason {
        o.text("reason", text);
    }
}
