//! The waiting queue as its users and operators see it.
//!
//! [`commands`] publishes joins, leaves and an operator's changes, and [`rendering`] adds the signed [`token`] to the
//! outcome of a join. Everything else is answered from memory: [`replicas`] keeps a [`replica`] of each queue somebody
//! asks for, at most 200 ms old, so that [`position`], [`streams`] and [`stats`] cost no read of their own; [`pace`]
//! measures how fast the queue moves. [`presence`] reports to the rules who still asks.

pub mod commands;
pub mod pace;
pub mod position;
pub mod presence;
pub mod rendering;
pub mod replica;
pub mod replicas;
pub mod stats;
pub mod streams;
pub mod token;

#[cfg(test)]
mod tests;
