//! The real rules with what surrounds them: a log per lane, memory, the rows a store would have, follow-ups under way.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{HOLD_TTL_MS, PAYMENT_TIMEOUT_MS, REHOLD_AFTER_MS, SEATS_PER_USER, SECTIONS, STARTS_AT, USERS, published};
use crate::domain::block::{
    self, Block, NewSection, OpenBlock, PaymentState, ReservationState, Rows, SeatState, Terms,
};
use crate::domain::block::{Layout, Payment, Reservation};
use crate::domain::queue;
use crate::domain::wallet::{self, Entry, EntryKind, WalletState};
use crate::domain::{
    Aggregate, Amount, Arrival, Asking, BlockKey, Body, Decision, Fingerprint, Lane, LogTime, PaymentId, Position,
    RequestId, ReservationId, Row, RowKey, ScheduleId, SeatId, UserId, Verdict,
};
use crate::log::Record;

pub struct World {
    pub time: i64,
    block: Option<Block>,
    wallets: BTreeMap<UserId, Option<WalletState>>,
    pub(super) rows: BTreeMap<RowKey, Row>,
    /// By changes; both lanes in one.
    state_hash: u64,
    offsets: [u64; 2],
    requests: u128,
    /// In the order in which they came to be.
    reservations: Vec<ReservationId>,
    payments: Vec<PaymentId>,
    /// Money under way between the lanes.
    pub mail: Vec<Body>,
    /// Charges and debits with their request ids.
    pub movements: Vec<(RequestId, wallet::Command)>,
    /// Requests whose settlement is to come.
    waiting: BTreeSet<RequestId>,
    /// Payments that completed a token.
    pub tokens_completed: usize,
    /// Outcomes of the block, as the feed brings them.
    pub published: Vec<Record>,
}

/// What a record came to.
pub struct Decided {
    pub verdict: Verdict,
    pub follow_ups: Vec<Body>,
    pub completes: bool,
}

pub fn key() -> BlockKey {
    BlockKey::main(ScheduleId(Uuid::from_u128(7)))
}

pub fn user(index: usize) -> UserId {
    USERS[index].parse().unwrap()
}

/// The seats of all sections, numbered through from 0.
pub fn seat(index: usize) -> SeatId {
    let mut first = 0;
    for (name, seats, _) in SECTIONS {
        if index < first + seats as usize {
            return SeatId { section: name.parse().unwrap(), number: (index - first) as u32 + 1 };
        }
        first += seats as usize;
    }
    panic!("seat {index}")
}

fn opening() -> block::Command {
    let section = |(name, seats, price): (&str, u32, i64)| {
        let name = name.parse().unwrap();
        let layout = Layout::plain(seats, &name, Amount::price(price).unwrap()).unwrap();
        NewSection { name, layout }
    };
    block::Command::OpenBlock(OpenBlock {
        key: key(),
        user_id: "admin".parse().unwrap(),
        sections: SECTIONS.into_iter().map(section).collect(),
        terms: Terms {
            hold_ttl_ms: HOLD_TTL_MS,
            rehold_after_ms: REHOLD_AFTER_MS,
            payment_timeout_ms: PAYMENT_TIMEOUT_MS,
            max_seats_per_user: SEATS_PER_USER,
            sales_open_at: None,
            sales_close_at: None,
            starts_at: LogTime(STARTS_AT),
            companions_free_at: None,
        },
        queue: true,
    })
}

impl World {
    pub fn open() -> World {
        let mut world = World {
            time: 0,
            block: None,
            wallets: BTreeMap::new(),
            rows: BTreeMap::new(),
            state_hash: 0,
            offsets: [0; 2],
            requests: 0,
            reservations: Vec::new(),
            payments: Vec::new(),
            mail: Vec::new(),
            movements: Vec::new(),
            waiting: BTreeSet::new(),
            tokens_completed: 0,
            published: Vec::new(),
        };
        world.run(Body::Seats(opening()));
        world
    }

