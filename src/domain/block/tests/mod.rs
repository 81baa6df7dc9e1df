//! The rules of a block, row by row, and against naive models.

mod amending;
mod best;
mod cancelled;
mod check;
mod crowds;
mod expiry;
mod fixture;
mod holds;
mod layouts;
mod opening;
mod payments;
mod properties;
mod refunds;
mod rehold;
mod sale;
mod tickets;
