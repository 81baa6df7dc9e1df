//! The rules once more, as plainly as they can be said: lists, scans and no indexes. Shares no code with the rules.

use std::collections::BTreeSet;

use super::{HOLD_TTL_MS, REHOLD_AFTER_MS, SEATS_PER_USER, SECTIONS, STARTS_AT, USERS};
use crate::domain::Code;

/// Of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Held,
    Paying,
    Confirmed,
    /// Ended without money: expired, or cancelled before payment.
    Gone,
    PayingBack,
    PaidBack,
}

/// Of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    Pending,
    Completed,
    Failed,
    PayingBack,
    PaidBack,
}

/// A reservation.
pub struct Claim {
    pub user: usize,
    pub seats: Vec<usize>,
    pub stage: Stage,
    until: i64,
}

pub struct Payment {
    pub claim: usize,
    pub money: Money,
    /// Whether the wallet gave the money, once it was asked.
    pub debited: Option<bool>,
    /// Whether it took it back.
    pub credited: bool,
    /// A request waits for the refund.
    asked: bool,
}

/// What may be asked of a wallet or told by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Debit,
    Refund,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done,
    Waits,
    /// One of these codes.
    No(Vec<Code>),
}

pub struct Model {
    pub claims: Vec<Claim>,
    pub payments: Vec<Payment>,
    pub balances: Vec<i64>,
    pub cancelled: bool,
    /// Confirmed before the show was cancelled.
    pub confirmed: usize,
    /// Requests that moved money by themselves.
    moved: BTreeSet<u128>,
    /// Of each seat: who held it last, and the end of the first of their unbroken holds.
    memory: Vec<Option<(usize, i64)>>,
}

/// The price of each seat, numbered through.
fn prices() -> Vec<i64> {
    SECTIONS.iter().flat_map(|(_, seats, price)| vec![*price; *seats as usize]).collect()
}

impl Claim {
    pub fn cost(&self) -> i64 {
        self.seats.iter().map(|seat| prices()[*seat]).sum()
    }

    /// What it is at this time: a hold that ran out is gone, whether or not that is written down.
    pub fn stage_at(&self, time: i64) -> Stage {
        if self.stage == Stage::Held && self.until <= time { Stage::Gone } else { self.stage }
    }

    fn blocks(&self, time: i64) -> bool {
        matches!(self.stage_at(time), Stage::Held | Stage::Paying | Stage::Confirmed)
    }
}

impl Model {
    pub fn new() -> Model {
        Model {
            claims: Vec::new(),
            payments: Vec::new(),
            balances: vec![0; USERS.len()],
            cancelled: false,
            confirmed: 0,
            moved: BTreeSet::new(),
            memory: vec![None; prices().len()],
        }
    }

    fn is_free(&self, seat: usize, time: i64) -> bool {
        !self.claims.iter().any(|claim| claim.blocks(time) && claim.seats.contains(&seat))
    }

    fn cools_down(&self, seat: usize, user: usize, time: i64) -> bool {
        self.memory[seat].is_some_and(|(who, end)| who == user && (end..end + REHOLD_AFTER_MS).contains(&time))
    }

    /// Why nothing at all can be held, or not this many.
    fn closed(&self, time: i64, user: usize, count: usize) -> Vec<Code> {
        if self.cancelled {
            return vec![Code::ShowCancelled];
        }
        let mine: usize =
            self.claims.iter().filter(|claim| claim.user == user && claim.blocks(time)).map(|c| c.seats.len()).sum();
        let reasons = [
            (time >= STARTS_AT, Code::SalesClosed),
            (mine + count > SEATS_PER_USER as usize, Code::TicketLimitExceeded),
        ];
        reasons.into_iter().filter_map(|(holds, code)| holds.then_some(code)).collect()
    }

    pub fn hold(&mut self, time: i64, user: usize, seats: &[usize]) -> Answer {
        let mut codes = self.closed(time, user, seats.len());
        if codes == [Code::ShowCancelled] {
            return Answer::No(codes);
        }
        if seats.iter().any(|seat| !self.is_free(*seat, time)) {
            codes.push(Code::SeatTaken);
        }
        if seats.iter().any(|seat| self.cools_down(*seat, user, time)) {
            codes.push(Code::HoldCooldown);
        }
        if !codes.is_empty() {
            return Answer::No(codes);
        }
        for claim in &mut self.claims {
            if claim.stage_at(time) == Stage::Gone {
                claim.stage = Stage::Gone;
            }
        }
        let running = |memory: Option<(usize, i64)>| memory.filter(|(who, end)| *who == user && *end > time);
        let earliest = seats.iter().filter_map(|seat| running(self.memory[*seat])).map(|(_, end)| end).min();
        let until = (time + HOLD_TTL_MS).min(STARTS_AT).min(earliest.unwrap_or(i64::MAX));
        for seat in seats {
            self.memory[*seat] = running(self.memory[*seat]).or(Some((user, until)));
        }
        self.claims.push(Claim { user, seats: seats.to_vec(), stage: Stage::Held, until });
        Answer::Done
    }

    /// Whether so many neighbors of a section could be held; if so, which is for others to say.
    pub fn best(&self, time: i64, user: usize, section: usize, count: usize) -> Answer {
        let codes = self.closed(time, user, count);
        if !codes.is_empty() {
            return Answer::No(codes);
        }
        let first: usize = SECTIONS[..section].iter().map(|(_, seats, _)| *seats as usize).sum();
        let seats: Vec<usize> = (first..first + SECTIONS[section].1 as usize).collect();
        let fits = |run: &[usize]| run.iter().all(|s| self.is_free(*s, time) && !self.cools_down(*s, user, time));
        if seats.windows(count).any(fits) { Answer::Done } else { Answer::No(vec![Code::NotEnoughAdjacentSeats]) }
    }

