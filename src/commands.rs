//! The commands that end by themselves.

pub mod dead_letters;
pub mod demo;
