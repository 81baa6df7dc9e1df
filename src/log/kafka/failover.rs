//! After a lost connection: asks who leads the partitions now, until everybody knows.
//!
//! librdkafka asks once when it loses a connection, when the others still name the lost broker, and then looks once a
//! second. The partitions of a killed broker get their new leaders when its session has run out, so this asks often
//! enough that clients learn it at once. What one client notices all clients of the process know: one that hardly talks to
//! a broker does not notice its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};

/// An answer is a few KiB.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// After the last lost connection; above the session timeout of a broker, 9 s by default.
const ASK_FOR: Duration = Duration::from_secs(20);
/// Longest wait for an answer. The next is asked of another broker.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// What the clients of a process notice. Their contexts say when a connection is lost, and why none came about.
#[derive(Debug, Clone, Default)]
pub(super) struct Failover {
    lost_at: Arc<Mutex<Option<Instant>>>,
    /// What the last TLS handshake that failed has said.
    tls: Arc<Mutex<Option<String>>>,
}

impl Failover {
    /// `message`: as librdkafka logs it.
    pub fn connection_lost(&self, message: &str) {
        *self.lost_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if let Some(reason) = tls_failure(message) {
            *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
    }

    pub fn tls_failure(&self) -> Option<String> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a connection was lost so recently that partitions may be without a leader, or wait for a lost copy.
    pub fn lasts(&self) -> bool {
        self.lasts_at(Instant::now())
    }

    fn lasts_at(&self, now: Instant) -> bool {
        let lost_at = *self.lost_at.lock().unwrap_or_else(PoisonError::into_inner);
        lost_at.is_some_and(|at| now < at + ASK_FOR)
    }
}

/// Of `…: ssl://host:9093/1: SSL handshake failed: reason (after 12ms in state SSL_HANDSHAKE)` the reason.
fn tls_failure(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("SSL handshake failed: ")?;
    let reason = rest.split(" (after ").next().unwrap_or(rest);
    Some(reason.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Of one client; its thread asks.
#[derive(Debug)]
pub(super) struct Leaders {
    failover: Failover,
    asked_at: Option<Instant>,
}

impl Leaders {
    pub fn new(failover: Failover) -> Self {
        Leaders { failover, asked_at: None }
    }

    /// Whether to ask now.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.failover.lasts_at(now) && self.asked_at.is_none_or(|at| now >= at + ASK_EVERY);
        if due {
            self.asked_at = Some(now);
        }
        due
    }

    /// Asks if it is time to. Blocks for a moment.
    pub fn ask_if_due(&mut self, client: &Client<impl ClientContext>) {
        if self.is_due(Instant::now()) {
            // For all topics: an answer about one would not reach the client's own table of leaders.
            let _ = client.fetch_metadata(None, ANSWER_MAX);
        }
    }

    /// How long its thread may wait until it calls again.
    pub fn wait(&self, otherwise: Duration) -> Duration {
        if self.failover.lasts() { otherwise.min(ASK_EVERY) } else { otherwise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clients_ask_at_intervals_for_a_while_after_one_has_lost_a_connection() {
        let failover = Failover::default();
        let [mut first, mut second] = [(); 2].map(|()| Leaders::new(failover.clone()));
        let now = Instant::now();
        assert!(!first.is_due(now));
        failover.connection_lost("a broker went away");
        assert!(first.is_due(now) && second.is_due(now));
        assert!(!first.is_due(now));
        assert!(first.is_due(now + ASK_EVERY));
        assert_eq!(first.wait(Duration::from_secs(1)), ASK_EVERY);
        assert!(!first.is_due(now + ASK_FOR + Duration::from_secs(1)));
    }
}
