//! Hashes of a wallet's rows.

use super::{Bytes, Digest};
use crate::domain::Code;
use crate::domain::wallet::{Entry, PaymentAnswer, Row, Wallet};

impl Digest for Row {
    fn digest(&self) -> u64 {
        match self {
            Row::Wallet(row) => row.digest(),
            Row::Entry(row) => row.digest(),
            Row::Answer(row) => row.digest(),
        }
    }
}

impl Digest for Wallet {
    fn digest(&self) -> u64 {
        let Wallet { user_id, balance, entries, changed } = self;
        Bytes::of(10).text(user_id.as_str()).balance(*balance).u64(*entries).arrival(changed).digest()
    }
}

impl Digest for Entry {
    fn digest(&self) -> u64 {
        let Entry { id, user_id, number, kind, amount, balance_after, reason, request_id, by, cause, at } = self;
        Bytes::of(11)
            .uuid(id.0)
            .text(user_id.as_str())
            .u64(*number)
            .text(kind.as_str())
            .amount(*amount)
            .balance(*balance_after)
            .option(reason.as_ref(), |bytes, reason| bytes.text(reason.as_str()))
            .uuid(request_id.0)
            .option(by.as_ref(), |bytes, by| bytes.text(by.as_str()))
            .uuid(*cause)
            .arrival(at)
            .digest()
    }
}

impl Digest for PaymentAnswer {
    fn digest(&self) -> u64 {
        let PaymentAnswer { payment_id, kind, user_id, amount, answer, at } = self;
        Bytes::of(12)
            .uuid(payment_id.0)
            .text(kind.as_str())
            .text(user_id.as_str())
            .amount(*amount)
            .option(answer.ok(), Bytes::balance)
            .option(answer.err().map(Code::as_str), Bytes::text)
            .arrival(at)
            .digest()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::wallet::{AnswerKind, EntryKind};
    use crate::domain::{
        Amount, Arrival, Balance, EntryId, Lane, LogTime, PaymentId, Position, Reason, RequestId, UserId,
    };

    fn at(offset: u64) -> Arrival {
        Arrival { position: Position::new(Lane::Wallets, 3, offset), time: LogTime(1_000) }
    }

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn amount(amount: i64) -> Amount {
        Amount::new(amount).unwrap()
    }

    fn balance(balance: i64) -> Balance {
        Balance::new(balance).unwrap()
    }

    fn wallet() -> Wallet {
        Wallet { user_id: user("ann"), balance: balance(800), entries: 2, changed: at(9) }
    }

    fn entry() -> Entry {
        Entry {
            id: EntryId(Uuid::from_u128(5)),
            user_id: user("ann"),
            number: 2,
            kind: EntryKind::Payment,
            amount: amount(200),
            balance_after: balance(800),
            reason: Some("seats".parse().unwrap()),
            request_id: RequestId(Uuid::from_u128(4)),
            by: None,
            cause: Uuid::from_u128(3),
            at: at(9),
        }
    }

    fn answer() -> PaymentAnswer {
        PaymentAnswer {
            payment_id: PaymentId(Uuid::from_u128(3)),
            kind: AnswerKind::Debit,
            user_id: user("ann"),
            amount: amount(200),
            answer: Ok(balance(800)),
            at: at(9),
        }
    }

    /// A store remembers these values.
    #[test]
    fn the_digests_of_these_rows_never_change() {
        let rows = [Row::Wallet(wallet()), Row::Entry(entry()), Row::Answer(answer())];
        assert_eq!(rows.map(|row| row.digest()), [0x467e_a6a7_a3b4_32a4, 0xd326_4beb_6ac1_bb39, 0x8fd1_ea6c_dbee_fdd0]);
    }

    #[test]
    fn a_digest_differs_by_every_field() {
        let no_reason: Option<Reason> = None;
        let id = Uuid::from_u128(9);
        let rows = [
            Row::Wallet(wallet()),
            Row::Wallet(Wallet { user_id: user("bob"), ..wallet() }),
            Row::Wallet(Wallet { balance: balance(801), ..wallet() }),
            Row::Wallet(Wallet { entries: 3, ..wallet() }),
            Row::Wallet(Wallet { changed: at(10), ..wallet() }),
            Row::Entry(entry()),
            Row::Entry(Entry { id: EntryId(id), ..entry() }),
            Row::Entry(Entry { user_id: user("bob"), ..entry() }),
            Row::Entry(Entry { number: 3, ..entry() }),
            Row::Entry(Entry { kind: EntryKind::Debit, ..entry() }),
            Row::Entry(Entry { amount: amount(201), ..entry() }),
            Row::Entry(Entry { balance_after: balance(801), ..entry() }),
            Row::Entry(Entry { reason: no_reason, ..entry() }),
            Row::Entry(Entry { reason: Some("".parse().unwrap()), ..entry() }),
            Row::Entry(Entry { request_id: RequestId(id), ..entry() }),
            Row::Entry(Entry { by: Some(user("clerk")), ..entry() }),
            Row::Entry(Entry { cause: id, ..entry() }),
            Row::Entry(Entry { at: at(10), ..entry() }),
            Row::Answer(answer()),
            Row::Answer(PaymentAnswer { payment_id: PaymentId(id), ..answer() }),
            Row::Answer(PaymentAnswer { kind: AnswerKind::Refund, ..answer() }),
            Row::Answer(PaymentAnswer { user_id: user("bob"), ..answer() }),
            Row::Answer(PaymentAnswer { amount: amount(201), ..answer() }),
            Row::Answer(PaymentAnswer { answer: Ok(balance(801)), ..answer() }),
            Row::Answer(PaymentAnswer { answer: Err(Code::InsufficientBalance), ..answer() }),
            Row::Answer(PaymentAnswer { answer: Err(Code::InvalidAmount), ..answer() }),
            Row::Answer(PaymentAnswer { at: at(10), ..answer() }),
        ];
        let digests: std::collections::BTreeSet<u64> = rows.iter().map(Row::digest).collect();
        assert_eq!(digests.len(), rows.len());
    }
}
