//! The rules once more, as plainly as they can be said: lists, scans and no indexes. Shares no code with the rules.

use super::{HOLD_TTL_MS, PRICE, SALES_OPEN_AT, SEATS, SEATS_PER_USER, STARTS_AT, USERS};
use crate::domain::Code;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Done,
    Waits,
    No(Code),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Held,
    Paying,
    Confirmed,
    Expired,
    Cancelled,
    Refunded,
}

/// A reservation.
pub struct Claim {
    pub user: usize,
    pub seats: Vec<u32>,
    pub stage: Stage,
    until: i64,
}

/// A follow-up under way; the number is a claim's.
#[derive(Debug, Clone, Copy)]
pub enum Paper {
    Debit(usize),
    Credit(usize),
    Debited(usize),
    Declined(usize),
    Refunded(usize),
}

impl Paper {
    pub fn kind(&self) -> &'static str {
        match self {
            Paper::Debit(_) => "debit",
            Paper::Credit(_) => "credit",
            Paper::Debited(_) => "debited",
            Paper::Declined(_) => "declined",
            Paper::Refunded(_) => "refunded",
        }
    }
}

pub struct Model {
    pub claims: Vec<Claim>,
    pub balances: Vec<i64>,
    pub mail: Vec<Paper>,
}

impl Claim {
    fn has_seats(&self) -> bool {
        matches!(self.stage, Stage::Held | Stage::Paying | Stage::Confirmed)
    }

    /// Nobody else can have its seats at this time.
    fn blocks(&self, time: i64) -> bool {
        self.has_seats() && !self.is_over(time)
    }

    fn is_over(&self, time: i64) -> bool {
        self.stage == Stage::Held && self.until <= time
    }

    fn cost(&self) -> i64 {
        self.seats.len() as i64 * PRICE
    }
}

impl Model {
    pub fn new() -> Model {
        Model { claims: Vec::new(), balances: vec![0; USERS.len()], mail: Vec::new() }
    }

    /// Which claim has which seat, in order of number.
    pub fn picture(&self) -> Vec<Option<(usize, Stage)>> {
        let owner = |seat| {
            let mut owners = self.claims.iter().enumerate().filter(|(_, c)| c.has_seats() && c.seats.contains(&seat));
            let owner = owners.next().map(|(index, claim)| (index, claim.stage));
            assert!(owners.next().is_none(), "seat {seat} has two owners");
            owner
        };
        (1..=SEATS).map(owner).collect()
    }

    fn is_free(&self, seat: u32, time: i64) -> bool {
        (1..=SEATS).contains(&seat) && !self.claims.iter().any(|c| c.blocks(time) && c.seats.contains(&seat))
    }

    /// `Ok`: these seats, `Err`: so many neighbours.
    pub fn hold(&mut self, time: i64, user: usize, wanted: Result<Vec<u32>, u32>) -> Answer {
        if !(SALES_OPEN_AT..STARTS_AT).contains(&time) {
            return Answer::No(Code::SalesClosed);
        }
        if wanted.iter().flatten().any(|seat| *seat > SEATS) {
            return Answer::No(Code::SeatNotFound);
        }
        let count = wanted.as_ref().map_or_else(|count| *count as usize, Vec::len);
        let mine = self.claims.iter().filter(|c| c.user == user && c.blocks(time)).map(|c| c.seats.len());
        if mine.sum::<usize>() + count > SEATS_PER_USER as usize {
            return Answer::No(Code::TicketLimitExceeded);
        }
        let seats = match wanted {
            Ok(seats) if seats.iter().all(|seat| self.is_free(*seat, time)) => seats,
            Ok(_) => return Answer::No(Code::SeatTaken),
            Err(count) => match self.best(count, time) {
                Some(seats) => seats,
                None => return Answer::No(Code::NotEnoughAdjacentSeats),
            },
        };
        for claim in &mut self.claims {
            if claim.is_over(time) && claim.seats.iter().any(|seat| seats.contains(seat)) {
                claim.stage = Stage::Expired;
            }
        }
        self.claims.push(Claim { user, seats, stage: Stage::Held, until: time + HOLD_TTL_MS });
        Answer::Done
    }

