//! What the crowd asks for.

use std::cell::Cell;
use std::fmt;

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// Everybody charges one wallet
    HotWallet,
    /// Everybody holds one seat, which is taken: refusals
    HotSeat,
    /// Charges of 10,000 wallets by Zipf's law with exponent 1
    Zipf,
    /// Charges of 100,000 wallets, each as often
    Uniform,
    /// 50 sections of 1,000 seats, each hold another seat: all succeed
    SpreadSale,
    /// A hold, then its payment
    HoldAndPay,
    /// The first minute of a new database: wallets are made by their first charge, and no table has statistics
    NewDatabase,
}

impl Pattern {
    pub const ALL: [Pattern; 7] = [
        Pattern::HotWallet,
        Pattern::HotSeat,
        Pattern::Zipf,
        Pattern::Uniform,
        Pattern::SpreadSale,
        Pattern::HoldAndPay,
        Pattern::NewDatabase,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Pattern::HotWallet => "hot-wallet",
            Pattern::HotSeat => "hot-seat",
            Pattern::Zipf => "zipf",
            Pattern::Uniform => "uniform",
            Pattern::SpreadSale => "spread-sale",
            Pattern::HoldAndPay => "hold-and-pay",
            Pattern::NewDatabase => "new-database",
        }
    }

    pub fn is_of_seats(self) -> bool {
        matches!(self, Pattern::HotSeat | Pattern::SpreadSale | Pattern::HoldAndPay)
    }

    /// Wallets that are charged.
    pub fn wallets(self, quick: bool) -> u64 {
        let wallets = match self {
            Pattern::HotWallet => 1,
            Pattern::Zipf | Pattern::HoldAndPay => 10_000,
            Pattern::Uniform | Pattern::NewDatabase => 100_000,
            Pattern::HotSeat | Pattern::SpreadSale => 0,
        };
        if quick { wallets.min(500) } else { wallets }
    }

    /// Wallets that exist beforehand.
    pub fn prepared(self, quick: bool) -> u64 {
        if self == Pattern::NewDatabase { 0 } else { self.wallets(quick) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What each prepared wallet has.
pub const FIRST_BALANCE: i64 = 1_000_000;
pub const SECTIONS: u64 = 50;
/// Who has the hot seat.
pub const HOLDER: &str = "holder";

/// Seats of each section.
pub fn seats_per_section(quick: bool) -> u64 {
    if quick { 200 } else { 1000 }
}

/// The requests of a pattern, by number: no chance, so that all strategies get the same.
pub struct Plan {
    pattern: Pattern,
    wallets: u64,
    seats: u64,
    per_section: u64,
    path: String,
    /// Zipf: the share of the first wallets, up to each.
    shares: Vec<f64>,
    next: Cell<u64>,
    end: u64,
}

pub struct Request<'a> {
    pub path: &'a str,
    pub user: String,
    pub body: String,
}

impl Plan {
    /// `schedule`: of the seats.
    pub fn new(pattern: Pattern, quick: bool, schedule: &str) -> Plan {
        let path = match pattern.is_of_seats() {
            true => format!("/v1/schedules/{schedule}/holds"),
            false => "/v1/wallet/charges".to_owned(),
        };
        let (wallets, per_section) = (pattern.wallets(quick), seats_per_section(quick));
        let seats = SECTIONS * per_section;
        let shares = if pattern == Pattern::Zipf { zipf(wallets) } else { Vec::new() };
        let end = if matches!(pattern, Pattern::SpreadSale | Pattern::HoldAndPay) { seats } else { u64::MAX };
        Plan { pattern, wallets, seats, per_section, path, shares, next: Cell::new(0), end }
    }

    /// Charges each of the wallets once.
    pub fn preparing(wallets: u64) -> Plan {
        let mut plan = Plan::new(Pattern::Uniform, false, "");
        (plan.wallets, plan.end) = (wallets, wallets);
        plan
    }

    /// The number of the next request; `None` if there are no more, as when all seats are taken.
    pub fn turn(&self) -> Option<u64> {
        let turn = self.next.get();
        self.next.set(turn + 1);
        (turn < self.end).then_some(turn)
    }

    pub fn pays(&self) -> bool {
        self.pattern == Pattern::HoldAndPay
    }

    pub fn request(&self, turn: u64) -> Request<'_> {
        let user = match self.pattern {
            Pattern::HotSeat => format!("user{}", mixed(turn) % 10_000),
            Pattern::SpreadSale => format!("user{turn}"),
            Pattern::HotWallet => wallet(0),
            Pattern::HoldAndPay => wallet(turn % self.wallets),
            Pattern::Zipf => wallet(self.ranked(turn)),
            _ if self.end == self.wallets => wallet(turn),
            _ => wallet(mixed(turn) % self.wallets),
        };
        let body = match self.pattern {
            Pattern::HotSeat => r#"{"seats":["S0-1"]}"#.to_owned(),
            Pattern::SpreadSale | Pattern::HoldAndPay => format!(r#"{{"seats":["{}"]}}"#, self.seat(turn)),
            _ if self.end == self.wallets => format!(r#"{{"amount":{FIRST_BALANCE}}}"#),
            _ => r#"{"amount":1}"#.to_owned(),
        };
        Request { path: &self.path, user, body }
    }

    /// Another seat each time, all over the hall.
    fn seat(&self, turn: u64) -> String {
        // Coprime with the number of seats, so that none comes twice.
        let seat = turn * 7919 % self.seats;
        format!("S{}-{}", seat / self.per_section, seat % self.per_section + 1)
    }

    fn ranked(&self, turn: u64) -> u64 {
        let point = (mixed(turn) >> 11) as f64 / (1u64 << 53) as f64;
        self.shares.partition_point(|share| *share < point) as u64
    }
}

pub fn wallet(number: u64) -> String {
    format!("w{number}")
}

/// SplitMix64: spreads numbers as chance would.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn zipf(wallets: u64) -> Vec<f64> {
    let total: f64 = (1..=wallets).map(|rank| 1.0 / rank as f64).sum();
    let mut sum = 0.0;
    let cumulative = (1..=wallets).map(|rank| {
        sum += 1.0 / rank as f64 / total;
        sum
    });
    cumulative.collect()
}
