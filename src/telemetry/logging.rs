//! Log lines on standard error: text on a terminal, JSON elsewhere. Standard output is for subcommands.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `Human` on a terminal, else `Json`.
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

/// Starts logging for the life of the process; a second call has no effect.
pub fn init(settings: &Logging) {
    let terminal = std::io::stderr().is_terminal();
    // The configuration has checked the filter.
    let filter = EnvFilter::try_new(&settings.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Standard error may be closed; reporting that to standard error would panic.
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
