//! What tests and fuzzing need and no product has: log and store in memory, a store that fails on command, samples of
//! every message, naive models of the rules. Compiled for tests, and with the feature `testing`.

mod faulty_store;
mod layered_store;
mod layered_webhooks;
mod memory_log;
mod memory_store;
#[cfg(test)]
pub(crate) mod property;
#[cfg(test)]
pub(crate) mod wire;

pub use faulty_store::{BatchHook, Fault, Faults, FaultyStore, Hook};
pub use layered_store::{Call, Layer, Layered};
pub use memory_log::{Judge, MemoryLog};
pub use memory_store::MemoryStore;
