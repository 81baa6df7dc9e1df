//! Which connections may still be used: none to a server that became read-only.
//!
//! After a failover the former primary may live on as a standby with every connection open: commits fail there, but
//! reads succeed and are old. So each connection is checked when it is made and again while it is used, and the first
//! commit that fails for it closes all connections made before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{Error, pool::PoolConnectionMetadata};

use super::connection::{may_write, set_up};
use super::error::{READ_ONLY, is_read_only};

/// How often a connection is checked.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// Before each use, one round trip: the front door reads nothing old, nor from a dead connection.
    EachUse,
    /// At the first use in each second of its life: owners save the round trip, and their commits tell.
    EachSecond,
}

/// What is known of the servers behind one address.
pub(super) struct Servers {
    since: Instant,
    /// Connections made before this many milliseconds are not used any more.
    trusted_from: AtomicU64,
    /// The last connection that was made could not write.
    read_only: AtomicBool,
}

impl Servers {
    pub fn new() -> Self {
        Servers { since: Instant::now(), trusted_from: AtomicU64::new(0), read_only: AtomicBool::new(false) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes note of a failed statement.
    pub fn failed(&self, error: &Error) {
        if is_read_only(error) {
            // Connections of this very millisecond are among those made before.
            self.trusted_from.fetch_max(self.now() + 1, Ordering::Relaxed);
        }
    }

    /// Why no connection can be made, if that is known.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    async fn made(&self, connection: &mut PgConnection, session: &str) -> Result<(), Error> {
        let may_write = set_up(connection, session).await?;
        self.read_only.store(!may_write, Ordering::Relaxed);
        if may_write { Ok(()) } else { Err(Error::Configuration(READ_ONLY.into())) }
    }

    async fn may_be_used(
        &self,
        connection: &mut PgConnection,
        meta: PoolConnectionMetadata,
        check: Check,
    ) -> Result<bool, Error> {
        let made = self.now().saturating_sub(u64::try_from(meta.age.as_millis()).unwrap_or(u64::MAX));
        if made < self.trusted_from.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let is_due = match check {
            Check::EachUse => true,
            Check::EachSecond => meta.age.as_secs() != meta.age.saturating_sub(meta.idle_for).as_secs(),
        };
        if is_due { may_write(connection).await } else { Ok(true) }
    }
}

/// A pool whose connections are set up and checked.
pub(super) fn watched(
    servers: &Arc<Servers>,
    session: &str,
    check: Check,
    connections_max: u32,
    acquire_timeout: Duration,
) -> PgPoolOptions {
    let (for_new, for_used) = (Arc::clone(servers), Arc::clone(servers));
    let session: Arc<str> = session.into();
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let (servers, session) = (Arc::clone(&for_new), Arc::clone(&session));
            Box::pin(async move { servers.made(connection, &session).await })
        })
        .before_acquire(move |connection, meta| {
            let servers = Arc::clone(&for_used);
            Box::pin(async move { servers.may_be_used(connection, meta, check).await })
        })
}
