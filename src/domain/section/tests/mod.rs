//! The rules of a section, row by row, and against a naive model.

mod fixture;
mod holds;
mod payments;
