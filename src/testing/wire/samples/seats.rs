//! The seats lane.

use super::*;
use crate::domain::block::{
    AmendBlock, AmendSection, BestAvailable, CancelReservation, Category, CheckTicket, Choice, Command, HoldSeats,
    Layout, LayoutParts, NewSection, OpenBlock, PayReservation, Payment, PaymentState, Reply, Reservation,
    ReservationState, SettlePayment, Settlement, Span, Terms,
};

fn sample(name: &'static str, command: Command) -> Sample {
    Sample { name, by: None, body: Body::Seats(command) }
}

pub(super) fn commands() -> Vec<Sample> {
    let (user_id, reservation_id) = (alice(), reservation_id());
    let mut all = vec![
        sample("expire_holds", Command::ExpireHolds(key())),
        sample(
            "cancel_reservation",
            Command::CancelReservation(CancelReservation { key: key(), user_id: user_id.clone(), reservation_id }),
        ),
        sample(
            "pay_reservation",
            Command::PayReservation(PayReservation { key: key(), user_id, reservation_id, amount: Some(2000) }),
        ),
        sample(
            "check_ticket",
            Command::CheckTicket(CheckTicket {
                key: key(),
                user_id: user("door"),
                reservation_id,
                seat: seat("A-12"),
                serial: 1100,
            }),
        ),
    ];
    all.extend(openings().into_iter().chain(amendments()).chain(holds()).chain(settlements()));
    all
}

fn terms() -> Terms {
    Terms {
        hold_ttl_ms: 300_000,
        rehold_after_ms: 60_000,
        payment_timeout_ms: 60_000,
        max_seats_per_user: 4,
        sales_open_at: Some(NOW.plus_ms(-HOUR_MS)),
        sales_close_at: Some(NOW.plus_ms(23 * HOUR_MS)),
        starts_at: NOW.plus_ms(24 * HOUR_MS),
        companions_free_at: Some(NOW.plus_ms(12 * HOUR_MS)),
    }
}

fn plain(name: &str, seats: u32, price: i64) -> NewSection {
    let name = name.parse().unwrap();
    NewSection { layout: Layout::plain(seats, &name, amount(price)).unwrap(), name }
}

fn span(first: u32, last: u32) -> Span {
    Span { first, last }
}

/// Two rows of ten with an aisle; a wheelchair place with its companion seat at the end.
fn hall() -> Layout {
    let category = |name: &str, price| Category { name: name.parse().unwrap(), price: amount(price) };
    Layout::new(LayoutParts {
        seats: 20,
        runs: vec![span(1, 5), span(6, 10), span(11, 15), span(16, 20)],
        categories: vec![category("R", 1000), category("Sicht \"eingeschränkt\"", 0)],
        category_runs: vec![(span(1, 10), 0), (span(11, 15), 1), (span(16, 20), 0)],
        not_for_sale: vec![span(1, 2), span(11, 11)],
        wheelchair: vec![span(20, 20)],
        companions: vec![(19, 20)],
    })
    .unwrap()
}

fn openings() -> Vec<Sample> {
    let open =
        |sections, terms, queue| Command::OpenBlock(OpenBlock { key: key(), user_id: admin(), sections, terms, queue });
    let at_once = Terms { sales_open_at: None, sales_close_at: None, companions_free_at: None, ..terms() };
    let balcony = NewSection { name: "Rang \"Süd\"".parse().unwrap(), layout: hall() };
    vec![
        sample("open_block", open(vec![plain("A", 50, 1000), plain("B", 30, 0)], terms(), true)),
        sample("open_block_with_rows", open(vec![balcony], at_once, false)),
    ]
}

fn amendments() -> Vec<Sample> {
    let amend = |sections, new_sections, sales_open_at, sales_close_at, starts_at, cancelled| {
        Command::AmendBlock(AmendBlock {
            key: key(),
            user_id: admin(),
            sections,
            new_sections,
            sales_open_at,
            sales_close_at,
            starts_at,
            cancelled,
        })
    };
    let of_a = AmendSection {
        name: "A".parse().unwrap(),
        layout: Some(plain("A", 60, 1000).layout),
        prices: vec![("A".parse().unwrap(), amount(1200))],
        not_for_sale: Some(vec![]),
    };
    let of_south = AmendSection {
        name: "Rang \"Süd\"".parse().unwrap(),
        layout: Some(hall()),
        prices: vec![],
        not_for_sale: None,
    };
    let of_b = AmendSection {
        name: "B".parse().unwrap(),
        layout: None,
        prices: vec![],
        not_for_sale: Some(vec![span(1, 4), span(30, 30)]),
    };
    let later = NOW.plus_ms(25 * HOUR_MS);
    let everything =
        amend(vec![of_a, of_south, of_b], vec![plain("C", 10, 800)], Some(None), Some(Some(later)), Some(later), false);
    vec![
        sample("amend_block", everything),
        sample("amend_block_cancelled", amend(vec![], vec![], None, None, None, true)),
    ]
}

