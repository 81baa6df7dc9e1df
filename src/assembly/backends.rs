//! Opens the configured log and store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::config::{Config, Secret};
use crate::log::Log;
use crate::log::embedded::{EmbeddedLog, OpenError};
use crate::log::kafka::{ConnectError, KafkaLog, KafkaSettings, topics};
use crate::runtime::clock::Clock;
use crate::store::postgres::{PostgresSettings, PostgresStore};
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

/// How long a starting process waits for its services before it exits, to be restarted.
const START_WITHIN: Duration = Duration::from_secs(60);
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Log and store, shared by the roles of a process.
#[derive(Clone)]
pub struct Backends {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Store>,
    /// The same log, if embedded: this process trims and closes it.
    pub embedded: Option<EmbeddedLog>,
}

pub(super) fn log_path(data_dir: &Path) -> PathBuf {
    data_dir.join("log.db")
}

pub(super) fn store_path(data_dir: &Path) -> PathBuf {
    data_dir.join("store.db")
}

/// The first start on one machine: `data_dir` has neither log nor store.
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

/// Why log or store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A retry would fail the same way: the configuration is wrong.
    #[error("{0}")]
    Configuration(String),
    /// Another process has the embedded log open.
    #[error("{0}")]
    InUse(String),
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

impl Backends {
    pub async fn open(config: &Config, clock: &Clock) -> Result<Self, BackendError> {
        let store = open_store(config).await?;
        let (log, embedded) = open_log(config, clock).await?;
        Ok(Self { log, store, embedded })
    }

    /// Flushes the log within `deadline`, then closes the files.
    pub async fn close(self, deadline: Duration) {
        self.log.flush(deadline).await;
        if let Some(embedded) = self.embedded {
            embedded.close().await;
        }
    }
}

/// Whether a failed attempt is worth repeating.
enum Refusal {
    Away(anyhow::Error),
    Final(BackendError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Failed(reason) => {
                Refusal::Final(BackendError::Configuration(format!("database.url: {reason}")))
            }
            away => Refusal::Away(away.into()),
        }
    }
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable { .. } => Refusal::Away(error.into()),
            wrong => Refusal::Final(BackendError::Configuration(format!("log.brokers: {wrong}"))),
        }
    }
}

