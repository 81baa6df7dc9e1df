//! `turnstile topics`: creates the topics that are missing and checks the others.

use turnstile::assembly::backends;
use turnstile::config::Config;

use crate::exit::Failure;
use crate::output::say;

pub async fn run(config: &Config) -> Result<(), Failure> {
    say(&backends::make_topics(config).await?)
}
