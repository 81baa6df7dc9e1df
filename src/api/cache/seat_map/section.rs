//! One section of a seat map: its layout, and the seats that somebody touched.

use std::fmt::Write;
use std::sync::Arc;

use super::shown::Shown;
use super::since::Since;
use super::touched::{Touched, TouchedSeats};
use crate::api::cache::plans::Known;
use crate::domain::block::{Layout, SectionRow, Span};
use crate::domain::{BlockName, SectionName};

#[derive(Clone)]
pub(super) struct Section {
    pub(super) block: BlockName,
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
    /// Of the map that first showed it as opened or amended.
    pub(super) version: u64,
    pub(super) touched: TouchedSeats,
}

impl Section {
    pub(super) fn of(row: &SectionRow) -> Section {
        let quoted = serde_json::Value::from(row.name.as_str()).to_string();
        let position = row.changed.position;
        Section {
            block: row.key.block.clone(),
            name: row.name.clone(),
            json: quoted[1..quoted.len() - 1].to_owned(),
            layout: row.layout.clone(),
            plan: None,
            partition: position.partition.partition,
            offset: position.offset,
            version: 0,
            touched: TouchedSeats::default(),
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

    /// Whether it was opened or amended since then.
    pub(super) fn is_amended(&self, since: Since<'_>) -> bool {
        since.is_before(self.partition, self.offset, self.version)
    }

    /// Whether a seat of it has changed since then.
    pub(super) fn is_changed(&self, seat: &Touched, since: Since<'_>) -> bool {
        since.is_before(self.partition, seat.offset, seat.version)
    }

    pub(super) fn is_touched(&self, since: Since<'_>) -> bool {
        self.touched.iter().any(|seat| self.is_changed(seat, since))
    }

    /// Takes the versions over from the same section before; what differs has this one. How much does.
    pub(super) fn succeed(&mut self, before: Option<&Section>, version: u64) -> usize {
        let same = before.filter(|before| before.offset == self.offset && before.layout == self.layout);
        // A seat that is touched no more has no row to carry a version: the store went back, all of it is news.
        let kept = |before: &&Section| before.touched.iter().all(|seat| self.touched.get(seat.number).is_some());
        let same = same.filter(kept);
        self.version = same.map_or(version, |before| before.version);
        let mut differences = usize::from(same.is_none());
        self.touched.each_mut(|seat| {
            let known = before.and_then(|before| before.touched.get(seat.number));
            let (shown, since) = known.map_or((Shown::Available, 0), |known| (known.status, known.version));
            let differs = before.is_none() || shown != seat.status;
            seat.version = if differs { version } else { since };
            differences += usize::from(differs);
        });
        differences
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
