//! The API server: `http.*`.

use std::net::SocketAddr;

use super::layers::{ConfigError, Layers};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    pub listen: SocketAddr,
    pub connections_max: usize,
    pub requests_in_flight_max: usize,
    pub body_bytes_max: usize,
    pub wait_seconds_max: u64,
    pub waiters_max: usize,
    pub backlog_records_max: u64,
    pub user_rate_per_second: u32,
    pub user_burst: u32,
}

impl Http {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: layers.parsed("http.listen", "an address and a port, e.g. 127.0.0.1:8080")?,
            connections_max: layers.count("http.connections_max", 1..=1_000_000)?,
            requests_in_flight_max: layers.count("http.requests_in_flight_max", 1..=1_000_000)?,
            body_bytes_max: layers.count("http.body_bytes_max", 1024..=65_536)?,
            wait_seconds_max: layers.count("http.wait_seconds_max", 0..=30)?,
            waiters_max: layers.count("http.waiters_max", 0..=1_000_000)?,
            backlog_records_max: layers.count("http.backlog_records_max", 1..=100_000_000)?,
            user_rate_per_second: layers.count("http.user_rate_per_second", 1..=1_000_000)?,
            user_burst: layers.count("http.user_burst", 1..=1_000_000)?,
        })
    }
}
