//! What the SQL stores share: tables, queries, mapping. A port is implemented once, over any [`dialect::Dialect`].

pub(super) mod batch;
mod catalog;
pub(super) mod cells;
pub(super) mod dialect;
mod json;
mod layout;
mod loads;
pub(super) mod mapping;
pub(super) mod migrations;
mod names;
mod operations;
pub(super) mod ownership;
mod pages;
mod processes;
mod reads;
pub(super) mod tables;
pub(super) mod value;
mod webhooks;
