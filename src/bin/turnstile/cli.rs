//! The command line: what can be asked of the program, and which subcommand answers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use turnstile::config::{self, Config, Layers};
use turnstile::telemetry;

use crate::dead_letters::{self, DeadLetters};
use crate::demo::{self, Target};
use crate::exit::Failure;
use crate::load::{self, LoadArgs};
use crate::output::say;
use crate::plan::{self, PlanCommand};
use crate::server::{self, Roles};
use crate::{audit, migrate, openapi, topics};

/// Tasks that are still there after everything was drained: pools and background threads.
const LEFTOVERS_WITHIN: Duration = Duration::from_millis(500);

/// Sells seats to a crowd, first come, first served.
///
/// Without a command: front door and worker in one process, on the embedded log and store unless configured otherwise.
#[derive(Debug, Parser)]
#[command(name = "turnstile", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Configuration file (TOML); the environment (`TURNSTILE__HTTP__LISTEN`) overrides it
    #[arg(long, global = true, value_name = "FILE", env = "TURNSTILE_CONFIG")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The front door alone (needs Kafka and PostgreSQL)
    Api,
    /// A worker alone (needs Kafka and PostgreSQL); http.listen serves its health and metrics
    Worker,
    /// Create or update the tables
    Migrate,
    /// Create the topics, or check those that exist: partition counts, LogAppendTime
    Topics,
    /// Make a concert with two dates and sections to play with, through a running server
    DemoData(Target),
    /// Dead letters: records that could not be understood
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Send requests at a fixed rate to a server on this machine and report latencies
    Load(LoadArgs),
    /// Decide the whole log again and compare with the store; exit code 1 and the first difference if they disagree
    Audit,
    /// Seating plans: files of pretix, CSV, and Turnstile's own
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Print the effective configuration, secrets hidden
    Config,
}

/// Parses the arguments; help and version are printed and end the program, as mistakes do.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // Printing fails only when nobody reads.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
    })
}

/// Reads the configuration and runs the subcommand to its end.
///
/// # Errors
/// When the configuration is refused, or the subcommand failed.
pub fn run(cli: Cli) -> Result<(), Failure> {
    // What is not text cannot be one of our settings.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads it")]
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let layers = config::layers(cli.config.as_deref(), environment)?;
    let config = Config::read(&layers)?;
    telemetry::logging::init(&config.logging);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::new)?;
    let ended = runtime.block_on(dispatch(cli.command, &layers, config));
    runtime.shutdown_timeout(LEFTOVERS_WITHIN);
    ended
}

/// Roles run until they are told to stop; the rest ends by itself.
async fn dispatch(command: Option<Command>, layers: &Layers, config: Config) -> Result<(), Failure> {
    let Some(command) = command else {
        return server::run(Roles::ALL, layers, config).await;
    };
    match command {
        Command::Api => server::run(Roles::API, layers, config).await,
        Command::Worker => server::run(Roles::WORKER, layers, config).await,
        Command::Migrate => migrate::run(&config).await,
        Command::Topics => topics::run(&config).await,
        Command::DemoData(target) => demo::run(&target).await,
        Command::DeadLetters(command) => dead_letters::run(command, &config).await,
        Command::Load(args) => say(&load::run(args).await?),
        Command::Plan(command) => plan::run(command),
        Command::Openapi => openapi::run(),
        Command::Audit => audit::run(&config).await,
        Command::Config => say(&config::show(layers)),
    }
}
