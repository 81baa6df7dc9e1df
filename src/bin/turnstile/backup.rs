//! `turnstile backup`: copies the embedded pair.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use turnstile::assembly::backup;
use turnstile::config::Config;

use crate::exit::Failure;
use crate::output::say;
use crate::server::token_secret;

pub async fn run(config: &Config, directory: &Path) -> Result<(), Failure> {
    let began = Instant::now();
    backup::copy(config, directory).await?;
    copy_key(&config.data_dir, directory)?;
    say(&format!("log and store are copied to {} in {:.1} s\n", directory.display(), began.elapsed().as_secs_f64()))
}

/// Without it the tokens that users hold would be invalid after a restore. There is none in dev mode, or where the
/// secret is configured.
fn copy_key(from: &Path, to: &Path) -> anyhow::Result<()> {
    match std::fs::copy(from.join(token_secret::FILE), to.join(token_secret::FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context("the key of queue tokens is not copied")
        }
        _ => Ok(()),
    }
}
