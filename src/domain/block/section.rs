//! A section in memory: its layout cut into segments, and its touched seats.

use super::layout::{Layout, Span};
use super::stretches::Segment;
use super::{Counts, Remembered, Seat, SeatState, SectionRow};
use crate::domain::{Arrival, SeatId};

#[derive(Debug, Clone)]
pub(super) struct Section {
    pub row: SectionRow,
    /// By number − 1. One that was never touched costs 8 bytes.
    seats: Vec<Option<Box<Touched>>>,
    /// Ascending, covering every seat.
    pub segments: Vec<Segment>,
}

/// What is known of a seat that was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touched {
    pub state: SeatState,
    pub remembered: Option<Remembered>,
    pub checked: Option<Arrival>,
    pub changed: Arrival,
    /// Derived: its hold has run out, and no decision has recorded that yet. What the seat then remembers.
    pub lapsed: Option<Remembered>,
}

impl Touched {
    /// As a seat that nobody touched.
    pub(super) fn new(at: Arrival) -> Touched {
        Touched { state: SeatState::Available, remembered: None, checked: None, changed: at, lapsed: None }
    }

    pub(super) fn is_free(&self) -> bool {
        self.state == SeatState::Available || self.lapsed.is_some()
    }

    /// While it is free: the user who held it unpaid last, and until when at first.
    pub(super) fn memory(&self) -> Option<&Remembered> {
        match self.state {
            SeatState::Available => self.remembered.as_ref(),
            _ => self.lapsed.as_ref(),
        }
    }
}

impl Section {
    /// `categories`: the numbers of the section's categories within the block.
    pub(super) fn new(row: SectionRow, categories: &[usize]) -> Section {
        let segments = segments(row.rank, &row.layout, categories);
        let seats = row.layout.seats() as usize;
        Section { row, seats: std::iter::repeat_with(|| None).take(seats).collect(), segments }
    }

    /// The same seats under another row; it may have more.
    pub(super) fn amend(&mut self, row: SectionRow, categories: &[usize]) -> SectionRow {
        self.segments = segments(row.rank, &row.layout, categories);
        self.seats.resize_with(row.layout.seats() as usize, || None);
        std::mem::replace(&mut self.row, row)
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.row.layout
    }

    pub(super) fn touched(&self, number: u32) -> Option<&Touched> {
        self.seats[number as usize - 1].as_deref()
    }

    pub(super) fn touched_mut(&mut self, number: u32) -> Option<&mut Touched> {
        self.seats[number as usize - 1].as_deref_mut()
    }

    pub(super) fn put(&mut self, number: u32, seat: Touched) -> Option<Touched> {
        match &mut self.seats[number as usize - 1] {
            Some(slot) => Some(std::mem::replace(slot, seat)),
            slot @ None => {
                *slot = Some(Box::new(seat));
                None
            }
        }
    }

    pub(super) fn is_free(&self, number: u32) -> bool {
        self.touched(number).is_none_or(Touched::is_free)
    }

    /// The seat's row.
    pub(super) fn seat(&self, number: u32, seat: &Touched) -> Seat {
        Seat {
            key: self.row.key.clone(),
            id: SeatId { section: self.row.name.clone(), number },
            state: seat.state,
            remembered: seat.remembered.clone(),
            checked: seat.checked,
            changed: seat.changed,
        }
    }

    pub(super) fn segment_of(&self, number: u32) -> Segment {
        self.segments[self.segments.partition_point(|segment| segment.span.last < number)]
    }
}

/// What a free seat adds to the counts of its category. `companions_free`: companion seats are ordinary ones.
pub(super) fn weight(layout: &Layout, number: u32, companions_free: bool) -> Counts {
    let blocked = !layout.is_for_sale(number);
    let companion = !companions_free && !blocked && layout.place_of(number).is_some();
    Counts { free: 1, blocked: u32::from(blocked), companions: u32::from(companion) }
}

/// Runs cut at the borders of categories.
fn segments(rank: u32, layout: &Layout, categories: &[usize]) -> Vec<Segment> {
    let parts = layout.parts();
    let mut segments: Vec<Segment> = Vec::with_capacity(parts.runs.len());
    let mut priced = parts.category_runs.iter().copied().peekable();
    for run in &parts.runs {
        let start = segments.len();
        while let Some((span, index)) = priced.peek().copied().filter(|(span, _)| span.first <= run.last) {
            let cut = Span { first: span.first.max(run.first), last: span.last.min(run.last) };
            let category = categories[usize::from(index)];
            match segments[start..].last_mut() {
                // The same category goes on.
                Some(last) if last.category == category => last.span.last = cut.last,
                _ => segments.push(Segment { rank, span: cut, category }),
            }
            if span.last > run.last {
                break;
            }
            priced.next();
        }
    }
    segments
}
