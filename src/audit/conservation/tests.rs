//! What does not add up is found, and nothing else.

use uuid::Uuid;

use super::Conservation;
use crate::domain::block::{
    self, BlockRow, Category, Counts, Layout, LayoutParts, Payment, PaymentState, Reservation, ReservationState, Seat,
    SeatState, SectionRow, Span, Terms, Waiting,
};
use crate::domain::wallet::{self, AnswerKind, Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{
    Amount, Arrival, Asking, Balance, BlockKey, Code, EntryId, Fingerprint, LogTime, PaymentId, Position, RequestId,
    ReservationId, Row, ScheduleId, SeatId, UserId,
};

fn at(lane: crate::domain::Lane) -> Arrival {
    Arrival { position: Position::new(lane, 0, 0), time: LogTime(0) }
}

fn seats_at() -> Arrival {
    at(crate::domain::Lane::Seats)
}

fn key() -> BlockKey {
    BlockKey::main(ScheduleId(Uuid::from_u128(1)))
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn amount(amount: i64) -> Amount {
    Amount::new(amount).expect("an amount")
}

fn balance(balance: i64) -> Balance {
    Balance::new(balance).expect("a balance")
}

fn complaints(rows: impl IntoIterator<Item = Row>) -> Vec<String> {
    let mut conservation = Conservation::default();
    rows.into_iter().for_each(|row| conservation.row(&row));
    conservation.complaints()
}

/// Seats 1 to 4: 4 is not for sale, 3 is the companion of the wheelchair place 2.
fn block(counts: Counts, pending: u32) -> Vec<Row> {
    let all = Span { first: 1, last: 4 };
    let layout = Layout::new(LayoutParts {
        seats: 4,
        runs: vec![all],
        categories: vec![Category { name: name("A"), price: amount(10) }],
        category_runs: vec![(all, 0)],
        not_for_sale: vec![Span { first: 4, last: 4 }],
        wheelchair: vec![Span { first: 2, last: 2 }],
        companions: vec![(3, 2)],
    });
    let row = BlockRow {
        key: key(),
        terms: Terms {
            hold_ttl_ms: 1,
            rehold_after_ms: 0,
            payment_timeout_ms: 1,
            max_seats_per_user: 4,
            sales_open_at: None,
            sales_close_at: None,
            starts_at: LogTime(1),
            companions_free_at: None,
        },
        queue: false,
        content: 0,
        cancelled: None,
        swept: None,
        sweep_done: false,
        refunds_due: 0,
        refunds_done: 0,
        counts: vec![vec![counts]].into(),
        pending,
        noted: None,
        due_at: None,
        changed: seats_at(),
    };
    let section =
        SectionRow { key: key(), name: name("A"), rank: 0, layout: layout.expect("a layout"), changed: seats_at() };
    vec![Row::Seats(block::Row::Block(row)), Row::Seats(block::Row::Section(section))]
}

fn seat(number: u32, state: SeatState) -> Row {
    let id = SeatId { section: name("A"), number };
    let seat = Seat { key: key(), id, state, remembered: None, checked: None, changed: seats_at() };
    Row::Seats(block::Row::Seat(seat))
}

fn reservation(id: ReservationId, seats: &[u32], state: ReservationState) -> Row {
    Row::Seats(block::Row::Reservation(Reservation {
        id,
        key: key(),
        user_id: name("alice"),
        by: None,
        seats: seats.iter().map(|number| SeatId { section: name("A"), number: *number }).collect(),
        amount: amount(10),
        state,
        expires_at: LogTime(1),
        held: seats_at(),
        changed: seats_at(),
    }))
}

#[test]
fn free_held_paying_and_sold_are_all_seats() {
    let id = ReservationId(Uuid::from_u128(7));
    let held = SeatState::Held(id);
    let untouched = Counts { free: 4, blocked: 1, companions: 1 };
    let one_held = Counts { free: 3, ..untouched };
    let with = |counts, pending, more: Vec<Row>| complaints(block(counts, pending).into_iter().chain(more));
    let hold = || vec![seat(1, held), reservation(id, &[1], ReservationState::Held)];
    assert_eq!(with(untouched, 0, vec![]), [""; 0]);
    assert_eq!(with(untouched, 0, vec![seat(1, SeatState::Available)]), [""; 0]);
    assert_eq!(with(one_held, 1, hold()), [""; 0]);
    let companion = vec![
        seat(3, SeatState::Sold(id)),
        reservation(id, &[3], ReservationState::Confirmed { payment: None, serial: 0 }),
    ];
    assert_eq!(with(Counts { free: 3, blocked: 1, companions: 0 }, 0, companion), [""; 0]);
    let wrong = [
        ("seats are free", with(untouched, 1, hold())),
        ("seats are free", with(Counts { blocked: 0, ..one_held }, 1, hold())),
        ("seats are pending", with(one_held, 0, hold())),
        ("which does not say so", with(one_held, 1, vec![seat(1, held)])),
        (
            "which does not say so",
            with(one_held, 1, vec![seat(1, held), reservation(id, &[1, 2], ReservationState::Held)]),
        ),
        (
            "which does not say so",
            with(one_held, 1, vec![seat(1, held), reservation(id, &[1], ReservationState::Expired)]),
        ),
        ("has no seats", with(untouched, 0, vec![reservation(id, &[1], ReservationState::Held)])),
        ("no section of block", with(untouched, 1, vec![seat(5, held), reservation(id, &[5], ReservationState::Held)])),
        (
            "in different states",
            with(Counts { free: 2, ..untouched }, 1, [hold(), vec![seat(2, SeatState::Sold(id))]].concat()),
        ),
    ];
    for (expected, found) in wrong {
        assert!(found.iter().any(|complaint| complaint.contains(expected)), "{expected}: {found:?}");
    }
}

const USER: &str = "alice";

fn entry(number: u64, kind: EntryKind, moved: i64, after: i64, cause: u128) -> Row {
    Row::Wallets(wallet::Row::Entry(Entry {
        id: EntryId(Uuid::from_u128(number.into())),
        user_id: name(USER),
        number,
        kind,
        amount: amount(moved),
        balance_after: balance(after),
        reason: None,
        request_id: RequestId(Uuid::from_u128(cause)),
        by: None,
        cause: Uuid::from_u128(cause),
        at: at(crate::domain::Lane::Wallets),
    }))
}

fn wallet(after: i64, entries: u64) -> Row {
    let user_id: UserId = name(USER);
    let changed = at(crate::domain::Lane::Wallets);
    Row::Wallets(wallet::Row::Wallet(Wallet { user_id, balance: balance(after), entries, changed }))
}

fn answer(kind: AnswerKind, answer: Result<i64, Code>) -> Row {
    Row::Wallets(wallet::Row::Answer(PaymentAnswer {
        payment_id: PaymentId(Uuid::from_u128(9)),
        kind,
        user_id: name(USER),
        amount: amount(30),
        answer: answer.map(balance),
        at: at(crate::domain::Lane::Wallets),
    }))
}

fn payment(state: PaymentState) -> Row {
    let request_id = RequestId(Uuid::from_u128(3));
    Row::Seats(block::Row::Payment(Payment {
        id: PaymentId(Uuid::from_u128(9)),
        key: key(),
        reservation_id: ReservationId(Uuid::from_u128(7)),
        user_id: name(USER),
        amount: amount(30),
        state,
        asking: Asking { request_id, fingerprint: Fingerprint(0), by: None },
        created_at: LogTime(0),
        changed: seats_at(),
    }))
}

/// Seats are nobody's business here.
fn about_money(rows: Vec<Row>) -> Vec<String> {
    let mut complaints = complaints(rows);
    complaints.retain(|complaint| !complaint.contains("has no seats"));
    complaints
}

/// The reservation that the payment is for, as the payment wants it.
fn paid_for(state: &PaymentState) -> Row {
    let payment = PaymentId(Uuid::from_u128(9));
    let state = match state {
        PaymentState::Pending(_) => ReservationState::Paying(payment),
        PaymentState::Completed => ReservationState::Confirmed { payment: Some(payment), serial: 0 },
        PaymentState::Failed(_) => ReservationState::Expired,
        PaymentState::Refunding { .. } => ReservationState::Cancelled { refund: Some(payment) },
        PaymentState::Refunded => ReservationState::Refunded { payment: Some(payment) },
    };
    let Row::Seats(block::Row::Reservation(row)) = reservation(ReservationId(Uuid::from_u128(7)), &[], state) else {
        unreachable!("a reservation")
    };
    Row::Seats(block::Row::Reservation(Reservation { amount: amount(30), ..row }))
}

#[test]
fn money_goes_back_for_cancelled_reservations_only() {
    let waiting = Waiting { ask_at: LogTime(1), interval_ms: 1 };
    let states = || {
        [
            PaymentState::Pending(waiting),
            PaymentState::Completed,
            PaymentState::Refunding { asking: None, waiting },
            PaymentState::Refunded,
        ]
    };
    for (number, wanted) in states().into_iter().enumerate() {
        for (other, said) in states().into_iter().enumerate() {
            let found = about_money(vec![paid_for(&wanted), payment(said)]);
            let says = found.iter().any(|complaint| complaint.contains("its reservation says"));
            assert_eq!(says, number != other, "{found:?}");
        }
    }
    let failed = PaymentState::Failed(Code::InsufficientBalance);
    assert_eq!(about_money(vec![paid_for(&PaymentState::Completed), payment(failed)]).len(), 1);
    assert_eq!(about_money(vec![payment(PaymentState::Refunded)]).len(), 2, "of no reservation, and nothing moved");
}

#[test]
fn balances_are_what_their_entries_give() {
    let charged = || vec![entry(1, EntryKind::Charge, 100, 100, 1), entry(2, EntryKind::Debit, 40, 60, 2)];
    assert_eq!(complaints([charged(), vec![wallet(60, 2)]].concat()), [""; 0]);
    assert_eq!(
        complaints([charged(), vec![wallet(61, 2)]].concat()),
        ["alice has 61 in 2 entries, the entries give 60 in 2"]
    );
    assert_eq!(complaints([charged(), vec![wallet(60, 3)]].concat()).len(), 1);
    assert_eq!(complaints(charged()).len(), 1, "entries without a wallet");
}

#[test]
fn what_moved_for_a_payment_is_what_it_says() {
    let waiting = Waiting { ask_at: LogTime(1), interval_ms: 1 };
    let refunding = || PaymentState::Refunding { asking: None, waiting };
    let unpaid = || vec![wallet(100, 1), entry(1, EntryKind::Charge, 100, 100, 1)];
    let declined = || [unpaid(), vec![answer(AnswerKind::Debit, Err(Code::InsufficientBalance))]].concat();
    let paid = || {
        let paid = vec![entry(2, EntryKind::Payment, 30, 70, 9), answer(AnswerKind::Debit, Ok(70))];
        [vec![wallet(70, 2)], unpaid().split_off(1), paid].concat()
    };
    let refunded = || {
        let refunded = vec![entry(3, EntryKind::Refund, 30, 100, 9), answer(AnswerKind::Refund, Ok(100))];
        [vec![wallet(100, 3)], paid().split_off(1), refunded].concat()
    };
    let with =
        |state: PaymentState, rows: Vec<Row>| about_money([vec![paid_for(&state), payment(state)], rows].concat());
    let right = [
        with(PaymentState::Pending(waiting), unpaid()),
        with(PaymentState::Pending(waiting), declined()),
        with(PaymentState::Pending(waiting), paid()),
        with(PaymentState::Completed, paid()),
        with(PaymentState::Failed(Code::InsufficientBalance), declined()),
        with(refunding(), paid()),
        with(refunding(), refunded()),
        with(PaymentState::Refunded, refunded()),
        complaints(refunded()),
    ];
    assert_eq!(right.concat(), [""; 0]);
    let wrong = [
        with(PaymentState::Completed, unpaid()),
        with(PaymentState::Completed, refunded()),
        with(PaymentState::Failed(Code::InsufficientBalance), paid()),
        with(PaymentState::Refunded, paid()),
        with(refunding(), unpaid()),
        complaints(paid()),
        with(
            PaymentState::Completed,
            paid().into_iter().filter(|row| !matches!(row, Row::Wallets(wallet::Row::Answer(_)))).collect(),
        ),
        with(PaymentState::Pending(waiting), [unpaid(), vec![answer(AnswerKind::Debit, Ok(70))]].concat()),
    ];
    for (index, found) in wrong.into_iter().enumerate() {
        assert_eq!(found.len(), 1, "{index}: {found:?}");
    }
}
