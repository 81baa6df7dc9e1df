//! Reads the fields of a JSON object one by one, so that a refusal can name the field that is wrong.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::CommandKind;

/// Why bytes are not a command or an outcome; its text is the dead letter's reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(Cow<'static, str>);

impl DecodeError {
    pub(super) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        DecodeError(reason.into())
    }

    pub(super) fn field(name: &str, reason: impl fmt::Display) -> Self {
        DecodeError(format!("field {name}: {reason}").into())
    }

    /// The same, of a field of the nested object `name`.
    pub(super) fn within(self, name: impl fmt::Display) -> Self {
        DecodeError(format!("{name}: {}", self.0).into())
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

    /// The JSON text of a field.
    pub(super) fn raw(&self, name: &str) -> Result<Option<&'a RawValue>, DecodeError> {
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
        self.optional(name)?.ok_or_else(|| missing(name))
    }

    /// A field that may be missing or null.
    pub(super) fn optional<T: Field>(&self, name: &str) -> Result<Option<T>, DecodeError> {
        Ok(self.nullable(name)?.flatten())
    }

    /// A field for which missing (`None`) and null (`Some(None)`) mean different things.
    pub(super) fn nullable<T: Field>(&self, name: &str) -> Result<Option<Option<T>>, DecodeError> {
        match self.raw(name)? {
            None => Ok(None),
            Some(raw) if raw.get() == "null" => Ok(Some(None)),
            Some(raw) => T::read(raw.get()).map(|value| Some(Some(value))).map_err(|e| DecodeError::field(name, e)),
        }
    }

    /// A number that must be there and within bounds.
    pub(super) fn within<T: Number>(&self, name: &str, bounds: RangeInclusive<T>) -> Result<T, DecodeError> {
        self.optional_within(name, bounds)?.ok_or_else(|| missing(name))
    }

    /// A number that may be missing or null, and otherwise is within bounds.
    pub(super) fn optional_within<T: Number>(
        &self,
        name: &str,
        bounds: RangeInclusive<T>,
    ) -> Result<Option<T>, DecodeError> {
        let value = self.optional::<T>(name)?;
        match value {
            Some(number) if !bounds.contains(&number) => {
                let (least, most) = bounds.into_inner();
                Err(DecodeError::field(name, format_args!("must be {least} to {most}, is {number}")))
            }
            _ => Ok(value),
        }
    }

    fn items(&self, name: &str) -> Result<Option<Vec<&'a RawValue>>, DecodeError> {
        match self.raw(name)? {
            Some(raw) if raw.get() != "null" => {
                serde_json::from_str(raw.get()).map(Some).map_err(|_| DecodeError::field(name, "not a list"))
            }
            _ => Ok(None),
        }
    }

    /// A list that may be missing or null, and otherwise has a number of entries within bounds. An entry that is wrong
    /// is named by its index.
    pub(super) fn list<T: Field>(
        &self,
        name: &str,
        entries: RangeInclusive<usize>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(items) = self.items(name)? else { return Ok(None) };
        count(name, items.len(), entries)?;
        let read = |(i, raw): (usize, &&RawValue)| {
            T::read(raw.get()).map_err(|error| DecodeError::field(&format!("{name}[{i}]"), error))
        };
        items.iter().enumerate().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// A list of objects that may be missing or null, each read by `read`.
    pub(super) fn objects<T>(
        &self,
        name: &str,
        entries: RangeInclusive<usize>,
        read: impl Fn(&Fields<'_>) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(items) = self.items(name)? else { return Ok(None) };
        count(name, items.len(), entries)?;
        let read = |(i, raw): (usize, &&RawValue)| {
            let path = || format!("{name}[{i}]");
            let fields = serde_json::from_str(raw.get()).map_err(|_| DecodeError::field(&path(), "not an object"))?;
            read(&fields).map_err(|error| error.within(path()))
        };
        items.iter().enumerate().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// A nested object that may be missing or null, read by `read`.
    pub(super) fn optional_object<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Fields<'_>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.raw(name)? {
            Some(raw) if raw.get() != "null" => {
                let fields = serde_json::from_str(raw.get()).map_err(|_| DecodeError::field(name, "not an object"))?;
                read(&fields).map(Some).map_err(|error| error.within(name))
            }
            _ => Ok(None),
        }
    }

    /// A nested object that must be there, read by `read`.
    pub(super) fn object<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Fields<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.optional_object(name, read)?.ok_or_else(|| missing(name))
    }
}

pub(super) fn missing(name: &str) -> DecodeError {
    DecodeError::field(name, "missing")
}

/// A kind that is not among the readers of its lane; the samples of all kinds show that there is none.
pub(super) fn no_reader(kind: CommandKind) -> DecodeError {
    DecodeError::new(format!("type {kind} cannot be read"))
}

/// Whether a list has a number of entries within bounds.
pub(super) fn count(name: &str, has: usize, entries: RangeInclusive<usize>) -> Result<(), DecodeError> {
    if entries.contains(&has) {
        return Ok(());
    }
    let (least, most) = entries.into_inner();
    Err(DecodeError::field(name, format_args!("must have {least} to {most} entries, has {has}")))
}

/// The entries sorted; none may be there twice.
pub(super) fn ascending<T: Ord + fmt::Display>(name: &str, mut entries: Vec<T>) -> Result<Vec<T>, DecodeError> {
    entries.sort_unstable();
    match entries.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(DecodeError::field(name, format_args!("{} is there twice", pair[0]))),
        None => Ok(entries),
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

/// A field with bounds.
pub(super) trait Number: Field + PartialOrd + fmt::Display + Copy {}

impl<T: Field + PartialOrd + fmt::Display + Copy> Number for T {}