    /// Decides the next record of its lane under a request id of its own.
    pub fn run(&mut self, body: Body) -> Decided {
        self.requests += 1;
        let request_id = RequestId(Uuid::from_u128(self.requests));
        if let Body::Wallets(command @ (wallet::Command::ChargeWallet(_) | wallet::Command::DebitWallet(_))) = &body {
            self.movements.push((request_id, command.clone()));
        }
        self.run_as(request_id, body)
    }

    pub fn run_as(&mut self, request_id: RequestId, body: Body) -> Decided {
        let asking = Asking { request_id, fingerprint: Fingerprint(3), by: None };
        match body {
            Body::Seats(command) => {
                let at = self.next(Lane::Seats);
                let mut slot = self.block.take();
                let loaded = slot.is_some().then(|| self.loaded());
                let decision = self.decide(slot.as_mut(), loaded, &command, &asking, &at);
                self.published.extend(published::outcomes(&command, &asking, &decision, at));
                let decided = self.take_in(&mut slot, decision, request_id, Row::Seats);
                self.block = slot;
                decided
            }
            Body::Wallets(command) => {
                let at = self.next(Lane::Wallets);
                let user = command.user_id().clone();
                let mut slot = self.wallets.remove(&user).unwrap_or_default();
                let state = slot.get_or_insert_with(|| self.loaded_wallet(&user));
                let loaded = self.loaded_wallet(&user);
                let decision = self.decide(Some(state), Some(loaded), &command, &asking, &at);
                let decided = self.take_in(&mut slot, decision, request_id, Row::Wallets);
                self.wallets.insert(user, slot);
                decided
            }
            Body::Queues(_) => unreachable!("queues are another world"),
        }
    }

    fn next(&mut self, lane: Lane) -> Arrival {
        self.offsets[lane as usize] += 1;
        Arrival { position: Position::new(lane, 0, self.offsets[lane as usize]), time: LogTime(self.time) }
    }

    /// Recalls what the command names, as an owner does, and decides. Memory as it came to be and memory as loaded from
    /// the store decide alike.
    fn decide<A: Recalled>(
        &self,
        mut state: Option<&mut A>,
        mut loaded: Option<A>,
        command: &A::Command,
        asking: &Asking,
        at: &Arrival,
    ) -> Decision<A> {
        for state in state.as_deref_mut().into_iter().chain(loaded.as_mut()) {
            for recall in A::recalls(command, asking) {
                if !state.knows(&recall) {
                    self.rows.values().filter_map(|row| A::recalled(row, &recall)).for_each(|row| state.remember(row));
                }
            }
            state.advance(at.time);
        }
        let decision = A::decide(state.as_deref(), command, asking, at);
        if loaded.is_some() {
            let same = A::decide(loaded.as_ref(), command, asking, at);
            assert_eq!(same.verdict, decision.verdict, "{command:?}");
            assert_eq!((same.changes, same.effects), (decision.changes.clone(), decision.effects.clone()));
            assert_eq!((same.follow_ups, same.completes), (decision.follow_ups.clone(), decision.completes.clone()));
        }
        decision
    }

    fn take_in<A: Aggregate>(
        &mut self,
        state: &mut Option<A>,
        decision: Decision<A>,
        request_id: RequestId,
        lane: fn(A::Row) -> Row,
    ) -> Decided {
        if decision.verdict == Verdict::Pending {
            assert!(self.waiting.insert(request_id));
        }
        if let Some(completion) = &decision.completes {
            let id = completion.asking.request_id;
            assert!(self.waiting.remove(&id), "an outcome nobody waits for: {completion:?}");
            assert_eq!(completion.asking.fingerprint, Fingerprint(3), "the asking command's");
        }
        let keys: BTreeSet<_> = decision.changes.iter().map(A::row_key).collect();
        assert_eq!(keys.len(), decision.changes.len(), "a decision writes a row once");
        for row in decision.changes {
            self.state_hash ^= A::apply(state, &row);
            let row = lane(row);
            self.note_new(&row);
            self.rows.insert(row.key(), row);
        }
        for body in &decision.follow_ups {
            match body {
                Body::Queues(queue::Command::CompleteToken(_)) => self.tokens_completed += 1,
                Body::Queues(_) => {}
                body => self.mail.push(body.clone()),
            }
        }
        Decided { verdict: decision.verdict, follow_ups: decision.follow_ups, completes: decision.completes.is_some() }
    }

