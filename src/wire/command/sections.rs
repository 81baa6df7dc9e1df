//! Sections and how their seats lie. Consecutive seats are `[first, count]`.

use std::collections::HashSet;
use std::fmt::{Display, Write};
use std::hash::Hash;

use crate::domain::block::{
    CATEGORIES_MAX, Category, Layout, LayoutParts, NewSection, SEATS_MAX, SECTION_SEATS_MAX, Span,
};
use crate::domain::{Amount, CategoryName, SectionName};
use crate::wire::fields::{DecodeError, Fields};
use crate::wire::json::Object;
use crate::wire::values::Price;

pub(super) fn read(f: &Fields<'_>) -> Result<NewSection, DecodeError> {
    let name = f.required("name")?;
    Ok(NewSection { layout: read_layout(f, &name)?, name })
}

pub(super) fn write(o: &mut Object<'_>, section: &NewSection) {
    o.text("name", section.name.as_str());
    write_layout(o, &section.layout, &section.name);
}

/// Each name once, and not more seats than a block has.
pub(super) fn check_together(field: &str, sections: &[NewSection]) -> Result<(), DecodeError> {
    check_names(field, sections.iter().map(|section| &section.name))?;
    let seats: u64 = sections.iter().map(|section| u64::from(section.layout.seats())).sum();
    if seats > u64::from(SEATS_MAX) {
        return Err(DecodeError::field(field, format_args!("{seats} seats, at most {SEATS_MAX} are allowed")));
    }
    Ok(())
}

pub(super) fn check_names<'n, N: Eq + Hash + Display + 'n>(
    field: &str,
    names: impl Iterator<Item = &'n N>,
) -> Result<(), DecodeError> {
    let mut met = HashSet::new();
    for name in names {
        if !met.insert(name) {
            return Err(DecodeError::field(field, format_args!("{name} is there twice")));
        }
    }
    Ok(())
}

/// With `price` in place of `categories` it has one category, named as the section. Without `runs` all seats are
/// neighbors, without `category_runs` all are of the first category.
pub(super) fn read_layout(f: &Fields<'_>, section: &SectionName) -> Result<Layout, DecodeError> {
    let seats = f.within("seats", 1..=SECTION_SEATS_MAX)?;
    let all = Span { first: 1, last: seats };
    let categories = match (f.optional::<Price>("price")?, f.objects("categories", 1..=CATEGORIES_MAX, read_category)?)
    {
        (Some(price), None) => vec![Category { name: own_category(section)?, price: price.0 }],
        (None, Some(categories)) => categories,
        _ => return Err(DecodeError::new("exactly one of the fields price and categories must be given")),
    };
    let parts = LayoutParts {
        seats,
        runs: read_spans(f, "runs")?.unwrap_or_else(|| vec![all]),
        categories,
        category_runs: read_category_runs(f)?.unwrap_or_else(|| vec![(all, 0)]),
        not_for_sale: read_spans(f, "not_for_sale")?.unwrap_or_default(),
        wheelchair: read_spans(f, "wheelchair")?.unwrap_or_default(),
        companions: f.optional("companions")?.unwrap_or_default(),
    };
    Layout::new(parts).map_err(|error| DecodeError::new(error.0))
}

/// What a section without categories calls its only one. Both names keep the same rules.
fn own_category(section: &SectionName) -> Result<CategoryName, DecodeError> {
    section.as_str().parse().map_err(|error| DecodeError::field("name", error))
}

fn read_category(f: &Fields<'_>) -> Result<Category, DecodeError> {
    Ok(Category { name: f.required("name")?, price: f.required::<Price>("price")?.0 })
}

fn read_category_runs(f: &Fields<'_>) -> Result<Option<Vec<(Span, u16)>>, DecodeError> {
    let Some(runs) = f.optional::<Vec<(u32, u32, u16)>>("category_runs")? else { return Ok(None) };
    let read = |(first, count, category)| Ok((span("category_runs", first, count)?, category));
    runs.into_iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// Disjoint and ascending; whether the section has these seats is not checked here.
pub(super) fn read_spans(f: &Fields<'_>, name: &str) -> Result<Option<Vec<Span>>, DecodeError> {
    let Some(pairs) = f.optional::<Vec<(u32, u32)>>(name)? else { return Ok(None) };
    let spans: Vec<Span> =
        pairs.into_iter().map(|(first, count)| span(name, first, count)).collect::<Result<_, _>>()?;
    match spans.windows(2).find(|pair| pair[1].first <= pair[0].last) {
        Some(pair) => Err(DecodeError::field(name, format_args!("seat {} is out of order", pair[1].first))),
        None => Ok(Some(spans)),
    }
}

fn span(name: &str, first: u32, count: u32) -> Result<Span, DecodeError> {
    let last = first.checked_add(count).and_then(|end| end.checked_sub(1));
    match last {
        Some(last) if first >= 1 && count >= 1 && last <= SECTION_SEATS_MAX => Ok(Span { first, last }),
        _ => Err(DecodeError::field(name, format_args!("[{first},{count}] are no seats of 1 to {SECTION_SEATS_MAX}"))),
    }
}

pub(super) fn write_layout(o: &mut Object<'_>, layout: &Layout, section: &SectionName) {
    let parts = layout.parts();
    o.bare("seats", parts.seats);
    if let Some(price) = plain_price(layout, section) {
        o.bare("price", price);
        return;
    }
    write_spans(o, "runs", &parts.runs);
    o.objects("categories", &parts.categories, |o, category| {
        o.text("name", category.name.as_str()).bare("price", category.price);
    });
    o.list("category_runs", &parts.category_runs, |out, (span, category)| {
        let _ = write!(out, "[{},{},{category}]", span.first, span.len());
    });
    for (name, spans) in [("not_for_sale", &parts.not_for_sale), ("wheelchair", &parts.wheelchair)] {
        if !spans.is_empty() {
            write_spans(o, name, spans);
        }
    }
    if !parts.companions.is_empty() {
        o.list("companions", &parts.companions, |out, (seat, place)| {
            let _ = write!(out, "[{seat},{place}]");
        });
    }
}

/// The price of all seats, if that is all there is to say of them.
fn plain_price(layout: &Layout, section: &SectionName) -> Option<Amount> {
    let [category] = layout.categories() else { return None };
    let plain = Layout::plain(layout.seats(), section, category.price).ok()?;
    (plain == *layout).then_some(category.price)
}

pub(super) fn write_spans(o: &mut Object<'_>, name: &str, spans: &[Span]) {
    o.list(name, spans, |out, span| {
        let _ = write!(out, "[{},{}]", span.first, span.len());
    });
}