    /// Tries every run; looks at what is left beside it.
    fn best(&self, count: u32, time: i64) -> Option<Vec<u32>> {
        let free = |seat: u32| self.is_free(seat, time);
        let runs = (1..=SEATS).map(|first| (first..first + count).collect::<Vec<u32>>());
        let runs: Vec<_> = runs.filter(|run| run.iter().all(|seat| free(*seat))).collect();
        let leaves_single = |run: &&Vec<u32>| {
            let (first, last) = (run[0], run[run.len() - 1]);
            let below = first > 1 && free(first - 1) && (first == 2 || !free(first - 2));
            let above = free(last + 1) && !free(last + 2);
            below || above
        };
        runs.iter().find(|run| !leaves_single(run)).or(runs.first()).cloned()
    }

    pub fn pay(&mut self, time: i64, user: usize, index: usize, amount: Option<i64>) -> Answer {
        let claim = &mut self.claims[index];
        let code = match claim.stage {
            _ if claim.user != user => Code::NotReservationOwner,
            Stage::Paying => Code::PaymentInProgress,
            Stage::Confirmed => Code::AlreadyPaid,
            Stage::Held if !claim.is_over(time) => {
                if amount.is_some_and(|amount| amount != claim.cost()) {
                    return Answer::No(Code::AmountMismatch);
                }
                claim.stage = Stage::Paying;
                self.mail.push(Paper::Debit(index));
                return Answer::Waits;
            }
            _ => Code::HoldExpired,
        };
        Answer::No(code)
    }

    pub fn cancel(&mut self, time: i64, user: usize, index: usize) -> Answer {
        let claim = &mut self.claims[index];
        let code = match claim.stage {
            _ if claim.user != user => Code::NotReservationOwner,
            Stage::Held if claim.is_over(time) => Code::HoldExpired,
            Stage::Held => {
                claim.stage = Stage::Cancelled;
                return Answer::Done;
            }
            Stage::Paying => Code::PaymentInProgress,
            Stage::Confirmed if time < STARTS_AT => {
                claim.stage = Stage::Cancelled;
                self.mail.push(Paper::Credit(index));
                return Answer::Waits;
            }
            _ => Code::NotCancellable,
        };
        Answer::No(code)
    }

    pub fn expire(&mut self, time: i64) -> Answer {
        for claim in &mut self.claims {
            if claim.is_over(time) {
                claim.stage = Stage::Expired;
            }
        }
        Answer::Done
    }

    pub fn charge(&mut self, user: usize, amount: i64) -> Answer {
        if amount < 1 {
            return Answer::No(Code::InvalidAmount);
        }
        self.balances[user] += amount;
        Answer::Done
    }

    pub fn spend(&mut self, user: usize, amount: i64) -> Answer {
        if amount < 1 {
            return Answer::No(Code::InvalidAmount);
        }
        if self.balances[user] < amount {
            return Answer::No(Code::InsufficientBalance);
        }
        self.balances[user] -= amount;
        Answer::Done
    }

    pub fn deliver(&mut self, time: i64, mail: usize) -> Answer {
        match self.mail.remove(mail) {
            Paper::Debit(index) => {
                let (user, cost) = (self.claims[index].user, self.claims[index].cost());
                let answer = self.spend(user, cost);
                let paid = answer == Answer::Done;
                self.mail.push(if paid { Paper::Debited(index) } else { Paper::Declined(index) });
                return answer;
            }
            Paper::Credit(index) => {
                self.balances[self.claims[index].user] += self.claims[index].cost();
                self.mail.push(Paper::Refunded(index));
            }
            Paper::Debited(index) => self.claims[index].stage = Stage::Confirmed,
            Paper::Declined(index) => {
                let claim = &mut self.claims[index];
                claim.stage = if claim.until > time { Stage::Held } else { Stage::Expired };
            }
            Paper::Refunded(index) => self.claims[index].stage = Stage::Refunded,
        }
        Answer::Done
    }
}
