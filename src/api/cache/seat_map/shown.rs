//! A seat's status as the seat map shows it.

use std::str::FromStr;

use crate::domain::block::SeatStatus;

/// A seat's status as everybody sees it: a seat that is being paid is still held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    Available,
    Held,
    Sold,
    /// While it is free.
    NotForSale,
}

impl Shown {
    pub const ALL: [Shown; 4] = [Shown::Available, Shown::Held, Shown::Sold, Shown::NotForSale];

    pub fn as_str(self) -> &'static str {
        match self {
            Shown::Available => "AVAILABLE",
            Shown::Held => "HELD",
            Shown::Sold => "SOLD",
            Shown::NotForSale => "NOT_FOR_SALE",
        }
    }
}

impl From<SeatStatus> for Shown {
    fn from(status: SeatStatus) -> Self {
        match status {
            SeatStatus::Available => Shown::Available,
            SeatStatus::Held | SeatStatus::Paying => Shown::Held,
            SeatStatus::Sold => Shown::Sold,
        }
    }
}

impl FromStr for Shown {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Shown::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or("a status is AVAILABLE, HELD, SOLD or NOT_FOR_SALE")
    }
}
