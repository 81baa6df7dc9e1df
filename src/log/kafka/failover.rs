//! After a lost connection: asks who leads the partitions now, until everybody knows.
//!
//! librdkafka asks once when it loses a connection, when the others still name the lost broker, and then looks once a
//! second. The partitions of a killed broker get their new leaders when its session has run out, so this asks often
//! enough that clients learn it at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};

/// An answer is a few KiB.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// After the last lost connection; above the session timeout of a broker, 9 s by default.
const ASK_FOR: Duration = Duration::from_secs(20);
/// Longest wait for an answer. The next is asked of another broker.
const ANSWER_MAX: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct State {
    lost_at: Option<Instant>,
    asked_at: Option<Instant>,
}

/// Of one client; its context says when a connection is lost, its thread asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Failover(Arc<Mutex<State>>);

impl Failover {
    pub fn connection_lost(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lost_at = Some(Instant::now());
    }

    /// Whether to ask now.
    fn is_due(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = state.lost_at.is_some_and(|at| now < at + ASK_FOR);
        let due = lost && state.asked_at.is_none_or(|at| now >= at + ASK_EVERY);
        if due {
            state.asked_at = Some(now);
        }
        due
    }

    /// Asks if it is time to. Blocks for a moment.
    pub fn ask_if_due(&self, client: &Client<impl ClientContext>) {
        if self.is_due(Instant::now()) {
            // For all topics: an answer about one would not reach the client's own table of leaders.
            let _ = client.fetch_metadata(None, ANSWER_MAX);
        }
    }

    /// How long its thread may wait until it calls again.
    pub fn wait(&self, otherwise: Duration) -> Duration {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.lost_at.is_some_and(|at| at.elapsed() < ASK_FOR) { otherwise.min(ASK_EVERY) } else { otherwise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_at_intervals_for_a_while_after_a_lost_connection() {
        let failover = Failover::default();
        let now = Instant::now();
        assert!(!failover.is_due(now));
        failover.connection_lost();
        assert!(failover.is_due(now));
        assert!(!failover.is_due(now));
        assert!(failover.is_due(now + ASK_EVERY));
        assert_eq!(failover.wait(Duration::from_secs(1)), ASK_EVERY);
        assert!(!failover.is_due(now + ASK_FOR + Duration::from_secs(1)));
    }
}
