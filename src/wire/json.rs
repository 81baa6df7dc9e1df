//! Writes JSON objects field by field, in the order given, without building a tree first.

use std::fmt::{Display, Write};

use super::time::rfc3339;
use crate::domain::{LogTime, SeatId};

/// An object being written; closed by [`Object::write`].
pub(super) struct Object<'a> {
    out: &'a mut String,
    empty: bool,
}

impl Object<'_> {
    /// Appends one object to `out`.
    pub(super) fn write(out: &mut String, fields: impl FnOnce(&mut Object<'_>)) {
        out.push('{');
        let mut object = Object { out, empty: true };
        fields(&mut object);
        out.push('}');
    }

    fn name(&mut self, name: &str) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    /// A number or a boolean.
    pub(super) fn bare(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        let _ = write!(self.out, "{value}");
        self
    }

    pub(super) fn bare_if(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.bare(name, value),
            None => self,
        }
    }

    /// A text of characters that need no escaping: ids, block names, codes.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        self.out.push('"');
        let _ = write!(self.out, "{value}");
        self.out.push('"');
        self
    }

    pub(super) fn time(&mut self, name: &str, value: LogTime) -> &mut Self {
        self.plain(name, rfc3339(value))
    }

    pub(super) fn time_if(&mut self, name: &str, value: Option<LogTime>) -> &mut Self {
        match value {
            Some(value) => self.time(name, value),
            None => self,
        }
    }

    /// A text that may hold anything, like all that people name.
    pub(super) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        self.out.push('"');
        escape(self.out, value);
        self.out.push('"');
        self
    }

    pub(super) fn text_if(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// `{section}-{number}`
    pub(super) fn seat(&mut self, name: &str, seat: &SeatId) -> &mut Self {
        self.name(name);
        write_seat(self.out, seat);
        self
    }

    pub(super) fn seats(&mut self, name: &str, seats: &[SeatId]) -> &mut Self {
        self.list(name, seats, write_seat)
    }

    pub(super) fn null(&mut self, name: &str) -> &mut Self {
        self.bare(name, "null")
    }

    pub(super) fn object(&mut self, name: &str, fields: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        self.name(name);
        Object::write(self.out, fields);
        self
    }

    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut String, T),
    ) -> &mut Self {
        self.name(name);
        self.out.push('[');
        for (i, value) in items.into_iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            item(self.out, value);
        }
        self.out.push(']');
        self
    }

    /// A list of texts that need no escaping.
    pub(super) fn plains<T: Display>(&mut self, name: &str, items: impl IntoIterator<Item = T>) -> &mut Self {
        self.list(name, items, |out, value| {
            let _ = write!(out, "\"{value}\"");
        })
    }

    /// A list of objects.
    pub(super) fn objects<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fields: impl FnMut(&mut Object<'_>, T),
    ) -> &mut Self {
        self.list(name, items, |out, value| Object::write(out, |o| fields(o, value)))
    }
}

fn write_seat(out: &mut String, seat: &SeatId) {
    out.push('"');
    escape(out, seat.section.as_str());
    let _ = write!(out, "-{}\"", seat.number);
}

/// The inside of a JSON string. Most texts need no escaping and are copied as they are.
fn escape(out: &mut String, text: &str) {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        // Escaped bytes are ASCII, so both ends are character boundaries.
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        let _ = match byte {
            b'"' | b'\\' => write!(out, "\\{}", char::from(byte)),
            _ => write!(out, "\\u{byte:04x}"),
        };
    }
    out.push_str(&text[plain_from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_string_is_escaped_and_the_rest_is_not() {
        let text = "\"Süd\"\\\n\u{0}\u{1f} \u{7f}😀";
        let mut out = String::new();
        Object::write(&mut out, |o| {
            o.text("a", text).seat("b", &"x\"y-1".parse().unwrap());
        });
        assert_eq!(out, "{\"a\":\"\\\"Süd\\\"\\\\\\u000a\\u0000\\u001f \u{7f}😀\",\"b\":\"x\\\"y-1\"}");
        let read: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(read["a"], text);
    }
}
