//! Money: integers in the currency's smallest unit, checked where they are made.

use std::fmt;

use super::texts::InvalidText;

/// Largest amount of one charge, one debit, or the price of one seat.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;
/// No charge lifts a balance above this. Refunds may: money that was paid is always paid back.
pub const BALANCE_MAX: i64 = 10_000_000_000_000;
/// What 100 seats of the highest price cost.
const TOTAL_MAX: i64 = 100 * AMOUNT_MAX;

/// What a seat costs, a charge moves, or a reservation sums up to: 0 to 10^14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Amount(i64);

impl Amount {
    pub const ZERO: Amount = Amount(0);

    /// A total: 0 to 10^14.
    pub fn new(amount: i64) -> Result<Amount, InvalidText> {
        if (0..=TOTAL_MAX).contains(&amount) {
            Ok(Amount(amount))
        } else {
            Err(InvalidText("not an amount of 0 to 10^14"))
        }
    }

    /// The price of one seat: 0 to 10^12.
    pub fn price(amount: i64) -> Result<Amount, InvalidText> {
        if (0..=AMOUNT_MAX).contains(&amount) {
            Ok(Amount(amount))
        } else {
            Err(InvalidText("not a price of 0 to 10^12"))
        }
    }

    /// What one charge or debit moves: 1 to 10^12.
    pub fn movement(amount: i64) -> Result<Amount, InvalidText> {
        if (1..=AMOUNT_MAX).contains(&amount) {
            Ok(Amount(amount))
        } else {
            Err(InvalidText("not an amount of 1 to 10^12"))
        }
    }

    pub fn get(self) -> i64 {
        self.0
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` above 10^14, which no 100 seats cost.
    pub fn plus(self, other: Amount) -> Option<Amount> {
        Amount::new(self.0 + other.0).ok()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a wallet holds; never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Balance(i64);

impl Balance {
    pub const ZERO: Balance = Balance(0);

    pub fn new(balance: i64) -> Result<Balance, InvalidText> {
        if balance >= 0 { Ok(Balance(balance)) } else { Err(InvalidText("not a balance of 0 or more")) }
    }

    pub fn get(self) -> i64 {
        self.0
    }

    /// `None` if there is less in the wallet.
    pub fn minus(self, amount: Amount) -> Option<Balance> {
        self.0.checked_sub(amount.0).filter(|balance| *balance >= 0).map(Balance)
    }

    /// `None` above what an `i64` counts.
    pub fn plus(self, amount: Amount) -> Option<Balance> {
        self.0.checked_add(amount.0).map(Balance)
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_checked_where_they_are_made() {
        assert!(Amount::movement(0).is_err() && Amount::movement(1).is_ok());
        assert!(Amount::price(0).is_ok() && Amount::price(AMOUNT_MAX + 1).is_err());
        assert!(Amount::new(TOTAL_MAX).is_ok() && Amount::new(TOTAL_MAX + 1).is_err() && Amount::new(-1).is_err());
    }

    #[test]
    fn a_balance_never_goes_below_zero_or_overflows() {
        let balance = Balance::new(100).unwrap();
        assert_eq!(balance.minus(Amount::new(100).unwrap()), Some(Balance::ZERO));
        assert_eq!(balance.minus(Amount::new(101).unwrap()), None);
        assert_eq!(Balance::new(i64::MAX).unwrap().plus(Amount::new(1).unwrap()), None);
    }
}
