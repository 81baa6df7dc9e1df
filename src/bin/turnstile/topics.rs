//! `turnstile topics`: creates missing topics and checks existing ones.

use turnstile::assembly::backends;
use turnstile::config::Config;

use crate::exit::Failure;
use crate::output::say;

pub async fn run(config: &Config) -> Result<(), Failure> {
    say(&backends::make_topics(config).await?)
}