    fn note_new(&mut self, row: &Row) {
        match row {
            Row::Seats(block::Row::Reservation(row)) if !self.reservations.contains(&row.id) => {
                self.reservations.push(row.id);
            }
            Row::Seats(block::Row::Payment(row)) if !self.payments.contains(&row.id) => self.payments.push(row.id),
            _ => {}
        }
    }

    /// The block as a store would load it.
    fn loaded(&self) -> Block {
        let (mut blocks, mut sections, mut seats, mut reservations, mut payments) =
            (vec![], vec![], vec![], vec![], vec![]);
        for row in self.rows.values() {
            let Row::Seats(row) = row else { continue };
            match row.clone() {
                block::Row::Block(row) => blocks.push(row),
                block::Row::Section(row) => sections.push(row),
                block::Row::Seat(row) => seats.push(row),
                block::Row::Reservation(row) if row.state.is_unfinished() => reservations.push(row),
                block::Row::Payment(row) if row.state.is_unfinished() => payments.push(row),
                _ => {}
            }
        }
        sections.sort_by_key(|row| row.rank);
        payments.retain(|payment| reservations.iter().any(|row| row.id == payment.reservation_id));
        Block::load(Rows { block: blocks.remove(0), sections, seats, reservations, payments })
    }

    fn loaded_wallet(&self, user: &UserId) -> WalletState {
        let row = self.rows.get(&RowKey::Wallets(wallet::RowKey::Wallet(user.clone())));
        let row = row.and_then(|row| match row {
            Row::Wallets(wallet::Row::Wallet(row)) => Some(row.clone()),
            _ => None,
        });
        WalletState::load(user.clone(), row)
    }

    /// Memory is given to others; the next command loads the block again.
    pub fn reload(&mut self) {
        self.block = Some(self.loaded());
        self.wallets.clear();
    }

    /// As if everything so far were committed.
    pub fn forget(&mut self) {
        let [seats, wallets] = self.offsets;
        let block = self.block.as_mut().unwrap();
        block.forget(seats + 1);
        assert_eq!(block.remembered(), 0);
        for wallet in self.wallets.values_mut().flatten() {
            wallet.forget(wallets + 1);
            assert_eq!(wallet.remembered(), 0);
        }
    }

    pub fn due(&self) -> Option<i64> {
        self.block.as_ref().and_then(Block::next_due).map(|due| due.0)
    }

    pub fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Which payment money under way is for, by its number.
    pub fn payment_number(&self, id: PaymentId) -> usize {
        self.payments.iter().position(|payment| *payment == id).unwrap()
    }

    pub fn reservation_id(&self, number: usize) -> ReservationId {
        self.reservations[number]
    }

    pub fn reservations(&self) -> Vec<&Reservation> {
        let row = |id: &ReservationId| match &self.rows[&RowKey::Seats(block::RowKey::Reservation(*id))] {
            Row::Seats(block::Row::Reservation(row)) => row,
            other => panic!("{other:?}"),
        };
        self.reservations.iter().map(row).collect()
    }

    pub fn payments(&self) -> Vec<&Payment> {
        let row = |id: &PaymentId| match &self.rows[&RowKey::Seats(block::RowKey::Payment(*id))] {
            Row::Seats(block::Row::Payment(row)) => row,
            other => panic!("{other:?}"),
        };
        self.payments.iter().map(row).collect()
    }

