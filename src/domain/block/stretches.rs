//! The free seats that `best_available` may give, as maximal stretches: neighbors of one run and one category.
//!
//! Each stretch lies in two trees by length, that of the block and that of its category, in order of section and
//! number. So a query looks at the first stretch of each length, not at seats: at most 102 lookups in a block of any size.

use std::collections::{BTreeMap, BTreeSet};

use super::SEATS_PER_HOLD_MAX;
use super::layout::Span;

/// A seat within its block: the section's rank, then the number. Their order is the order in which seats are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub rank: u32,
    pub number: u32,
}

/// Neighbors of one run and one category: the walls of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub rank: u32,
    pub span: Span,
    /// The category's number within the block.
    pub category: usize,
}

impl Segment {
    fn at(self, number: u32) -> Place {
        Place { rank: self.rank, number }
    }
}

/// Longer stretches count as this long: whatever a hold takes of one, two seats or more are left.
const LENGTH_MAX: u32 = SEATS_PER_HOLD_MAX + 2;

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scope {
    /// Rank of the section.
    pub section: Option<u32>,
    /// Number of the category within the block.
    pub category: Option<usize>,
}

/// Stretches by length, then by first seat.
#[derive(Debug, Clone, Default)]
struct ByLength(BTreeMap<u32, BTreeSet<Place>>);

impl ByLength {
    fn insert(&mut self, length: u32, first: Place) {
        self.0.entry(length.min(LENGTH_MAX)).or_default().insert(first);
    }

    fn remove(&mut self, length: u32, first: Place) {
        let length = length.min(LENGTH_MAX);
        if let Some(stretches) = self.0.get_mut(&length) {
            stretches.remove(&first);
            if stretches.is_empty() {
                self.0.remove(&length);
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Stretches {
    /// First seat of each stretch to the number of its last.
    lasts: BTreeMap<Place, u32>,
    block: ByLength,
    categories: Vec<ByLength>,
}

impl Stretches {
    pub(super) fn contains(&self, place: Place) -> bool {
        self.around(place).is_some()
    }

    /// The stretch this seat lies in.
    pub(super) fn around(&self, place: Place) -> Option<(Place, u32)> {
        let (first, last) = self.lasts.range(..=place).next_back()?;
        (first.rank == place.rank && place.number <= *last).then_some((*first, *last))
    }

    /// Whether this stretch lies where one looks.
    pub(super) fn is_in(&self, scope: Scope, first: Place, last: u32) -> bool {
        let length = (last - first.number + 1).min(LENGTH_MAX);
        let of_category = |category: usize| {
            let stretches = self.categories.get(category).and_then(|lengths| lengths.0.get(&length));
            stretches.is_some_and(|stretches| stretches.contains(&first))
        };
        scope.section.is_none_or(|rank| rank == first.rank) && scope.category.is_none_or(of_category)
    }

    /// Adds seats that are in no stretch so far.
    pub(super) fn insert(&mut self, segment: Segment, span: Span) {
        debug_assert!(segment.span.contains(span.first) && segment.span.contains(span.last));
        let mut joined = span;
        if span.first > segment.span.first
            && let Some((first, last)) = self.around(segment.at(span.first - 1))
        {
            self.cut(segment, first, last);
            joined.first = first.number;
        }
        if span.last < segment.span.last
            && let Some(last) = self.lasts.get(&segment.at(span.last + 1)).copied()
        {
            self.cut(segment, segment.at(span.last + 1), last);
            joined.last = last;
        }
        self.put(segment, joined);
    }

    /// Takes out one seat; whatever is left of its stretch stays.
    pub(super) fn remove(&mut self, segment: Segment, number: u32) {
        let Some((first, last)) = self.around(segment.at(number)) else { return };
        self.cut(segment, first, last);
        if first.number < number {
            self.put(segment, Span { first: first.number, last: number - 1 });
        }
        if number < last {
            self.put(segment, Span { first: number + 1, last });
        }
    }

    fn put(&mut self, segment: Segment, span: Span) {
        let first = segment.at(span.first);
        self.lasts.insert(first, span.last);
        self.block.insert(span.len(), first);
        if self.categories.len() <= segment.category {
            self.categories.resize_with(segment.category + 1, ByLength::default);
        }
        self.categories[segment.category].insert(span.len(), first);
    }

    fn cut(&mut self, segment: Segment, first: Place, last: u32) {
        let length = last - first.number + 1;
        self.lasts.remove(&first);
        self.block.remove(length, first);
        self.categories[segment.category].remove(length, first);
    }

    /// The lowest stretch of exactly `count` seats or at least two more that is not in `without`, else `None`.
    pub(super) fn fitting(&self, scope: Scope, count: u32, without: &BTreeSet<Place>) -> Option<Place> {
        let exact = self.first_of(scope, count..=count, without);
        let longer = self.first_of(scope, count + 2..=LENGTH_MAX, without);
        exact.into_iter().chain(longer).min()
    }

    /// The lowest stretch of at least `count` seats that is not in `without`.
    pub(super) fn lowest(&self, scope: Scope, count: u32, without: &BTreeSet<Place>) -> Option<Place> {
        self.first_of(scope, count..=LENGTH_MAX, without)
    }

    fn first_of(
        &self,
        scope: Scope,
        lengths: std::ops::RangeInclusive<u32>,
        without: &BTreeSet<Place>,
    ) -> Option<Place> {
        let by_length = match scope.category {
            None => &self.block,
            Some(category) => self.categories.get(category)?,
        };
        let (from, to) = match scope.section {
            None => (0, u32::MAX),
            Some(rank) => (rank, rank),
        };
        let bounds = Place { rank: from, number: 0 }..=Place { rank: to, number: u32::MAX };
        let first = |stretches: &BTreeSet<Place>| {
            let mut inside = stretches.range(bounds.clone()).copied();
            inside.find(|place| !without.contains(place))
        };
        by_length.0.range(lengths).filter_map(|(_, stretches)| first(stretches)).min()
    }

    /// Forgets a section, before it is added anew.
    pub(super) fn remove_section(&mut self, rank: u32, segments: &[Segment]) {
        for segment in segments {
            let bounds = segment.at(segment.span.first)..=segment.at(segment.span.last);
            let inside: Vec<(Place, u32)> = self.lasts.range(bounds).map(|(first, last)| (*first, *last)).collect();
            for (first, last) in inside {
                self.cut(*segment, first, last);
            }
        }
        debug_assert!(self.lasts.range(Place { rank, number: 0 }..).next().is_none_or(|(first, _)| first.rank > rank));
    }

    /// First and last seat of each stretch, in order.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<(Place, u32)> {
        self.lasts.iter().map(|(first, last)| (*first, *last)).collect()
    }
}