fn holds() -> Vec<Sample> {
    let hold = |name, choice, admitted| {
        sample(name, Command::HoldSeats(HoldSeats { key: key(), user_id: alice(), choice, admitted }))
    };
    let best = |section: Option<&str>, category: Option<&str>| {
        Choice::BestAvailable(BestAvailable {
            count: 2,
            section: section.map(|name| name.parse().unwrap()),
            category: category.map(|name| name.parse().unwrap()),
        })
    };
    let south = best(Some("Rang \"Süd\""), Some("Sicht \"eingeschränkt\""));
    vec![
        hold("hold_seats", Choice::Seats(vec![seat("A-12"), seat("A-13")]), true),
        hold("hold_seats_by_staff", Choice::Seats(vec![seat("A-14"), seat("Rang \"Süd\"-3")]), false).by(clerk()),
        hold("hold_seats_best_available", best(None, None), true),
        hold("hold_seats_best_available_in_section", south, true),
    ]
}

fn settlements() -> Vec<Sample> {
    let settle = |name, settlement, asking| {
        let (origin, user_id, amount) = (origin(asking), alice(), amount(2000));
        sample(name, Command::SettlePayment(SettlePayment { origin, user_id, amount, settlement }))
    };
    let poor = Settlement::DebitDeclined { code: Code::InsufficientBalance };
    let no_wallet = Settlement::RefundDeclined { code: Code::BalanceLimitExceeded };
    vec![
        settle("settle_payment_debited", Settlement::Debited { balance: balance(3000) }, Some(asking(None))),
        settle("settle_payment_declined", poor, Some(asking(Some(clerk())))),
        settle("settle_payment_refunded", Settlement::Refunded { balance: balance(5000) }, None),
        settle("settle_payment_refund_declined", no_wallet, None),
    ]
}

fn reservation(state: ReservationState) -> Reservation {
    Reservation {
        id: reservation_id(),
        key: key(),
        user_id: alice(),
        by: None,
        seats: vec![seat("A-12"), seat("Rang \"Süd\"-3")],
        amount: amount(2000),
        state,
        expires_at: NOW.plus_ms(300_000),
        held: arrival(Lane::Seats, 1000),
        changed: arrival(Lane::Seats, 1234),
    }
}

fn payment() -> Payment {
    Payment {
        id: payment_id(),
        key: key(),
        reservation_id: reservation_id(),
        user_id: alice(),
        amount: amount(2000),
        state: PaymentState::Completed,
        asking: asking(None),
        created_at: NOW,
        changed: arrival(Lane::Seats, 1234),
    }
}

pub(super) fn outcomes() -> Vec<Outcome> {
    let earlier = ReservationId(uuid(0xe0));
    // The end as it is judged: the show starts before the reservation's own end.
    let expires_at = NOW.plus_ms(200_000);
    let held = || Reply::Held { reservation: reservation(ReservationState::Held), expires_at };
    let confirmed = || reservation(ReservationState::Confirmed { payment: Some(payment_id()), serial: 1234 });
    let free = Reservation { amount: Amount::ZERO, ..confirmed() };
    let cancelled = reservation(ReservationState::Cancelled { refund: None });
    let refunded_nothing =
        Reservation { amount: Amount::ZERO, ..reservation(ReservationState::Refunded { payment: None }) };
    let refunded = Reply::Refunded {
        reservation: reservation(ReservationState::Refunded { payment: Some(payment_id()) }),
        balance: balance(5000),
    };
    let paid = Reply::PaymentCompleted { payment: payment(), balance: Some(balance(3000)) };
    let expired = Reply::HoldsExpired {
        key: key(),
        reservations: vec![earlier, reservation_id()],
        seats: vec![seat("A-11"), seat("A-12")],
        refunds: 1,
        asked: 2,
    };
    let checked =
        Reply::TicketChecked { key: key(), reservation_id: reservation_id(), seat: seat("A-12"), admitted_at: NOW };
    let over_expired = Effects { expired: vec![earlier], ..Effects::default() };
    use CommandKind::*;
    vec![
        Outcome::ok("block_opened", OpenBlock, Reply::BlockOpened { key: key(), sections: 2, seats: 80 }),
        Outcome::ok(
            "block_amended",
            AmendBlock,
            Reply::BlockAmended { key: key(), sections: 3, seats: 100, cancelled: false },
        ),
        Outcome::ok("held", HoldSeats, held()),
        Outcome::ok("held_over_expired", HoldSeats, held()).with(over_expired).by(clerk()),
        Outcome::ok("cancelled", CancelReservation, Reply::Cancelled(cancelled)),
        Outcome::ok("refunded", CancelReservation, refunded),
        Outcome::ok("refunded_nothing", CancelReservation, Reply::Cancelled(refunded_nothing)),
        Outcome::ok("payment_completed", PayReservation, paid),
        Outcome::ok("confirmed_for_nothing", PayReservation, Reply::Confirmed(free)),
        Outcome::ok("settled", SettlePayment, Reply::Settled(confirmed())),
        Outcome::ok("holds_expired", ExpireHolds, expired),
        Outcome::ok("ticket_checked", CheckTicket, checked),
    ]
}
