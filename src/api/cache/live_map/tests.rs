//! A map that is kept up by outcomes shows what one shows that is read.

use std::collections::BTreeSet;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::Config;
use uuid::Uuid;

use super::*;
use crate::api::cache::seat_map::tests::{block, id};
use crate::api::cache::seat_map::{Form, SeatMap, Since};
use crate::domain::block::{ReservationState, SeatStatus};
use crate::domain::{Lane, Position};
use crate::log::Record;
use crate::testing::property::{Pair, Step, World, step};
use crate::testing::wire::samples;
use crate::wire::headers;
use crate::wire::outcome::encode;

fn read(rows: &[BlockSeats]) -> LiveMap {
    LiveMap::new(Seats::new(id(), rows), rows)
}

/// The status and owner of each seat.
fn seats(live: &LiveMap) -> Vec<(Shown, Option<ReservationId>)> {
    let mut all = Vec::new();
    for section in 0.. {
        let mut numbers = (1..).map_while(|number| live.seats.seat(Place { section, number })).peekable();
        if numbers.peek().is_none() {
            return all;
        }
        all.extend(numbers.map(|seat| seat.map_or((Shown::Available, None), |seat| (seat.status, seat.reservation))));
    }
    all
}

/// Holds whose seats the index has; each as it is in the map.
fn check_index(live: &LiveMap) {
    let held: usize = live.holds.values().map(Vec::len).sum();
    assert_eq!(held, seats(live).iter().filter(|(status, _)| *status == Shown::Held).count());
    for (reservation, places) in &live.holds {
        assert!(places.iter().all(|place| live.owner(*place) == Some(*reservation)));
    }
}

/// The only difference: a paid reservation that was cancelled keeps its seats until its outcome comes.
fn check(live: &LiveMap, world: &World) {
    check_index(live);
    let reservations = world.reservations();
    let under_way: BTreeSet<ReservationId> = reservations
        .iter()
        .filter(|reservation| matches!(reservation.state, ReservationState::Cancelled { refund: Some(_) }))
        .map(|reservation| reservation.id)
        .collect();
    let expected = seats(&read(&[world.block_seats()]));
    for (index, (shown, expected)) in seats(live).into_iter().zip(expected).enumerate() {
        let is_under_way = shown.1.is_some_and(|owner| under_way.contains(&owner));
        let free = (Shown::Available, None);
        assert!(shown == expected || is_under_way && expected == free, "seat {index}: {shown:?}, is {expected:?}");
    }
}

/// What the block told since so many outcomes.
fn news_since(world: &World, told: usize) -> Vec<SeatNews> {
    let records = world.published[told..].iter().filter(|record| !headers::is_refusal(&record.headers));
    records.map(|record| SeatNews::of_record(record).expect("an outcome of a block can be read")).collect()
}

/// Sections of a show that is cancelled may have changed, for all that its outcome says.
fn take_in(live: &mut LiveMap, news: &[SeatNews], version: u64) {
    for news in news {
        let fits = live.apply(news, version);
        assert!(fits.is_ok() || news.changes == [SeatChange::Sections], "{news:?}");
    }
}

