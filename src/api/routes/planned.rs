//! A date made of a seating plan, or enlarged by one: what `plan`, `prices`, `blocked` and `blocks` of the body say.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::cache::plans::Plans;
use crate::api::http::fields::{Fields, nfc};
use crate::api::http::problem::Problem;
use crate::domain::{Amount, BlockName, CategoryName};
use crate::plan::{PlanId, SectionBody, sections};

const CATEGORIES_MAX: usize = 100;
const BLOCKED_MAX: usize = 100_000;

/// What a body says of its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub plan: PlanId,
    pub prices: BTreeMap<String, i64>,
    /// Guids.
    pub blocked: Vec<String>,
    /// By section, where it is not `main`.
    pub blocks: BTreeMap<String, BlockName>,
}

/// The body with the sections that its plan makes, and the plan; one without a plan as it is.
pub async fn expanded(plans: &Plans, mut body: Value) -> Result<(Value, Option<PlanId>), Problem> {
    let mut fields = Fields::of(&body)?;
    if !fields.has("plan") {
        return Ok((body, None));
    }
    if fields.has("sections") {
        let _: Option<()> = fields.reject("sections", "must not be given with plan");
    }
    let prices = fields.prices::<CategoryName>("prices", CATEGORIES_MAX);
    let planned = read(&mut fields, &body, prices);
    let planned = fields.finish(planned)?;
    let known = plans.get(planned.plan).await?;
    let known = known.ok_or_else(|| Problem::field("/plan", "is the id of no plan; post the plan first"))?;
    let sections = sections(&known.plan, &planned.prices, &planned.blocked);
    let sections = sections.map_err(|error| Problem::field(&error.at, error.message))?;
    if let Some(name) = planned.blocks.keys().find(|name| known.plan.section(name).is_none()) {
        return Err(Problem::field(&format!("/blocks/{name}"), "is no section of the plan"));
    }
    body["sections"] = sections.iter().map(|section| with_block(section, &planned)).collect();
    Ok((body, Some(planned.plan)))
}

fn with_block(section: &SectionBody, planned: &Planned) -> Value {
    // Strings and numbers always serialize.
    let mut body = serde_json::to_value(section).unwrap_or_default();
    if let Some(block) = planned.blocks.get(&section.name) {
        body["block"] = block.to_string().into();
    }
    body
}

/// The same of an amendment, if it has a plan. What is added may need no price that the date does not have.
pub fn read_larger(fields: &mut Fields<'_>, body: &Value) -> Option<Option<Planned>> {
    if !fields.has("plan") {
        for alone in ["prices", "blocked", "blocks"] {
            if fields.has(alone) {
                return fields.reject(alone, "is given with a plan only");
            }
        }
        return Some(None);
    }
    let prices = fields.optional("prices", |f, name| f.prices::<CategoryName>(name, CATEGORIES_MAX));
    read(fields, body, prices.map(Option::unwrap_or_default)).map(Some)
}

type Prices = BTreeMap<CategoryName, Amount>;

fn read(fields: &mut Fields<'_>, body: &Value, prices: Option<Prices>) -> Option<Planned> {
    let plan = fields.parsed("plan");
    let no_items = body["blocked"].as_array().is_some_and(Vec::is_empty);
    let blocked = match no_items {
        true => Some(None),
        false => fields.optional("blocked", |f, name| f.strings(name, BLOCKED_MAX, |guid| Ok(guid.to_owned()))),
    };
    let blocks = fields.optional("blocks", |f, name| f.texts::<BlockName>(name));
    Some(Planned {
        plan: plan?,
        prices: prices?.into_iter().map(|(name, price)| (name.as_str().to_owned(), price.get())).collect(),
        blocked: blocked?.unwrap_or_default(),
        blocks: blocks?.unwrap_or_default().into_iter().map(|(name, block)| (nfc(name).into_owned(), block)).collect(),
    })
}
