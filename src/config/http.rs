//! The API server: `http.*`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::layers::{ConfigError, Layers};

const OPS_LISTEN: &str = "http.ops_listen";
const ADDRESS: &str = "an address and a port, e.g. 127.0.0.1:8080";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    pub listen: SocketAddr,
    /// Health, metrics and operations, only there if set.
    pub ops_listen: Option<SocketAddr>,
    pub connections_max: usize,
    pub idle_timeout: Duration,
    /// `https://shop.example`, or `*` alone.
    pub cors_origins: Vec<String>,
    /// Without a slash at its end.
    pub public_url: Option<String>,
    pub requests_in_flight_max: usize,
    pub body_bytes_max: usize,
    pub wait_seconds_max: u64,
    pub waiters_max: usize,
    pub backlog_records_max: u64,
    pub user_rate_per_second: u32,
    pub user_burst: u32,
    /// Of one user, commands among them: per second, and at once.
    pub user_requests: (u32, u32),
    /// From one address without login, behind `trusted_proxies`.
    pub address_requests: (u32, u32),
    /// Networks of proxies: the address and how many bits of it count.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
}

impl Http {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: layers.parsed("http.listen", ADDRESS)?,
            ops_listen: layers.text_opt(OPS_LISTEN)?.map(|_| layers.parsed(OPS_LISTEN, ADDRESS)).transpose()?,
            connections_max: layers.count("http.connections_max", 1..=1_000_000)?,
            idle_timeout: layers.seconds("http.idle_timeout_seconds", 1..=3600)?,
            cors_origins: cors_origins(layers)?,
            public_url: public_url(layers)?,
            requests_in_flight_max: layers.count("http.requests_in_flight_max", 1..=1_000_000)?,
            body_bytes_max: layers.count("http.body_bytes_max", 1024..=65_536)?,
            wait_seconds_max: layers.count("http.wait_seconds_max", 0..=30)?,
            waiters_max: layers.count("http.waiters_max", 0..=1_000_000)?,
            backlog_records_max: layers.count("http.backlog_records_max", 1..=100_000_000)?,
            user_rate_per_second: layers.count("http.user_rate_per_second", 1..=1_000_000)?,
            user_requests: rate(layers, "user_requests")?,
            address_requests: rate(layers, "address_requests")?,
            trusted_proxies: networks(layers, "http.trusted_proxies")?,
            user_burst: layers.count("http.user_burst", 1..=1_000_000)?,
        })
    }
}

/// Entries of a list, separated by commas.
fn entries<'a>(layers: &'a Layers, key: &str) -> Result<impl Iterator<Item = &'a str>, ConfigError> {
    Ok(layers.text(key)?.split(',').map(str::trim).filter(|entry| !entry.is_empty()))
}

/// What follows `http://` or `https://`: printable, without user, query or fragment.
fn after_scheme(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\"\\<>,".contains(&byte));
    (plain && !rest.is_empty() && !rest.starts_with('/')).then_some(rest)
}

fn cors_origins(layers: &Layers) -> Result<Vec<String>, ConfigError> {
    let key = "http.cors_origins";
    let origins: Vec<String> = entries(layers, key)?.map(str::to_owned).collect();
    for origin in &origins {
        let is_origin = after_scheme(origin).is_some_and(|host| !host.contains('/'));
        if !is_origin && (origin != "*" || origins.len() > 1) {
            let why = format_args!("has {origin:?}, must be origins such as https://shop.example, or * alone");
            return Err(layers.refuse(key, why));
        }
    }
    Ok(origins)
}

fn public_url(layers: &Layers) -> Result<Option<String>, ConfigError> {
    let key = "http.public_url";
    let Some(url) = layers.text_opt(key)? else { return Ok(None) };
    match after_scheme(url) {
        Some(_) => Ok(Some(url.trim_end_matches('/').to_owned())),
        None => Err(layers.refuse(key, format_args!("is {url:?}, must be such as https://tickets.example/api"))),
    }
}

fn rate(layers: &Layers, name: &str) -> Result<(u32, u32), ConfigError> {
    let count = |what| layers.count(&format!("http.{name}_{what}"), 1..=1_000_000);
    Ok((count("per_second")?, count("burst")?))
}

/// Addresses and networks of a list, each as its first address and the length of its prefix.
pub(super) fn networks(layers: &Layers, key: &str) -> Result<Vec<(IpAddr, u8)>, ConfigError> {
    let network = |entry: &str| {
        let (address, bits) = entry.split_once('/').map_or((entry, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(longest), |bits| bits.parse().ok())?;
        (bits <= longest).then_some((address, bits))
    };
    let refused =
        |entry| layers.refuse(key, format_args!("has {entry:?}, must be addresses or networks such as 10.0.0.0/8"));
    entries(layers, key)?.map(|entry| network(entry).ok_or_else(|| refused(entry))).collect()
}
