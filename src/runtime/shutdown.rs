//! SIGTERM and SIGINT as a token passed to every long-lived task; SIGHUP, which ends nothing.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// A token cancelled by the first SIGTERM or SIGINT. A second SIGINT ends the process at once, for an impatient user at
/// a terminal.
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
        // First: the process must end even if the log line fails.
        cancelled.cancel();
        info!(signal = name, "shutting down");
        interrupt.recv().await;
        #[allow(clippy::disallowed_methods, reason = "second SIGINT: closes nothing")]
        std::process::exit(130);
    });
    Ok(token)
}

/// SIGHUP as it comes. From here on it no longer ends the process, whether or not anything waits for it.
pub struct Hangups(Signal);

impl Hangups {
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Hangups)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}