    pub fn pay(&mut self, time: i64, user: usize, index: usize, amount: Option<i64>) -> Answer {
        let (cancelled, claim) = (self.cancelled, &mut self.claims[index]);
        let code = match claim.stage_at(time) {
            _ if claim.user != user => return Answer::No(vec![Code::NotReservationOwner, Code::ShowCancelled]),
            _ if cancelled => Code::ShowCancelled,
            Stage::Paying => Code::PaymentInProgress,
            Stage::Confirmed => Code::AlreadyPaid,
            Stage::Held if amount.is_some_and(|amount| amount != claim.cost()) => Code::AmountMismatch,
            Stage::Held if claim.cost() == 0 => {
                self.confirm(index);
                return Answer::Done;
            }
            Stage::Held => {
                claim.stage = Stage::Paying;
                let payment =
                    Payment { claim: index, money: Money::Pending, debited: None, credited: false, asked: false };
                self.payments.push(payment);
                return Answer::Waits;
            }
            Stage::Gone | Stage::PayingBack | Stage::PaidBack => Code::HoldExpired,
        };
        Answer::No(vec![code])
    }

    fn confirm(&mut self, index: usize) {
        self.claims[index].stage = Stage::Confirmed;
        self.confirmed += 1;
        for seat in self.claims[index].seats.clone() {
            self.memory[seat] = None;
        }
    }

    pub fn cancel(&mut self, time: i64, user: usize, index: usize) -> Answer {
        let stage = self.claims[index].stage_at(time);
        let codes = match stage {
            _ if self.claims[index].user != user => vec![Code::NotReservationOwner],
            Stage::Held => {
                self.claims[index].stage = Stage::Gone;
                return Answer::Done;
            }
            Stage::Paying if self.cancelled => vec![Code::PaymentInProgress, Code::NotCancellable],
            Stage::Paying => vec![Code::PaymentInProgress],
            Stage::Confirmed if time < STARTS_AT => return self.give_back(index, true),
            // Whether it is written down yet decides which.
            Stage::Gone => vec![Code::NotCancellable, Code::HoldExpired],
            _ => vec![Code::NotCancellable],
        };
        Answer::No(codes)
    }

    /// Of a confirmed claim: at once if it was free.
    fn give_back(&mut self, index: usize, asked: bool) -> Answer {
        if self.claims[index].cost() == 0 {
            self.claims[index].stage = Stage::Gone;
            return Answer::Done;
        }
        self.claims[index].stage = Stage::PayingBack;
        let paid = |payment: &&mut Payment| payment.claim == index && payment.money == Money::Completed;
        let payment = self.payments.iter_mut().find(paid).expect("paid");
        (payment.money, payment.asked) = (Money::PayingBack, asked);
        Answer::Waits
    }

    /// The show is cancelled, and the sweep has come to its end.
    pub fn cancel_show(&mut self) {
        self.cancelled = true;
        for index in 0..self.claims.len() {
            match self.claims[index].stage {
                Stage::Held => self.claims[index].stage = Stage::Gone,
                Stage::Confirmed => {
                    self.give_back(index, false);
                }
                _ => {}
            }
        }
    }

    /// A charge, or a debit (negative), under this request.
    pub fn move_money(&mut self, request: u128, user: usize, amount: i64, charge: bool) -> Answer {
        if self.moved.contains(&request) {
            return Answer::Done;
        }
        if amount < 1 {
            return Answer::No(vec![Code::InvalidAmount]);
        }
        if !charge && self.balances[user] < amount {
            return Answer::No(vec![Code::InsufficientBalance]);
        }
        self.moved.insert(request);
        self.balances[user] += if charge { amount } else { -amount };
        Answer::Done
    }

    /// A wallet is asked, for the first time or again: whether it says yes.
    pub fn ask_wallet(&mut self, number: usize, side: Side) -> bool {
        let claim = &self.claims[self.payments[number].claim];
        let (user, cost) = (claim.user, claim.cost());
        let payment = &mut self.payments[number];
        let balance = &mut self.balances[user];
        match side {
            Side::Debit => {
                if payment.debited.is_none() {
                    let covered = *balance >= cost;
                    payment.debited = Some(covered);
                    *balance -= if covered { cost } else { 0 };
                }
                payment.debited == Some(true)
            }
            Side::Refund => {
                if !payment.credited {
                    payment.credited = true;
                    *balance += cost;
                }
                true
            }
        }
    }

    /// The block hears the wallet's answer: whether that decides a request.
    pub fn settle(&mut self, time: i64, number: usize, side: Side, yes: bool) -> bool {
        let index = self.payments[number].claim;
        match (self.payments[number].money, side) {
            (Money::Pending, Side::Debit) if yes => {
                self.payments[number].money = Money::Completed;
                if self.cancelled {
                    self.give_back(index, false);
                } else {
                    self.confirm(index);
                }
                true
            }
            (Money::Pending, Side::Debit) => {
                self.payments[number].money = Money::Failed;
                let claim = &mut self.claims[index];
                claim.stage = if claim.until > time && !self.cancelled { Stage::Held } else { Stage::Gone };
                true
            }
            (Money::PayingBack, Side::Refund) => {
                self.payments[number].money = Money::PaidBack;
                self.claims[index].stage = Stage::PaidBack;
                self.payments[number].asked
            }
            _ => false,
        }
    }
}
