//! `best_available`, by hand and against windows tried one by one.

use proptest::collection::vec;
use proptest::prelude::*;

use super::check::is_offered;
use super::fixture::*;
use crate::domain::block::stretches::Place;
use crate::domain::block::{
    BestAvailable, Block, Category, Choice, Command, Layout, LayoutParts, NewSection, OpenBlock, SectionRow, Span,
    Terms,
};
use crate::domain::{Code, LogTime, SeatId, Verdict};

fn wanted(user: &str, count: u32, section: Option<&str>, category: Option<&str>) -> Command {
    let (section, category) = (section.map(name), category.map(|category| category.parse().unwrap()));
    choose(user, Choice::BestAvailable(BestAvailable { count, section, category }))
}

/// A section of which the seats that are not `.` are sold.
fn hall_of(picture: &str) -> Hall {
    let seats = picture.len() as u32;
    let terms = Terms { max_seats_per_user: 100, ..terms() };
    let mut hall = Hall::opened(OpenBlock { sections: vec![plain("A", seats, 0)], terms, queue: false, ..opening() });
    let taken: Vec<u32> = (1..).zip(picture.chars()).filter(|(_, c)| *c != '.').map(|(n, _)| n).collect();
    if !taken.is_empty() {
        let id = hall.held(2_000, "others", &taken).id;
        succeeded(&hall.run(2_000, pay("others", id, None)));
    }
    hall
}

#[test]
fn f15_best_available_takes_the_lowest_run_that_leaves_no_single_seat() {
    // (free seats as dots, wanted, first seat of the run)
    let cases = [
        ("..........", 2, Some(1)),
        ("...", 2, Some(1)),
        ("...x..", 2, Some(5)),
        ("...x....", 2, Some(5)),
        ("...x...", 2, Some(1)),
        ("x.x..", 1, Some(2)),
        ("..x.", 1, Some(4)),
        ("..", 1, Some(1)),
        (".x...", 1, Some(1)),
        ("x..x...", 1, Some(5)),
        ("x.x.x", 2, None),
        ("xxx", 1, None),
        ("...", 4, None),
        ("...", 0, None),
        ("....x...", 3, Some(6)),
    ];
    for (picture, count, first) in cases {
        let decision = hall_of(picture).run(2_000, best("ann", count));
        match first {
            Some(first) => assert_eq!(numbers(&held(&decision))[0], first, "{count} of {picture}"),
            None => assert_eq!(refused(&decision), Code::NotEnoughAdjacentSeats, "{count} of {picture}"),
        }
    }
}

#[test]
fn f15_s5_thirty_users_who_want_two_of_fifty_seats_get_twenty_five_pairs() {
    let mut hall = Hall::with_seats(50);
    let mut refusals = 0;
    for n in 0..30 {
        let decision = hall.run(2_000, best(&format!("user-{n}"), 2));
        if let Verdict::Decided(Ok(_)) = decision.verdict {
            let seats = numbers(&held(&decision));
            assert_eq!(seats[0] + 1, seats[1]);
        } else {
            assert_eq!(refused(&decision), Code::NotEnoughAdjacentSeats);
            refusals += 1;
        }
    }
    assert_eq!((refusals, hall.free()), (5, 0));
}

#[test]
fn best_available_counts_seats_that_ran_out_as_free() {
    let mut hall = Hall::with_seats(4);
    let ann = hall.held(2_000, "ann", &[1, 2]);
    hall.held(3_000, "bob", &[3, 4]);
    let decision = hall.run(2_000 + HOLD_TTL_MS, best("cat", 2));
    assert_eq!((numbers(&held(&decision)), decision.effects.expired), (vec![1, 2], vec![ann.id]));
}

fn span(first: u32, last: u32) -> Span {
    Span { first, last }
}

fn category(name: &str, price: i64) -> Category {
    Category { name: name.parse().unwrap(), price: amount(price) }
}

/// Two rows of ten with an aisle after seat 5; 11–13 are dearer, 14 a companion of wheelchair place 15, 20 not for sale.
fn rows() -> NewSection {
    let layout = Layout::new(LayoutParts {
        seats: 20,
        runs: vec![span(1, 5), span(6, 10), span(11, 15), span(16, 20)],
        categories: vec![category("gold", 300), category("blue", 200)],
        category_runs: vec![(span(1, 10), 1), (span(11, 13), 0), (span(14, 20), 1)],
        not_for_sale: vec![span(20, 20)],
        wheelchair: vec![span(15, 15)],
        companions: vec![(14, 15)],
    });
    NewSection { name: name("A"), layout: layout.unwrap() }
}

