//! How a section lies and how many of its seats are free, as text.

use std::borrow::Cow;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::cells::corrupt;
use super::json::{parse, to_text};
use crate::domain::Amount;
use crate::domain::block::{Category, CountTable, Counts, Layout, LayoutParts, Span};
use crate::store::StoreError;

type Spans = Vec<(u32, u32)>;

/// Lists that most sections do not have are left out.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    seats: u32,
    runs: Spans,
    categories: Vec<(Cow<'a, str>, i64)>,
    /// First and last seat, index of the category.
    category_runs: Vec<(u32, u32, u16)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_for_sale: Spans,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wheelchair: Spans,
    /// Companion seat, wheelchair place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    companions: Spans,
}

pub(super) fn layout(layout: &Layout) -> String {
    let spans = |spans: &[Span]| spans.iter().map(|span| (span.first, span.last)).collect();
    let LayoutParts { seats, runs, categories, category_runs, not_for_sale, wheelchair, companions } = layout.parts();
    let (categories, category_runs) = (categories.iter(), category_runs.iter());
    to_text(&Stored {
        seats: *seats,
        runs: spans(runs),
        categories: categories.map(|category| (category.name.as_str().into(), category.price.get())).collect(),
        category_runs: category_runs.map(|(span, category)| (span.first, span.last, *category)).collect(),
        not_for_sale: spans(not_for_sale),
        wheelchair: spans(wheelchair),
        companions: companions.clone(),
    })
}

pub(super) fn parse_layout(text: &str) -> Result<Layout, StoreError> {
    let stored: Stored = parse("layout", text)?;
    let spans = |spans: Spans| spans.into_iter().map(|(first, last)| Span { first, last }).collect();
    let category = |(name, price): (Cow<'_, str>, i64)| {
        let (name, price) = (name.parse(), Amount::price(price));
        let invalid = |error| corrupt("layout", error);
        Ok(Category { name: name.map_err(invalid)?, price: price.map_err(invalid)? })
    };
    let category_runs = stored.category_runs.into_iter();
    let parts = LayoutParts {
        seats: stored.seats,
        runs: spans(stored.runs),
        categories: stored.categories.into_iter().map(category).collect::<Result<_, StoreError>>()?,
        category_runs: category_runs.map(|(first, last, category)| (Span { first, last }, category)).collect(),
        not_for_sale: spans(stored.not_for_sale),
        wheelchair: spans(stored.wheelchair),
        companions: stored.companions,
    };
    Layout::new(parts).map_err(|error| corrupt("layout", error))
}

/// `120,40 3 1;30`: sections by `;`, categories by `,`, zeros at the end left out. Written with every commit of a block
/// of up to 500 sections, so it is half as long as JSON: 2 KiB, above which PostgreSQL stores a row in pieces.
pub(super) fn counts(sections: &CountTable) -> String {
    let mut text = String::new();
    for (place, section) in sections.iter().enumerate() {
        if place > 0 {
            text.push(';');
        }
        for (place, Counts { free, blocked, companions }) in section.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            // Writing to a String cannot fail.
            let _ = match (blocked, companions) {
                (0, 0) => write!(text, "{comma}{free}"),
                (blocked, 0) => write!(text, "{comma}{free} {blocked}"),
                (blocked, companions) => write!(text, "{comma}{free} {blocked} {companions}"),
            };
        }
    }
    text
}

pub(super) fn parse_counts(text: &str) -> Result<CountTable, StoreError> {
    let category = |text: &str| {
        let mut numbers = [0; 3];
        for (place, number) in text.split(' ').enumerate() {
            *numbers.get_mut(place)? = number.parse().ok()?;
        }
        let [free, blocked, companions] = numbers;
        Some(Counts { free, blocked, companions })
    };
    let section = |text: &str| text.split(',').map(category).collect();
    let sections: Option<Vec<Vec<Counts>>> = text.split_terminator(';').map(section).collect();
    sections.map(CountTable::from).ok_or_else(|| corrupt("counts", format!("{text:?} is unknown")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_back_and_are_short() {
        let of = |free, blocked, companions| Counts { free, blocked, companions };
        let written = vec![vec![of(120, 0, 0), of(40, 3, 1)], vec![of(7, 0, 2)], vec![of(0, 0, 0), of(9, 4, 0)]];
        let written = CountTable::from(written);
        let text = counts(&written);
        assert_eq!(text, "120,40 3 1;7 0 2;0,9 4");
        assert_eq!(parse_counts(&text), Ok(written));
        assert_eq!(parse_counts(""), Ok(CountTable::default()));
        for bad in ["x", "1,", "1 2 3 4", "-1", ";"] {
            assert!(parse_counts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_layout_that_is_none_is_refused() {
        for bad in ["", "{}", r#"{"seats":1,"runs":[[1,1]],"categories":[["",1]],"category_runs":[[1,1,0]]}"#] {
            assert!(parse_layout(bad).is_err(), "{bad}");
        }
    }
}
