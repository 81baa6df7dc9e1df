//! A copy of the embedded pair, also while a process uses it.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, anyhow};

use super::backends::{BackendError, log_path, store_path};
use crate::config::Config;
use crate::log::embedded::EmbeddedLog;
use crate::store::sqlite::SqliteStore;

/// Copies store and log into an empty directory. The store first: then its copy is never ahead of the log's, and what it
/// lacks is decided again from the log.
///
/// # Errors
/// There is no embedded pair to copy, the directory is not empty, or the disk is full.
pub async fn copy(config: &Config, to: &Path) -> Result<(), BackendError> {
    if config.log.brokers.is_some() || config.database.url.is_some() {
        let reason = "log.brokers and database.url are set: Kafka keeps the log, and PostgreSQL is backed up by pg_dump \
                      or pg_basebackup (docs/operations.md)";
        return Err(BackendError::Configuration(reason.into()));
    }
    let (store, log) = (store_path(&config.data_dir), log_path(&config.data_dir));
    for file in [&store, &log] {
        if !file.is_file() {
            return Err(BackendError::Configuration(format!("{} is not there: nothing to copy", file.display())));
        }
    }
    make_empty(to)?;
    let (store_copy, log_copy) = (store_path(to), log_path(to));
    SqliteStore::copy(&store, &store_copy).await.with_context(|| format!("{} is not copied", store.display()))?;
    EmbeddedLog::copy(&log, &log_copy).await.context("the log is not copied")?;
    for path in [store_copy.as_path(), log_copy.as_path(), to] {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.with_context(|| format!("{} cannot be made durable", path.display()))?;
    }
    Ok(())
}

/// A copy is never mixed with another one, nor with a pair in use.
fn make_empty(directory: &Path) -> Result<(), BackendError> {
    let name = directory.display();
    std::fs::create_dir_all(directory).with_context(|| format!("{name} cannot be created"))?;
    let mut entries = std::fs::read_dir(directory).with_context(|| format!("{name} cannot be read"))?;
    match entries.next() {
        None => Ok(()),
        Some(Ok(_)) => Err(BackendError::Configuration(format!("{name} is not empty"))),
        Some(Err(error)) => Err(anyhow!(error).context(format!("{name} cannot be read")).into()),
    }
}
