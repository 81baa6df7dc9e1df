//! Log and store as the configuration names them: opened, checked against each other, trimmed.

pub mod backends;
pub mod identity;
pub mod retention;
