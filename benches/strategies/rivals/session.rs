//! Connections to PostgreSQL with prepared statements. Statements that are polled together travel together.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement};

pub type Param<'a> = &'a (dyn ToSql + Sync);

/// Where the rival's tables are.
pub struct Place {
    pub url: String,
    pub schema: String,
}

pub struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Session {
    /// # Errors
    /// No connection, or a statement that does not fit the schema.
    pub async fn connect(place: &Place, statements: &[&'static str]) -> anyhow::Result<Session> {
        let mut config: Config = place.url.parse()?;
        config.options(format!("-c search_path={} -c synchronous_commit=on", place.schema));
        let (client, connection) = config.connect(NoTls).await?;
        // Its end shows in the next statement.
        tokio::spawn(connection);
        let mut prepared = HashMap::new();
        for &text in statements {
            prepared.insert(text, client.prepare(text).await?);
        }
        Ok(Session { client, statements: prepared })
    }

    /// A statement without parameters or answer, such as `begin`.
    pub async fn plain(&self, text: &str) -> Result<(), Error> {
        self.client.batch_execute(text).await
    }

    pub async fn row<const N: usize>(&self, text: &'static str, params: [Param<'_>; N]) -> Result<Option<Row>, Error> {
        self.client.query_opt(&self.statements[text], &params).await
    }

    pub async fn rows<const N: usize>(&self, text: &'static str, params: [Param<'_>; N]) -> Result<Vec<Row>, Error> {
        self.client.query(&self.statements[text], &params).await
    }

    /// Number of rows changed.
    pub async fn run<const N: usize>(&self, text: &'static str, params: [Param<'_>; N]) -> Result<u64, Error> {
        self.client.execute(&self.statements[text], &params).await
    }
}

pub struct Pool {
    sessions: Vec<Session>,
    free: Mutex<Vec<usize>>,
    permits: Semaphore,
    next: AtomicUsize,
}

impl Pool {
    /// # Errors
    /// As for a session.
    pub async fn connect(place: &Place, size: usize, statements: &[&'static str]) -> anyhow::Result<Pool> {
        let mut sessions = Vec::new();
        for _ in 0..size {
            sessions.push(Session::connect(place, statements).await?);
        }
        let free = Mutex::new((0..size).collect());
        Ok(Pool { sessions, free, permits: Semaphore::new(size), next: AtomicUsize::new(0) })
    }

    /// A session for one caller alone; those who wait get one in the order in which they came.
    pub async fn lease(&self) -> Lease<'_> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let index = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lease { pool: self, index: index.expect("as many permits as sessions"), _permit: permit }
    }

    /// A session that others use too: for statements that are transactions by themselves.
    pub fn shared(&self) -> &Session {
        &self.sessions[self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len()]
    }
}

pub struct Lease<'a> {
    pool: &'a Pool,
    index: usize,
    _permit: SemaphorePermit<'a>,
}

impl Deref for Lease<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.pool.sessions[self.index]
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.index);
    }
}
