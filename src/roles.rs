//! What a process does once its configuration is right: opens log and store, starts its roles, ends them in order.

pub mod identity;
pub mod retention;
