//! `turnstile backup`: copies the embedded pair.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use turnstile::assembly::backup;
use turnstile::config::Config;

use crate::exit::Failure;
use crate::output::say;
use crate::server::{ticket_keys, token_secret};

pub async fn run(config: &Config, directory: &Path) -> Result<(), Failure> {
    let began = Instant::now();
    backup::copy(config, directory).await?;
    copy_keys(&config.data_dir, directory)?;
    say(&format!("log and store are copied to {} in {:.1} s\n", directory.display(), began.elapsed().as_secs_f64()))
}

/// Without them the queue tokens and tickets that users have would be invalid after a restore. There are none in dev mode,
/// or where secrets are configured.
fn copy_keys(from: &Path, to: &Path) -> anyhow::Result<()> {
    for file in [token_secret::FILE, ticket_keys::FILE] {
        match std::fs::copy(from.join(file), to.join(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{file} is not copied"));
            }
            _ => {}
        }
    }
    Ok(())
}
