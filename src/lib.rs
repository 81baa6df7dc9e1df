//! Turnstile sells seats to a crowd: a partitioned sequential command processor behind an HTTP front door.

pub mod api;
pub mod audit;
pub mod cli;
pub mod commands;
pub mod config;
pub mod domain;
pub mod load;
pub mod log;
pub mod processor;
pub mod roles;
pub mod runtime;
pub mod store;
pub mod telemetry;
pub mod wire;