#[test]
fn s13_neighbors_never_lie_across_an_aisle_a_category_or_a_wheelchair_place() {
    let terms = Terms { max_seats_per_user: 20, ..terms() };
    let mut hall = Hall::opened(OpenBlock { sections: vec![rows(), plain("B", 4, 10)], terms, ..opening() });
    hall.held(2_000, "ann", &[1, 2, 3, 4]);
    let mut next = |count| numbers(&held(&hall.run(2_000, best("bob", count))));
    assert_eq!(next(2), [6, 7], "not 5 and 6");
    assert_eq!(next(3), [8, 9, 10]);
    assert_eq!(next(2), [16, 17], "of 11–13 one would be left");
    assert_eq!(next(2), [18, 19]);
    assert_eq!(next(4), [1, 2, 3, 4], "section B");
    assert_eq!(next(2), [11, 12], "13 is left alone, and 14 is a companion seat");
    assert_eq!(next(1), [5]);
    assert_eq!(next(1), [13]);
    assert_eq!(refused(&hall.run(2_000, best("bob", 1))), Code::NotEnoughAdjacentSeats, "14, 15 and 20 are left");
}

#[test]
fn best_available_may_be_asked_of_a_section_and_of_a_category() {
    let mut hall = Hall::opened(OpenBlock { sections: vec![rows(), plain("B", 4, 10)], ..opening() });
    type Case = (Option<&'static str>, Option<&'static str>, Result<&'static str, Code>);
    let cases: [Case; 8] = [
        (None, None, Ok("A-1")),
        (Some("B"), None, Ok("B-1")),
        (None, Some("gold"), Ok("A-11")),
        (Some("A"), Some("gold"), Ok("A-12")),
        (None, Some("B"), Ok("B-2")),
        (Some("B"), Some("gold"), Err(Code::SectionNotFound)),
        (Some("C"), None, Err(Code::SectionNotFound)),
        (None, Some("red"), Err(Code::SectionNotFound)),
    ];
    for (n, (section, category, expected)) in cases.into_iter().enumerate() {
        let decision = hall.run(2_000, wanted(&format!("user-{n}"), 1, section, category));
        match expected {
            Ok(seat) => assert_eq!(held(&decision).seats[0].to_string(), seat),
            Err(code) => assert_eq!(refused(&decision), code, "{section:?} {category:?}"),
        }
    }
}

#[test]
fn companion_seats_join_their_neighbors_once_their_time_has_come() {
    let terms = Terms { companions_free_at: Some(LogTime(5_000)), max_seats_per_user: 20, ..terms() };
    let mut hall = Hall::opened(OpenBlock { sections: vec![rows()], terms, ..opening() });
    hall.held(4_000, "ann", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 18, 19]);
    assert_eq!(numbers(&held(&hall.run(4_000, wanted("bob", 1, None, Some("gold"))))), [11]);
    assert_eq!(refused(&hall.run(4_999, wanted("cat", 1, None, Some("blue")))), Code::NotEnoughAdjacentSeats);
    assert_eq!(numbers(&held(&hall.run(5_000, wanted("cat", 1, None, Some("blue"))))), [14]);
}

/// The windows of `count` seats, in order; the first that leaves no single free seat beside it, else the first.
fn naive(block: &Block, command: &BestAvailable, closed: &[SeatId], time: LogTime) -> Option<Vec<u32>> {
    let mut first = None;
    for section in &block.sections {
        let SectionRow { rank, layout, name, .. } = &section.row;
        if command.section.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let free = |number: u32| {
            let seat = SeatId { section: name.clone(), number };
            let category = &layout.categories()[layout.category_of(number)].name;
            is_offered(block, Place { rank: *rank, number }, time)
                && !closed.contains(&seat)
                && command.category.as_ref().is_none_or(|wanted| wanted == category)
        };
        let joined = |a: u32, b: u32| {
            a >= 1
                && b <= layout.seats()
                && free(a)
                && free(b)
                && layout.run_of(a) == layout.run_of(b)
                && layout.category_of(a) == layout.category_of(b)
        };
        // A single seat is left if the neighbor is free and its other neighbor is not.
        let single_before = |a: u32| joined(a - 1, a) && !(a >= 3 && joined(a - 2, a - 1));
        let single_after = |b: u32| joined(b, b + 1) && !joined(b + 1, b + 2);
        for from in 1..=(layout.seats() + 1).saturating_sub(command.count) {
            let to = from + command.count - 1;
            if !free(from) || !(from..to).all(|number| joined(number, number + 1)) {
                continue;
            }
            let window: Vec<u32> = (from..=to).collect();
            if !single_before(from) && !single_after(to) {
                return Some(window);
            }
            first.get_or_insert(window);
        }
    }
    first
}

