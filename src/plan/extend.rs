//! A larger drawing of the same hall: seats that a date has keep their numbers, further ones come after them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::finding::PlanError;
use super::plan::Plan;
use super::types::{Category, Run, Section, Tags};

/// The sections of a date, and how many seats each has.
pub type SeatCounts = BTreeMap<String, u32>;

/// The new plan with the numbers of the old one. In each section the seats that the date has of it come first, in their
/// runs; then come the others, in runs of their own.
///
/// # Errors
/// When something is different that tickets, holds or prices rest on.
pub fn extended(old: &Plan, has: &SeatCounts, new: &Plan) -> Result<Plan, PlanError> {
    are_drawn(old, has, new)?;
    let mut parts = new.parts().clone();
    parts.categories = together(old.categories(), new.categories());
    let index: HashMap<&str, usize> = parts.categories.iter().map(|category| category.name.as_str()).zip(0..).collect();
    for seat in parts.sections.iter_mut().flat_map(|section| &mut section.seats) {
        let name = new.categories()[usize::from(seat.category)].name.as_str();
        seat.category = u16::try_from(index[name]).unwrap_or(u16::MAX);
    }
    for section in &mut parts.sections {
        let count = has.get(&section.name).copied().unwrap_or(0) as usize;
        if let Some(known) = old.section(&section.name).filter(|_| count > 0) {
            *section = renumbered(known, count.min(known.seats.len()), section)?;
        }
    }
    let plan = Plan::new(parts)?;
    keeps(old, has, &plan)?;
    Ok(plan)
}

/// Whether the seats that a date has of the old plan are the same in the new one: by number, guid, label, category and
/// what they are made for. Where they are drawn may differ.
///
/// # Errors
/// The first seat that is not.
pub fn keeps(old: &Plan, has: &SeatCounts, new: &Plan) -> Result<(), PlanError> {
    for (name, count) in has {
        let count = *count as usize;
        let (known, drawn) = match (old.section(name), new.section(name)) {
            (None, None) => continue,
            (None, Some(_)) => {
                return Err(wrong(format!("section {name} was added without a drawing and cannot be drawn now")));
            }
            (Some(known), None) => return Err(missing(known, 1, known.seats.len().min(count))),
            (Some(known), Some(drawn)) => (known, drawn),
        };
        if known.seats.len() < count && drawn.seats.len() > known.seats.len() {
            let what =
                format!("seats {} to {count} of section {name} were added without a drawing", known.seats.len() + 1);
            return Err(wrong(format!("{what}: no more can be drawn in it")));
        }
        for number in 1..=u32::try_from(known.seats.len().min(count)).unwrap_or(u32::MAX) {
            is_same((old, known), (new, drawn), number)?;
        }
    }
    Ok(())
}

fn is_same((old, known): (&Plan, &Section), (new, drawn): (&Plan, &Section), number: u32) -> Result<(), PlanError> {
    let label = || label_of(known, number);
    let (Some(was), Some(is)) = (known.seat(number), drawn.seat(number)) else {
        return Err(missing(known, number, 1));
    };
    if was.guid != is.guid {
        let what = format!("{} has another number in this plan", label());
        return Err(wrong(format!("{what}: import its file as one that extends the date")));
    }
    if drawn.label_of(number).as_deref() != Some(&label()) {
        return Err(wrong(format!(
            "{} is called {} in this plan: tickets say the former",
            label(),
            label_of(drawn, number)
        )));
    }
    let category = |plan: &Plan, index: u16| plan.categories()[usize::from(index)].name.clone();
    let (before, now) = (category(old, was.category), category(new, is.category));
    if before != now {
        return Err(wrong(format!("{} is of category {before}, and of {now} in this plan", label())));
    }
    let made_for = |tags: &Tags| (tags.wheelchair.contains(&number), tags.companion.get(&number).copied());
    if made_for(&known.tags) != made_for(&drawn.tags) {
        return Err(wrong(format!("{}: wheelchair places and companion seats stay what they are", label())));
    }
    Ok(())
}

/// Whether the new plan has all seats that the date has of the old one, in their sections.
fn are_drawn(old: &Plan, has: &SeatCounts, new: &Plan) -> Result<(), PlanError> {
    let places = new.sections().iter().flat_map(|section| section.seats.iter().map(move |seat| (&seat.guid, section)));
    let places: HashMap<&String, &Section> = places.collect();
    let mut gone = None;
    for (name, count) in has {
        let Some(known) = old.section(name) else { continue };
        for (seat, number) in known.seats.iter().take(*count as usize).zip(1..) {
            match places.get(&seat.guid) {
                Some(section) if section.name == *name => {}
                Some(section) => {
                    let what = format!("{} is in section {} in this plan", label_of(known, number), section.name);
                    return Err(wrong(format!("{what}: seats stay in their sections")));
                }
                None => {
                    let (_, _, seats) = gone.get_or_insert((known, number, 0));
                    *seats += 1;
                }
            }
        }
    }
    gone.map_or(Ok(()), |(known, number, seats)| Err(missing(known, number, seats)))
}

