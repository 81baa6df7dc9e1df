//! A section on a log of its own: commands in, decisions out, state and state hash kept.

use uuid::Uuid;

use crate::domain::command::{
    CancelReservation, Choice, ExpireHolds, HoldSeats, OpenSection, Origin, PayReservation, SettlePayment, Settlement,
};
use crate::domain::section::{Reservation, Section, apply, decide};
use crate::domain::{
    Arrival, Body, Code, Command, Decision, Lane, LogTime, Position, RequestId, ReservationId, ScheduleId, SectionName,
    Success, UserId, Verdict,
};

/// Sales open at 1000, the show starts at 1_000_000, holds last 10_000, a seat costs 100.
pub const SALES_OPEN_AT: i64 = 1_000;
pub const STARTS_AT: i64 = 1_000_000;
pub const HOLD_TTL_MS: i64 = 10_000;
pub const PRICE: i64 = 100;

pub struct Hall {
    pub section: Option<Section>,
    /// XOR of what every change did to it.
    pub state_hash: u64,
    offset: u64,
}

impl Hall {
    pub fn closed() -> Hall {
        Hall { section: None, state_hash: 0, offset: 0 }
    }

    /// Opened with so many seats, at most 4 for one user.
    pub fn with_seats(seats: u32) -> Hall {
        let mut hall = Hall::closed();
        succeeded(&hall.run(0, Body::OpenSection(OpenSection { seats, ..opening() })));
        hall
    }

    /// Decides the command as the next record, at this log time, and applies what it changes.
    pub fn run(&mut self, time: i64, body: Body) -> Decision {
        let (command, at) = self.next(time, body);
        let decision = decide(self.section.as_ref(), &command, &at);
        if let Verdict::Rejected(_) = decision.verdict {
            assert_eq!(decision.changes, [], "a refusal changes nothing");
        }
        for change in &decision.changes {
            self.state_hash ^= apply(&mut self.section, change);
        }
        decision
    }

    pub fn next(&mut self, time: i64, body: Body) -> (Command, Arrival) {
        self.offset += 1;
        let position = Position { lane: Lane::Seats, partition: 3, offset: self.offset };
        let request_id = RequestId(Uuid::from_u128(u128::from(self.offset)));
        (Command { request_id, body }, Arrival { position, time: LogTime(time) })
    }

    pub fn hold(&mut self, time: i64, user: &str, seats: &[u32]) -> Decision {
        self.run(time, hold(user, Choice::Seats(seats.to_vec())))
    }

    /// A hold that must succeed.
    pub fn held(&mut self, time: i64, user: &str, seats: &[u32]) -> Reservation {
        match succeeded(&self.hold(time, user, seats)) {
            Success::Held { reservation, .. } => reservation,
            other => panic!("{other:?}"),
        }
    }

    /// A payment that must be accepted: whom the wallet is to answer.
    pub fn paying(&mut self, time: i64, user: &str, id: ReservationId) -> Origin {
        let decision = self.run(time, pay(user, id, None));
        assert_eq!(decision.verdict, Verdict::Pending);
        match decision.follow_ups.as_slice() {
            [Body::DebitWallet(debit)] => debit.origin.clone().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Held and paid.
    pub fn confirmed(&mut self, time: i64, user: &str, seats: &[u32]) -> (Reservation, Origin) {
        let id = self.held(time, user, seats).id;
        let origin = self.paying(time, user, id);
        succeeded(&self.run(time, settle(user, &origin, Settlement::Debited { balance: 0 })));
        (self.reservation(id).clone(), origin)
    }

    /// A cancellation of what is paid that must be accepted: whom the wallet is to answer.
    pub fn refunding(&mut self, time: i64, user: &str, id: ReservationId) -> Origin {
        let decision = self.run(time, cancel(user, id));
        assert_eq!(decision.verdict, Verdict::Pending);
        match decision.follow_ups.as_slice() {
            [Body::CreditWallet(credit)] => credit.origin.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub fn section(&self) -> &Section {
        self.section.as_ref().unwrap()
    }

    pub fn reservation(&self, id: ReservationId) -> &Reservation {
        &self.section().reservations[&id]
    }

    /// One letter a seat: `.` free, `h` held, `p` paying, `S` sold.
    pub fn picture(&self) -> String {
        self.section().seats.iter().map(|seat| seat.status.as_str()).map(letter).collect()
    }
}

fn letter(status: &str) -> char {
    match status {
        "AVAILABLE" => '.',
        "HELD" => 'h',
        "PAYING" => 'p',
        "SOLD" => 'S',
        other => panic!("{other}"),
    }
}

pub fn schedule() -> ScheduleId {
    ScheduleId(Uuid::from_u128(7))
}

pub fn name() -> SectionName {
    "A".parse().unwrap()
}

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub fn opening() -> OpenSection {
    OpenSection {
        schedule_id: schedule(),
        section: name(),
        user_id: user("admin"),
        seats: 10,
        price: PRICE,
        hold_ttl_ms: HOLD_TTL_MS,
        max_seats_per_user: 4,
        sales_open_at: Some(LogTime(SALES_OPEN_AT)),
        starts_at: LogTime(STARTS_AT),
        queue: true,
    }
}

pub fn hold(name_of_user: &str, choice: Choice) -> Body {
    Body::HoldSeats(HoldSeats { schedule_id: schedule(), section: name(), user_id: user(name_of_user), choice })
}

pub fn pay(name_of_user: &str, reservation_id: ReservationId, amount: Option<i64>) -> Body {
    let (schedule_id, section, user_id) = (schedule(), name(), user(name_of_user));
    Body::PayReservation(PayReservation { schedule_id, section, user_id, reservation_id, amount })
}

pub fn cancel(name_of_user: &str, reservation_id: ReservationId) -> Body {
    let (schedule_id, section, user_id) = (schedule(), name(), user(name_of_user));
    Body::CancelReservation(CancelReservation { schedule_id, section, user_id, reservation_id })
}

pub fn settle(name_of_user: &str, origin: &Origin, settlement: Settlement) -> Body {
    Body::SettlePayment(SettlePayment { origin: origin.clone(), user_id: user(name_of_user), settlement })
}

pub fn expire() -> Body {
    Body::ExpireHolds(ExpireHolds { schedule_id: schedule(), section: name() })
}

#[track_caller]
pub fn succeeded(decision: &Decision) -> Success {
    match &decision.verdict {
        Verdict::Succeeded(success) => success.clone(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn refused(decision: &Decision) -> Code {
    match &decision.verdict {
        Verdict::Rejected(refusal) => refusal.code,
        other => panic!("{other:?}"),
    }
}
