//! What must hold after every command, and once nothing is under way.

use std::collections::BTreeSet;

use super::model::{Money, Payment, Stage};
use super::{Pair, STARTS_AT, USERS, seat, world};
use crate::domain::block::{Reservation, SeatState};
use crate::domain::wallet::EntryKind;

impl Pair {
    pub fn check(&self) {
        self.world.check_rows();
        self.check_seats();
        self.check_money();
    }

    /// Invariant 4: what the rows say is what the model says, seat by seat and reservation by reservation.
    fn check_seats(&self) {
        let (world, model, time) = (&self.world, &self.model, self.world.time);
        let reservations = world.reservations();
        assert_eq!(reservations.len(), model.claims.len());
        let (mut free, mut pending) = (0, 0);
        for (number, (row, claim)) in reservations.iter().zip(&model.claims).enumerate() {
            let over = row.expires_at.0.min(STARTS_AT) <= time;
            let stage = match world::reservation_is(row.state) {
                Stage::Held if over => Stage::Gone,
                stage => stage,
            };
            assert_eq!(stage, claim.stage_at(time), "reservation {number}");
            assert_eq!(row.amount.get(), claim.cost());
        }
        for (index, state) in world.seats().into_iter().enumerate() {
            let owners = owners_of(&reservations, index);
            match state {
                SeatState::Available => {
                    free += 1;
                    assert!(owners.is_empty(), "seat {index}");
                }
                SeatState::Held(id) | SeatState::Paying(id) | SeatState::Sold(id) => {
                    assert_eq!(owners.len(), 1, "seat {index} has one owner");
                    assert_eq!(reservations[owners[0]].id, id);
                    let stage = world::reservation_is(reservations[owners[0]].state);
                    let fits = match state {
                        SeatState::Held(_) => Stage::Held,
                        SeatState::Paying(_) => Stage::Paying,
                        _ => Stage::Confirmed,
                    };
                    assert_eq!(stage, fits, "seat {index}");
                    pending += u32::from(fits != Stage::Confirmed);
                }
            }
        }
        let block = world.block_row();
        assert_eq!(block.counts.iter().flatten().map(|counts| counts.free).sum::<u32>(), free);
        assert_eq!(block.pending, pending);
        if !model.cancelled {
            assert_eq!(world.tokens_completed, model.confirmed, "each payment completes one token");
        }
    }

    /// Invariant 5, and one debit and one refund a payment at most.
    fn check_money(&self) {
        let (world, model) = (&self.world, &self.model);
        for (index, balance) in model.balances.iter().enumerate() {
            assert_eq!(world.balance(index), *balance, "{}", USERS[index]);
            assert!(*balance >= 0);
        }
        let sum = |kind| world.sum(kind);
        let moved = sum(EntryKind::Charge) + sum(EntryKind::Refund) - sum(EntryKind::Payment) - sum(EntryKind::Debit);
        assert_eq!(moved, model.balances.iter().sum::<i64>());
        let entries = world.entries();
        let causes: BTreeSet<_> = entries.iter().map(|entry| (entry.kind, entry.cause)).collect();
        assert_eq!(causes.len(), entries.len(), "a cause moves money once");
        for (number, (row, payment)) in world.payments().iter().zip(&model.payments).enumerate() {
            assert_eq!(world::payment_is(&row.state), payment.money, "payment {number}");
            assert_eq!(causes.contains(&(EntryKind::Payment, row.id.0)), payment.debited == Some(true));
            assert_eq!(causes.contains(&(EntryKind::Refund, row.id.0)), payment.credited);
        }
    }

    /// With nothing under way, what was paid and not given back is what the confirmed reservations cost.
    pub fn check_at_rest(&self) {
        let (world, model) = (&self.world, &self.model);
        assert!(!world.is_waited_for(), "every pending request got its outcome");
        let moving = |payment: &Payment| matches!(payment.money, Money::Pending | Money::PayingBack);
        assert!(!model.payments.iter().any(moving));
        let confirmed = model.claims.iter().filter(|claim| claim.stage == Stage::Confirmed);
        let worth: i64 = confirmed.map(|claim| claim.cost()).sum();
        assert_eq!(world.sum(EntryKind::Payment) - world.sum(EntryKind::Refund), worth);
        let block = world.block_row();
        assert_eq!(block.refunds_due, block.refunds_done);
    }
}

/// The reservations that have this seat.
fn owners_of(reservations: &[&Reservation], index: usize) -> Vec<usize> {
    let has = |row: &Reservation| row.state.is_live() && row.seats.contains(&seat(index));
    reservations.iter().enumerate().filter(|(_, row)| has(row)).map(|(number, _)| number).collect()
}
