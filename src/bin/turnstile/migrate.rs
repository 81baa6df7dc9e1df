//! `turnstile migrate`: creates or updates the tables.

use turnstile::assembly::backends;
use turnstile::config::Config;

use crate::exit::Failure;
use crate::output::say;

pub async fn run(config: &Config) -> Result<(), Failure> {
    backends::migrate(config).await?;
    say("the tables are up to date\n")
}
