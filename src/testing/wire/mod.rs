//! Messages for tests: one of each kind, arbitrary ones, and the golden files that pin them.

pub(crate) mod arbitrary;
mod golden;
pub(crate) mod samples;