proptest! {
    #![proptest_config(Config { cases: 128, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_outcomes_say_is_what_the_rows_say(steps in prop::collection::vec(step(), 1..120), late in any::<prop::sample::Index>()) {
        let mut pair = Pair::with_money();
        let mut live = read(&[pair.world.block_seats()]);
        let mut told = pair.world.published.len();
        // What a read at each moment would have given, and how much had been told by then.
        let mut reads = vec![(vec![pair.world.block_seats()], told)];
        for (version, step) in (1..).zip(&steps) {
            pair.take(step);
            let news = news_since(&pair.world, told);
            told = pair.world.published.len();
            take_in(&mut live, &news, version);
            check(&live, &pair.world);
            // Whatever is published again, all of it or the last, changes nothing.
            take_in(&mut live, &news, version + 1);
            check(&live, &pair.world);
            reads.push((vec![pair.world.block_seats()], told));
        }
        // A read races with news: some that it has come after it, and none that it lacks is missing.
        let (rows, told) = late.get(&reads);
        for overlap in [0, 1, 2, 5, 1_000] {
            let mut live = read(rows);
            take_in(&mut live, &news_since(&pair.world, told.saturating_sub(overlap)), 1);
            check(&live, &pair.world);
        }
    }

    #[test]
    fn a_refusal_changes_no_row(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::with_money();
        for step in &steps {
            let (before, told) = (pair.world.block_seats(), pair.world.published.len());
            pair.take(step);
            let published = &pair.world.published[told..];
            let refused = published.len() == 1 && headers::is_refusal(&published[0].headers);
            if refused && !matches!(step, Step::CancelShow) {
                prop_assert_eq!(pair.world.block_seats(), before);
            }
        }
    }
}

fn reservation(number: u128) -> ReservationId {
    ReservationId(Uuid::from_u128(number))
}

fn news(block: &str, offset: u64, changes: Vec<SeatChange>) -> SeatNews {
    let decided = Position::new(Lane::Seats, 3, offset);
    SeatNews { block: block.parse().unwrap(), decided, changes }
}

fn ids(seats: &[&str]) -> Vec<SeatId> {
    seats.iter().map(|seat| seat.parse().unwrap()).collect()
}

/// Seats of reservation 2: A-1 held, A-2 sold.
fn two_taken() -> LiveMap {
    read(&[block(3, &[("A", 4, 1)], &[("A-1", SeatStatus::Held, 10), ("A-2", SeatStatus::Sold, 12)])])
}

#[test]
fn what_does_not_fit_is_a_misfit_and_what_is_known_is_none() {
    let (two, nine) = (reservation(2), reservation(9));
    let misfits = [
        ("of a block that is not known", news("other", 20, vec![SeatChange::Hold(nine, ids(&["A-3"]))])),
        ("of a seat that is not known", news("b3", 20, vec![SeatChange::Hold(nine, ids(&["A-5"]))])),
        ("of a section that is not known", news("b3", 20, vec![SeatChange::Hold(nine, ids(&["B-1"]))])),
        ("of a seat that is held", news("b3", 20, vec![SeatChange::Hold(nine, ids(&["A-1"]))])),
        ("of a hold that is not known", news("b3", 20, vec![SeatChange::End(nine)])),
        ("of a hold that is not known", news("b3", 20, vec![SeatChange::SellHeld(nine)])),
        ("of a seat that is another's", news("b3", 20, vec![SeatChange::Sell(nine, ids(&["A-1"]))])),
        ("of a seat that is another's", news("b3", 20, vec![SeatChange::Free(vec![nine], ids(&["A-1"]))])),
        ("of a seat that is free", news("b3", 20, vec![SeatChange::Free(vec![two], ids(&["A-3"]))])),
        ("of sections", news("b3", 20, vec![SeatChange::Sections])),
    ];
    for (what, mut news) in misfits {
        assert_eq!(two_taken().apply(&news, 1), Err(Misfit), "{what}");
        news.decided.offset = 12;
        let known = two_taken().apply(&news, 1);
        assert_eq!(known.is_ok(), what != "of a block that is not known", "{what}");
    }
    let mut elsewhere = news("b3", 20, vec![]);
    elsewhere.decided = Position::new(Lane::Seats, 4, 20);
    assert_eq!(two_taken().apply(&elsewhere, 1), Err(Misfit), "the block has another partition");
}

#[test]
fn a_seat_of_a_paid_reservation_that_was_cancelled_may_be_held_before_the_money_is_back() {
    let (mut live, nine) = (two_taken(), reservation(9));
    live.apply(&news("b3", 20, vec![SeatChange::Hold(nine, ids(&["A-2"]))]), 1).unwrap();
    live.apply(&news("b3", 21, vec![SeatChange::GiveBack(reservation(2), ids(&["A-2"]))]), 2).unwrap();
    assert_eq!(seats(&live)[1], (Shown::Held, Some(nine)));
    assert_eq!((live.seats.version, live.seats.offsets.to_string().as_str()), (1, "3:12-20"), "nothing else shows");
}

