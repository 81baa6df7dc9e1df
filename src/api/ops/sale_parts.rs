//! What one date has sold by section and category, and how old its unpaid holds are; counted once for all who look.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cache::snapshot_cache::SnapshotCache;
use crate::domain::block::{Seat, SeatStatus, SectionRow};
use crate::domain::{LogTime, ScheduleId};
use crate::store::{BlockSeats, OpsStore, StoreError};
use crate::wire::time::rfc3339;

/// Dates that are kept for all who look, and how old what is shown may be: all seats of a date are read for it.
const DATES_MAX: usize = 4;
const SEATS_MAX: usize = 400_000;
const AGE_MAX: Duration = Duration::from_secs(3);
/// Holds are told apart at these ages, in seconds.
const AGES: [i64; 3] = [60, 120, 300];

/// One date in parts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SaleParts {
    #[schema(format = "date-time")]
    pub at: String,
    /// In the order in which seats are searched.
    pub sections: Vec<SectionSales>,
    /// Of the whole date, in order of name; those with one name count as one.
    pub categories: Vec<CategorySales>,
    /// Holds that are not being paid, from the youngest on.
    pub holds: Vec<HoldAge>,
}

/// One section.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SectionSales {
    #[schema(example = "A")]
    pub section: String,
    pub seats: SeatCounts,
    pub categories: Vec<CategorySales>,
}

/// The seats of one category.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CategorySales {
    #[schema(example = "R")]
    pub category: String,
    pub seats: SeatCounts,
}

/// Seats, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeatCounts {
    pub total: u64,
    /// Free and for sale.
    pub free: u64,
    /// Free and not for sale.
    pub blocked: u64,
    pub held: u64,
    pub paying: u64,
    pub sold: u64,
    /// Of the sold seats by the prices of now, in the smallest unit of the currency.
    pub worth: i64,
}

/// Holds of an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct HoldAge {
    /// At least so old.
    pub from_seconds: i64,
    /// Younger than that; null: however old.
    pub below_seconds: Option<i64>,
    pub holds: u64,
}

impl SeatCounts {
    fn add(&mut self, other: SeatCounts) {
        let SeatCounts { total, free, blocked, held, paying, sold, worth } = other;
        self.total += total;
        self.free += free;
        self.blocked += blocked;
        self.held += held;
        self.paying += paying;
        self.sold += sold;
        self.worth = self.worth.saturating_add(worth);
    }

    fn of_seat(section: &SectionRow, number: u32, status: SeatStatus) -> SeatCounts {
        let mut one = SeatCounts { total: 1, ..SeatCounts::default() };
        match status {
            SeatStatus::Available if section.layout.is_for_sale(number) => one.free = 1,
            SeatStatus::Available => one.blocked = 1,
            SeatStatus::Held => one.held = 1,
            SeatStatus::Paying => one.paying = 1,
            SeatStatus::Sold => (one.sold, one.worth) = (1, section.layout.price_of(number).get()),
        }
        one
    }
}

/// Of seats: the touched ones of this section, in order of number. A seat that was never touched is free.
fn section_sales<'s>(
    section: &SectionRow,
    seats: &mut std::iter::Peekable<impl Iterator<Item = &'s Seat>>,
) -> SectionSales {
    let mut counts = vec![SeatCounts::default(); section.layout.categories().len()];
    for number in 1..=section.layout.seats() {
        let touched = seats.next_if(|seat| seat.id.section == section.name && seat.id.number == number);
        let status = touched.map_or(SeatStatus::Available, |seat| seat.state.status());
        counts[section.layout.category_of(number)].add(SeatCounts::of_seat(section, number, status));
    }
    let mut all = SeatCounts::default();
    counts.iter().for_each(|counts| all.add(*counts));
    let named = section.layout.categories().iter().zip(counts);
    let categories = named.map(|(category, seats)| CategorySales { category: category.name.to_string(), seats });
    SectionSales { section: section.name.to_string(), seats: all, categories: categories.collect() }
}

fn sections(blocks: &[BlockSeats]) -> Vec<SectionSales> {
    let of_block = |block: &BlockSeats| -> Vec<SectionSales> {
        // Seats come in order of their section's name, sections in that of their rank.
        let mut by_name: Vec<&SectionRow> = block.sections.iter().collect();
        by_name.sort_by(|a, b| a.name.cmp(&b.name));
        let mut seats = block.seats.iter().peekable();
        let mut sales: Vec<_> = by_name.into_iter().map(|row| (row.rank, section_sales(row, &mut seats))).collect();
        sales.sort_by_key(|(rank, _)| *rank);
        sales.into_iter().map(|(_, sales)| sales).collect()
    };
    blocks.iter().flat_map(of_block).collect()
}

fn categories(sections: &[SectionSales]) -> Vec<CategorySales> {
    let mut all: Vec<CategorySales> = Vec::new();
    for of in sections.iter().flat_map(|section| &section.categories) {
        match all.iter_mut().find(|known| known.category == of.category) {
            Some(known) => known.seats.add(of.seats),
            None => all.push(of.clone()),
        }
    }
    all.sort_by(|a, b| a.category.cmp(&b.category));
    all
}

