//! Writes JSON objects field by field, in the order given, without building a tree first.

use std::fmt::{Display, Write};

use crate::domain::LogTime;

use super::time::rfc3339;

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
        let _ = write!(self.out, "\"{name}\":");
    }

    /// A number or a boolean.
    pub(super) fn bare(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        let _ = write!(self.out, "{value}");
        self
    }

    /// A text of characters that need no escaping: ids, names, codes.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        let _ = write!(self.out, "\"{value}\"");
        self
    }

    pub(super) fn time(&mut self, name: &str, value: LogTime) -> &mut Self {
        self.plain(name, rfc3339(value))
    }

    /// A text that may hold anything.
    pub(super) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        // `Value`'s Display is compact JSON and cannot fail on a string.
        let _ = write!(self.out, "{}", serde_json::Value::from(value));
        self
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

    pub(super) fn numbers<T: Display>(&mut self, name: &str, items: impl IntoIterator<Item = T>) -> &mut Self {
        self.list(name, items, |out, value| {
            let _ = write!(out, "{value}");
        })
    }

    /// A list of texts that need no escaping.
    pub(super) fn plains<T: Display>(&mut self, name: &str, items: impl IntoIterator<Item = T>) -> &mut Self {
        self.list(name, items, |out, value| {
            let _ = write!(out, "\"{value}\"");
        })
    }
}
