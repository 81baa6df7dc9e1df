//! How the seats of a section lie, in the form that an amendment takes.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::block::{Layout, Span};

/// The layout of a section. Given back in an amendment with further seats, in new runs, it appends them.
#[derive(Debug, Serialize, ToSchema)]
pub struct LayoutObject {
    pub seats: u32,
    /// `[first seat, count]` of each run of neighbors.
    pub runs: Vec<[u32; 2]>,
    pub categories: Vec<LayoutCategory>,
    /// `[first seat, count, index of the category]`
    pub category_runs: Vec<[u32; 3]>,
    /// `[first seat, count]`
    pub not_for_sale: Vec<[u32; 2]>,
    /// `[first seat, count]`
    pub wheelchair: Vec<[u32; 2]>,
    /// `[companion seat, its wheelchair place]`
    pub companions: Vec<[u32; 2]>,
}

/// A category as it is priced now.
#[derive(Debug, Serialize, ToSchema)]
pub struct LayoutCategory {
    pub name: String,
    /// Of one seat, smallest currency unit.
    pub price: i64,
}

impl From<&Layout> for LayoutObject {
    fn from(layout: &Layout) -> Self {
        let parts = layout.parts();
        let category = |category: &crate::domain::block::Category| LayoutCategory {
            name: category.name.to_string(),
            price: category.price.get(),
        };
        let of_category = |(span, category): &(Span, u16)| {
            let [first, count] = pair(span);
            [first, count, u32::from(*category)]
        };
        LayoutObject {
            seats: parts.seats,
            runs: parts.runs.iter().map(pair).collect(),
            categories: parts.categories.iter().map(category).collect(),
            category_runs: parts.category_runs.iter().map(of_category).collect(),
            not_for_sale: parts.not_for_sale.iter().map(pair).collect(),
            wheelchair: parts.wheelchair.iter().map(pair).collect(),
            companions: parts.companions.iter().map(|(seat, place)| [*seat, *place]).collect(),
        }
    }
}

/// `[first seat, count]`
fn pair(span: &Span) -> [u32; 2] {
    [span.first, span.last - span.first + 1]
}
