//! Wallets, their history, their answers to payments.

use crate::domain::wallet::{Entry, PaymentAnswer, Wallet};
use crate::domain::{Balance, EntryId, Lane, RequestId};
use crate::store::StoreError;
use crate::store::sql::cells::{Cells, corrupt};
use crate::store::sql::value::{Value, arrival, int, optional_text, signed, text, uuid};

type Result<T> = std::result::Result<T, StoreError>;

const AT: [&str; 3] = ["at_partition", "at_offset", "at"];

fn balance(row: &impl Cells, column: &str) -> Result<Balance> {
    Balance::new(row.signed(column)?).map_err(|error| corrupt(column, error))
}

pub fn wallet_values(row: &Wallet) -> Result<[Value<'_>; 6]> {
    let Wallet { user_id, balance, entries, changed } = row;
    let [partition, offset, at] = arrival(changed)?;
    Ok([text(user_id.as_str()), signed(balance.get()), int(*entries)?, partition, offset, at])
}

pub fn wallet(row: &impl Cells) -> Result<Wallet> {
    Ok(Wallet {
        user_id: row.parsed("user_id")?,
        balance: balance(row, "balance")?,
        entries: row.int("entries")?,
        changed: row.changed(Lane::Wallets)?,
    })
}

pub fn entry_values(row: &Entry) -> Result<[Value<'_>; 13]> {
    let Entry { id, user_id, number, kind, amount, balance_after, reason, request_id, by, cause, at } = row;
    let [at_partition, at_offset, at] = arrival(at)?;
    Ok([
        text(user_id.as_str()),
        int(*number)?,
        uuid(id.0),
        text(kind.as_str()),
        signed(amount.get()),
        signed(balance_after.get()),
        optional_text(reason.as_ref().map(|reason| reason.as_str())),
        uuid(request_id.0),
        optional_text(by.as_ref().map(|by| by.as_str())),
        uuid(*cause),
        at_partition,
        at_offset,
        at,
    ])
}

pub fn entry(row: &impl Cells) -> Result<Entry> {
    Ok(Entry {
        id: EntryId(row.uuid("id")?),
        user_id: row.parsed("user_id")?,
        number: row.int("number")?,
        kind: row.parsed("kind")?,
        amount: row.amount()?,
        balance_after: balance(row, "balance_after")?,
        reason: row.optional_parsed("reason")?,
        request_id: RequestId(row.uuid("request_id")?),
        by: row.optional_parsed("by_user")?,
        cause: row.uuid("cause")?,
        at: row.arrival(Lane::Wallets, AT)?,
    })
}

pub fn answer_values(row: &PaymentAnswer) -> Result<[Value<'_>; 9]> {
    let PaymentAnswer { payment_id, kind, user_id, amount, answer, at } = row;
    let [at_partition, at_offset, at] = arrival(at)?;
    Ok([
        uuid(payment_id.0),
        text(kind.as_str()),
        text(user_id.as_str()),
        signed(amount.get()),
        Value::Int(answer.as_ref().ok().map(|balance| balance.get())),
        optional_text(answer.as_ref().err().map(|code| code.as_str())),
        at_partition,
        at_offset,
        at,
    ])
}

pub fn answer(row: &impl Cells) -> Result<PaymentAnswer> {
    let answer = match row.optional_parsed("declined")? {
        Some(code) => Err(code),
        None => Ok(balance(row, "balance")?),
    };
    Ok(PaymentAnswer {
        payment_id: row.payment_id()?,
        kind: row.parsed("kind")?,
        user_id: row.parsed("user_id")?,
        amount: row.amount()?,
        answer,
        at: row.arrival(Lane::Wallets, AT)?,
    })
}
