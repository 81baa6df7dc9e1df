//! The real rules with what surrounds them: a log per lane, memory, the rows a store would have, follow-ups under way.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{HOLD_TTL_MS, PRICE, SALES_OPEN_AT, SEATS, SEATS_PER_USER, STARTS_AT, Stage, USERS};
use crate::domain::command::{
    CancelReservation, ChargeWallet, Choice, DebitWallet, ExpireHolds, HoldSeats, OpenSection, PayReservation,
};
use crate::domain::decision::RowKey;
use crate::domain::section::{self, PaymentStatus, ReservationStatus, Section};
use crate::domain::wallet::{self, EntryKind, Wallet};
use crate::domain::{
    Arrival, Body, Change, Command, Decision, Lane, LogTime, Position, RequestId, ReservationId, RoutingKey,
    ScheduleId, SectionName, Success, UserId, Verdict,
};

pub struct World {
    pub time: i64,
    pub section: Option<Section>,
    wallets: BTreeMap<UserId, Option<Wallet>>,
    rows: BTreeMap<RowKey, Change>,
    /// By changes; both lanes in one.
    state_hash: u64,
    offsets: [u64; 2],
    /// In the order of their holds.
    reservations: Vec<ReservationId>,
    pub mail: Vec<Body>,
    /// Settlements that were delivered.
    pub settled: Vec<Body>,
    /// Requests whose settlement is to come.
    pub waiting: BTreeSet<RequestId>,
    pub tokens_completed: usize,
}

fn schedule() -> ScheduleId {
    ScheduleId(Uuid::from_u128(7))
}

fn name() -> SectionName {
    "A".parse().unwrap()
}

fn user(index: usize) -> UserId {
    USERS[index].parse().unwrap()
}

impl World {
    pub fn open() -> World {
        let mut world = World {
            time: 0,
            section: None,
            wallets: BTreeMap::new(),
            rows: BTreeMap::new(),
            state_hash: 0,
            offsets: [0; 2],
            reservations: Vec::new(),
            mail: Vec::new(),
            settled: Vec::new(),
            waiting: BTreeSet::new(),
            tokens_completed: 0,
        };
        world.run(Body::OpenSection(OpenSection {
            schedule_id: schedule(),
            section: name(),
            user_id: "admin".parse().unwrap(),
            seats: SEATS,
            price: PRICE,
            hold_ttl_ms: HOLD_TTL_MS,
            max_seats_per_user: SEATS_PER_USER,
            sales_open_at: Some(LogTime(SALES_OPEN_AT)),
            starts_at: LogTime(STARTS_AT),
            queue: true,
        }));
        world
    }

    /// Decides the next record of its lane and takes the decision in.
    pub fn run(&mut self, body: Body) -> Decision {
        let key = body.routing_key();
        let lane = key.lane();
        let offset = &mut self.offsets[lane as usize];
        *offset += 1;
        let position = Position { lane, partition: 0, offset: *offset };
        let at = Arrival { position, time: LogTime(self.time) };
        let request_id = RequestId(Uuid::from_u128((u128::from(*offset) << 8) | lane as u128));
        let command = Command { request_id, body };
        let (decision, delta) = match key {
            RoutingKey::Section(..) => self.decide_seats(&command, &at),
            RoutingKey::Wallet(user) => {
                let wallet = self.wallets.entry(user).or_default();
                let decision = wallet::decide(wallet.as_ref(), &command, &at);
                let delta = decision.changes.iter().fold(0, |delta, change| delta ^ wallet::apply(wallet, change));
                (decision, delta)
            }
            RoutingKey::Queue(_) => unreachable!(),
        };
        self.state_hash ^= delta;
        self.take_in(request_id, &decision);
        decision
    }

    fn decide_seats(&mut self, command: &Command, at: &Arrival) -> (Decision, u64) {
        if let Some(mut section) = self.section.take() {
            self.remember_named(&mut section, &command.body);
            self.section = Some(section);
        }
        let before = self.section.clone();
        let decision = section::decide(self.section.as_ref(), command, at);
        assert_eq!(self.section, before);
        if before.is_some() {
            // Memory as it came to be and memory as loaded from the store decide alike.
            let mut loaded = self.reloaded();
            self.remember_named(&mut loaded, &command.body);
            assert_eq!(section::decide(Some(&loaded), command, at), decision);
        }
        let apply = |delta, change| delta ^ section::apply(&mut self.section, change);
        let delta = decision.changes.iter().fold(0, apply);
        (decision, delta)
    }

    fn take_in(&mut self, request_id: RequestId, decision: &Decision) {
        match &decision.verdict {
            Verdict::Rejected(_) => assert_eq!(decision.changes, []),
            Verdict::Pending => assert!(self.waiting.insert(request_id)),
            Verdict::Succeeded(Success::Held { reservation, .. }) => self.reservations.push(reservation.id),
            Verdict::Succeeded(_) => {}
        }
        if let Some(completion) = &decision.completes {
            assert!(self.waiting.remove(&completion.request_id), "an outcome nobody waits for: {completion:?}");
            assert_ne!(completion.verdict, Verdict::Pending);
        }
        for change in &decision.changes {
            self.rows.insert(change.key(), change.clone());
        }
        let keys: BTreeSet<String> = decision.changes.iter().map(|change| format!("{:?}", change.key())).collect();
        assert_eq!(keys.len(), decision.changes.len(), "a decision writes a row once");
        for body in &decision.follow_ups {
            match body {
                Body::CompleteToken(_) => self.tokens_completed += 1,
                body => self.mail.push(body.clone()),
            }
        }
    }

