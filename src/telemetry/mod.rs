//! Metrics, log lines and traces for operators.

pub mod logging;
pub mod metrics;
pub mod process;
pub mod spans;
