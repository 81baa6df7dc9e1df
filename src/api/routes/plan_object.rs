//! What answers say of seating plans.

use serde::Serialize;
use utoipa::ToSchema;

use crate::plan::{Plan, Warning};
use crate::store::PlanSummary;
use crate::wire::time::rfc3339;

/// What is in a plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanObject {
    /// SHA-256 of its canonical form, as 64 hexadecimal digits.
    pub id: String,
    pub name: String,
    pub seats: usize,
    /// In the order of the drawing.
    pub sections: Vec<PlanSection>,
    pub categories: Vec<PlanCategory>,
    /// What was odd in the file: ignored, replaced or guessed.
    pub warnings: Vec<PlanWarning>,
}

/// A section of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanSection {
    pub name: String,
    /// For people.
    pub label: String,
    pub seats: usize,
    pub rows: usize,
    pub wheelchair: usize,
    pub companion: usize,
}

/// A category of a plan: what a price is given for.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanCategory {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    pub seats: usize,
}

/// Something odd in a file.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanWarning {
    /// Where it was first: a JSON pointer, or a line of a CSV file.
    pub at: String,
    pub message: String,
    /// How often.
    pub count: u64,
}

/// A plan in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanSummaryObject {
    pub id: String,
    pub name: String,
    pub sections: u32,
    pub seats: u32,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// One page of plans.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanList {
    pub plans: Vec<PlanSummaryObject>,
    /// Give it as `?after=` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl PlanObject {
    pub fn of(plan: &Plan, warnings: &[Warning]) -> Self {
        let mut by_category = vec![0; plan.categories().len()];
        for seat in plan.sections().iter().flat_map(|section| &section.seats) {
            by_category[usize::from(seat.category)] += 1;
        }
        let section = |section: &crate::plan::Section| PlanSection {
            name: section.name.clone(),
            label: section.label.clone(),
            seats: section.seats.len(),
            rows: section.rows.len(),
            wheelchair: section.tags.wheelchair.len(),
            companion: section.tags.companion.len(),
        };
        let category = |(category, seats): (&crate::plan::Category, usize)| PlanCategory {
            name: category.name.clone(),
            color: category.color.clone(),
            seats,
        };
        let warning = |warning: &Warning| PlanWarning {
            at: warning.at.clone(),
            message: warning.message.clone(),
            count: warning.count,
        };
        PlanObject {
            id: plan.id().to_string(),
            name: plan.name().to_owned(),
            seats: plan.seats(),
            sections: plan.sections().iter().map(section).collect(),
            categories: plan.categories().iter().zip(by_category).map(category).collect(),
            warnings: warnings.iter().map(warning).collect(),
        }
    }
}

impl From<PlanSummary> for PlanSummaryObject {
    fn from(row: PlanSummary) -> Self {
        let PlanSummary { id, name, sections, seats, created_at } = row;
        PlanSummaryObject { id, name, sections, seats, created_at: rfc3339(created_at) }
    }
}
