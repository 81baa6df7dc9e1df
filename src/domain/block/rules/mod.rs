//! The rule of each command, a file each.

mod amend;
mod best_available;
mod cancel;
mod check_ticket;
mod expire;
mod hold;
mod open;
mod pay;
mod settle;

use crate::domain::block::{Block, Command, Recall, Row, RowKey, apply};
use crate::domain::digest::Digest;
use crate::domain::{Aggregate, Arrival, Asking, BlockKey, Code, Decision, LogTime, Refusal};

impl Aggregate for Block {
    type Key = BlockKey;
    type Command = Command;
    type Row = Row;
    type RowKey = RowKey;
    type Recall = Recall;

    fn decide(state: Option<&Self>, command: &Command, asking: &Asking, at: &Arrival) -> Decision<Self> {
        let Some(block) = state else {
            return match command {
                Command::OpenBlock(command) => open::decide(None, command, at),
                Command::SettlePayment(command) => settle::decide_without_block(command),
                _ => Decision::rejected(Refusal::new(Code::BlockNotFound, "there is no such block")),
            };
        };
        match command {
            Command::OpenBlock(command) => open::decide(Some(block), command, at),
            Command::AmendBlock(command) => amend::decide(block, command, at),
            Command::HoldSeats(command) => hold::decide(block, command, asking, at),
            Command::CancelReservation(command) => cancel::decide(block, command, asking, at),
            Command::PayReservation(command) => pay::decide(block, command, asking, at),
            Command::SettlePayment(command) => settle::decide(block, command, at),
            Command::ExpireHolds(_) => expire::decide(block, at),
            Command::CheckTicket(command) => check_ticket::decide(block, command, at),
        }
    }

    fn apply(state: &mut Option<Self>, row: &Row) -> u64 {
        apply::apply(state, row)
    }

    fn advance(&mut self, time: LogTime) {
        self.advance_to(time);
    }

    fn next_due(&self) -> Option<LogTime> {
        self.row.due_at
    }

    fn rows(&self) -> usize {
        self.count_rows()
    }

    fn row_key(row: &Row) -> RowKey {
        match row {
            Row::Block(row) => RowKey::Block(row.key.clone()),
            Row::Section(row) => RowKey::Section(row.key.clone(), row.name.clone()),
            Row::Seat(row) => RowKey::Seat(row.key.clone(), row.id.clone()),
            Row::Reservation(row) => RowKey::Reservation(row.id),
            Row::Payment(row) => RowKey::Payment(row.id),
        }
    }

    fn digest(row: &Row) -> u64 {
        row.digest()
    }

    fn recalls(command: &Command, _asking: &Asking) -> Vec<Recall> {
        match command {
            Command::CancelReservation(c) => vec![Recall::Reservation(c.reservation_id)],
            Command::PayReservation(c) => vec![Recall::Reservation(c.reservation_id)],
            Command::CheckTicket(c) => vec![Recall::Reservation(c.reservation_id)],
            Command::SettlePayment(c) => {
                vec![Recall::Reservation(c.origin.reservation_id), Recall::Payment(c.origin.payment_id)]
            }
            Command::OpenBlock(_) | Command::AmendBlock(_) | Command::HoldSeats(_) | Command::ExpireHolds(_) => {
                Vec::new()
            }
        }
    }

    fn knows(&self, recall: &Recall) -> bool {
        match recall {
            Recall::Reservation(id) => self.reservation(*id).is_some(),
            Recall::Payment(id) => self.payment(*id).is_some(),
        }
    }

    /// Rows of other blocks are not this block's business.
    fn remember(&mut self, row: Row) {
        match row {
            Row::Reservation(row) if row.key == self.row.key && self.reservation(row.id).is_none() => {
                self.put_reservation(row);
            }
            Row::Payment(row) if row.key == self.row.key && self.payment(row.id).is_none() => {
                self.put_payment(row);
            }
            _ => {}
        }
    }

    fn forget(&mut self, before: u64) {
        self.forget_ended(before);
    }

    fn remembered(&self) -> usize {
        self.ended()
    }
}
