//! Reads the fields of a JSON object one by one, so that a refusal can name the field that is wrong.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::domain::{
    Code, Lane, LogTime, PaymentId, RequestId, ReservationId, ScheduleId, SectionName, UserId, queue::OnTimeout,
};

use super::time::parse_rfc3339;

/// Why bytes are not a command or an outcome; its text is the dead letter's reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub(super) Cow<'static, str>);

impl DecodeError {
    pub(super) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        DecodeError(reason.into())
    }

    pub(super) fn field(name: &str, reason: impl fmt::Display) -> Self {
        DecodeError(format!("field {name}: {reason}").into())
    }
}

/// What parsers say is for people to read; the reason of a dead letter travels in a header.
fn cut(mut said: String) -> String {
    const SAID_MAX: usize = 200;
    if let Some((end, _)) = said.char_indices().nth(SAID_MAX) {
        said.truncate(end);
        said.push('…');
    }
    said
}

/// A stranger's text for an error message: escaped, so that it cannot break a log line or a database, and cut short.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 64;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The fields of one object, each still as its own JSON text.
pub(super) struct Fields<'a>(Vec<(Key<'a>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    /// The object in `bytes`, which must be UTF-8 and hold nothing else.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::new("not UTF-8"))?;
        // A text in place of an object is quoted in the error, however long it is.
        serde_json::from_str(text).map_err(|error| DecodeError(cut(format!("not a JSON object: {error}")).into()))
    }

    fn find(&self, name: &str) -> Result<Option<&'a RawValue>, DecodeError> {
        let mut found = self.0.iter().filter(|(key, _)| key.0 == name);
        let first = found.next().map(|(_, value)| *value);
        // JSON readers differ in which of two they take; a service that sends two does not know what it asks.
        if found.next().is_some() {
            return Err(DecodeError::field(name, "given twice"));
        }
        Ok(first)
    }

    /// A field that must be there and not null.
    pub(super) fn required<T: Field>(&self, name: &str) -> Result<T, DecodeError> {
        self.optional(name)?.ok_or_else(|| DecodeError::field(name, "missing"))
    }

    /// A field that may be missing or null.
    pub(super) fn optional<T: Field>(&self, name: &str) -> Result<Option<T>, DecodeError> {
        Ok(self.nullable(name)?.flatten())
    }

    /// A field for which missing (`None`) and null (`Some(None)`) mean different things.
    pub(super) fn nullable<T: Field>(&self, name: &str) -> Result<Option<Option<T>>, DecodeError> {
        match self.find(name)? {
            None => Ok(None),
            Some(raw) if raw.get() == "null" => Ok(Some(None)),
            Some(raw) => T::read(raw.get()).map(|value| Some(Some(value))).map_err(|e| DecodeError::field(name, e)),
        }
    }

    /// A number that must be there and within bounds, both included.
    pub(super) fn within<T>(&self, name: &str, least: T, most: T) -> Result<T, DecodeError>
    where
        T: Field + PartialOrd + fmt::Display + Copy,
    {
        self.optional_within(name, least, most)?.ok_or_else(|| DecodeError::field(name, "missing"))
    }

    /// A number that may be missing or null, and otherwise is within bounds, both included.
    pub(super) fn optional_within<T>(&self, name: &str, least: T, most: T) -> Result<Option<T>, DecodeError>
    where
        T: Field + PartialOrd + fmt::Display + Copy,
    {
        let value = self.optional::<T>(name)?;
        match value {
            Some(number) if number < least || number > most => {
                Err(DecodeError::field(name, format_args!("must be {least} to {most}, is {number}")))
            }
            _ => Ok(value),
        }
    }

    /// A nested object that may be missing or null.
    pub(super) fn optional_object(&self, name: &str) -> Result<Option<Fields<'a>>, DecodeError> {
        match self.find(name)? {
            Some(raw) if raw.get() != "null" => match serde_json::from_str(raw.get()) {
                Ok(fields) => Ok(Some(fields)),
                Err(_) => Err(DecodeError::field(name, "not an object")),
            },
            _ => Ok(None),
        }
    }

    /// A nested object that must be there.
    pub(super) fn object(&self, name: &str) -> Result<Fields<'a>, DecodeError> {
        self.optional_object(name)?.ok_or_else(|| DecodeError::field(name, "missing"))
    }

    /// The JSON text of a field.
    pub(super) fn raw(&self, name: &str) -> Result<Option<&'a RawValue>, DecodeError> {
        self.find(name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(12);
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A value that reads itself from the JSON text of one field, or says what it should have been.
pub(super) trait Field: Sized {
    fn read(json: &str) -> Result<Self, Cow<'static, str>>;
}

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
    u32: "not an integer of 0 to 4294967295";
    u64: "not an integer of 0 to 18446744073709551615";
    i64: "not a 64-bit integer";
    bool: "not true or false";
    Vec<u32>: "not a list of integers of 0 to 4294967295";
    Vec<u64>: "not a list of integers of 0 or more";
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
        let text = text(json)?;
        // Only the usual form with hyphens: one spelling for one id.
        let id = text.parse::<uuid::fmt::Hyphenated>().map_err(|_| "not a UUID")?;
        Ok(id.into_uuid())
    }
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
    ($($type:ident),+) => {$(
        impl Field for $type {
            fn read(json: &str) -> Result<Self, Cow<'static, str>> {
                text(json)?.parse::<$type>().map_err(|error| error.0.into())
            }
        }
    )+};
}

read_parsed!(UserId, SectionName, Code, Lane);

impl Field for LogTime {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        parse_rfc3339(&text(json)?).ok_or_else(|| "not an RFC 3339 time".into())
    }
}

impl Field for OnTimeout {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        OnTimeout::parse(&text(json)?).ok_or_else(|| "must be requeue or expire".into())
    }
}
