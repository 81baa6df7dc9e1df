//! The command line: what can be asked of the program, and the exit codes it answers with.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::ConfigError;
use crate::domain::Position;
use crate::load::LoadArgs;

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
    /// Print the OpenAPI document
    Openapi,
    /// Print the effective configuration, secrets hidden
    Config,
}

/// A running server and who speaks to it.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Where it listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// An admin's bearer token; without one `X-User-Id: admin` is sent (auth.mode "dev")
    #[arg(long, env = "TURNSTILE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// Newest first, one line each
    List {
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only those before this one, to page on
        #[arg(long, value_name = "POSITION")]
        after: Option<Position>,
    },
    /// All that is known of one
    Show {
        /// lane.partition.offset, e.g. seats.3.1234
        position: Position,
    },
    /// Append it to its lane again, e.g. after an upgrade that understands it
    Replay {
        /// lane.partition.offset, e.g. seats.3.1234
        position: Position,
    },
}

/// Why the program ends with another code than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing would change by trying again: usage, configuration, or a log and store that do not belong together.
    #[error("{0}")]
    Usage(String),
    /// The audit found store and log in disagreement.
    #[error("the store is not what the log says")]
    Disagreement,
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

impl Failure {
    /// 1 for a disagreement; else as in sysexits.h: EX_USAGE, EX_SOFTWARE.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Usage(_) => 64,
            Failure::Disagreement => 1,
            Failure::Internal(_) => 70,
        })
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::Usage(error.to_string())
    }
}

/// Parses the arguments; help and version are printed and end the program, as mistakes do.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // Printing fails only when nobody reads.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
    })
}
