//! The body of `PATCH /v1/schedules/{id}`, read and checked. All values are absolute: a repeat changes nothing.

use std::collections::HashSet;

use serde_json::Value;

use super::planned::{Planned, read_larger};
use super::schedule_plan::check_close;
use super::section_plan::{SectionPlan, read_layout, read_section, spans};
use crate::api::cache::schedule_facts::Facts;
use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::domain::block::{AmendBlock, AmendSection, CATEGORIES_MAX, SECTIONS_MAX};
use crate::domain::{BlockKey, BlockName, CategoryName, Code, LogTime, ScheduleId, SectionName, UserId};

/// What is to change; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amendment {
    pub sections: Vec<AmendSection>,
    pub new_sections: Vec<SectionPlan>,
    /// The plan that draws further seats; they are not among the sections yet.
    pub larger: Option<Planned>,
    pub sales_open_at: Option<Option<LogTime>>,
    pub sales_close_at: Option<Option<LogTime>>,
    pub starts_at: Option<LogTime>,
    pub cancelled: bool,
}

impl Amendment {
    pub fn cancelling() -> Self {
        Amendment { cancelled: true, ..Amendment::default() }
    }

    /// Every section that is named, with its place in the body.
    pub fn sections(&self) -> impl Iterator<Item = (&SectionName, String)> {
        self.sections.iter().enumerate().map(|(index, section)| (&section.name, format!("/sections/{index}/name")))
    }

    /// The date must have the sections, and the blocks of new ones. Neither ever goes away, so a repeat passes too.
    pub fn check(&self, facts: &Facts) -> Result<(), Problem> {
        if let Some((name, pointer)) = self.sections().find(|(name, _)| facts.block_of(name).is_none()) {
            return Err(Problem::refusal(Code::SectionNotFound, format!("there is no section {name}")).at(pointer));
        }
        let new = self.new_sections.iter().enumerate();
        let unknown =
            new.map(|(index, new)| (index, &new.block)).find(|(_, block)| facts.blocks().all(|b| b != *block));
        if let Some((index, block)) = unknown {
            let pointer = format!("/new_sections/{index}/block");
            return Err(Problem::field(&pointer, format!("is {block}, which the date does not have")));
        }
        Ok(())
    }

    /// What one block is to change. Blocks that nothing is asked of get a command too: so every block tells another
    /// body under the same key.
    pub fn of_block(&self, id: ScheduleId, block: &BlockName, facts: &Facts, admin: &UserId) -> AmendBlock {
        let of_block = |section: &&AmendSection| facts.block_of(&section.name) == Some(block);
        let new = self.new_sections.iter().filter(|new| new.block == *block);
        AmendBlock {
            key: BlockKey { schedule_id: id, block: block.clone() },
            user_id: admin.clone(),
            sections: self.sections.iter().filter(of_block).cloned().collect(),
            new_sections: new.map(|new| new.section.clone()).collect(),
            sales_open_at: self.sales_open_at,
            sales_close_at: self.sales_close_at,
            starts_at: self.starts_at,
            cancelled: self.cancelled,
        }
    }
}

/// The amendment, or every field that is wrong.
pub fn read_amendment(body: &Value) -> Result<Amendment, Problem> {
    let mut fields = Fields::of(body)?;
    let starts_at = fields.optional("starts_at", Fields::time);
    let sales_open_at = nullable(&mut fields, body, "sales_open_at");
    let sales_close_at = nullable(&mut fields, body, "sales_close_at");
    let flat = |time: Option<Option<Option<LogTime>>>| time.flatten().flatten();
    if let (Some(starts_at), Some(open)) = (starts_at.flatten(), flat(sales_open_at))
        && open >= starts_at
    {
        let _: Option<()> = fields.reject("sales_open_at", "must be before starts_at");
    }
    check_close(&mut fields, starts_at.flatten(), flat(sales_open_at), flat(sales_close_at));
    let sections = fields.optional("sections", |f, name| f.objects(name, SECTIONS_MAX, read_amended));
    let new_sections = fields.optional("new_sections", |f, name| f.objects(name, SECTIONS_MAX, read_section));
    let larger = read_larger(&mut fields, body);
    let amendment = (|| {
        Some(Amendment {
            sections: sections?.unwrap_or_default(),
            new_sections: new_sections?.unwrap_or_default(),
            larger: larger?,
            sales_open_at: sales_open_at?,
            sales_close_at: sales_close_at?,
            starts_at: starts_at?,
            cancelled: false,
        })
    })();
    let amendment = amendment.and_then(|amendment| checked(&mut fields, amendment));
    fields.finish(amendment)
}

/// Null takes the time away; an absent one stays.
fn nullable(fields: &mut Fields<'_>, body: &Value, name: &str) -> Option<Option<Option<LogTime>>> {
    match body.get(name) {
        Some(Value::Null) => Some(Some(None)),
        _ => fields.optional(name, Fields::time).map(|time| time.map(Some)),
    }
}

