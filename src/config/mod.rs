//! Configuration: `config/default.toml` inside the binary, then a file, then the environment.
//!
//! Everything is checked here, before a port is bound: the rest of the program gets a valid configuration.

mod auth;
mod http;
mod layers;
mod log;
mod notifier;
mod read;
mod show;
mod telemetry;
mod tickets;
mod web;
mod webhooks;
mod worker;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use auth::{Auth, AuthMode, KeySource, Tokens, Wallet};
pub use http::Http;
pub use layers::{ConfigError, Layers, Source};
pub use log::{Database, LogConfig};
pub use notifier::Notifier;
pub use read::Secret;
pub use telemetry::Traces;
pub use tickets::{Seeds, Tickets, seed};
pub use web::Web;
pub use webhooks::{DeclaredEndpoint, DeclaredEndpoints, Given};
pub use worker::{Retention, WorkerConfig, age};

use crate::telemetry::logging::Logging;

/// The commented defaults; they contain every key.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The effective configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub data_dir: PathBuf,
    pub http: Http,
    pub web: Web,
    pub auth: Auth,
    pub wallet: Wallet,
    pub tickets: Tickets,
    pub log: LogConfig,
    pub database: Database,
    pub worker: WorkerConfig,
    pub retention: Retention,
    pub notifier: Notifier,
    /// `None`: there is no file that could declare any.
    pub webhooks: Option<DeclaredEndpoints>,
    pub shutdown_deadline: Duration,
    pub logging: Logging,
    pub traces: Traces,
    pub demo_on_first_start: bool,
}

/// What a subcommand requires beyond each key's own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Serves the API.
    pub http: bool,
    /// Is one of several processes, so log and store must be shared.
    pub shared: bool,
}

/// Defaults, file and environment, unchecked: [`Config::read`] checks them, `show` prints them.
pub fn layers(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Layers, ConfigError> {
    let mut layers = Layers::defaults(DEFAULTS)?;
    if let Some(path) = file {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("file {name} cannot be read: {error}")))?;
        layers.add_file(&name, &text)?;
        // Two ways to write one path are one file.
        layers.file = Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string());
    }
    layers.add_env(environment)?;
    Ok(layers)
}

impl Config {
    pub fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let logging = telemetry::logging(layers)?;
        let data_dir = layers.text("data_dir")?;
        if data_dir.is_empty() {
            return Err(layers.refuse("data_dir", "must not be empty"));
        }
        let auth = Auth::read(layers)?;
        let config = Self {
            data_dir: data_dir.into(),
            http: Http::read(layers)?,
            web: Web::read(layers)?,
            wallet: Wallet::read(layers, &auth.mode)?,
            tickets: Tickets::read(layers)?,
            auth,
            log: LogConfig::read(layers)?,
            database: Database::read(layers)?,
            worker: WorkerConfig::read(layers)?,
            retention: Retention::read(layers)?,
            notifier: Notifier::read(layers)?,
            webhooks: DeclaredEndpoints::read(layers)?,
            shutdown_deadline: layers.seconds("shutdown.deadline_seconds", 1..=600)?,
            logging,
            traces: Traces::read(layers)?,
            demo_on_first_start: layers.flag("demo.on_first_start")?,
        };
        if config.shutdown_deadline <= config.worker.drain_deadline {
            let why = "must be longer than worker.drain_deadline_ms, or batches could not be finished";
            return Err(layers.refuse("shutdown.deadline_seconds", why));
        }
        Ok(config)
    }

    /// Checks what the subcommand requires.
    pub fn check(&self, layers: &Layers, needs: Needs) -> Result<(), ConfigError> {
        // Also of a worker: it has operations, which admins use.
        if self.auth.mode == AuthMode::Dev {
            let addresses = [("http.listen", Some(self.http.listen)), ("http.ops_listen", self.http.ops_listen)];
            for (key, address) in addresses.into_iter().filter_map(|(key, address)| Some((key, address?))) {
                if !address.ip().is_loopback() {
                    let why = format_args!(
                        "is {address}, which others can reach, but with auth.mode \"dev\" anyone may be anyone; set \
                         auth.mode to \"jwt\""
                    );
                    return Err(layers.refuse(key, why));
                }
            }
        }
        if needs.shared {
            for (key, missing) in
                [("log.brokers", self.log.brokers.is_none()), ("database.url", self.database.url.is_none())]
            {
                if missing {
                    let why = "is empty, but a single role needs Kafka and PostgreSQL; run `turnstile` for one machine";
                    return Err(layers.refuse(key, why));
                }
            }
        }
        if self.worker.capture_slot.is_some() {
            let missing = match (&self.log.brokers, &self.database.url) {
                (_, None) => Some("PostgreSQL, whose replication slots it reads: set database.url"),
                (None, _) => Some("Kafka: nothing else can write to the embedded log; set log.brokers"),
                _ => None,
            };
            if let Some(missing) = missing {
                return Err(layers.refuse("outbox.relay", format_args!("is \"external\", which needs {missing}")));
            }
        }
        let jwt = self.auth.mode != AuthMode::Dev;
        if needs.shared && needs.http && jwt && self.auth.queue_token_secret.is_none() {
            let why = "is empty, but api processes must share it; give one of at least 32 bytes";
            return Err(layers.refuse("auth.queue_token_secret", why));
        }
        if needs.shared && needs.http && jwt && self.tickets.seeds.is_none() {
            let why = "is empty, but api processes must share it; give a seed of 32 bytes in base64";
            return Err(layers.refuse("tickets.signing_secrets", why));
        }
        Ok(())
    }
}

/// The effective values as TOML, secrets hidden.
pub fn show(layers: &Layers) -> String {
    show::show(layers)
}

#[cfg(test)]
mod tests;
