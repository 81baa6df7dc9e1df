//! How the values of fields are read.

use std::borrow::Cow;

use uuid::Uuid;

use super::fields::Field;
use super::time::parse_rfc3339;
use crate::domain::block::SaleState;
use crate::domain::queue::OnTimeout;
use crate::domain::wallet::AnswerKind;
use crate::domain::{
    Amount, Balance, BlockName, CategoryName, Code, CommandKind, Fingerprint, Lane, LogTime, PaymentId, Reason,
    RequestId, ReservationId, ScheduleId, SeatId, SectionName, UserId,
};

/// Offsets, serials and sequence numbers end where a signed 64-bit column does.
pub(super) const OFFSET_MAX: u64 = i64::MAX as u64;

macro_rules! read_by_serde {
    ($($type:ty: $expected:literal;)+) => {$(
        impl Field for $type {
            fn read(json: &str) -> Result<Self, Cow<'static, str>> {
                serde_json::from_str(json).map_err(|_| $expected.into())
            }
        }
    )+};
}

read_by_serde! {
    u16: "not an integer of 0 to 65535";
    u32: "not an integer of 0 to 4294967295";
    u64: "not an integer of 0 to 18446744073709551615";
    i64: "not a 64-bit integer";
    bool: "not true or false";
    Vec<u64>: "not a list of integers of 0 or more";
    Vec<(u32, u32)>: "not a list of pairs of integers";
    Vec<(u64, u64, i64)>: "not a list of [first, count, milliseconds]";
    Vec<(u32, u32, u16)>: "not a list of triples of integers";
}

/// Without U+0000, which PostgreSQL cannot hold in a text: two stores must not differ in what a log gives.
impl Field for String {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        match serde_json::from_str::<String>(json) {
            Ok(text) if text.contains('\0') => Err("holds U+0000".into()),
            Ok(text) => Ok(text),
            Err(_) => Err("not a text".into()),
        }
    }
}

/// A text that mostly needs no copy.
fn text(json: &str) -> Result<Cow<'_, str>, Cow<'static, str>> {
    let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => String::read(json).map(Cow::Owned),
    }
}

impl Field for Uuid {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        uuid(&text(json)?).ok_or_else(|| "not a UUID".into())
    }
}

/// Only the usual form with hyphens: one spelling for one id.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    text.parse::<uuid::fmt::Hyphenated>().ok().map(uuid::fmt::Hyphenated::into_uuid)
}

macro_rules! read_ids {
    ($($id:ident),+) => {$(
        impl Field for $id {
            fn read(json: &str) -> Result<Self, Cow<'static, str>> {
                Uuid::read(json).map($id)
            }
        }
    )+};
}

read_ids!(RequestId, ScheduleId, ReservationId, PaymentId);

macro_rules! read_parsed {
    ($($type:ident),+ $(,)?) => {$(
        impl Field for $type {
            fn read(json: &str) -> Result<Self, Cow<'static, str>> {
                text(json)?.parse::<$type>().map_err(|error| error.0.into())
            }
        }
    )+};
}

read_parsed!(
    UserId,
    SectionName,
    CategoryName,
    BlockName,
    Reason,
    SeatId,
    Code,
    CommandKind,
    Lane,
    OnTimeout,
    SaleState,
    AnswerKind,
);

impl Field for LogTime {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        parse_rfc3339(&text(json)?).ok_or_else(|| "not an RFC 3339 time".into())
    }
}

impl Field for Amount {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        Amount::new(i64::read(json)?).map_err(|error| error.0.into())
    }
}

/// What one seat costs.
pub(super) struct Price(pub(super) Amount);

impl Field for Price {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        Amount::price(i64::read(json)?).map(Price).map_err(|error| error.0.into())
    }
}

impl Field for Balance {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        Balance::new(i64::read(json)?).map_err(|error| error.0.into())
    }
}

impl Field for Fingerprint {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        fingerprint(&text(json)?).ok_or_else(|| "not 16 lower-case hex digits".into())
    }
}

/// 16 lower-case hex digits.
pub(super) fn fingerprint(text: &str) -> Option<Fingerprint> {
    let plain = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if plain { u64::from_str_radix(text, 16).ok().map(Fingerprint) } else { None }
}

/// What [`fingerprint`] reads.
pub(super) fn fingerprint_text(fingerprint: Fingerprint) -> String {
    format!("{:016x}", fingerprint.0)
}
