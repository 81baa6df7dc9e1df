//! What is wrong with a file, and what is merely odd.

use std::collections::HashMap;
use std::fmt;

/// Kinds of warnings that are listed; a file has as many kinds as it has unknown fields.
pub const WARNINGS_MAX: usize = 100;

/// Why a file is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PlanError {
    /// A JSON pointer, `line 7` of a CSV file, or nothing for the whole file.
    pub at: String,
    pub message: String,
}

impl PlanError {
    pub fn new(at: impl fmt::Display, message: impl Into<String>) -> Self {
        PlanError { at: at.to_string(), message: message.into() }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_str() {
            "" => f.write_str(&self.message),
            at => write!(f, "{at}: {}", self.message),
        }
    }
}

/// Something that was ignored, replaced or guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it was first: as of [`PlanError`].
    pub at: String,
    pub message: String,
    /// How often the same happened.
    pub count: u64,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.message)?;
        if self.count > 1 { write!(f, " ({} times)", self.count) } else { Ok(()) }
    }
}

/// Warnings by their message, in the order of their first place.
#[derive(Debug, Default)]
pub struct Warnings {
    list: Vec<Warning>,
    by_message: HashMap<String, usize>,
    unlisted: u64,
}

impl Warnings {
    /// What is not to be told apart goes into one message.
    pub fn note(&mut self, at: impl fmt::Display, message: impl Into<String>) {
        let message = message.into();
        match self.by_message.get(&message) {
            Some(known) => self.list[*known].count += 1,
            None if self.list.len() == WARNINGS_MAX => self.unlisted += 1,
            None => {
                self.by_message.insert(message.clone(), self.list.len());
                self.list.push(Warning { at: at.to_string(), message, count: 1 });
            }
        }
    }

    pub fn into_list(mut self) -> Vec<Warning> {
        if self.unlisted > 0 {
            let message = format!("{} more warnings are not listed", self.unlisted);
            self.list.push(Warning { at: String::new(), message, count: 1 });
        }
        self.list
    }
}

/// A JSON pointer that is written only if somebody reads it.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    Root,
    Member(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Root => Ok(()),
            At::Member(parent, name) => write!(f, "{parent}/{}", name.replace('~', "~0").replace('/', "~1")),
            At::Item(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped() {
        let zones = At::Member(&At::Root, "zones");
        let zone = At::Item(&zones, 3);
        assert_eq!(At::Member(&zone, "a/b~c").to_string(), "/zones/3/a~1b~0c");
        assert_eq!(At::Root.to_string(), "");
    }

    #[test]
    fn warnings_are_counted_and_bounded() {
        let mut warnings = Warnings::default();
        for index in 0..WARNINGS_MAX + 7 {
            warnings.note(At::Item(&At::Root, index), "the same");
            warnings.note(At::Item(&At::Root, index), format!("kind {index}"));
        }
        let list = warnings.into_list();
        assert_eq!(list.len(), WARNINGS_MAX + 1);
        assert_eq!(list[0].to_string(), format!("/0: the same ({} times)", WARNINGS_MAX + 7));
        assert_eq!(list[WARNINGS_MAX].to_string(), "8 more warnings are not listed");
    }
}
