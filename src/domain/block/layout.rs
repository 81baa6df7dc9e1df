//! How the seats of a section lie: neighbors, categories, flags. Seats are numbered from 1.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::names::{CategoryName, SectionName};
use crate::domain::{Amount, InvalidText};

/// Most seats of a section.
pub const SECTION_SEATS_MAX: u32 = 100_000;
/// Most categories of a section.
pub const CATEGORIES_MAX: usize = 100;

/// Consecutive seat numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub first: u32,
    pub last: u32,
}

impl Span {
    pub fn len(self) -> u32 {
        self.last - self.first + 1
    }

    pub fn is_empty(self) -> bool {
        self.last < self.first
    }

    pub fn contains(self, number: u32) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

/// What a group of seats costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    pub name: CategoryName,
    /// Of one seat; 0 is free.
    pub price: Amount,
}

/// What a section is made of; valid by construction, see [`Layout::new`]. A clone is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Arc<LayoutParts>);

/// The parts of a [`Layout`], unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LayoutParts {
    /// 1..=[`SECTION_SEATS_MAX`]
    pub seats: u32,
    /// Neighbors: disjoint, ascending, covering every seat. A run ends at a row's end or an aisle.
    pub runs: Vec<Span>,
    /// 1..=[`CATEGORIES_MAX`], each name once.
    pub categories: Vec<Category>,
    /// Disjoint, ascending, covering every seat; the number is the index of the category.
    pub category_runs: Vec<(Span, u16)>,
    /// Disjoint, ascending.
    pub not_for_sale: Vec<Span>,
    /// Disjoint, ascending.
    pub wheelchair: Vec<Span>,
    /// (companion seat, its wheelchair place), ascending by companion seat, each once; the place is a wheelchair seat
    /// and the companion seat is none.
    pub companions: Vec<(u32, u32)>,
}

impl Layout {
    /// Refuses parts that are not what [`LayoutParts`] says.
    pub fn new(parts: LayoutParts) -> Result<Layout, InvalidText> {
        if !(1..=SECTION_SEATS_MAX).contains(&parts.seats) {
            return Err(InvalidText("a section has 1 to 100000 seats"));
        }
        check(cover(parts.seats, parts.runs.iter().copied()), "runs must cover every seat once, ascending")?;
        check_categories(&parts)?;
        let (not_for_sale, wheelchair) = (&parts.not_for_sale, &parts.wheelchair);
        check(ascend(parts.seats, not_for_sale), "not_for_sale must be ascending, disjoint, within the seats")?;
        check(ascend(parts.seats, wheelchair), "wheelchair must be ascending, disjoint, within the seats")?;
        check_companions(&parts)?;
        Ok(Layout(Arc::new(parts)))
    }

    /// One run and one category named like the section.
    pub fn plain(seats: u32, name: &SectionName, price: Amount) -> Result<Layout, InvalidText> {
        let all = Span { first: 1, last: seats };
        Layout::new(LayoutParts {
            seats,
            runs: vec![all],
            categories: vec![Category { name: name.as_str().parse()?, price }],
            category_runs: vec![(all, 0)],
            ..LayoutParts::default()
        })
    }

    pub fn parts(&self) -> &LayoutParts {
        &self.0
    }

    pub fn seats(&self) -> u32 {
        self.0.seats
    }

    pub fn categories(&self) -> &[Category] {
        &self.0.categories
    }

    pub fn runs(&self) -> &[Span] {
        &self.0.runs
    }

    pub fn category_runs(&self) -> &[(Span, u16)] {
        &self.0.category_runs
    }

    pub fn not_for_sale(&self) -> &[Span] {
        &self.0.not_for_sale
    }

    pub fn wheelchair(&self) -> &[Span] {
        &self.0.wheelchair
    }

    pub fn companions(&self) -> &[(u32, u32)] {
        &self.0.companions
    }

    /// The neighbors of a seat and itself. Panics on a number that is no seat, like all lookups by number.
    pub fn run_of(&self, number: u32) -> Span {
        self.0.runs[self.0.runs.partition_point(|run| run.last < number)]
    }

    /// The index of a seat's category.
    pub fn category_of(&self, number: u32) -> usize {
        let runs = &self.0.category_runs;
        usize::from(runs[runs.partition_point(|(run, _)| run.last < number)].1)
    }

    pub fn price_of(&self, number: u32) -> Amount {
        self.0.categories[self.category_of(number)].price
    }

    pub fn is_for_sale(&self, number: u32) -> bool {
        !within(&self.0.not_for_sale, number)
    }

    pub fn is_wheelchair(&self, number: u32) -> bool {
        within(&self.0.wheelchair, number)
    }

    /// The wheelchair place of a companion seat; `None`: it is no companion seat.
    pub fn place_of(&self, number: u32) -> Option<u32> {
        let companions = &self.0.companions;
        let found = companions.binary_search_by_key(&number, |(seat, _)| *seat).ok()?;
        Some(companions[found].1)
    }
}

fn check(holds: bool, error: &'static str) -> Result<(), InvalidText> {
    if holds { Ok(()) } else { Err(InvalidText(error)) }
}

/// Whether the spans follow each other without a gap from seat 1 to the last.
fn cover(seats: u32, spans: impl Iterator<Item = Span>) -> bool {
    let mut next = 1;
    for span in spans {
        if span.first != next || span.last < span.first || span.last > seats {
            return false;
        }
        next = span.last + 1;
    }
    next == seats + 1
}

fn ascend(seats: u32, spans: &[Span]) -> bool {
    let mut next = 1;
    spans.iter().all(|span| {
        let fits = span.first >= next && span.first <= span.last && span.last <= seats;
        next = span.last.saturating_add(1);
        fits
    })
}

fn within(spans: &[Span], number: u32) -> bool {
    let found = spans.partition_point(|span| span.last < number);
    spans.get(found).is_some_and(|span| span.contains(number))
}

fn check_categories(parts: &LayoutParts) -> Result<(), InvalidText> {
    let LayoutParts { seats, categories, category_runs, .. } = parts;
    check((1..=CATEGORIES_MAX).contains(&categories.len()), "a section has 1 to 100 categories")?;
    let names: BTreeSet<&CategoryName> = categories.iter().map(|category| &category.name).collect();
    check(names.len() == categories.len(), "a category is there twice")?;
    check(
        cover(*seats, category_runs.iter().map(|(span, _)| *span)),
        "categories must cover every seat once, ascending",
    )?;
    let known = category_runs.iter().all(|(_, category)| usize::from(*category) < categories.len());
    check(known, "a seat has a category that is not there")
}

fn check_companions(parts: &LayoutParts) -> Result<(), InvalidText> {
    let LayoutParts { seats, wheelchair, companions, .. } = parts;
    check(companions.is_sorted_by(|a, b| a.0 < b.0), "companion seats must be ascending, each once")?;
    let fits = companions
        .iter()
        .all(|(seat, place)| (1..=*seats).contains(seat) && within(wheelchair, *place) && !within(wheelchair, *seat));
    check(fits, "a companion seat belongs to a wheelchair place and is none")
}