    pub fn block_row(&self) -> &block::BlockRow {
        match &self.rows[&RowKey::Seats(block::RowKey::Block(key()))] {
            Row::Seats(block::Row::Block(row)) => row,
            other => panic!("{other:?}"),
        }
    }

    /// The state of each seat, numbered through; one without a row was never touched.
    pub fn seats(&self) -> Vec<SeatState> {
        let total: u32 = SECTIONS.iter().map(|(_, seats, _)| seats).sum();
        let state = |index| match self.rows.get(&RowKey::Seats(block::RowKey::Seat(key(), seat(index)))) {
            Some(Row::Seats(block::Row::Seat(row))) => row.state,
            None => SeatState::Available,
            other => panic!("{other:?}"),
        };
        (0..total as usize).map(state).collect()
    }

    pub fn entries(&self) -> Vec<&Entry> {
        let entry = |row| if let &Row::Wallets(wallet::Row::Entry(ref entry)) = row { Some(entry) } else { None };
        self.rows.values().filter_map(entry).collect()
    }

    pub fn balance(&self, index: usize) -> i64 {
        self.loaded_wallet(&user(index)).balance().get()
    }

    pub fn sum(&self, kind: EntryKind) -> i64 {
        self.entries().iter().filter(|entry| entry.kind == kind).map(|entry| entry.amount.get()).sum()
    }

    /// The rows agree with the state hash, and memory with the rows.
    pub fn check_rows(&self) {
        assert_eq!(self.state_hash, self.rows.values().fold(0, |hash, row| hash ^ row.digest()));
        assert_eq!(self.due(), self.loaded().next_due().map(|due| due.0));
    }
}

/// How a store finds what a command names.
trait Recalled: Aggregate {
    fn recalled(row: &Row, recall: &Self::Recall) -> Option<Self::Row>;
}

impl Recalled for Block {
    fn recalled(row: &Row, recall: &block::Recall) -> Option<block::Row> {
        let Row::Seats(row) = row else { return None };
        let found = match (row, recall) {
            (block::Row::Reservation(row), block::Recall::Reservation(id)) => row.id == *id,
            (block::Row::Payment(row), block::Recall::Payment(id)) => row.id == *id,
            _ => false,
        };
        found.then(|| row.clone())
    }
}

impl Recalled for WalletState {
    fn recalled(row: &Row, recall: &wallet::Recall) -> Option<wallet::Row> {
        let Row::Wallets(row) = row else { return None };
        let found = match (row, recall) {
            (wallet::Row::Answer(row), wallet::Recall::Answers(id)) => row.payment_id == *id,
            (wallet::Row::Entry(row), wallet::Recall::Entry(kind, cause)) => (row.kind, row.cause) == (*kind, *cause),
            _ => false,
        };
        found.then(|| row.clone())
    }
}

/// The words of the model for the states of rows.
pub fn reservation_is(state: ReservationState) -> super::Stage {
    match state {
        ReservationState::Held => super::Stage::Held,
        ReservationState::Paying(_) => super::Stage::Paying,
        ReservationState::Confirmed { .. } => super::Stage::Confirmed,
        ReservationState::Expired
        | ReservationState::Cancelled { refund: None }
        | ReservationState::Refunded { payment: None } => super::Stage::Gone,
        ReservationState::Cancelled { refund: Some(_) } => super::Stage::PayingBack,
        ReservationState::Refunded { payment: Some(_) } => super::Stage::PaidBack,
    }
}

pub fn payment_is(state: &PaymentState) -> super::Money {
    match state {
        PaymentState::Pending(_) => super::Money::Pending,
        PaymentState::Completed => super::Money::Completed,
        PaymentState::Failed(_) => super::Money::Failed,
        PaymentState::Refunding { .. } => super::Money::PayingBack,
        PaymentState::Refunded => super::Money::PaidBack,
    }
}
