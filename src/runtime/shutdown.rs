//! SIGTERM and SIGINT as a token that everything long-lived is given.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second SIGINT ends the process at once: somebody at a
/// terminal has lost patience.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        // First of all: whatever becomes of the log line, the process ends.
        cancelled.cancel();
        info!(signal = name, "shutting down");
        interrupt.recv().await;
        #[allow(clippy::disallowed_methods, reason = "asked twice: nothing is closed any more")]
        std::process::exit(130);
    });
    Ok(token)
}