#[test]
fn outcomes_that_may_overtake_each_other_are_not_applied() {
    // Of two blocks on one partition of the seats lane.
    let two = |name: &str| {
        let mut other = block(3, &[("B", 1, 1)], &[]);
        other.block = name.parse().unwrap();
        read(&[block(3, &[("A", 1, 1)], &[]), other])
    };
    let at = |name: &str| partition_for(&format!("{}/{name}", id()), 4);
    let names: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
    let (same, elsewhere): (Vec<_>, Vec<_>) = names.iter().partition(|name| at(name) == at("b3"));
    assert!(two(same[0]).is_told_in_order(4) && !two(elsewhere[0]).is_told_in_order(4));
    assert!(two(elsewhere[0]).is_told_in_order(1), "one partition has them all in order");
    let apart = read(&[block(3, &[("A", 1, 1)], &[]), block(5, &[("B", 1, 1)], &[])]);
    assert!(apart.is_told_in_order(4), "partitions of the seats lane have offsets of their own");
}

/// `cargo test --release --lib what_a_change_costs -- --ignored --nocapture`
#[test]
#[ignore = "prints figures"]
fn what_a_change_costs_on_a_date_of_50_000_touched_seats() {
    let names: Vec<String> = (0..20).map(|number| format!("Section {number}")).collect();
    let sections: Vec<(&str, u32, i64)> = names.iter().map(|name| (name.as_str(), 2_500, 110_000)).collect();
    let touched: Vec<String> =
        names.iter().flat_map(|name| (1..=2_500).map(move |number| format!("{name}-{number}"))).collect();
    let touched: Vec<_> = touched.iter().map(|seat| (seat.as_str(), SeatStatus::Available, 9)).collect();
    let rows = [block(3, &sections, &touched)];
    let each = |what: &str, times: u32, began: Instant| println!("{what}: {:?}", began.elapsed() / times);

    let began = Instant::now();
    (0..10).for_each(|_| drop(read(&rows)));
    each("a map of rows", 10, began);
    let mut live = read(&rows);
    let held = samples::outcomes().into_iter().find(|outcome| outcome.name == "held").expect("a sample");
    let value = encode(&held.record()).record;
    let record = Record { key: Some("s/b3".into()), value: Some(value.into()), ..Record::unread(0) };
    let began = Instant::now();
    (0..10_000).for_each(|_| drop(SeatNews::of_record(&record).expect("a hold")));
    each("an outcome is read", 10_000, began);
    let seat = |number: u64| format!("Section {}-{}", number % 20, 1 + number * 7 % 2_500);
    let hold = |number: u64| vec![SeatChange::Hold(reservation(number.into()), ids(&[&seat(number)]))];
    let began = Instant::now();
    for number in 0..1_000 {
        live.apply(&news("b3", 10 + number, hold(number)), number).unwrap();
    }
    each("a hold is applied", 1_000, began);
    let began = Instant::now();
    for number in 1_000..2_000 {
        let map = SeatMap::of(live.seats().clone());
        live.apply(&news("b3", 10 + number, hold(number)), number).unwrap();
        drop(map);
    }
    each("a hold is applied, and a map made of it", 1_000, began);
    let began = Instant::now();
    for _ in 0..10 {
        let map = SeatMap::of(live.seats().clone());
        assert!(map.snapshot_event(Form::Readable).len() > 50_000);
    }
    each("a map is written, readable", 10, began);
    let map = SeatMap::of(live.seats().clone());
    let began = Instant::now();
    for _ in 0..10 {
        assert!(map.changes_event(Since::Version(1_800), Form::Compact).is_some());
    }
    each("an event of 200 changes is written, compact", 10, began);
}
