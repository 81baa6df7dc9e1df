//! Log lines on standard error: readable on a terminal, JSON elsewhere. Standard output belongs to commands.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What log lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, else JSON.
    Auto,
    Human,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    pub format: LogFormat,
    /// As in `RUST_LOG`.
    pub filter: String,
}

/// Starts logging for the rest of the process; a second call changes nothing.
pub fn init(settings: &Logging) {
    let terminal = std::io::stderr().is_terminal();
    // The filter was checked with the configuration.
    let filter = EnvFilter::try_new(&settings.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Nobody may read standard error any more. Complaining about that, on standard error, would panic.
    let subscriber = subscriber.log_internal_errors(false);
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !terminal,
    };
    let started = match json {
        true => subscriber.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        false => subscriber.with_ansi(terminal).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging runs already");
    }
}
