//! Tickets: signed codes that a door can check without asking anybody. docs/tickets.md has the format.

pub mod code;
pub mod keys;
