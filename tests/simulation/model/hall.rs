//! What a block consists of: seats with their prices, neighbors and flags, and the times of its sale.

use turnstile::domain::block::{AmendBlock, AmendSection, Layout, NewSection, Terms};
use turnstile::domain::{LogTime, SeatId};

/// One seat, whoever has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Seats with the same number are neighbors if their numbers are consecutive.
    pub run: usize,
    pub category: String,
    pub price: i64,
    pub for_sale: bool,
    pub wheelchair: bool,
    /// The number of the wheelchair place it belongs to.
    pub companion_of: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    pub name: String,
    /// In the order of the layout.
    pub categories: Vec<String>,
    /// Seat 1 first.
    pub places: Vec<Place>,
}

impl Section {
    pub fn new(name: &str, layout: &Layout) -> Section {
        let parts = layout.parts();
        let place = |number: u32| {
            let within = |spans: &[turnstile::domain::block::Span]| spans.iter().any(|span| span.contains(number));
            let (_, category) = parts.category_runs.iter().find(|(span, _)| span.contains(number)).expect("a category");
            let category = &parts.categories[usize::from(*category)];
            Place {
                run: parts.runs.iter().position(|run| run.contains(number)).expect("a run"),
                category: category.name.to_string(),
                price: category.price.get(),
                for_sale: !within(&parts.not_for_sale),
                wheelchair: within(&parts.wheelchair),
                companion_of: parts.companions.iter().find(|(seat, _)| *seat == number).map(|(_, place)| *place),
            }
        };
        let categories = parts.categories.iter().map(|category| category.name.to_string()).collect();
        Section { name: name.to_owned(), categories, places: (1..=parts.seats).map(place).collect() }
    }

    /// The seats so far stay where they are; new ones are neighbors of new ones only.
    fn only_adds_to(&self, before: &Section) -> bool {
        let kept = |place: &Place| (place.run, place.category.clone(), place.wheelchair, place.companion_of);
        let old = self.places.len() >= before.places.len()
            && before.places.iter().zip(&self.places).all(|(before, after)| kept(before) == kept(after));
        let last = before.places.iter().map(|place| place.run).max();
        old && self.places[before.places.len()..].iter().all(|place| Some(place.run) > last)
    }

    fn amend(&mut self, change: &AmendSection) {
        if let Some(layout) = &change.layout {
            *self = Section::new(&self.name, layout);
        }
        for (name, price) in &change.prices {
            let of = self.places.iter_mut().filter(|place| place.category == name.as_str());
            of.for_each(|place| place.price = price.get());
        }
        if let Some(spans) = &change.not_for_sale {
            for (number, place) in (1..).zip(&mut self.places) {
                place.for_sale = !spans.iter().any(|span| span.contains(number));
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Hall {
    pub terms: Terms,
    /// The best first.
    pub sections: Vec<Section>,
}

impl Hall {
    pub fn new(terms: &Terms, sections: &[NewSection]) -> Hall {
        let sections = sections.iter().map(|section| Section::new(section.name.as_str(), &section.layout)).collect();
        Hall { terms: terms.clone(), sections }
    }

    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    pub fn place(&self, seat: &SeatId) -> Option<&Place> {
        self.section(seat.section.as_str())?.places.get(seat.number.checked_sub(1)? as usize)
    }

    pub fn seats(&self) -> usize {
        self.sections.iter().map(|section| section.places.len()).sum()
    }

    pub fn companions_free(&self, time: LogTime) -> bool {
        self.terms.companions_free_at.is_some_and(|at| at <= time)
    }

    /// As it is after an amendment, or why that must be refused.
    pub fn amended(&self, command: &AmendBlock, time: LogTime) -> Result<Hall, String> {
        let mut hall = self.clone();
        let terms = &mut hall.terms;
        terms.sales_open_at = command.sales_open_at.unwrap_or(terms.sales_open_at);
        terms.sales_close_at = command.sales_close_at.unwrap_or(terms.sales_close_at);
        if let Some(starts_at) = command.starts_at.filter(|starts_at| *starts_at != terms.starts_at) {
            if starts_at <= time {
                return Err("the show would start in the past".to_owned());
            }
            terms.starts_at = starts_at;
        }
        for change in &command.sections {
            let name = change.name.as_str();
            let section = hall.sections.iter_mut().find(|section| section.name == name).ok_or("no such section")?;
            let before = section.clone();
            section.amend(change);
            if !section.only_adds_to(&before) {
                return Err(format!("section {name} would lose or move seats"));
            }
        }
        for new in &command.new_sections {
            let section = Section::new(new.name.as_str(), &new.layout);
            match hall.section(&section.name) {
                Some(known) if *known == section => {}
                Some(_) => return Err(format!("section {} differs", section.name)),
                None => hall.sections.push(section),
            }
        }
        Ok(hall)
    }
}
