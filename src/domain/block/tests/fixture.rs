//! A block on a log of its own: commands in, decisions out, rows and state hash kept.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::check;
use crate::domain;
use crate::domain::block::{
    AmendBlock, BestAvailable, Block, BlockRow, CancelReservation, Choice, Command, HoldSeats, Layout, NewSection,
    OpenBlock, Origin, PayReservation, Payment, Reply, Reservation, Row, RowKey, Rows, SeatStatus, SettlePayment,
    Settlement, Terms,
};
use crate::domain::{
    Aggregate, Amount, Arrival, Asking, Balance, BlockKey, Body, Code, Decision, Fingerprint, Lane, LogTime, Outcome,
    Position, RequestId, ReservationId, ScheduleId, SeatId, SectionName, UserId, Verdict, wallet,
};

/// Sales open at 1000, the show starts at 1_000_000, holds last 10_000, a seat costs 100.
pub const SALES_OPEN_AT: i64 = 1_000;
pub const STARTS_AT: i64 = 1_000_000;
pub const HOLD_TTL_MS: i64 = 10_000;
pub const REHOLD_MS: i64 = 5_000;
pub const TIMEOUT_MS: i64 = 60_000;
pub const PRICE: i64 = 100;

pub struct Hall {
    pub block: Option<Block>,
    /// What a store would have.
    pub store: BTreeMap<RowKey, Row>,
    /// XOR of what every change did to it.
    pub state_hash: u64,
    pub log: Vec<(Command, Asking, Arrival)>,
    /// Everything is counted again after each command.
    pub counted: bool,
}

impl Hall {
    pub fn closed() -> Hall {
        Hall { block: None, store: BTreeMap::new(), state_hash: 0, log: Vec::new(), counted: true }
    }

    pub fn opened(command: OpenBlock) -> Hall {
        let mut hall = Hall::closed();
        succeeded(&hall.run(0, Command::OpenBlock(command)));
        hall
    }

    /// For blocks too large to be counted after each command.
    pub fn opened_uncounted(command: OpenBlock) -> Hall {
        let mut hall = Hall { counted: false, ..Hall::closed() };
        succeeded(&hall.run(0, Command::OpenBlock(command)));
        hall
    }

    /// One section A with so many seats in one row, at most 4 for one user.
    pub fn with_seats(seats: u32) -> Hall {
        Hall::opened(OpenBlock { sections: vec![plain("A", seats, PRICE)], ..opening() })
    }

    /// Decides the command as the next record, at this log time, and applies what it changes.
    pub fn run(&mut self, time: i64, command: Command) -> Decision<Block> {
        self.run_by(time, command, None)
    }

    pub fn run_by(&mut self, time: i64, command: Command, by: Option<&str>) -> Decision<Block> {
        let offset = self.log.len() as u64;
        let asking = Asking {
            request_id: RequestId(Uuid::from_u128(u128::from(offset))),
            fingerprint: Fingerprint(offset),
            by: by.map(user),
        };
        let at = Arrival { position: Position::new(Lane::Seats, 3, offset), time: LogTime(time) };
        self.record(command, asking, at)
    }

    pub fn record(&mut self, command: Command, asking: Asking, at: Arrival) -> Decision<Block> {
        if let Some(block) = &mut self.block {
            block.advance(at.time);
        }
        let decision = Block::decide(self.block.as_ref(), &command, &asking, &at);
        if let Verdict::Decided(Err(_)) = decision.verdict {
            assert_eq!(decision.changes, [], "a refusal changes nothing");
        }
        let mut seen = std::collections::BTreeSet::new();
        for row in &decision.changes {
            assert!(seen.insert(Block::row_key(row)), "a row is there once: {row:?}");
            self.state_hash ^= Block::apply(&mut self.block, row);
            self.store.insert(Block::row_key(row), row.clone());
        }
        self.log.push((command, asking, at));
        if self.counted {
            check::all(self, at.time);
        }
        decision
    }

