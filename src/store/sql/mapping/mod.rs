//! Rows of each lane to columns, in the order of `tables`, and back. Each row is taken apart field by field: a new field
//! that is not stored does not compile.

pub(in crate::store) mod catalog;
pub(in crate::store) mod interventions;
pub(in crate::store) mod queues;
pub(in crate::store) mod records;
pub(in crate::store) mod reservations;
pub(in crate::store) mod seats;
pub(in crate::store) mod wallets;
