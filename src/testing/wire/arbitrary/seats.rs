//! The seats lane.

use super::*;
use crate::domain::block::{
    AmendBlock, AmendSection, BestAvailable, CancelReservation, Category, CheckTicket, Choice, Command,
    HOLD_TTL_MS_MAX, HoldSeats, Layout, LayoutParts, NewSection, OpenBlock, PAYMENT_TIMEOUT_MS_MAX, PayReservation,
    SEATS_PER_HOLD_MAX, SettlePayment, Settlement, Span, Terms,
};
use crate::domain::money::AMOUNT_MAX;
use crate::domain::{Body, CategoryName, SeatId, SectionName};

fn price() -> impl Strategy<Value = Amount> {
    (0..=AMOUNT_MAX).prop_map(|n| Amount::price(n).unwrap())
}

/// Of a section of this name: plain, or rows of which each may have a category, a seat that is not for sale, a
/// wheelchair place and a companion seat.
fn layout(section: SectionName) -> impl Strategy<Value = Layout> {
    let plain =
        (1..=100_000u32, price()).prop_map(move |(seats, price)| Layout::plain(seats, &section, price).unwrap());
    let categories = btree_set(name::<CategoryName>(), 1..4)
        .prop_flat_map(|names| (Just(names.into_iter().collect::<Vec<_>>()), vec(price(), 4)));
    let rows = vec((1..=20u32, any::<u16>(), any::<[bool; 3]>()), 1..8);
    prop_oneof![plain, (categories, rows).prop_map(|((names, prices), rows)| of_rows(names, prices, rows))]
}

fn of_rows(names: Vec<CategoryName>, prices: Vec<Amount>, rows: Vec<(u32, u16, [bool; 3])>) -> Layout {
    let categories: Vec<Category> =
        names.into_iter().zip(prices).map(|(name, price)| Category { name, price }).collect();
    let mut parts = LayoutParts { categories, ..LayoutParts::default() };
    for (count, category, [blocked, place, companion]) in rows {
        let row = Span { first: parts.seats + 1, last: parts.seats + count };
        let one = |number| Span { first: number, last: number };
        parts.seats = row.last;
        parts.runs.push(row);
        parts.category_runs.push((row, category % parts.categories.len() as u16));
        if blocked {
            parts.not_for_sale.push(one(row.first));
        }
        if place {
            parts.wheelchair.push(one(row.last));
        }
        if place && companion && count > 1 {
            parts.companions.push((row.last - 1, row.last));
        }
    }
    Layout::new(parts).unwrap()
}

fn section() -> impl Strategy<Value = NewSection> {
    name::<SectionName>()
        .prop_flat_map(|name| (Just(name.clone()), layout(name)))
        .prop_map(|(name, layout)| NewSection { name, layout })
}

/// Each name once, and at most the seats of a block.
fn sections(least: usize) -> impl Strategy<Value = Vec<NewSection>> {
    vec(section(), least..3).prop_filter("names differ", |sections| {
        sections.iter().enumerate().all(|(i, a)| sections[i + 1..].iter().all(|b| a.name != b.name))
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    let numbers = (1..=HOLD_TTL_MS_MAX, 0..=HOLD_TTL_MS_MAX, 1..=PAYMENT_TIMEOUT_MS_MAX, 1..=SEATS_PER_HOLD_MAX);
    let times = (option::of(time()), option::of(time()), time(), option::of(time()));
    (numbers, times).prop_map(|(numbers, times)| Terms {
        hold_ttl_ms: numbers.0,
        rehold_after_ms: numbers.1,
        payment_timeout_ms: numbers.2,
        max_seats_per_user: numbers.3,
        sales_open_at: times.0,
        sales_close_at: times.1,
        starts_at: times.2,
        companions_free_at: times.3,
    })
}

fn open() -> impl Strategy<Value = Command> {
    (key(), user(), sections(1), terms(), any::<bool>()).prop_map(|(key, user_id, sections, terms, queue)| {
        Command::OpenBlock(OpenBlock { key, user_id, sections, terms, queue })
    })
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    btree_set(1..=100u32, 0..5).prop_map(|numbers| {
        numbers.into_iter().map(|number| Span { first: number * 10, last: number * 10 + number % 10 }).collect()
    })
}

fn amended(name: SectionName) -> impl Strategy<Value = AmendSection> {
    let prices = option::of((super::name::<CategoryName>(), price()));
    (option::of(layout(name.clone())), prices, option::of(spans())).prop_map(move |(layout, price, not_for_sale)| {
        AmendSection { name: name.clone(), layout, prices: price.into_iter().collect(), not_for_sale }
    })
}

fn amend() -> impl Strategy<Value = Command> {
    let section = option::of(name::<SectionName>().prop_flat_map(amended));
    let times = (option::of(option::of(time())), option::of(option::of(time())), option::of(time()));
    (key(), user(), section, sections(0), times, any::<bool>()).prop_map(
        |(key, user_id, section, new_sections, (sales_open_at, sales_close_at, starts_at), cancelled)| {
            Command::AmendBlock(AmendBlock {
                key,
                user_id,
                sections: section.into_iter().collect(),
                new_sections,
                sales_open_at,
                sales_close_at,
                starts_at,
                cancelled,
            })
        },
    )
}

pub(super) fn seat() -> impl Strategy<Value = SeatId> {
    (name(), 1..=u32::MAX).prop_map(|(section, number)| SeatId { section, number })
}

fn choice() -> impl Strategy<Value = Choice> {
    let best = (1..=SEATS_PER_HOLD_MAX, option::of(name()), option::of(name()));
    prop_oneof![
        btree_set(seat(), 1..=SEATS_PER_HOLD_MAX as usize / 4)
            .prop_map(|seats| Choice::Seats(seats.into_iter().collect())),
        best.prop_map(|(count, section, category)| {
            Choice::BestAvailable(BestAvailable { count, section, category })
        }),
    ]
}

fn settlement() -> impl Strategy<Value = Settlement> {
    prop_oneof![
        balance().prop_map(|balance| Settlement::Debited { balance }),
        code().prop_map(|code| Settlement::DebitDeclined { code }),
        balance().prop_map(|balance| Settlement::Refunded { balance }),
        code().prop_map(|code| Settlement::RefundDeclined { code }),
    ]
}

pub(super) fn body() -> BoxedStrategy<Body> {
    prop_oneof![
        open(),
        amend(),
        (key(), user(), choice(), any::<bool>()).prop_map(|(key, user_id, choice, admitted)| {
            Command::HoldSeats(HoldSeats { key, user_id, choice, admitted })
        }),
        (key(), user(), reservation()).prop_map(|(key, user_id, reservation_id)| {
            Command::CancelReservation(CancelReservation { key, user_id, reservation_id })
        }),
        (key(), user(), reservation(), option::of(any::<i64>())).prop_map(|(key, user_id, reservation_id, amount)| {
            Command::PayReservation(PayReservation { key, user_id, reservation_id, amount })
        }),
        (origin(), user(), amount(), settlement()).prop_map(|(origin, user_id, amount, settlement)| {
            Command::SettlePayment(SettlePayment { origin, user_id, amount, settlement })
        }),
        key().prop_map(Command::ExpireHolds),
        (key(), user(), reservation(), seat(), 0..=i64::MAX as u64).prop_map(
            |(key, user_id, reservation_id, seat, serial)| {
                Command::CheckTicket(CheckTicket { key, user_id, reservation_id, seat, serial })
            }
        ),
    ]
    .prop_map(Body::Seats)
    .boxed()
}