    /// The rows that a block is loaded from.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows {
            block: self.row().clone(),
            sections: Vec::new(),
            seats: Vec::new(),
            reservations: Vec::new(),
            payments: Vec::new(),
        };
        for row in self.store.values().cloned() {
            match row {
                Row::Block(_) => {}
                Row::Section(row) => rows.sections.push(row),
                Row::Seat(row) => rows.seats.push(row),
                Row::Reservation(row) if row.state.is_unfinished() => rows.reservations.push(row),
                Row::Payment(row) if row.state.is_unfinished() => rows.payments.push(row),
                Row::Reservation(_) | Row::Payment(_) => {}
            }
        }
        rows.sections.sort_by_key(|section| section.rank);
        rows
    }

    pub fn hold(&mut self, time: i64, user: &str, seats: &[u32]) -> Decision<Block> {
        self.run(time, hold(user, seats))
    }

    /// A hold that must succeed.
    pub fn held(&mut self, time: i64, user: &str, seats: &[u32]) -> Reservation {
        held(&self.hold(time, user, seats))
    }

    /// A payment that must be accepted: whom the wallet is to answer.
    pub fn paying(&mut self, time: i64, user: &str, id: ReservationId) -> Origin {
        let decision = self.run(time, pay(user, id, None));
        assert_eq!(decision.verdict, Verdict::Pending);
        match wallet_commands(&decision).as_slice() {
            [wallet::Command::DebitForPayment(debit)] => debit.origin.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Held and paid.
    pub fn confirmed(&mut self, time: i64, user: &str, seats: &[u32]) -> (Reservation, Origin) {
        let id = self.held(time, user, seats).id;
        let origin = self.paying(time, user, id);
        succeeded(&self.run(time, settle(user, &origin, self.reservation(id).amount.get(), DEBITED)));
        (self.reservation(id).clone(), origin)
    }

    /// A cancellation of what is paid that must be accepted: whom the wallet is to answer.
    pub fn refunding(&mut self, time: i64, user: &str, id: ReservationId) -> Origin {
        let decision = self.run(time, cancel(user, id));
        assert_eq!(decision.verdict, Verdict::Pending);
        match wallet_commands(&decision).as_slice() {
            [wallet::Command::CreditWallet(credit)] => credit.origin.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// `expire_holds` until nothing is due: the decisions that found something.
    pub fn expire_all(&mut self, time: i64) -> Vec<Decision<Block>> {
        let mut decisions = Vec::new();
        while self.row().due_at.is_some_and(|due_at| due_at.0 <= time) {
            decisions.push(self.run(time, expire()));
            assert!(decisions.len() < 10_000, "expiry never ends");
        }
        decisions
    }

    pub fn block(&self) -> &Block {
        self.block.as_ref().unwrap()
    }

    pub fn row(&self) -> &BlockRow {
        self.block().row()
    }

    pub fn reservation(&self, id: ReservationId) -> &Reservation {
        self.block().reservation(id).unwrap()
    }

    pub fn payment(&self, origin: &Origin) -> &Payment {
        self.block().payment(origin.payment_id).unwrap()
    }

    /// Free seats, for sale or not.
    pub fn free(&self) -> u32 {
        self.row().counts.all().iter().map(|counts| counts.free).sum()
    }

    /// One letter a seat, in order: `.` free, `h` held, `p` paying, `S` sold.
    pub fn picture(&self) -> String {
        let sections = &self.block().sections;
        let seats = sections.iter().flat_map(|section| (1..=section.layout().seats()).map(|n| section.touched(n)));
        seats.map(|seat| seat.map_or(SeatStatus::Available, |seat| seat.state.status())).map(letter).collect()
    }
}

fn letter(status: SeatStatus) -> char {
    match status {
        SeatStatus::Available => '.',
        SeatStatus::Held => 'h',
        SeatStatus::Paying => 'p',
        SeatStatus::Sold => 'S',
    }
}

pub fn balance(amount: i64) -> Balance {
    Balance::new(amount).unwrap()
}

pub const DEBITED: Settlement = Settlement::Debited { balance: Balance::ZERO };
pub const REFUNDED: Settlement = Settlement::Refunded { balance: Balance::ZERO };
pub const DECLINED: Settlement = Settlement::DebitDeclined { code: Code::InsufficientBalance };

pub fn key() -> BlockKey {
    BlockKey::main(ScheduleId(Uuid::from_u128(7)))
}

pub fn name(name: &str) -> SectionName {
    name.parse().unwrap()
}

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub fn seat(number: u32) -> SeatId {
    SeatId { section: name("A"), number }
}

pub fn amount(amount: i64) -> Amount {
    Amount::new(amount).unwrap()
}

pub fn plain(section: &str, seats: u32, price: i64) -> NewSection {
    NewSection { name: name(section), layout: Layout::plain(seats, &name(section), amount(price)).unwrap() }
}

pub fn terms() -> Terms {
    Terms {
        hold_ttl_ms: HOLD_TTL_MS,
        rehold_after_ms: REHOLD_MS,
        payment_timeout_ms: TIMEOUT_MS,
        max_seats_per_user: 4,
        sales_open_at: Some(LogTime(SALES_OPEN_AT)),
        sales_close_at: None,
        starts_at: LogTime(STARTS_AT),
        companions_free_at: None,
    }
}

/// A block of ten seats behind a queue.
pub fn opening() -> OpenBlock {
    let sections = vec![plain("A", 10, PRICE)];
    OpenBlock { key: key(), user_id: user("admin"), sections, terms: terms(), queue: true }
}

pub fn amending() -> AmendBlock {
    AmendBlock {
        key: key(),
        user_id: user("admin"),
        sections: Vec::new(),
        new_sections: Vec::new(),
        sales_open_at: None,
        sales_close_at: None,
        starts_at: None,
        cancelled: false,
    }
}

pub fn cancel_show() -> Command {
    Command::AmendBlock(AmendBlock { cancelled: true, ..amending() })
}

pub fn choose(name_of_user: &str, choice: Choice) -> Command {
    Command::HoldSeats(HoldSeats { key: key(), user_id: user(name_of_user), choice, admitted: true })
}

/// Seats of section A.
pub fn hold(name_of_user: &str, seats: &[u32]) -> Command {
    choose(name_of_user, Choice::Seats(seats.iter().map(|number| seat(*number)).collect()))
}

pub fn best(name_of_user: &str, count: u32) -> Command {
    choose(name_of_user, Choice::BestAvailable(BestAvailable { count, section: None, category: None }))
}

pub fn pay(name_of_user: &str, reservation_id: ReservationId, amount: Option<i64>) -> Command {
    Command::PayReservation(PayReservation { key: key(), user_id: user(name_of_user), reservation_id, amount })
}

pub fn cancel(name_of_user: &str, reservation_id: ReservationId) -> Command {
    Command::CancelReservation(CancelReservation { key: key(), user_id: user(name_of_user), reservation_id })
}

pub fn settle(name_of_user: &str, origin: &Origin, moved: i64, settlement: Settlement) -> Command {
    let (origin, amount) = (origin.clone(), amount(moved));
    Command::SettlePayment(SettlePayment { origin, user_id: user(name_of_user), amount, settlement })
}

pub fn expire() -> Command {
    Command::ExpireHolds(key())
}

/// What a decision asks of wallets.
pub fn wallet_commands(decision: &Decision<Block>) -> Vec<wallet::Command> {
    let command = |body: &Body| match body {
        Body::Wallets(command) => Some(command.clone()),
        _ => None,
    };
    decision.follow_ups.iter().filter_map(command).collect()
}

/// The one refund that a decision asks for.
#[track_caller]
pub fn only_credit(decision: &Decision<Block>) -> wallet::ForPayment {
    match wallet_commands(decision).as_slice() {
        [wallet::Command::CreditWallet(credit)] => credit.clone(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn outcome(decision: &Decision<Block>) -> Outcome {
    match &decision.verdict {
        Verdict::Decided(outcome) => outcome.clone(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn succeeded(decision: &Decision<Block>) -> Reply {
    match outcome(decision) {
        Ok(domain::Reply::Seats(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn held(decision: &Decision<Block>) -> Reservation {
    match succeeded(decision) {
        Reply::Held { reservation, .. } => reservation,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn refused(decision: &Decision<Block>) -> Code {
    outcome(decision).unwrap_err().code
}

/// The code of a refusal, or whether it was accepted.
pub fn code(decision: &Decision<Block>) -> Option<Code> {
    match &decision.verdict {
        Verdict::Decided(Err(refusal)) => Some(refusal.code),
        _ => None,
    }
}

/// Seat numbers of a reservation.
pub fn numbers(reservation: &Reservation) -> Vec<u32> {
    reservation.seats.iter().map(|seat| seat.number).collect()
}
