//! Opening a block and changing an open one.

use super::sections::{self, read_spans, write_spans};
use crate::domain::block::{
    AmendBlock, AmendSection, HOLD_TTL_MS_MAX, OpenBlock, PAYMENT_TIMEOUT_MS_MAX, SEATS_PER_HOLD_MAX, SECTIONS_MAX,
    Terms,
};
use crate::domain::{Amount, CategoryName, LogTime};
use crate::wire::fields::{DecodeError, Fields, missing};
use crate::wire::json::Object;
use crate::wire::key;
use crate::wire::values::Price;

pub(super) fn read_open_block(f: &Fields<'_>) -> Result<OpenBlock, DecodeError> {
    let sections = f.objects("sections", 1..=SECTIONS_MAX, sections::read)?.ok_or_else(|| missing("sections"))?;
    sections::check_together("sections", &sections)?;
    Ok(OpenBlock {
        key: key::read(f)?,
        user_id: f.required("user_id")?,
        sections,
        terms: read_terms(f)?,
        queue: f.required("queue")?,
    })
}

/// Each number has to be there: a default could change between two versions, and the same log must give the same state.
fn read_terms(f: &Fields<'_>) -> Result<Terms, DecodeError> {
    Ok(Terms {
        hold_ttl_ms: f.within("hold_ttl_ms", 1..=HOLD_TTL_MS_MAX)?,
        rehold_after_ms: f.within("rehold_after_ms", 0..=HOLD_TTL_MS_MAX)?,
        payment_timeout_ms: f.within("payment_timeout_ms", 1..=PAYMENT_TIMEOUT_MS_MAX)?,
        max_seats_per_user: f.within("max_seats_per_user", 1..=SEATS_PER_HOLD_MAX)?,
        sales_open_at: f.optional("sales_open_at")?,
        sales_close_at: f.optional("sales_close_at")?,
        starts_at: f.required("starts_at")?,
        companions_free_at: f.optional("companions_free_at")?,
    })
}

pub(super) fn write_open_block(o: &mut Object<'_>, c: &OpenBlock) {
    key::write(o, &c.key);
    o.objects("sections", &c.sections, sections::write).bare("queue", c.queue);
    let terms = &c.terms;
    o.bare("hold_ttl_ms", terms.hold_ttl_ms).bare("rehold_after_ms", terms.rehold_after_ms);
    o.bare("payment_timeout_ms", terms.payment_timeout_ms).bare("max_seats_per_user", terms.max_seats_per_user);
    o.time_if("sales_open_at", terms.sales_open_at).time_if("sales_close_at", terms.sales_close_at);
    o.time("starts_at", terms.starts_at).time_if("companions_free_at", terms.companions_free_at);
}

pub(super) fn read_amend_block(f: &Fields<'_>) -> Result<AmendBlock, DecodeError> {
    let amended = f.objects("sections", 0..=SECTIONS_MAX, read_amend_section)?.unwrap_or_default();
    sections::check_names("sections", amended.iter().map(|section| &section.name))?;
    let new_sections = f.objects("new_sections", 0..=SECTIONS_MAX, sections::read)?.unwrap_or_default();
    sections::check_together("new_sections", &new_sections)?;
    Ok(AmendBlock {
        key: key::read(f)?,
        user_id: f.required("user_id")?,
        sections: amended,
        new_sections,
        sales_open_at: f.nullable("sales_open_at")?,
        sales_close_at: f.nullable("sales_close_at")?,
        starts_at: f.optional("starts_at")?,
        cancelled: f.optional("cancelled")?.unwrap_or(false),
    })
}

fn read_amend_section(f: &Fields<'_>) -> Result<AmendSection, DecodeError> {
    let name = f.required("name")?;
    let prices = f.objects("prices", 0..=crate::domain::block::CATEGORIES_MAX, read_price)?.unwrap_or_default();
    sections::check_names("prices", prices.iter().map(|(name, _)| name))?;
    Ok(AmendSection {
        layout: f.optional_object("layout", |layout| sections::read_layout(layout, &name))?,
        name,
        prices,
        not_for_sale: read_spans(f, "not_for_sale")?,
    })
}

fn read_price(f: &Fields<'_>) -> Result<(CategoryName, Amount), DecodeError> {
    Ok((f.required("name")?, f.required::<Price>("price")?.0))
}

pub(super) fn write_amend_block(o: &mut Object<'_>, c: &AmendBlock) {
    key::write(o, &c.key);
    if !c.sections.is_empty() {
        o.objects("sections", &c.sections, write_amend_section);
    }
    if !c.new_sections.is_empty() {
        o.objects("new_sections", &c.new_sections, sections::write);
    }
    write_nullable(o, "sales_open_at", c.sales_open_at);
    write_nullable(o, "sales_close_at", c.sales_close_at);
    o.time_if("starts_at", c.starts_at);
    if c.cancelled {
        o.bare("cancelled", true);
    }
}

fn write_nullable(o: &mut Object<'_>, name: &str, time: Option<Option<LogTime>>) {
    match time {
        Some(Some(time)) => o.time(name, time),
        Some(None) => o.null(name),
        None => o,
    };
}

fn write_amend_section(o: &mut Object<'_>, section: &AmendSection) {
    o.text("name", section.name.as_str());
    if let Some(layout) = &section.layout {
        o.object("layout", |o| sections::write_layout(o, layout, &section.name));
    }
    if !section.prices.is_empty() {
        o.objects("prices", &section.prices, |o, (name, price)| {
            o.text("name", name.as_str()).bare("price", price);
        });
    }
    if let Some(spans) = &section.not_for_sale {
        write_spans(o, "not_for_sale", spans);
    }
}
