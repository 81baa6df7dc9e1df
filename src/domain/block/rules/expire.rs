//! `expire_holds`: what is due at this record's time. Holds that have run out end; wallets that have not answered are
//! asked again; a cancellation goes on. It never decides a payment.

use std::ops::Bound;

use crate::domain::block::draft::Draft;
use crate::domain::block::{Block, LIST_ROWS_MAX, Reply, Reservation, ReservationState, SWEEP_MAX, money};
use crate::domain::{Arrival, Decision, LogTime, PaymentId, ReservationId, SeatId, Verdict};

/// Most bytes of lists in one outcome; what does not fit is due at once.
const OUTCOME_BYTES_MAX: usize = 200 * 1024;

pub(super) fn decide(block: &Block, at: &Arrival) -> Decision<Block> {
    let mut work = Work::new(block, at);
    // Each only once the one before has come to its end.
    let _ = work.end_holds() && work.ask_wallets() && work.sweep();
    work.finish()
}

struct Work<'a> {
    block: &'a Block,
    draft: Draft<'a>,
    time: LogTime,
    reservations: Vec<ReservationId>,
    seats: Vec<SeatId>,
    bytes: usize,
    asked: u32,
    refunds: u32,
    swept: usize,
}

impl<'a> Work<'a> {
    fn new(block: &'a Block, at: &Arrival) -> Self {
        Work {
            block,
            draft: Draft::new(block, at),
            time: at.time,
            reservations: Vec::new(),
            seats: Vec::new(),
            bytes: 0,
            asked: 0,
            refunds: 0,
            swept: 0,
        }
    }

    /// Whether a step of this size still fits; the first always does.
    fn fits(&self, rows: usize, bytes: usize) -> bool {
        let changed = self.draft.changed_rows();
        changed == 0 || (changed + rows <= LIST_ROWS_MAX && self.bytes + bytes <= OUTCOME_BYTES_MAX)
    }

    /// Lists a reservation that loses its seats.
    fn list(&mut self, reservation: &Reservation) {
        self.reservations.push(reservation.id);
        self.seats.extend_from_slice(&reservation.seats);
        self.bytes += listed_bytes(reservation);
    }

    /// Ends holds, first by end, then by id. False: not all that are due.
    fn end_holds(&mut self) -> bool {
        let time = self.time;
        let due = self.block.holds.iter().take_while(|(end, _)| *end <= time);
        for reservation in due.filter_map(|(_, id)| self.block.reservation(*id)) {
            if !self.fits(1 + reservation.seats.len(), listed_bytes(reservation)) {
                return false;
            }
            self.list(reservation);
            self.draft.expire(reservation.clone());
        }
        true
    }

    fn ask_wallets(&mut self) -> bool {
        let last = (self.time, PaymentId(uuid::Uuid::max()));
        for payment in self.block.asks.range(..=last).filter_map(|(_, id)| self.block.payment(*id)) {
            let (Some(ask), Some(waiting)) = (money::ask(payment), payment.state.waiting()) else { continue };
            if !self.fits(1, 0) {
                return false;
            }
            let state = payment.state.clone().wait(money::doubled(waiting, self.time));
            self.draft.payment(payment.clone(), state);
            self.draft.follow_ups.push(ask);
            self.asked += 1;
        }
        true
    }

    /// Works through the reservations of a cancelled show in order of id. One that is PAYING waits for its answer, which
    /// then does the same.
    fn sweep(&mut self) -> bool {
        if self.block.row.cancelled.is_none() || self.block.row.sweep_done {
            return true;
        }
        let from = self.block.row.swept.map_or(Bound::Unbounded, Bound::Excluded);
        for (examined, id) in self.block.live.range((from, Bound::Unbounded)).enumerate() {
            let Some(reservation) = self.block.reservation(*id) else { continue };
            let rows = 2 + reservation.seats.len();
            let full = self.swept >= SWEEP_MAX || examined >= LIST_ROWS_MAX;
            if full || !self.fits(rows, listed_bytes(reservation)) {
                return false;
            }
            if !self.draft.has(*id) {
                self.take_back(reservation);
            }
            self.draft.row.swept = Some(*id);
        }
        self.draft.row.sweep_done = true;
        true
    }

    fn take_back(&mut self, reservation: &Reservation) {
        let payment = match reservation.state {
            ReservationState::Held => None,
            ReservationState::Confirmed { payment, .. } => Some(payment.and_then(|id| self.block.payment(id))),
            _ => return,
        };
        self.swept += 1;
        self.list(reservation);
        match payment {
            None => drop(self.draft.cancel(reservation.clone())),
            Some(None) => drop(self.draft.refund_nothing(reservation.clone())),
            Some(Some(payment)) => {
                self.draft.refund(reservation.clone(), payment.clone(), None);
                self.refunds += 1;
            }
        }
    }

    fn finish(mut self) -> Decision<Block> {
        if self.draft.is_empty() {
            return self.draft.decided(Verdict::Nothing);
        }
        self.seats.sort_unstable();
        self.draft.succeeded(Reply::HoldsExpired {
            key: self.block.row.key.clone(),
            reservations: self.reservations,
            seats: self.seats,
            refunds: self.refunds,
            asked: self.asked,
        })
    }
}

/// What a reservation takes in the lists of an outcome: its id, and each seat's name, quoted and escaped, with a comma.
fn listed_bytes(reservation: &Reservation) -> usize {
    const ID: usize = 36 + 3;
    const NUMBER: usize = 10 + 4;
    let escaped = |text: &str| text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    ID + reservation.seats.iter().map(|seat| escaped(seat.section.as_str()) + NUMBER).sum::<usize>()
}