fn layout(seats: u32, cuts: Vec<bool>, colors: Vec<u8>, flags: Vec<u8>) -> Layout {
    let pieces = |starts: &dyn Fn(u32) -> bool| {
        let mut spans: Vec<Span> = Vec::new();
        for number in 1..=seats {
            match spans.last_mut() {
                Some(last) if !starts(number) => last.last = number,
                _ => spans.push(span(number, number)),
            }
        }
        spans
    };
    let color = |number: u32| u16::from(colors[(number as usize - 1) / 4 % colors.len()] % 2);
    let flag = |number: u32| flags[number as usize - 1];
    let flagged = |wanted: u8| (1..=seats).filter(|n| flag(*n) == wanted).map(|n| span(n, n)).collect::<Vec<_>>();
    let wheelchair = flagged(1);
    let companions = match wheelchair.first() {
        Some(place) => flagged(2).iter().map(|seat| (seat.first, place.first)).collect(),
        None => Vec::new(),
    };
    let runs = pieces(&|number| cuts[number as usize - 1]);
    let category_runs = pieces(&|number| number % 4 == 1).into_iter().map(|span| (span, color(span.first))).collect();
    let categories = vec![category("gold", 300), category("blue", 200)];
    let parts =
        LayoutParts { seats, runs, categories, category_runs, not_for_sale: flagged(3), wheelchair, companions };
    Layout::new(parts).unwrap()
}

prop_compose! {
    fn any_layout()(seats in 1..24u32)(
        seats in Just(seats),
        cuts in vec(prop::bool::weighted(0.2), seats as usize),
        colors in vec(0..2u8, 6),
        flags in vec(prop_oneof![8 => Just(0u8), 1 => Just(1u8), 1 => Just(2), 1 => Just(3)], seats as usize),
    ) -> Layout {
        layout(seats, cuts, colors, flags)
    }
}

/// Who, how many, in section B, in gold, how much later, and whether it is cancelled (0) or paid (1) at once.
type Step = (u8, u32, Option<bool>, Option<bool>, i64, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || prop::option::weighted(0.3, any::<bool>());
    vec((0..4u8, 1..5u32, place(), place(), 0..2_500i64, 0..4u8), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn best_available_gives_what_trying_every_window_gives(
        a in any_layout(), b in any_layout(), steps in steps()
    ) {
        let sections = [("A", a), ("B", b)].map(|(section, layout)| NewSection { name: name(section), layout });
        let terms = Terms { companions_free_at: Some(LogTime(25_000)), max_seats_per_user: 12, ..terms() };
        let mut hall = Hall::opened(OpenBlock { sections: sections.to_vec(), terms, queue: false, ..opening() });
        let mut time = 2_000;
        for (who, count, in_b, gold, later, then) in steps {
            time += later;
            let who = format!("user-{who}");
            let section = in_b.map(|b| name(if b { "B" } else { "A" }));
            let category = gold.map(|gold| if gold { "gold" } else { "blue" }.parse().unwrap());
            let wanted = BestAvailable { count, section, category };
            let mut before = hall.block().clone();
            crate::domain::Aggregate::advance(&mut before, LogTime(time));
            let closed = super::rehold::cooling(&before, &user(&who), LogTime(time));
            let expected = naive(&before, &wanted, &closed, LogTime(time));
            let decision = hall.run(time, choose(&who, Choice::BestAvailable(wanted)));
            match code(&decision) {
                None => {
                    let reservation = held(&decision);
                    prop_assert_eq!(Some(numbers(&reservation)), expected);
                    match then {
                        0 => drop(hall.run(time, cancel(&who, reservation.id))),
                        1 => drop(hall.run(time, pay(&who, reservation.id, None))),
                        _ => {}
                    }
                }
                Some(Code::NotEnoughAdjacentSeats) => prop_assert_eq!(None, expected),
                Some(code) => prop_assert_eq!(code, Code::TicketLimitExceeded),
            }
        }
    }
}
