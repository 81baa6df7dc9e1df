//! Seats, money and places over the whole store: nothing sold twice, nothing lost, whatever the log says.

mod money;
mod places;
mod seats;
#[cfg(test)]
mod tests;

use crate::domain::Row;

use money::Money;
use places::Places;
use seats::Seats;

/// Adds up rows as they are read, aggregates before their parts; says at the end what does not add up.
#[derive(Default)]
pub struct Conservation {
    seats: Seats,
    money: Money,
    places: Places,
}

impl Conservation {
    pub fn row(&mut self, row: &Row) {
        match row {
            Row::Seats(row) => {
                self.seats.row(row);
                self.money.payment(row);
            }
            Row::Wallets(row) => self.money.row(row),
            Row::Queues(row) => self.places.row(row),
        }
    }

    /// What does not add up, a sentence each.
    pub fn complaints(self) -> Vec<String> {
        [self.seats.complaints(), self.money.complaints(), self.places.complaints()].concat()
    }
}
