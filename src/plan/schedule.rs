//! The sections of a date: what `POST /v1/concerts/{id}/schedules` takes of a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::compact::lengths;
use super::finding::PlanError;
use super::plan::Plan;
use super::types::Section;

/// One of `sections` in the body. Pairs are `[first seat, count]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SectionBody {
    pub name: String,
    pub seats: u32,
    /// Neighbors, best first.
    pub runs: Vec<[u32; 2]>,
    pub categories: Vec<PricedCategory>,
    /// First seat, count, index into this section's categories.
    pub category_runs: Vec<[u32; 3]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_for_sale: Vec<[u32; 2]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wheelchair: Vec<[u32; 2]>,
    /// Companion seat, its wheelchair place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<[u32; 2]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PricedCategory {
    pub name: String,
    /// Of one seat, in the smallest unit of the currency; 0 is free.
    pub price: i64,
}

/// The sections, the one with the run nearest to the stage first, each with the categories it has seats of.
/// `blocked`: guids of seats that are not for sale.
///
/// # Errors
/// When a category has no price, a price no category, or a guid no seat.
pub fn sections(
    plan: &Plan,
    prices: &BTreeMap<String, i64>,
    blocked: &[String],
) -> Result<Vec<SectionBody>, PlanError> {
    for (name, price) in prices {
        if plan.categories().iter().all(|category| category.name != *name) {
            return Err(PlanError::new("/prices", format!("the plan has no category {name:?}")));
        }
        if *price < 0 {
            return Err(PlanError::new("/prices", format!("the price of {name:?} is below 0")));
        }
    }
    let mut not_for_sale = by_section(plan, blocked)?;
    let focal = plan.focal_point();
    let best = |section: &Section| section.runs.first().map(|run| section.distance_squared(run, focal));
    let mut order: Vec<usize> = (0..plan.sections().len()).collect();
    order.sort_by_key(|index| best(&plan.sections()[*index]));
    let body = |index: usize| {
        let section = &plan.sections()[index];
        body(plan, section, prices, not_for_sale.remove(&index).unwrap_or_default())
    };
    order.into_iter().map(body).collect()
}

/// The numbers of the blocked seats of each section.
fn by_section(plan: &Plan, blocked: &[String]) -> Result<HashMap<usize, BTreeSet<u32>>, PlanError> {
    let mut numbers: HashMap<usize, BTreeSet<u32>> = HashMap::new();
    if blocked.is_empty() {
        return Ok(numbers);
    }
    let sections = plan.sections().iter().enumerate();
    let seats = sections.flat_map(|(index, section)| section.seats.iter().zip(1..).map(move |pair| (index, pair)));
    let by_guid: HashMap<&str, (usize, u32)> =
        seats.map(|(index, (seat, number))| (seat.guid.as_str(), (index, number))).collect();
    for (at, guid) in blocked.iter().enumerate() {
        let unknown = || PlanError::new(format!("/blocked/{at}"), format!("the plan has no seat {guid:?}"));
        let (section, number) = by_guid.get(guid.as_str()).ok_or_else(unknown)?;
        numbers.entry(*section).or_default().insert(*number);
    }
    Ok(numbers)
}

fn body(
    plan: &Plan,
    section: &Section,
    prices: &BTreeMap<String, i64>,
    not_for_sale: BTreeSet<u32>,
) -> Result<SectionBody, PlanError> {
    let used: Vec<u16> = section.seats.iter().map(|seat| seat.category).collect::<BTreeSet<_>>().into_iter().collect();
    let index_of = |category: u16| u32::try_from(used.partition_point(|other| *other < category)).unwrap_or(u32::MAX);
    let priced = |category: &u16| {
        let name = plan.categories()[usize::from(*category)].name.clone();
        let price = prices.get(&name).copied();
        let price = price.ok_or_else(|| PlanError::new("/prices", format!("category {name:?} has no price")))?;
        Ok(PricedCategory { name, price })
    };
    Ok(SectionBody {
        name: section.name.clone(),
        seats: u32::try_from(section.seats.len()).unwrap_or(u32::MAX),
        runs: section.runs.iter().map(|run| [run.first, run.count]).collect(),
        categories: used.iter().map(priced).collect::<Result<_, _>>()?,
        category_runs: lengths(section.seats.iter().map(|seat| index_of(seat.category))),
        not_for_sale: stretches(&not_for_sale),
        wheelchair: stretches(&section.tags.wheelchair),
        companions: section.tags.companion.iter().map(|(seat, place)| [*seat, *place]).collect(),
    })
}

/// Consecutive numbers as first and count.
fn stretches(numbers: &BTreeSet<u32>) -> Vec<[u32; 2]> {
    let mut stretches: Vec<[u32; 2]> = Vec::new();
    for number in numbers {
        match stretches.last_mut() {
            Some([first, count]) if *first + *count == *number => *count += 1,
            _ => stretches.push([*number, 1]),
        }
    }
    stretches
}
