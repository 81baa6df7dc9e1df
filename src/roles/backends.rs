//! Log and store as the configuration names them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::cli::Failure;
use crate::config::Config;
use crate::log::Log;
use crate::log::embedded::{EmbeddedLog, OpenError};
use crate::runtime::clock::Clock;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

/// What all roles of a process share.
#[derive(Clone)]
pub struct Backends {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Store>,
    /// The log once more, if it is the embedded one: it is this process's to trim and to close.
    pub embedded: Option<EmbeddedLog>,
}

fn log_path(data_dir: &Path) -> PathBuf {
    data_dir.join("log.db")
}

fn store_path(data_dir: &Path) -> PathBuf {
    data_dir.join("store.db")
}

/// Nothing was ever kept here: the first start on one machine.
pub fn is_first_start(config: &Config) -> bool {
    config.log.brokers.is_none()
        && config.database.url.is_none()
        && !log_path(&config.data_dir).exists()
        && !store_path(&config.data_dir).exists()
}

/// Short names for the first log line.
pub fn kinds(config: &Config) -> (&'static str, &'static str) {
    let log = if config.log.brokers.is_some() { "kafka" } else { "embedded" };
    let store = if config.database.url.is_some() { "postgresql" } else { "sqlite" };
    (log, store)
}

impl Backends {
    pub async fn open(config: &Config, clock: &Clock) -> Result<Self, Failure> {
        let store = open_store(config).await?;
        let (log, embedded) = open_log(config, clock).await?;
        Ok(Self { log, store, embedded })
    }

    /// What was appended is acknowledged or given up, and files are closed.
    pub async fn close(self, deadline: Duration) {
        self.log.flush(deadline).await;
        if let Some(embedded) = self.embedded {
            embedded.close().await;
        }
    }
}

fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    let path = &config.data_dir;
    std::fs::create_dir_all(path).with_context(|| format!("data_dir {} cannot be made", path.display()))
}

pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match &config.database.url {
        None => {
            make_data_dir(config)?;
            let path = store_path(&config.data_dir);
            let opened = SqliteStore::open(&path).await.with_context(|| format!("{} cannot be opened", path.display()));
            Ok(Arc::new(opened?))
        }
        Some(_) => Err(Failure::Usage("PostgreSQL".to_owned())),
    }
}

pub async fn open_log(config: &Config, clock: &Clock) -> Result<(Arc<dyn Log>, Option<EmbeddedLog>), Failure> {
    match &config.log.brokers {
        None => {
            make_data_dir(config)?;
            let path = log_path(&config.data_dir);
            let opened = EmbeddedLog::open(&path, config.log.partitions.clone(), clock.clone()).await;
            let log = opened.map_err(|error| match error {
                OpenError::Disk { .. } => Failure::Internal(error.into()),
                _ => Failure::Usage(error.to_string()),
            })?;
            Ok((Arc::new(log.clone()), Some(log)))
        }
        Some(_) => Err(Failure::Usage("Kafka".to_owned())),
    }
}