    /// The owner's prefetch of an ended reservation.
    fn remember_named(&self, section: &mut Section, body: &Body) {
        let Some(id) = Section::names(body) else { return };
        if let (false, Some(Change::Reservation(row))) = (section.knows(id), self.rows.get(&RowKey::Reservation(id))) {
            section.remember(row.clone());
        }
    }

    /// The section as a store would load it.
    pub fn reloaded(&self) -> Section {
        let (mut rows, mut seats, mut reservations, mut payments) = (vec![], vec![], vec![], vec![]);
        for row in self.rows.values().cloned() {
            match row {
                Change::Section(row) => rows.push(row),
                Change::Seat(row) => seats.push(row),
                Change::Reservation(row) if row.is_unfinished() => reservations.push(row),
                Change::Payment(row) => payments.push(row),
                _ => {}
            }
        }
        let named: Vec<_> = reservations.iter().filter_map(|row| row.payment).collect();
        payments.retain(|row| {
            named.contains(&row.id) && matches!(row.status, PaymentStatus::Pending | PaymentStatus::Completed)
        });
        Section::load(rows.remove(0), seats, reservations, payments)
    }

    /// As if everything so far were committed.
    pub fn forget(&mut self) {
        let next_offset = self.offsets[Lane::Seats as usize] + 1;
        let section = self.section.as_mut().unwrap();
        section.forget_ended(next_offset);
        assert_eq!(section.ended_count(), 0);
    }

    /// The rows agree with each other, with memory and its indexes, and with the state hash.
    pub fn check_rows(&self) {
        let hash = self.rows.values().fold(0, |hash, row| hash ^ row.digest());
        assert_eq!(self.state_hash, hash);
        let (mut memory, mut loaded) = (self.section().clone(), self.reloaded());
        for section in [&mut memory, &mut loaded] {
            section.forget_ended(u64::MAX);
        }
        assert_eq!(memory, loaded);
        assert_eq!(memory.next_expiry(), memory.expiries.first().map(|(time, _)| *time));
    }

    pub fn section(&self) -> &Section {
        self.section.as_ref().unwrap()
    }

    /// Which reservation has which seat, by their numbers in order of hold.
    pub fn picture(&self) -> Vec<Option<(usize, Stage)>> {
        let seats = self.section().seats.iter();
        let stages = self.stages();
        seats
            .map(|seat| {
                let index = self.reservations.iter().position(|id| Some(*id) == seat.reservation)?;
                let status = match stages[index] {
                    Stage::Held => "HELD",
                    Stage::Paying => "PAYING",
                    Stage::Confirmed => "SOLD",
                    other => panic!("a reservation that is {other:?} has a seat"),
                };
                assert_eq!(seat.status.as_str(), status);
                Some((index, stages[index]))
            })
            .collect()
    }

    pub fn stages(&self) -> Vec<Stage> {
        let stage = |id: &ReservationId| {
            let Some(Change::Reservation(row)) = self.rows.get(&RowKey::Reservation(*id)) else { panic!() };
            match row.status {
                ReservationStatus::Held => Stage::Held,
                ReservationStatus::Paying => Stage::Paying,
                ReservationStatus::Confirmed => Stage::Confirmed,
                ReservationStatus::Expired => Stage::Expired,
                ReservationStatus::Cancelled => Stage::Cancelled,
                ReservationStatus::Refunded => Stage::Refunded,
            }
        };
        self.reservations.iter().map(stage).collect()
    }

    pub fn balance(&self, index: usize) -> i64 {
        self.wallets.get(&user(index)).and_then(Option::as_ref).map_or(0, |wallet| wallet.balance)
    }

    fn sum(&self, kind: EntryKind) -> i64 {
        let entries = self.rows.values().filter_map(|row| match row {
            Change::WalletEntry(entry) if entry.kind == kind => Some(entry.amount),
            _ => None,
        });
        entries.sum()
    }

    pub fn balances_by_entries(&self) -> i64 {
        self.sum(EntryKind::Charge) + self.sum(EntryKind::Refund)
            - self.sum(EntryKind::Payment)
            - self.sum(EntryKind::Debit)
    }

    pub fn paid_and_kept(&self) -> i64 {
        self.sum(EntryKind::Payment) - self.sum(EntryKind::Refund)
    }

    pub fn hold(&self, who: usize, choice: Choice) -> Body {
        Body::HoldSeats(HoldSeats { schedule_id: schedule(), section: name(), user_id: user(who), choice })
    }

    pub fn pay(&self, who: usize, claim: usize, amount: Option<i64>) -> Body {
        let (schedule_id, section, user_id) = (schedule(), name(), user(who));
        let reservation_id = self.reservations[claim];
        Body::PayReservation(PayReservation { schedule_id, section, user_id, reservation_id, amount })
    }

    pub fn cancel(&self, who: usize, claim: usize) -> Body {
        let (schedule_id, section, user_id) = (schedule(), name(), user(who));
        let reservation_id = self.reservations[claim];
        Body::CancelReservation(CancelReservation { schedule_id, section, user_id, reservation_id })
    }

    pub fn expire(&self) -> Body {
        Body::ExpireHolds(ExpireHolds { schedule_id: schedule(), section: name() })
    }

    pub fn charge(&self, who: usize, amount: i64) -> Body {
        Body::ChargeWallet(ChargeWallet { user_id: user(who), amount, reason: None })
    }

    pub fn spend(&self, who: usize, amount: i64) -> Body {
        Body::DebitWallet(DebitWallet { user_id: user(who), amount, reason: None, origin: None })
    }
}
