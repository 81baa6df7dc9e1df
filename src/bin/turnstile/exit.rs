//! Failures and exit codes.

use std::process::ExitCode;

use turnstile::assembly::backends::BackendError;
use turnstile::config::ConfigError;

/// Why the program exits with a code other than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A restart would fail the same way: usage, configuration, or log and store do not belong together.
    #[error("{0}")]
    Usage(String),
    /// The audit found a difference between store and log.
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

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Configuration(reason) | BackendError::InUse(reason) => Failure::Usage(reason),
            BackendError::Internal(error) => Failure::Internal(error),
        }
    }
}
