//! What a layout may be, and how it is looked up.

use super::fixture::*;
use crate::domain::block::{CATEGORIES_MAX, Category, Layout, LayoutParts, SECTION_SEATS_MAX, Span};
use crate::domain::names::CategoryName;

fn span(first: u32, last: u32) -> Span {
    Span { first, last }
}

fn category(name: &str, price: i64) -> Category {
    Category { name: name.parse().unwrap(), price: amount(price) }
}

/// Six seats in two runs and two categories; 3 is the companion of wheelchair place 4, 6 is not for sale.
fn parts() -> LayoutParts {
    LayoutParts {
        seats: 6,
        runs: vec![span(1, 2), span(3, 6)],
        categories: vec![category("gold", 300), category("blue", 200)],
        category_runs: vec![(span(1, 4), 1), (span(5, 6), 0)],
        not_for_sale: vec![span(6, 6)],
        wheelchair: vec![span(4, 4)],
        companions: vec![(3, 4)],
    }
}

/// Four seats of one price; 3 is the companion of wheelchair place 4.
pub fn with_companion() -> Layout {
    let all = span(1, 4);
    let categories = vec![category("gold", PRICE)];
    let (runs, category_runs) = (vec![all], vec![(all, 0)]);
    Layout::new(LayoutParts { seats: 4, runs, categories, category_runs, not_for_sale: vec![], ..parts() }).unwrap()
}

#[test]
fn a_layout_answers_for_each_seat() {
    let layout = Layout::new(parts()).unwrap();
    let prices: Vec<i64> = (1..=6).map(|number| layout.price_of(number).get()).collect();
    assert_eq!(prices, [200, 200, 200, 200, 300, 300]);
    assert_eq!((layout.run_of(2), layout.run_of(3), layout.run_of(6)), (span(1, 2), span(3, 6), span(3, 6)));
    assert_eq!((1..=6).filter(|n| !layout.is_for_sale(*n)).collect::<Vec<_>>(), [6]);
    assert_eq!((1..=6).filter(|n| layout.is_wheelchair(*n)).collect::<Vec<_>>(), [4]);
    assert_eq!((1..=6).map(|n| layout.place_of(n)).collect::<Vec<_>>(), [None, None, Some(4), None, None, None]);
}

#[test]
fn a_plain_section_is_one_run_and_one_category_named_like_it() {
    let layout = Layout::plain(50, &name("Parkett"), amount(100)).unwrap();
    assert_eq!(layout.parts().runs, [span(1, 50)]);
    assert_eq!(layout.categories(), [category("Parkett", 100)]);
    for seats in [0, SECTION_SEATS_MAX + 1] {
        assert!(Layout::plain(seats, &name("A"), amount(1)).is_err());
    }
}

#[test]
fn what_does_not_fit_together_is_no_layout() {
    type Change = fn(&mut LayoutParts);
    let changes: [(&str, Change); 20] = [
        ("a gap in runs", |p| p.runs = vec![span(1, 2), span(4, 6)]),
        ("runs end early", |p| p.runs = vec![span(1, 5)]),
        ("runs end late", |p| p.runs = vec![span(1, 7)]),
        ("runs overlap", |p| p.runs = vec![span(1, 3), span(3, 6)]),
        ("runs descend", |p| p.runs = vec![span(3, 6), span(1, 2)]),
        ("an empty run", |p| p.runs = vec![span(1, 0), span(1, 6)]),
        ("no run", |p| p.runs.clear()),
        ("no category", |p| p.categories.clear()),
        ("a category twice", |p| p.categories.push(category("gold", 1))),
        ("categories with a gap", |p| p.category_runs = vec![(span(1, 3), 0), (span(5, 6), 1)]),
        ("an unknown category", |p| p.category_runs[0].1 = 2),
        ("not for sale beyond the last", |p| p.not_for_sale = vec![span(6, 7)]),
        ("not for sale from 0", |p| p.not_for_sale = vec![span(0, 1)]),
        ("not for sale backwards", |p| p.not_for_sale = vec![span(3, 2)]),
        ("not for sale overlapping", |p| p.not_for_sale = vec![span(1, 3), span(3, 4)]),
        ("wheelchair beyond the last", |p| p.wheelchair = vec![span(4, u32::MAX)]),
        ("a companion of an ordinary seat", |p| p.companions = vec![(3, 2)]),
        ("a companion in a wheelchair place", |p| p.companions = vec![(4, 4)]),
        ("a companion twice", |p| p.companions = vec![(3, 4), (3, 4)]),
        ("a companion that is no seat", |p| p.companions = vec![(7, 4)]),
    ];
    for (what, change) in changes {
        let mut parts = parts();
        change(&mut parts);
        assert!(Layout::new(parts).is_err(), "{what}");
    }
    let names = (0..=CATEGORIES_MAX).map(|n| category(&format!("c{n}"), 1)).collect();
    assert!(Layout::new(LayoutParts { categories: names, ..parts() }).is_err());
    assert!("".parse::<CategoryName>().is_err());
}