fn read_amended(fields: &mut Fields<'_>) -> Option<AmendSection> {
    let name: Option<SectionName> = fields.name("name");
    let prices = fields.optional("prices", |f, field| f.prices::<CategoryName>(field, CATEGORIES_MAX));
    let not_for_sale = fields.optional("not_for_sale", |f, field| spans(f, field));
    let layout = fields.optional("layout", |f, field| f.object(field, |layout| read_layout(layout, name.as_ref())));
    Some(AmendSection {
        name: name?,
        layout: layout?,
        prices: prices?.unwrap_or_default().into_iter().collect(),
        not_for_sale: not_for_sale?,
    })
}

fn checked(fields: &mut Fields<'_>, amendment: Amendment) -> Option<Amendment> {
    if amendment == Amendment::default() {
        return fields.reject("", "the body changes nothing");
    }
    let mut names = HashSet::new();
    if let Some((_, pointer)) = amendment.sections().find(|(name, _)| !names.insert(*name)) {
        return fields.reject(&pointer[1..], "is given twice");
    }
    let new = amendment.new_sections.iter().position(|new| !names.insert(&new.section.name));
    match new {
        Some(again) => fields.reject(&format!("new_sections/{again}/name"), "is given twice"),
        None => Some(amendment),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::Amount;
    use crate::domain::block::Span;

    #[test]
    fn f54_null_takes_a_time_away_and_what_is_absent_stays() {
        let amendment = read_amendment(&json!({"sales_open_at": null, "starts_at": "2026-11-21T19:00:00Z"})).unwrap();
        assert_eq!((amendment.sales_open_at, amendment.sales_close_at), (Some(None), None));
        assert!(amendment.starts_at.is_some() && !amendment.cancelled);
        let body = json!({
            "sections": [{"name": "A", "prices": {"R": 1, "e\u{301}": 0}, "not_for_sale": [[2, 3]]}, {"name": "B",
                "layout": {"seats": 4, "price": 7}}],
            "new_sections": [{"name": "C", "seats": 2, "price": 5, "block": "north"}],
        });
        let amendment = read_amendment(&body).unwrap();
        let prices: Vec<_> = amendment.sections[0].prices.iter().map(|(name, price)| (name.as_str(), *price)).collect();
        assert_eq!(prices, [("R", Amount::price(1).unwrap()), ("\u{e9}", Amount::ZERO)]);
        assert_eq!(amendment.sections[0].not_for_sale, Some(vec![Span { first: 2, last: 4 }]));
        assert_eq!(amendment.sections[1].layout.as_ref().map(|layout| layout.seats()), Some(4));
        assert_eq!(amendment.new_sections[0].block.as_str(), "north");
    }

    #[test]
    fn f54_a_wrong_amendment_is_refused_with_a_pointer() {
        let section = |more: Value| {
            let mut section = json!({"name": "A"});
            section.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"sections": [section]})
        };
        for (body, pointer) in [
            (json!({}), "/"),
            (json!({"other": 1}), "/"),
            (json!([]), ""),
            (json!({"starts_at": "soon"}), "/starts_at"),
            (json!({"plan": "soon"}), "/plan"),
            (json!({"prices": {"R": 1}}), "/prices"),
            (json!({"plan": "0".repeat(64), "prices": {"R": -1}}), "/prices/R"),
            (json!({"starts_at": "2026-11-21T19:00:00Z", "sales_open_at": "2026-11-21T19:00:00Z"}), "/sales_open_at"),
            (json!({"starts_at": "2026-11-21T19:00:00Z", "sales_close_at": "2026-11-22T19:00:00Z"}), "/sales_close_at"),
            (json!({"sections": []}), "/sections"),
            (json!({"sections": [{"name": "A"}, {"name": "A"}]}), "/sections/1/name"),
            (
                json!({"sections": [{"name": "A"}], "new_sections": [{"name": "A", "seats": 1, "price": 1}]}),
                "/new_sections/0/name",
            ),
            (section(json!({"prices": {"R": -1}})), "/sections/0/prices/R"),
            (section(json!({"prices": [1]})), "/sections/0/prices"),
            (section(json!({"prices": {"": 1}})), "/sections/0/prices/"),
            (section(json!({"not_for_sale": [[0, 1]]})), "/sections/0/not_for_sale/0"),
            (section(json!({"layout": {"seats": 0, "price": 1}})), "/sections/0/layout/seats"),
            (json!({"new_sections": [{"name": "A", "seats": 1}]}), "/new_sections/0/price"),
        ] {
            let problem = read_amendment(&body).unwrap_err();
            assert_eq!(problem.status().as_u16(), 422, "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
    }
}