/// Retries until success, a final refusal, or the end of [`START_WITHIN`].
async fn until_there<T>(mut open: impl AsyncFnMut() -> Result<T, Refusal>) -> Result<T, BackendError> {
    let began = Instant::now();
    let mut pause = RETRY_FIRST;
    loop {
        match open().await {
            Ok(opened) => return Ok(opened),
            Err(Refusal::Final(failure)) => return Err(failure),
            Err(Refusal::Away(error)) if began.elapsed() + pause > START_WITHIN => {
                return Err(BackendError::Internal(error));
            }
            Err(Refusal::Away(error)) => warn!(error = format!("{error:#}"), "not available yet, retrying"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    let path = &config.data_dir;
    std::fs::create_dir_all(path).with_context(|| format!("data_dir {} cannot be created", path.display()))
}

fn postgres_settings(config: &Config, url: &Secret) -> PostgresSettings {
    PostgresSettings {
        url: url.reveal().to_owned(),
        schema: config.database.schema.clone(),
        connections_max: config.database.connections_max,
        acquire_timeout: config.database.acquire_timeout,
        statement_timeout: config.database.statement_timeout,
    }
}

fn kafka_settings(config: &Config, brokers: &str) -> KafkaSettings {
    let (log, worker) = (&config.log, &config.worker);
    let extra = log.kafka.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    KafkaSettings {
        replication_factor: log.replication_factor,
        session_timeout: worker.session_timeout,
        drain: worker.drain_deadline,
        instance_id: worker.instance_id.clone(),
        delivery_timeout: log.delivery_timeout,
        extra: extra.collect(),
        ..KafkaSettings::new(brokers, &log.topic_prefix, &log.group, log.partitions.clone())
    }
}

async fn open_sqlite(config: &Config) -> Result<Arc<dyn Store>, BackendError> {
    make_data_dir(config)?;
    let path = store_path(&config.data_dir);
    let opened = SqliteStore::open(&path).await.with_context(|| format!("{} cannot be opened", path.display()));
    Ok(Arc::new(opened?))
}

pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, BackendError> {
    let Some(url) = &config.database.url else { return open_sqlite(config).await };
    let settings = postgres_settings(config, url);
    let store = until_there(async || Ok(PostgresStore::open(&settings).await?)).await?;
    Ok(Arc::new(store))
}

pub async fn open_log(config: &Config, clock: &Clock) -> Result<(Arc<dyn Log>, Option<EmbeddedLog>), BackendError> {
    let Some(brokers) = &config.log.brokers else {
        let log = open_embedded(config, clock).await?;
        return Ok((Arc::new(log.clone()), Some(log)));
    };
    let settings = kafka_settings(config, brokers);
    let log = until_there(async || Ok(KafkaLog::connect(settings.clone()).await?)).await?;
    Ok((Arc::new(log), None))
}

async fn open_embedded(config: &Config, clock: &Clock) -> Result<EmbeddedLog, BackendError> {
    make_data_dir(config)?;
    let opened = EmbeddedLog::open(&log_path(&config.data_dir), config.log.partitions.clone(), clock.clone()).await;
    opened.map_err(|error| match error {
        OpenError::Disk { .. } => BackendError::Internal(error.into()),
        OpenError::InUse { .. } => BackendError::InUse(error.to_string()),
        _ => BackendError::Configuration(error.to_string()),
    })
}

/// Creates the tables or brings them up to date.
pub async fn migrate(config: &Config) -> Result<(), BackendError> {
    match &config.database.url {
        None => open_sqlite(config).await.map(drop),
        Some(url) => {
            let settings = postgres_settings(config, url);
            until_there(async || Ok(PostgresStore::migrate(&settings).await?)).await
        }
    }
}

/// Creates missing topics and checks the others; returns one line per topic.
pub async fn make_topics(config: &Config) -> Result<String, BackendError> {
    let Some(brokers) = &config.log.brokers else {
        open_embedded(config, &Clock::System).await?.close().await;
        return Ok("the embedded log has its partitions\n".to_owned());
    };
    let settings = kafka_settings(config, brokers);
    let report = until_there(async || Ok(topics::ensure(&settings).await?)).await?;
    let created = report.created.iter().map(|name| format!("created {name}\n"));
    let existing = report.existing.iter().map(|name| format!("exists  {name}\n"));
    let warnings = report.warnings.iter().map(|warning| format!("warning {warning}\n"));
    Ok(created.chain(existing).chain(warnings).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_service_that_comes_late_is_waited_for_and_one_that_never_comes_is_given_up() {
        let mut attempts = 0;
        let opened = until_there(async || {
            attempts += 1;
            if attempts < 4 { Err(StoreError::Unavailable("starting".into()).into()) } else { Ok(attempts) }
        });
        assert_eq!(opened.await.unwrap(), 4);
        let began = Instant::now();
        let never = until_there::<()>(async || Err(StoreError::Unavailable("gone".into()).into())).await;
        assert!(matches!(never, Err(BackendError::Internal(_))));
        assert!(began.elapsed() <= START_WITHIN);
    }

    #[tokio::test]
    async fn what_cannot_work_is_not_tried_again() {
        let mut attempts = 0;
        let failed = until_there::<()>(async || {
            attempts += 1;
            Err(ConnectError::MissingTopic { topic: "turnstile.seats".into() }.into())
        });
        let failure = failed.await.unwrap_err();
        assert!(
            matches!(&failure, BackendError::Configuration(reason) if reason.contains("`turnstile topics`")),
            "{failure}"
        );
        assert_eq!(attempts, 1);
    }
}
