//! Three halls to play with and to measure: always the same.

mod arena;
mod build;
mod stadium;
mod theater;

use std::fmt;
use std::str::FromStr;

use super::assemble::assemble;
use super::finding::{PlanError, Warnings};
use super::plan::Plan;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hall {
    /// 600 seats: curved rows with aisles, a row of wheelchair places, a balcony.
    Theater,
    /// 1,200 seats: tables on the floor between two stands.
    Arena,
    /// 50,000 seats in 44 sections on two tiers around a field.
    Stadium,
}

impl Hall {
    pub const ALL: [Hall; 3] = [Hall::Theater, Hall::Arena, Hall::Stadium];

    pub fn as_str(self) -> &'static str {
        match self {
            Hall::Theater => "theater",
            Hall::Arena => "arena",
            Hall::Stadium => "stadium",
        }
    }

    pub fn plan(self) -> Plan {
        let draft = match self {
            Hall::Theater => theater::draft(),
            Hall::Arena => arena::draft(),
            Hall::Stadium => stadium::draft(),
        };
        // Nothing of them depends on what is read: a test makes all three.
        assemble(draft, &mut Warnings::default()).expect("a hall of our own is a plan")
    }
}

impl fmt::Display for Hall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Hall {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let known = Hall::ALL.into_iter().find(|hall| hall.as_str() == text);
        known.ok_or_else(|| PlanError::new("", "a hall is theater, arena or stadium"))
    }
}
