//! A date enlarged by a larger plan of its hall: the seats that it does not have yet become part of the amendment.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::amendment::Amendment;
use super::planned::Planned;
use super::section_plan::SectionPlan;
use crate::api::http::problem::Problem;
use crate::domain::block::{AmendSection, Category, Layout, LayoutParts, NewSection, SectionRow, Span};
use crate::domain::{Amount, BlockName, SectionName};
use crate::plan::{Plan, SeatCounts, Section, keeps};
use crate::store::ScheduleView;

/// How many seats each section of a date has.
pub fn seat_counts(view: &ScheduleView) -> SeatCounts {
    sections(view).map(|row| (row.name.as_str().to_owned(), row.layout.seats())).collect()
}

fn sections(view: &ScheduleView) -> impl Iterator<Item = &SectionRow> {
    view.blocks.iter().flat_map(|block| &block.sections)
}

/// The amendment with all that the new plan draws beyond the date's seats.
pub fn with_seats_of(
    amendment: &Amendment,
    planned: &Planned,
    view: &ScheduleView,
    (old, new): (&Plan, &Plan),
) -> Result<Amendment, Problem> {
    keeps(old, &seat_counts(view), new).map_err(|error| Problem::field("/plan", error.message))?;
    let known: HashMap<&str, &SectionRow> = sections(view).map(|row| (row.name.as_str(), row)).collect();
    let seats_of = |section: &Section| known.get(section.name.as_str()).map_or(0, |row| row.layout.seats());
    check_names(planned, new)?;
    let blocked = blocked_of(planned, new, seats_of)?;
    let mut amended = Amendment { larger: None, ..amendment.clone() };
    for section in new.sections() {
        if section.seats.len() <= seats_of(section) as usize {
            continue;
        }
        let so_far =
            known.get(section.name.as_str()).map_or_else(LayoutParts::default, |row| row.layout.parts().clone());
        let none = BTreeSet::new();
        let blocked = blocked.get(section.name.as_str()).unwrap_or(&none);
        let layout = grown(so_far, new, section, &planned.prices, blocked)?;
        let name: SectionName = section.name.parse().map_err(|_| of_section(section, "its name is none"))?;
        match known.get(section.name.as_str()) {
            Some(_) => amended.grow(name, layout, blocked)?,
            None => {
                let block = planned.blocks.get(&section.name).cloned().unwrap_or_else(BlockName::main);
                amended.new_sections.push(SectionPlan { block, section: NewSection { name, layout } });
            }
        }
    }
    Ok(amended)
}

impl Amendment {
    /// Gives a section more seats, beside what else the body changes about it.
    fn grow(&mut self, name: SectionName, layout: Layout, blocked: &BTreeSet<u32>) -> Result<(), Problem> {
        let Some(at) = self.sections.iter().position(|section| section.name == name) else {
            let (prices, not_for_sale) = (Vec::new(), None);
            self.sections.push(AmendSection { name, layout: Some(layout), prices, not_for_sale });
            return Ok(());
        };
        let section = &mut self.sections[at];
        if section.layout.is_some() {
            return Err(Problem::field(
                &format!("/sections/{at}/layout"),
                "must not be given with a plan that enlarges it",
            ));
        }
        // What lies beyond the seats is for the rules to refuse.
        if let Some(given) =
            section.not_for_sale.as_mut().filter(|given| given.iter().all(|s| s.last <= layout.seats()))
        {
            let numbers: BTreeSet<u32> =
                given.iter().flat_map(|span| span.first..=span.last).chain(blocked.clone()).collect();
            given.clear();
            numbers.into_iter().for_each(|number| append(given, number));
        }
        section.layout = Some(layout);
        Ok(())
    }
}

