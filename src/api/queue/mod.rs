//! The waiting queue as the API knows it.
//!
//! [`replicas`] keeps a [`replica`] of each queue somebody asks for, brought up to date by [`upkeep`] and at most 200 ms
//! old, so that positions, streams and statistics cost no read of their own; [`pace`] measures how fast the queue moves.
//! [`presence`] reports to the rules who still asks, from what [`sightings`] remembers. [`places`] finds a holder's place, and [`admission`] whether it
//! permits taking seats. [`rendering`] adds the signed [`token`] to the outcome of a join, [`configuring`] reads what an operator changes.

pub mod admission;
pub mod configuring;
pub mod pace;
pub mod places;
pub mod presence;
pub mod rendering;
pub mod replica;
pub mod replicas;
mod sightings;
pub mod token;
pub mod upkeep;

#[cfg(test)]
mod tests;
