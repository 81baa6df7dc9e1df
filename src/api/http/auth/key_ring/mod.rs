//! The keys in use: read at the start, read again when their file changes.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::keys::{self, Key};
use super::settings::{AuthError, JwtKeySource};

/// The file is compared this often. A look at its time of change would cost less, and would miss a second change within
/// the file system's granularity.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// A token whose key is unknown has the file read at most this often, whoever sends such tokens.
const UNKNOWN_KEY_EVERY: Duration = Duration::from_secs(10);
/// A file that takes longer lies on a file system that does not answer.
const READ_WITHIN: Duration = Duration::from_secs(2);

pub struct KeyRing {
    source: JwtKeySource,
    keys: watch::Sender<Arc<[Key]>>,
    /// One reader at a time: those who come meanwhile get what it finds.
    reading: Mutex<Reading>,
}

struct Reading {
    /// What the keys in use were read from.
    content: Vec<u8>,
    /// When an unknown key last had the file read.
    unknown_key: Option<Instant>,
    /// A read that was not done in time. No second one begins before it ends.
    late: Option<JoinHandle<io::Result<Vec<u8>>>>,
    /// Why the last read failed, so that it is logged once.
    failure: Option<String>,
}

impl KeyRing {
    /// Reads the keys. Blocking: for the start of the program.
    pub fn open(source: &JwtKeySource) -> Result<Self, AuthError> {
        let content = match source.file() {
            Some(path) => keys::read(path).map_err(|error| unreadable(path, &error))?,
            None => Vec::new(),
        };
        let keys = keys::parse(source, &content)?;
        let reading = Reading { content, unknown_key: None, late: None, failure: None };
        Ok(KeyRing { source: source.clone(), keys: watch::Sender::new(keys.into()), reading: Mutex::new(reading) })
    }

    pub fn keys(&self) -> Arc<[Key]> {
        self.keys.borrow().clone()
    }

    /// Other keys than `known`, if the file has changed; reads it at most once in [`UNKNOWN_KEY_EVERY`].
    pub async fn other_than(&self, known: &Arc<[Key]>) -> Option<Arc<[Key]>> {
        let path = self.source.file()?;
        let mut reading = self.reading.lock().await;
        let lately = reading.unknown_key.is_some_and(|at| at.elapsed() < UNKNOWN_KEY_EVERY);
        if !lately && Arc::ptr_eq(known, &self.keys()) {
            reading.unknown_key = Some(Instant::now());
            self.read(path, &mut reading).await;
        }
        Some(self.keys()).filter(|keys| !Arc::ptr_eq(known, keys))
    }

    /// Reads the file again. If it cannot be used, the keys stay and the log says why.
    pub async fn read_again(&self) {
        if let Some(path) = self.source.file() {
            self.read(path, &mut *self.reading.lock().await).await;
        }
    }

    /// Reads the file again every [`COMPARE_EVERY`].
    pub async fn follow(&self) -> Infallible {
        loop {
            sleep(COMPARE_EVERY).await;
            self.read_again().await;
        }
    }

    async fn read(&self, path: &Path, reading: &mut Reading) {
        match self.changed(path, reading).await {
            Ok(None) => reading.failure = None,
            Ok(Some((content, keys))) => {
                tracing::info!(path = %path.display(), keys = keys.len(), "the keys of tokens were read again");
                reading.content = content;
                reading.failure = None;
                self.keys.send_replace(keys.into());
            }
            Err(AuthError(reason)) if reading.failure.as_ref() != Some(&reason) => {
                tracing::error!(reason, "the keys of tokens cannot be read again; those in use stay");
                reading.failure = Some(reason);
            }
            Err(_) => {}
        }
    }

    /// Content and keys, if they are not those in use.
    async fn changed(&self, path: &Path, reading: &mut Reading) -> Result<Option<(Vec<u8>, Vec<Key>)>, AuthError> {
        let owned = path.to_owned();
        let mut read = reading.late.take().unwrap_or_else(|| tokio::task::spawn_blocking(move || keys::read(&owned)));
        let content = match timeout(READ_WITHIN, &mut read).await {
            Ok(Ok(content)) => content.map_err(|error| unreadable(path, &error))?,
            Ok(Err(panicked)) => return Err(unreadable(path, &panicked)),
            Err(elapsed) => {
                reading.late = Some(read);
                return Err(unreadable(path, &elapsed));
            }
        };
        if content == reading.content {
            return Ok(None);
        }
        let keys = keys::parse(&self.source, &content)?;
        Ok(Some((content, keys)))
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> AuthError {
    AuthError(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests;
