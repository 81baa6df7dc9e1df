//! The API server: `http.*` and `auth.*`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::layers::{ConfigError, Layers};
use super::read::Secret;

/// Shorter secrets can be guessed; RFC 7518 requires the size of the hash.
const SECRET_BYTES_MIN: usize = 32;

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

/// Source of the key that verifies bearer tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    Hs256(Secret),
    /// PEM, RSA or Ed25519.
    PublicKeyFile(PathBuf),
    JwksFile(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMode {
    Dev,
    Jwt(KeySource),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    pub mode: AuthMode,
    pub queue_token_secret: Option<Secret>,
}

impl Auth {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let jwt = layers.choice("auth.mode", &[("dev", false), ("jwt", true)])?;
        let keys = key_sources(layers)?;
        let mode = match (jwt, keys.as_slice()) {
            (false, []) => AuthMode::Dev,
            (false, [(key, _), ..]) => {
                return Err(layers.refuse(key, "is of no use with auth.mode \"dev\"; set auth.mode to \"jwt\""));
            }
            (true, [(_, source)]) => AuthMode::Jwt(source.clone()),
            (true, []) => {
                let why = "is \"jwt\", which needs one of auth.hs256_secret, auth.public_key_file, auth.jwks_file";
                return Err(layers.refuse("auth.mode", why));
            }
            (true, [(first, _), (second, _), ..]) => {
                return Err(layers.refuse(second, format_args!("contradicts {first}: give exactly one key source")));
            }
        };
        Ok(Self { mode, queue_token_secret: long_secret(layers, "auth.queue_token_secret")? })
    }
}

fn key_sources(layers: &Layers) -> Result<Vec<(&'static str, KeySource)>, ConfigError> {
    let mut sources = Vec::new();
    if let Some(secret) = long_secret(layers, "auth.hs256_secret")? {
        sources.push(("auth.hs256_secret", KeySource::Hs256(secret)));
    }
    if let Some(path) = layers.text_opt("auth.public_key_file")? {
        sources.push(("auth.public_key_file", KeySource::PublicKeyFile(path.into())));
    }
    if let Some(path) = layers.text_opt("auth.jwks_file")? {
        sources.push(("auth.jwks_file", KeySource::JwksFile(path.into())));
    }
    Ok(sources)
}

fn long_secret(layers: &Layers, key: &str) -> Result<Option<Secret>, ConfigError> {
    let secret = layers.secret_opt(key)?;
    match &secret {
        Some(secret) if secret.reveal().len() < SECRET_BYTES_MIN => {
            Err(layers.refuse(key, format_args!("is shorter than {SECRET_BYTES_MIN} bytes")))
        }
        _ => Ok(secret),
    }
}
