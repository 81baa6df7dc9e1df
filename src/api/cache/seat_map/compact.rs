//! The compact form of a seat map: one character a seat, for whoever knows the date's sections and plan already.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::section::Section;
use super::shown::Shown;
use super::since::Since;

/// In what form seats are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// An object a seat.
    #[default]
    Readable,
    /// `{"A":"AAHSX"}`, and for changes `{"A":{"H":[12,13]}}`.
    Compact,
}

impl Form {
    pub const ALL: [Form; 2] = [Form::Readable, Form::Compact];
}

impl Shown {
    /// What stands for it in the compact form.
    fn letter(self) -> char {
        match self {
            Shown::Available => 'A',
            Shown::Held => 'H',
            Shown::Sold => 'S',
            Shown::NotForSale => 'X',
        }
    }
}

/// Sections by name, each with the letters of its seats from number 1 on.
pub(super) fn letters<'a>(sections: impl Iterator<Item = &'a Section>) -> String {
    let mut object = Members::new();
    for section in sections {
        let out = object.member(section);
        out.reserve(section.seats() + 2);
        write_letters(out, section);
    }
    object.end()
}

/// Sections by name, each with the numbers that changed since then, by letter; of a section that was amended, all
/// letters. `None`: nothing did.
pub(super) fn changed_letters<'a>(sections: impl Iterator<Item = &'a Section>, since: Since<'_>) -> Option<String> {
    let mut object = Members::new();
    for section in sections {
        if section.is_amended(since) {
            write_letters(object.member(section), section);
            continue;
        }
        let mut numbers: BTreeMap<char, Vec<u32>> = BTreeMap::new();
        if section.is_touched(since) {
            section.each(|number, _, status, touched| {
                if touched.is_some_and(|seat| section.is_changed(seat, since)) {
                    numbers.entry(status.letter()).or_default().push(number);
                }
            });
        }
        if !numbers.is_empty() {
            write_numbers(object.member(section), &numbers);
        }
    }
    (!object.empty).then(|| object.end())
}

fn write_letters(out: &mut String, section: &Section) {
    out.push('"');
    section.each(|_, _, status, _| out.push(status.letter()));
    out.push('"');
}

fn write_numbers(out: &mut String, numbers: &BTreeMap<char, Vec<u32>>) {
    for (place, (letter, numbers)) in numbers.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(out, "{}\"{letter}\":[", if place == 0 { '{' } else { ',' });
        for (place, number) in numbers.iter().enumerate() {
            let _ = write!(out, "{}{number}", if place == 0 { "" } else { "," });
        }
        out.push(']');
    }
    out.push('}');
}

/// A JSON object being written, a member a section.
struct Members {
    out: String,
    empty: bool,
}

impl Members {
    fn new() -> Self {
        Members { out: "{".to_owned(), empty: true }
    }

    /// Where to write the section's value.
    fn member(&mut self, section: &Section) -> &mut String {
        let comma = if std::mem::take(&mut self.empty) { "" } else { "," };
        let _ = write!(self.out, "{comma}\"{}\":", section.json);
        &mut self.out
    }

    fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }
}