/// What the body names must be in the plan.
fn check_names(planned: &Planned, plan: &Plan) -> Result<(), Problem> {
    let has_category = |name: &&String| plan.categories().iter().any(|category| category.name == **name);
    if let Some(name) = planned.prices.keys().find(|name| !has_category(name)) {
        return Err(Problem::field(&format!("/prices/{name}"), "is no category of the plan"));
    }
    match planned.blocks.keys().find(|name| plan.section(name).is_none()) {
        Some(name) => Err(Problem::field(&format!("/blocks/{name}"), "is no section of the plan")),
        None => Ok(()),
    }
}

/// The numbers of the blocked seats, by section. Those that the date has already are its own matter.
fn blocked_of<'a>(
    planned: &Planned,
    plan: &'a Plan,
    seats_of: impl Fn(&Section) -> u32,
) -> Result<HashMap<&'a str, BTreeSet<u32>>, Problem> {
    let mut found: HashMap<&str, BTreeSet<u32>> = HashMap::new();
    if planned.blocked.is_empty() {
        return Ok(found);
    }
    let places = plan.sections().iter().flat_map(|section| {
        section.seats.iter().zip(1..).map(move |(seat, number)| (seat.guid.as_str(), (section, number)))
    });
    let places: HashMap<&str, (&Section, u32)> = places.collect();
    for (at, guid) in planned.blocked.iter().enumerate() {
        let Some((section, number)) = places.get(guid.as_str()) else {
            return Err(Problem::field(&format!("/blocked/{at}"), format!("the plan has no seat {guid:?}")));
        };
        if *number > seats_of(section) {
            found.entry(section.name.as_str()).or_default().insert(*number);
        }
    }
    Ok(found)
}

/// The section with its further seats: in runs of their own, at the prices that their categories have there already.
fn grown(
    mut parts: LayoutParts,
    plan: &Plan,
    section: &Section,
    prices: &BTreeMap<String, i64>,
    blocked: &BTreeSet<u32>,
) -> Result<Layout, Problem> {
    let first = parts.seats + 1;
    parts.seats = u32::try_from(section.seats.len()).unwrap_or(u32::MAX);
    let further = section.runs.iter().filter(|run| run.first >= first);
    parts.runs.extend(further.map(|run| Span { first: run.first, last: run.first + run.count - 1 }));
    for (seat, number) in section.seats.iter().zip(1..).skip(first as usize - 1) {
        let name = &plan.categories()[usize::from(seat.category)].name;
        let index = match parts.categories.iter().position(|category| category.name.as_str() == name) {
            Some(index) => index,
            None => {
                parts.categories.push(priced(section, name, prices)?);
                parts.categories.len() - 1
            }
        };
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        match parts.category_runs.last_mut() {
            Some((span, category)) if *category == index && span.first >= first => span.last = number,
            _ => parts.category_runs.push((Span { first: number, last: number }, index)),
        }
        if section.tags.wheelchair.contains(&number) {
            append(&mut parts.wheelchair, number);
        }
        parts.companions.extend(section.tags.companion.get(&number).map(|place| (number, *place)));
        if blocked.contains(&number) {
            append(&mut parts.not_for_sale, number);
        }
    }
    Layout::new(parts).map_err(|error| of_section(section, error.0))
}

fn priced(section: &Section, name: &str, prices: &BTreeMap<String, i64>) -> Result<Category, Problem> {
    let price = prices.get(name).and_then(|price| Amount::price(*price).ok());
    let price = price.ok_or_else(|| {
        Problem::field("/prices", format!("category {name:?} has no price in section {}", section.name))
    })?;
    let name = name.parse().map_err(|_| of_section(section, "a category's name is none"))?;
    Ok(Category { name, price })
}

fn of_section(section: &Section, what: &str) -> Problem {
    Problem::field("/plan", format!("section {}: {what}", section.name))
}

/// A number after those so far.
fn append(spans: &mut Vec<Span>, number: u32) {
    match spans.last_mut() {
        Some(last) if last.last + 1 == number => last.last = number,
        _ => spans.push(Span { first: number, last: number }),
    }
}