/// `since`: how many holds are younger than each of the ages, and how many there are.
fn ages(since: [u64; 4]) -> Vec<HoldAge> {
    let from = [0].into_iter().chain(AGES);
    let below = AGES.into_iter().map(Some).chain([None]);
    let mut younger = 0;
    let mut bins = Vec::new();
    for ((from_seconds, below_seconds), holds) in from.zip(below).zip(since) {
        bins.push(HoldAge { from_seconds, below_seconds, holds: holds.saturating_sub(younger) });
        younger = holds;
    }
    bins
}

/// See the module.
pub struct Parts(SnapshotCache<ScheduleId, Option<SaleParts>>);

impl Default for Parts {
    fn default() -> Self {
        Parts(SnapshotCache::new(DATES_MAX, SEATS_MAX))
    }
}

impl Parts {
    /// `None`: there is no such date.
    pub async fn of(
        &self,
        store: &dyn OpsStore,
        schedule: ScheduleId,
        now: LogTime,
    ) -> Result<Arc<Option<SaleParts>>, StoreError> {
        let read = || async {
            if store.schedule(schedule).await?.is_none() {
                return Ok((None, 1));
            }
            let blocks = store.seats(schedule).await?;
            let younger = AGES.map(|seconds| LogTime(now.0 - seconds * 1_000).plus_ms(1));
            let since = store.holds_since(schedule, [younger[0], younger[1], younger[2], LogTime(i64::MIN)]).await?;
            let sections = sections(&blocks);
            let rows = sections.iter().map(|section| section.categories.len() + 1).sum();
            let categories = categories(&sections);
            Ok((Some(SaleParts { at: rfc3339(now), sections, categories, holds: ages(since) }), rows))
        };
        self.0.get(schedule, AGE_MAX, read).await
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::block::{Category, Layout, LayoutParts, SeatState, Span};
    use crate::domain::{Amount, Arrival, BlockKey, Lane, Position, ReservationId, SeatId};

    fn at() -> Arrival {
        Arrival { position: Position::new(Lane::Seats, 0, 0), time: LogTime(0) }
    }

    fn key() -> BlockKey {
        BlockKey::main(ScheduleId(Uuid::from_u128(1)))
    }

    /// Ten seats, of which the first four are R; the last one is not for sale.
    fn section(name: &str, rank: u32) -> SectionRow {
        let span = |first, last| Span { first, last };
        let category =
            |name: &str, price| Category { name: name.parse().unwrap(), price: Amount::price(price).unwrap() };
        let layout = Layout::new(LayoutParts {
            seats: 10,
            runs: vec![span(1, 10)],
            categories: vec![category("S", 5), category("R", 7)],
            category_runs: vec![(span(1, 4), 1), (span(5, 10), 0)],
            not_for_sale: vec![span(10, 10)],
            ..LayoutParts::default()
        });
        SectionRow { key: key(), name: name.parse().unwrap(), rank, layout: layout.unwrap(), changed: at() }
    }

    fn seat(section: &str, number: u32, state: fn(ReservationId) -> SeatState) -> Seat {
        let id = SeatId { section: section.parse().unwrap(), number };
        let state = state(ReservationId(Uuid::from_u128(2)));
        Seat { key: key(), id, state, remembered: None, checked: None, changed: at() }
    }

    #[test]
    fn f36_every_seat_is_counted_once_in_its_section_and_its_category() {
        // The better section is searched first; seats come by name.
        let sections_of = vec![section("B", 0), section("A", 1)];
        let seats = vec![
            seat("A", 1, SeatState::Sold),
            seat("A", 2, SeatState::Held),
            seat("A", 5, |_| SeatState::Available),
            seat("A", 10, SeatState::Sold),
            seat("B", 4, SeatState::Paying),
            seat("B", 9, SeatState::Sold),
        ];
        let sections = sections(&[BlockSeats { block: key().block, sections: sections_of, seats }]);
        let counts = |total, free, blocked, held, paying, sold, worth| SeatCounts {
            total,
            free,
            blocked,
            held,
            paying,
            sold,
            worth,
        };
        let names: Vec<_> = sections.iter().map(|of| (of.section.as_str(), of.seats)).collect();
        let [b, a] = [counts(10, 7, 1, 0, 1, 1, 5), counts(10, 7, 0, 1, 0, 2, 12)];
        assert_eq!(names, [("B", b), ("A", a)]);
        let own: Vec<_> = sections[1].categories.iter().map(|of| (of.category.as_str(), of.seats)).collect();
        assert_eq!(own, [("S", counts(6, 5, 0, 0, 0, 1, 5)), ("R", counts(4, 2, 0, 1, 0, 1, 7))]);
        let all: Vec<_> = categories(&sections).into_iter().map(|of| (of.category, of.seats)).collect();
        let [r, s] = [counts(8, 5, 0, 1, 1, 1, 7), counts(12, 9, 1, 0, 0, 2, 10)];
        assert_eq!(all, [("R".to_owned(), r), ("S".to_owned(), s)]);
    }

    #[test]
    fn f36_holds_are_told_apart_by_their_age() {
        let bins = ages([2, 2, 5, 9]).into_iter().map(|of| (of.from_seconds, of.below_seconds, of.holds));
        assert_eq!(
            bins.collect::<Vec<_>>(),
            [(0, Some(60), 2), (60, Some(120), 0), (120, Some(300), 3), (300, None, 4)]
        );
    }
}
