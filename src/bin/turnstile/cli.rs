//! The command line: arguments and subcommands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use turnstile::config::{self, Config, Layers};
use turnstile::telemetry;

use crate::crowd::{self, CrowdArgs};
use crate::dead_letters::{self, DeadLetters};
use crate::demo::{self, Target};
use crate::exit::Failure;
use crate::load::{self, LoadArgs};
use crate::output::say;
use crate::partitions::{self, Partitions};
use crate::plan::{self, PlanCommand};
use crate::server::{self, Roles};
use crate::trace::{self, Trace};
use crate::web::{self, WebCommand};
use crate::webhooks::{self, Webhooks};
use crate::{audit, backup, migrate, openapi, packaging, topics};

/// Time for tasks that remain after the drain: pools and background threads.
const LEFTOVERS_WITHIN: Duration = Duration::from_millis(500);

/// Sells seats to a crowd, first come, first served.
///
/// Without a command: API server and worker in one process, on the embedded log and store unless configured otherwise.
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
    /// Run the API server only (needs Kafka and PostgreSQL)
    Api,
    /// Run a worker only (needs Kafka and PostgreSQL); http.listen serves its health and metrics
    Worker,
    /// Run a notifier only: deliver webhooks (needs Kafka and PostgreSQL); several are one that leads, and its substitutes
    Notifier,
    /// Create or update the tables
    Migrate,
    /// Create missing topics and check existing ones: partition counts, LogAppendTime
    Topics,
    /// Create a demo concert with two dates through a running server
    DemoData(Target),
    /// Send people through the queue of a date on this machine, who buy
    DemoCrowd(CrowdArgs),
    /// List, show, replay and dismiss dead letters: records that could not be applied
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// List the partitions: owner, offsets, lag, and why one stands still
    Partitions {
        #[command(subcommand)]
        command: Option<Partitions>,
    },
    /// Show a request's life: when it came, was decided, published, and what it led to
    Trace(Trace),
    /// Send requests at a fixed rate to a server on this machine and report latencies
    Load(LoadArgs),
    /// Replay the whole log and compare it with the store; if they differ, exit code 1 and the first difference
    Audit,
    /// Seating plans: files of pretix, CSV, and Turnstile's own
    #[command(subcommand)]
    Plan(PlanCommand),
    /// The pages for people
    #[command(subcommand)]
    Web(WebCommand),
    /// Webhooks: endpoints of other services that hear what was decided
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Copy the embedded log and store, also while a server uses them
    Backup {
        /// Directory to make; it must not exist or be empty
        directory: PathBuf,
    },
    /// Print the OpenAPI document
    Openapi,
    /// Print the effective configuration, secrets hidden
    Config,
    /// Print the completions of a shell: bash, elvish, fish, powershell or zsh
    Completions { shell: Shell },
    /// Write a manual page for each command
    Man {
        /// Directory to write turnstile.1, turnstile-api.1 and so on to; made if missing
        directory: PathBuf,
    },
}

/// Parses the arguments. `Err`: the exit code after printing help, version or a usage error.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // Printing fails only if the output is closed.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
    })
}

/// Reads the configuration and runs the subcommand to its end.
///
/// # Errors
/// The configuration is refused, or the subcommand failed.
pub fn run(cli: Cli) -> Result<(), Failure> {
    // A package is built on a machine whose configuration does not matter.
    match &cli.command {
        Some(Command::Completions { shell }) => return packaging::completions(*shell, Cli::command()),
        Some(Command::Man { directory }) => return packaging::man(directory, Cli::command()),
        _ => {}
    }
    // A variable that is not text cannot be a setting.
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

/// Roles run until a signal; other subcommands end by themselves.
async fn dispatch(command: Option<Command>, layers: &Layers, config: Config) -> Result<(), Failure> {
    let Some(command) = command else {
        return server::run(Roles::ALL, layers, config).await;
    };
    match command {
        Command::Api => server::run(Roles::API, layers, config).await,
        Command::Worker => server::run(Roles::WORKER, layers, config).await,
        Command::Notifier => server::run(Roles::NOTIFIER, layers, config).await,
        Command::Migrate => migrate::run(&config).await,
        Command::Topics => topics::run(&config).await,
        Command::DemoData(target) => demo::run(&target).await,
        Command::DemoCrowd(args) => crowd::run(&args).await,
        Command::DeadLetters(command) => dead_letters::run(command, &config).await,
        Command::Partitions { command } => partitions::run(command, &config).await,
        Command::Trace(args) => trace::run(args, &config).await,
        Command::Load(args) => say(&load::run(args).await?),
        Command::Plan(command) => plan::run(command),
        Command::Web(command) => web::run(command),
        Command::Webhooks(command) => webhooks::run(command, &config).await,
        Command::Openapi => openapi::run(),
        Command::Audit => audit::run(&config).await,
        Command::Backup { directory } => backup::run(&config, &directory).await,
        Command::Config => say(&config::show(layers)),
        Command::Completions { shell } => packaging::completions(shell, Cli::command()),
        Command::Man { directory } => packaging::man(&directory, Cli::command()),
    }
}
