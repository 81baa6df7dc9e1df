//! The program: arguments, configuration, then what was asked for.

use std::process::ExitCode;
use std::time::Duration;

use turnstile::cli::{self, Cli, Failure};
use turnstile::config::{self, Config};
use turnstile::{commands, telemetry};

/// Tasks that are still there after everything was drained: pools and background threads.
const LEFTOVERS_WITHIN: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("turnstile: {failure}");
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    // What is not text cannot be one of our settings.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let layers = config::layers(cli.config.as_deref(), environment)?;
    let config = Config::read(&layers)?;
    telemetry::logging::init(&config.logging);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::new)?;
    let ended = runtime.block_on(commands::run(cli.command, &layers, config));
    runtime.shutdown_timeout(LEFTOVERS_WITHIN);
    ended
}
