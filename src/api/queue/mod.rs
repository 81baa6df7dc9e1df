//! The waiting queue as the front door knows it.
//!
//! [`replicas`] keeps a [`replica`] of each queue somebody asks for, at most 200 ms old, so that positions, streams and
//! statistics cost no read of their own; [`pace`] measures how fast the queue moves, and [`presence`] reports to the
//! rules who still asks. [`rendering`] adds the signed [`token`] to the outcome of a join; [`admission`] asks for it
//! before seats are taken.

pub mod admission;
pub mod pace;
pub mod presence;
pub mod rendering;
pub mod replica;
pub mod replicas;
pub mod token;

#[cfg(test)]
mod tests;
