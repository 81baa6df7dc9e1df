//! Which connections may still be used: none to a server that became read-only, or fell silent.
//!
//! After a failover the former primary may live on as a standby with every connection open: commits fail there, but
//! reads succeed and are old. So each connection is checked when it is made and again while it is used. A host that has
//! lost its power closes no connection either. The first statement that fails as read-only, or is not answered in time,
//! ends the pools there were, with all their connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{Error, pool::PoolConnectionMetadata};

use super::connection::{may_write, set_up};
use super::error::{READ_ONLY, is_read_only, is_silent, silent};

/// How often a connection is checked.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// Before each use, one round trip: the front door reads nothing old, nor from a dead connection.
    EachUse,
    /// At the first use in each second of its life: owners save the round trip, and their commits tell.
    EachSecond,
}

/// What is known of the servers behind one address.
#[derive(Default)]
pub(super) struct Servers {
    /// Connections of another generation than this one are not used any more.
    generation: AtomicU64,
    /// The last connection that was made could not write.
    read_only: AtomicBool,
}

impl Servers {
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Takes note of a statement that failed on a connection of this generation.
    pub fn failed(&self, error: &Error, generation: u64) {
        if is_read_only(error) || is_silent(error) {
            let _ = self.generation.compare_exchange(generation, generation + 1, Ordering::Relaxed, Ordering::Relaxed);
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
        of: Watched,
    ) -> Result<bool, Error> {
        if of.generation != self.generation() {
            return Ok(false);
        }
        let is_due = match of.check {
            Check::EachUse => true,
            Check::EachSecond => meta.age.as_secs() != meta.age.saturating_sub(meta.idle_for).as_secs(),
        };
        if !is_due {
            return Ok(true);
        }
        // The other half is for another connection.
        let answer = tokio::time::timeout(of.acquire_timeout / 2, may_write(connection)).await;
        let answer = answer.unwrap_or_else(|_| Err(silent()));
        answer.inspect_err(|error| self.failed(error, of.generation))
    }
}

/// What a pool's connections have in common.
#[derive(Clone, Copy)]
pub(super) struct Watched {
    pub generation: u64,
    pub check: Check,
    pub acquire_timeout: Duration,
}

/// A pool whose connections are set up and checked.
pub(super) fn watched(servers: &Arc<Servers>, session: &str, of: Watched, connections_max: u32) -> PgPoolOptions {
    let (for_new, for_used) = (Arc::clone(servers), Arc::clone(servers));
    let session: Arc<str> = session.into();
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(of.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let (servers, session) = (Arc::clone(&for_new), Arc::clone(&session));
            Box::pin(async move { servers.made(connection, &session).await })
        })
        .before_acquire(move |connection, meta| {
            let servers = Arc::clone(&for_used);
            Box::pin(async move { servers.may_be_used(connection, meta, of).await })
        })
}
