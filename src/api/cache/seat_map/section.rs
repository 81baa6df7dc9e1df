//! One section of a seat map: its layout, and the seats that somebody touched.

use std::fmt::Write;
use std::sync::Arc;

use super::shown::Shown;
use crate::api::cache::plans::Known;
use crate::api::cache::seat_offsets::Offsets;
use crate::domain::SectionName;
use crate::domain::block::{Layout, SectionRow, Span};

pub(super) struct Section {
    pub(super) name: SectionName,
    /// The name between the quotes of a JSON string.
    pub(super) json: String,
    layout: Layout,
    /// The plan, and the index of its section of this name.
    plan: Option<(Arc<Known>, usize)>,
    /// Of its block.
    pub(super) partition: u32,
    /// When it was opened or last amended.
    pub(super) offset: u64,
    /// Ascending by number.
    pub(super) touched: Vec<Touched>,
}

pub(super) struct Touched {
    pub(super) number: u32,
    pub(super) status: Shown,
    pub(super) offset: u64,
}

impl Section {
    pub(super) fn of(row: &SectionRow) -> Section {
        let quoted = serde_json::Value::from(row.name.as_str()).to_string();
        let position = row.changed.position;
        Section {
            name: row.name.clone(),
            json: quoted[1..quoted.len() - 1].to_owned(),
            layout: row.layout.clone(),
            plan: None,
            partition: position.partition.partition,
            offset: position.offset,
            touched: Vec::new(),
        }
    }

    pub(super) fn labelled(&mut self, plan: &Arc<Known>) {
        let index = plan.plan.sections().iter().position(|section| section.name == self.name.as_str());
        self.plan = index.map(|index| (plan.clone(), index));
    }

    fn label(&self, number: u32) -> Option<String> {
        let (plan, index) = self.plan.as_ref()?;
        plan.plan.sections()[*index].label_of(number)
    }

    pub(super) fn seats(&self) -> usize {
        self.layout.seats() as usize
    }

    /// Whether it was opened or amended after these offsets.
    pub(super) fn is_amended_since(&self, seen: &Offsets) -> bool {
        seen.is_before(self.partition, self.offset)
    }

    pub(super) fn is_touched_since(&self, seen: &Offsets) -> bool {
        self.touched.iter().any(|seat| seen.is_before(self.partition, seat.offset))
    }

    /// Each seat in order of number, with its price and status.
    pub(super) fn each(&self, mut visit: impl FnMut(u32, i64, Shown, Option<&Touched>)) {
        let mut touched = self.touched.iter().peekable();
        let mut blocked = Spans(self.layout.not_for_sale());
        for (span, category) in self.layout.category_runs() {
            let price = self.layout.categories()[usize::from(*category)].price.get();
            for number in span.first..=span.last {
                let seat = touched.next_if(|seat| seat.number == number);
                let status = match seat.map_or(Shown::Available, |seat| seat.status) {
                    Shown::Available if blocked.contains(number) => Shown::NotForSale,
                    status => status,
                };
                visit(number, price, status, seat);
            }
        }
    }

    pub(super) fn write_seat(&self, out: &mut String, number: u32, price: i64, status: Shown) {
        let (name, status) = (&self.json, status.as_str());
        // Writing to a string cannot fail.
        let _ = write!(out, r#"{{"seat":"{name}-{number}","section":"{name}","number":{number},"#);
        if let Some(label) = self.label(number) {
            let _ = write!(out, r#""label":{},"#, serde_json::Value::from(label));
        }
        let _ = write!(out, r#""price":{price},"status":"{status}"}}"#);
    }

    /// Bytes of all its seats, rendered; a bound.
    pub(super) fn rendered(&self) -> usize {
        let label = self.label(self.layout.seats()).map_or(0, |label| label.len() + 16);
        self.layout.seats() as usize * (95 + 2 * self.json.len() + label)
    }
}

/// Ascending spans that are asked for ascending numbers.
struct Spans<'a>(&'a [Span]);

impl Spans<'_> {
    fn contains(&mut self, number: u32) -> bool {
        while self.0.first().is_some_and(|span| span.last < number) {
            self.0 = &self.0[1..];
        }
        self.0.first().is_some_and(|span| span.contains(number))
    }
}
