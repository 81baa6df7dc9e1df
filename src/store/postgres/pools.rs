//! The connections of a process, by what they are for.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{Error, Postgres};

use super::connection::session;
use super::error::{self, read_error};
use super::servers::{Check, Servers, Watched, watched};
use super::settings::PostgresSettings;
use crate::store::StoreError;
use crate::store::sql::dialect::Side;

/// One for most commits, one for those that are large by themselves.
const COMMIT_CONNECTIONS: u32 = 2;
/// A commit's parts find their rows by key, one by one; any other plan would be one of old statistics. It is planned once
/// a connection: its parameters are too large for a plan of their own to pay.
const COMMIT_SESSION: &str =
    "set enable_hashjoin = off; set enable_mergejoin = off; set plan_cache_mode = force_generic_plan; ";

/// Whom a connection is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum For {
    /// They have connections of their own, so that each of their statements is planned once on each.
    Commits,
    Side(Side),
}

/// The pools of the servers that are used now.
pub(super) struct Pools {
    servers: Arc<Servers>,
    options: PgConnectOptions,
    session: String,
    connections_max: u32,
    acquire_timeout: Duration,
    now: RwLock<Arc<Generation>>,
}

struct Generation {
    number: u64,
    commits: PgPool,
    owners: PgPool,
    commands: PgPool,
    pages: PgPool,
}

/// A connection, and the generation that it is of.
pub(super) struct Lent {
    pub connection: PoolConnection<Postgres>,
    pub generation: u64,
}

impl Pools {
    pub fn new(options: PgConnectOptions, settings: &PostgresSettings) -> Result<Self, StoreError> {
        let (servers, session) = (Arc::default(), session(&settings.schema, settings.statement_timeout)?);
        let PostgresSettings { connections_max, acquire_timeout, .. } = *settings;
        let first = Arc::new(Generation::new(0, &servers, &options, &session, connections_max, acquire_timeout));
        Ok(Pools { servers, options, session, connections_max, acquire_timeout, now: RwLock::new(first) })
    }

    /// Begins anew if the servers of before are not used any more. Who waits for one of their connections comes here
    /// again.
    fn now(&self) -> Arc<Generation> {
        let number = self.servers.generation();
        let now = Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner));
        if now.number == number {
            return now;
        }
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        if now.number != number {
            let Pools { servers, options, session, connections_max, acquire_timeout, .. } = self;
            let next = Generation::new(number, servers, options, session, *connections_max, *acquire_timeout);
            let before = std::mem::replace(&mut *now, Arc::new(next));
            tokio::spawn(async move { before.close().await });
        }
        Arc::clone(&now)
    }

    pub async fn connection(&self, whose: For) -> Result<Lent, StoreError> {
        loop {
            let now = self.now();
            let pool = match whose {
                For::Commits => &now.commits,
                For::Side(Side::Owner) => &now.owners,
                For::Side(Side::Command) => &now.commands,
                For::Side(Side::Page) => &now.pages,
            };
            return match pool.acquire().await {
                Ok(connection) => Ok(Lent { connection, generation: now.number }),
                Err(Error::PoolClosed) if now.number != self.servers.generation() => continue,
                Err(Error::PoolTimedOut) if self.servers.is_read_only() => {
                    Err(StoreError::Unavailable(error::READ_ONLY.into()))
                }
                Err(error) => Err(read_error(error)),
            };
        }
    }

    /// Takes note of a statement that failed on a connection of this generation.
    pub fn failed(&self, error: &Error, generation: u64) {
        self.servers.failed(error, generation);
    }

    /// For what outlives the call.
    pub fn pages(&self) -> PgPool {
        self.now().pages.clone()
    }

    /// Waits until all connections are closed.
    pub async fn close(&self) {
        self.now().close().await;
    }
}

impl Generation {
    fn new(
        number: u64,
        servers: &Arc<Servers>,
        options: &PgConnectOptions,
        session: &str,
        connections_max: u32,
        acquire_timeout: Duration,
    ) -> Self {
        let for_pages = (connections_max / 6).max(1);
        let for_commands = (connections_max / 3).saturating_sub(for_pages).max(1);
        let for_owners = connections_max.saturating_sub(for_pages + for_commands).max(1);
        let for_commits = COMMIT_CONNECTIONS.min(for_owners / 2);
        let pool = |session: &str, check, connections_max| {
            let of = Watched { generation: number, check, acquire_timeout };
            watched(servers, session, of, connections_max).connect_lazy_with(options.clone())
        };
        let owners = pool(session, Check::EachSecond, for_owners - for_commits);
        let commits = match for_commits {
            0 => owners.clone(),
            some => pool(&(COMMIT_SESSION.to_owned() + session), Check::EachSecond, some),
        };
        let (commands, pages) = (pool(session, Check::EachUse, for_commands), pool(session, Check::EachUse, for_pages));
        Generation { number, commits, owners, commands, pages }
    }

    async fn close(&self) {
        tokio::join!(self.commits.close(), self.owners.close(), self.commands.close(), self.pages.close());
    }
}
