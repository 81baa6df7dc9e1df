//! Wall time, behind a type so that the simulator can control it. The rules see log time only.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::domain::LogTime;

/// Source of wall time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    /// Milliseconds since 1970 UTC, set by a test.
    Manual(Arc<AtomicI64>),
    /// Tokio's time, which a test can pause: `ms` is milliseconds since 1970 UTC at `since`. The simulator changes `ms`
    /// to make the clock jump.
    Virtual { since: Instant, ms: Arc<AtomicI64> },
}

impl Clock {
    /// Now, in the unit of log time.
    pub fn now(&self) -> LogTime {
        match self {
            Clock::System => {
                #[allow(clippy::disallowed_methods, reason = "the one clock")]
                let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                LogTime(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
            }
            Clock::Manual(ms) => LogTime(ms.load(Ordering::SeqCst)),
            Clock::Virtual { since, ms } => {
                let elapsed = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
                LogTime(ms.load(Ordering::SeqCst).saturating_add(elapsed))
            }
        }
    }
}
