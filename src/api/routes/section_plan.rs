//! A section in the body of `POST /v1/concerts/{id}/schedules`, read and checked.

use crate::api::http::fields::Fields;
use crate::domain::block::{CATEGORIES_MAX, Category, Layout, LayoutParts, NewSection, SECTION_SEATS_MAX, Span};
use crate::domain::{BlockName, SectionName};

/// Rows, flags and the like of one section.
const SPANS_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionPlan {
    pub block: BlockName,
    pub section: NewSection,
}

pub fn read_section(fields: &mut Fields<'_>) -> Option<SectionPlan> {
    let name: Option<SectionName> = fields.name("name");
    let block = fields.optional("block", Fields::parsed);
    let layout = read_layout(fields, name.as_ref());
    let section = NewSection { name: name?, layout: layout? };
    Some(SectionPlan { block: block?.unwrap_or_else(BlockName::main), section })
}

pub fn read_layout(fields: &mut Fields<'_>, name: Option<&SectionName>) -> Option<Layout> {
    let seats = fields.integer("seats", 1..=i64::from(SECTION_SEATS_MAX)).and_then(|seats| u32::try_from(seats).ok());
    let categories = read_categories(fields, name);
    let runs = fields.optional("runs", |f, field| spans(f, field));
    let category_runs = fields.optional("category_runs", |f, field| category_spans(f, field));
    let not_for_sale = fields.optional("not_for_sale", |f, field| spans(f, field));
    let wheelchair = fields.optional("wheelchair", |f, field| spans(f, field));
    let companions = fields.optional("companions", |f, field| f.tuples::<2>(field, SPANS_MAX));
    let seats = seats?;
    let all = Span { first: 1, last: seats };
    let parts = LayoutParts {
        seats,
        runs: runs?.unwrap_or_else(|| vec![all]),
        categories: categories?,
        category_runs: category_runs?.unwrap_or_else(|| vec![(all, 0)]),
        not_for_sale: not_for_sale?.unwrap_or_default(),
        wheelchair: wheelchair?.unwrap_or_default(),
        companions: companions?.unwrap_or_default().into_iter().map(|[seat, place]| (seat, place)).collect(),
    };
    match Layout::new(parts) {
        Ok(layout) => Some(layout),
        Err(error) => fields.reject("seats", error.0),
    }
}

/// The categories, or the one of a section with a price, which has the section's name.
fn read_categories(fields: &mut Fields<'_>, name: Option<&SectionName>) -> Option<Vec<Category>> {
    match (fields.has("categories"), fields.has("price")) {
        (true, true) => fields.reject("price", "must not be given with categories"),
        (true, false) => fields.objects("categories", CATEGORIES_MAX, |category| {
            let (name, price) = (category.name("name"), category.price("price"));
            Some(Category { name: name?, price: price? })
        }),
        (false, _) => {
            let price = fields.price("price")?;
            Some(vec![Category { name: name?.as_str().parse().ok()?, price }])
        }
    }
}

/// `[first seat, count]` each.
pub fn spans(fields: &mut Fields<'_>, name: &str) -> Option<Vec<Span>> {
    let pairs = fields.tuples::<2>(name, SPANS_MAX)?;
    collect(fields, name, pairs.iter().map(|[first, count]| span(*first, *count)))
}

/// `[first seat, count, index of the category]` each.
fn category_spans(fields: &mut Fields<'_>, name: &str) -> Option<Vec<(Span, u16)>> {
    let triples = fields.tuples::<3>(name, SPANS_MAX)?;
    let with_category =
        |[first, count, category]: &[u32; 3]| Some((span(*first, *count)?, u16::try_from(*category).ok()?));
    collect(fields, name, triples.iter().map(with_category))
}

fn collect<T>(fields: &mut Fields<'_>, name: &str, spans: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut read = Vec::new();
    for (index, span) in spans.enumerate() {
        match span {
            Some(span) => read.push(span),
            None => return fields.reject(&format!("{name}/{index}"), "must be seats: [first seat, count]"),
        }
    }
    Some(read)
}

fn span(first: u32, count: u32) -> Option<Span> {
    let last = first.checked_add(count)?.checked_sub(1)?;
    (first >= 1 && count >= 1).then_some(Span { first, last })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::http::problem::Problem;
    use crate::domain::Amount;

    fn read(body: &Value) -> Result<SectionPlan, Problem> {
        let mut fields = Fields::of(body)?;
        let section = read_section(&mut fields);
        fields.finish(section)
    }

    #[test]
    fn a_plain_section_is_one_row_and_one_category_of_its_name() {
        let plan = read(&json!({"name": "Parkett e\u{301}", "seats": 3, "price": 0})).unwrap();
        let name: SectionName = "Parkett \u{e9}".parse().unwrap();
        assert_eq!(plan.block, BlockName::main());
        let layout = Layout::plain(3, &name, Amount::ZERO).unwrap();
        assert_eq!(plan.section, NewSection { name, layout });
    }

    #[test]
    fn a_section_may_have_rows_categories_and_flags() {
        let body = json!({
            "name": "A", "seats": 10, "block": "north", "runs": [[1, 4], [5, 6]],
            "categories": [{"name": "R", "price": 900}, {"name": "S", "price": 500}],
            "category_runs": [[1, 2, 0], [3, 8, 1]],
            "not_for_sale": [[10, 1]], "wheelchair": [[5, 1]], "companions": [[6, 5]],
        });
        let plan = read(&body).unwrap();
        assert_eq!(plan.block.as_str(), "north");
        let parts = plan.section.layout.parts();
        let span = |first, last| Span { first, last };
        assert_eq!(parts.runs, [span(1, 4), span(5, 10)]);
        assert_eq!(parts.category_runs, [(span(1, 2), 0), (span(3, 10), 1)]);
        assert_eq!((&parts.not_for_sale[..], &parts.wheelchair[..]), (&[span(10, 10)][..], &[span(5, 5)][..]));
        assert_eq!(parts.companions, [(6, 5)]);
    }

    #[test]
    fn a_wrong_section_is_refused_with_a_pointer() {
        let with = |name: &str, value: Value| {
            let mut body = json!({"name": "A", "seats": 10, "price": 1});
            body[name] = value;
            body
        };
        let two = json!([{"name": "R", "price": 1}, {"name": "R", "price": 2}]);
        for (body, pointer) in [
            (json!({"seats": 1, "price": 1}), "/name"),
            (with("name", json!("A\u{200b}")), "/name"),
            (with("name", json!("x".repeat(65))), "/name"),
            (with("block", json!("a b")), "/block"),
            (with("seats", json!(100_001)), "/seats"),
            (with("price", json!(-1)), "/price"),
            (with("price", json!(null)), "/price"),
            (with("categories", two.clone()), "/price"),
            (json!({"name": "A", "seats": 1, "categories": two}), "/seats"),
            (json!({"name": "A", "seats": 1, "categories": [{"name": "R"}]}), "/categories/0/price"),
            (with("runs", json!([[1, 0]])), "/runs/0"),
            (with("runs", json!([[1, 4294967295_u32]])), "/runs/0"),
            (with("runs", json!([[1, 5]])), "/seats"),
            (with("category_runs", json!([[1, 10]])), "/category_runs/0"),
            (with("category_runs", json!([[1, 10, 1]])), "/seats"),
            (with("not_for_sale", json!([[11, 1]])), "/seats"),
            (with("companions", json!([[1, 2]])), "/seats"),
        ] {
            let problem = read(&body).unwrap_err();
            assert_eq!(problem.status().as_u16(), 422, "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
    }
}