fn missing(known: &Section, number: u32, seats: usize) -> PlanError {
    let more = if seats > 1 { format!(" and {} more are", seats - 1) } else { " is".to_owned() };
    let what = format!("{}{more} not in this plan", label_of(known, number));
    wrong(format!("{what}: seats can be taken out of the sale, but not out of the hall"))
}

fn wrong(message: String) -> PlanError {
    PlanError::new("", message)
}

fn label_of(section: &Section, number: u32) -> String {
    section.label_of(number).unwrap_or_else(|| format!("{}-{number}", section.name))
}

/// Those of the old plan as they are now, then the new ones.
fn together(old: &[Category], new: &[Category]) -> Vec<Category> {
    let now = |category: &Category| new.iter().find(|other| other.name == category.name).unwrap_or(category).clone();
    let further = new.iter().filter(|category| old.iter().all(|other| other.name != category.name));
    old.iter().map(now).chain(further.cloned()).collect()
}

/// The drawn section with the first `count` seats of the known one as its first.
fn renumbered(known: &Section, count: usize, drawn: &Section) -> Result<Section, PlanError> {
    let places: HashMap<&str, usize> = drawn.seats.iter().map(|seat| seat.guid.as_str()).zip(0..).collect();
    // Row, and how many seats of it come before.
    let mut in_row = vec![(0, 0); drawn.seats.len()];
    for run in &drawn.runs {
        for index in 0..run.count {
            in_row[(run.first + index) as usize - 1] = (run.row, run.at + index);
        }
    }
    let mut order: Vec<usize> = known.seats[..count].iter().map(|seat| places[seat.guid.as_str()]).collect();
    let mut numbers = vec![0; drawn.seats.len()];
    order.iter().zip(1..).for_each(|(place, number)| numbers[*place] = number);
    let mut runs = Vec::new();
    for run in known.runs.iter().take_while(|run| (run.first + run.count) as usize <= count + 1) {
        let (row, at) = in_row[order[run.first as usize - 1]];
        for (number, at) in (run.first..run.first + run.count).zip(at..) {
            if in_row[order[number as usize - 1]] != (row, at) {
                let (before, after) = (label_of(known, number - 1), label_of(known, number));
                return Err(wrong(format!("{before} and {after} sit side by side, and no longer in this plan")));
            }
        }
        runs.push(Run { row, at, ..*run });
    }
    for run in &drawn.runs {
        let mut open = false;
        for place in (run.first as usize - 1)..(run.first + run.count) as usize - 1 {
            let is_new = numbers[place] == 0;
            if is_new {
                order.push(place);
                let number = u32::try_from(order.len()).unwrap_or(u32::MAX);
                numbers[place] = number;
                let (row, at) = in_row[place];
                match runs.last_mut() {
                    Some(last) if open => last.count += 1,
                    _ => runs.push(Run { first: number, count: 1, row, at }),
                }
            }
            open = is_new;
        }
    }
    let number = |old: u32| numbers[old as usize - 1];
    let mut wheelchair: BTreeSet<u32> = drawn.tags.wheelchair.iter().map(|seat| number(*seat)).collect();
    let mut companion: BTreeMap<u32, u32> =
        drawn.tags.companion.iter().map(|(seat, place)| (number(*seat), number(*place))).collect();
    // Files of other makes cannot say it, and say nothing.
    let is_known = |number: &u32| *number as usize <= count;
    if !wheelchair.iter().chain(companion.keys()).any(is_known) {
        wheelchair.extend(known.tags.wheelchair.iter().filter(|number| is_known(number)));
        companion.extend(known.tags.companion.iter().filter(|(number, _)| is_known(number)));
    }
    let tags = Tags {
        wheelchair,
        companion,
        restricted_view: drawn.tags.restricted_view.iter().map(|seat| number(*seat)).collect(),
        aisle: drawn.tags.aisle.iter().map(|seat| number(*seat)).collect(),
    };
    let seats = order.iter().map(|place| drawn.seats[*place].clone()).collect();
    Ok(Section { runs, seats, tags, ..drawn.clone() })
}
