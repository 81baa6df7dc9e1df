//! The secret that signs queue tokens: configured, or generated once and kept in `data_dir`.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use turnstile::config::{AuthMode, Config};
use uuid::Uuid;

/// The kept one, in `data_dir`.
pub const FILE: &str = "queue-token.key";
const BYTES: usize = 32;

/// `None` in dev mode without a configured secret: the API server then uses a well-known one.
pub fn of(config: &Config) -> anyhow::Result<Option<Vec<u8>>> {
    match (&config.auth.queue_token_secret, &config.auth.mode) {
        (Some(secret), _) => Ok(Some(secret.reveal().as_bytes().to_vec())),
        (None, AuthMode::Dev) => Ok(None),
        (None, AuthMode::Jwt(_)) => kept_in(&config.data_dir).map(Some),
    }
}

/// The key in this directory; creates both if missing.
fn kept_in(data_dir: &Path) -> anyhow::Result<Vec<u8>> {
    let path = data_dir.join(FILE);
    match std::fs::read(&path) {
        Ok(key) if key.len() == BYTES => return Ok(key),
        Ok(key) => anyhow::bail!("{} has {} bytes, not {BYTES}", path.display(), key.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
    std::fs::create_dir_all(data_dir).with_context(|| format!("{} cannot be created", data_dir.display()))?;
    // Two random UUIDs: 244 random bits.
    let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    write_private(&path, &key).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(key)
}

pub fn write_private(path: &Path, key: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_for_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("made");
        let key = kept_in(&inside).unwrap();
        assert_eq!(key.len(), BYTES);
        assert_eq!(kept_in(&inside).unwrap(), key);
        assert_ne!(kept_in(folder.path()).unwrap(), key);
        std::fs::write(inside.join(FILE), b"short").unwrap();
        assert!(kept_in(&inside).is_err(), "a damaged key is not replaced: it signed the tokens in use");
    }
}
