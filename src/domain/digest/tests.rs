//! The digests are part of what a store remembers, so their values must never change.

use uuid::Uuid;

use super::Digest;
use crate::domain::queue::{Limits, OnTimeout, Queue, Token, TokenStatus};
use crate::domain::section::{Payment, PaymentStatus, Reservation, ReservationStatus, Seat, SeatStatus, SectionRow};
use crate::domain::wallet::{Entry, EntryKind, Wallet};
use crate::domain::{
    Arrival, Change, Code, EntryId, Lane, LogTime, PaymentId, Position, RequestId, ReservationId, ScheduleId,
};

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn at(offset: u64) -> Arrival {
    Arrival { position: Position { lane: Lane::Seats, partition: 3, offset }, time: LogTime(1_000 + offset as i64) }
}

fn section() -> SectionRow {
    SectionRow {
        schedule_id: ScheduleId(id(1)),
        name: "A".parse().unwrap(),
        seats: 50,
        price: 100,
        hold_ttl_ms: 300_000,
        max_seats_per_user: 4,
        sales_open_at: None,
        starts_at: LogTime(9_000_000),
        queue: true,
        available: 49,
        changed: at(5),
    }
}

fn seat() -> Seat {
    Seat {
        schedule_id: ScheduleId(id(1)),
        section: "A".parse().unwrap(),
        number: 12,
        status: SeatStatus::Held,
        reservation: Some(ReservationId(id(2))),
        changed: at(5),
    }
}

fn reservation() -> Reservation {
    Reservation {
        id: ReservationId(id(2)),
        schedule_id: ScheduleId(id(1)),
        section: "A".parse().unwrap(),
        user_id: "ann".parse().unwrap(),
        seats: vec![12, 13],
        amount: 200,
        status: ReservationStatus::Held,
        expires_at: LogTime(301_000),
        payment: None,
        held: at(5),
        changed: at(5),
    }
}

fn payment() -> Payment {
    Payment {
        id: PaymentId(id(3)),
        reservation_id: ReservationId(id(2)),
        user_id: "ann".parse().unwrap(),
        amount: 200,
        status: PaymentStatus::Failed,
        failure: Some(Code::InsufficientBalance),
        request_id: RequestId(id(4)),
        created_at: LogTime(1_006),
        changed: at(7),
    }
}

fn wallet() -> Wallet {
    Wallet { user_id: "ann".parse().unwrap(), balance: 800, entries: 2, changed: at(9) }
}

fn entry() -> Entry {
    Entry {
        id: EntryId(id(5)),
        user_id: "ann".parse().unwrap(),
        number: 2,
        kind: EntryKind::Payment,
        amount: 200,
        balance_after: 800,
        reason: Some("seats".into()),
        request_id: RequestId(id(4)),
        at: at(9),
    }
}

fn queue() -> Queue {
    let limits = Limits {
        max_active: 10,
        active_ttl_ms: 300_000,
        max_waiting: 1000,
        admit_per_minute: Some(60),
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 180_000,
    };
    Queue {
        schedule_id: ScheduleId(id(1)),
        limits,
        paused: false,
        next_sequence: 8,
        waiting: 3,
        active: 1,
        admitted: 4,
        completed: 2,
        expired: 1,
        left: 0,
        rate_next_us: 1_000_000,
        changed: at(11),
    }
}

fn token() -> Token {
    Token {
        schedule_id: ScheduleId(id(1)),
        sequence: 7,
        user_id: "ann".parse().unwrap(),
        status: TokenStatus::Active,
        joined_at: LogTime(1_000),
        admitted_at: Some(LogTime(1_001)),
        active_until: Some(LogTime(301_001)),
        last_seen: LogTime(1_001),
        changed: at(11),
    }
}

#[test]
fn the_digests_of_these_rows_are_the_same_on_every_machine_for_ever() {
    let golden = [
        (Change::Section(section()), 0xac04_69a5_34bf_d75f),
        (Change::Seat(seat()), 0x3d46_8498_58db_79ab),
        (Change::Reservation(reservation()), 0xf8b9_fa9e_3400_887c),
        (Change::Payment(payment()), 0x5c92_ef33_2a82_e0a9),
        (Change::Wallet(wallet()), 0x5a6c_2512_bcc0_107e),
        (Change::WalletEntry(entry()), 0x8f4a_52e6_ddd0_3e93),
        (Change::Queue(queue()), 0xc60f_1613_6d41_7228),
        (Change::Token(token()), 0x20a3_341c_7391_bac9),
    ];
    for (row, digest) in golden {
        assert_eq!(row.digest(), digest, "{row:?}");
    }
}

#[test]
fn a_digest_differs_by_every_field_of_a_seat() {
    let others = [
        Seat { schedule_id: ScheduleId(id(9)), ..seat() },
        Seat { section: "B".parse().unwrap(), ..seat() },
        Seat { number: 13, ..seat() },
        Seat { status: SeatStatus::Paying, ..seat() },
        Seat { reservation: None, ..seat() },
        Seat { reservation: Some(ReservationId(id(9))), ..seat() },
        Seat { changed: at(6), ..seat() },
    ];
    for other in others {
        assert_ne!(other.digest(), seat().digest(), "{other:?}");
    }
}

#[test]
fn neighbouring_fields_do_not_run_into_each_other() {
    let moved = Reservation { seats: vec![12], ..reservation() };
    assert_ne!(moved.digest(), reservation().digest());
    let [one, two] = [("ab", "c"), ("a", "bc")].map(|(section, user)| {
        let (section, user_id) = (section.parse().unwrap(), user.parse().unwrap());
        Reservation { section, user_id, ..reservation() }.digest()
    });
    assert_ne!(one, two);
    let [none, empty] = [None, Some(String::new())].map(|reason| Entry { reason, ..entry() }.digest());
    assert_ne!(none, empty);
}
