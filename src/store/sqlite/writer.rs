//! The one connection that writes.
//!
//! SQLite has one writer at a time whatever we do, so a task owns the connection and partitions queue for it: in order,
//! and without ever meeting SQLITE_BUSY among themselves. What waits together commits together: each group in a
//! savepoint of its own if there are several, one COMMIT and one fsync for all. Ten partitions with batches of one command on two busy cores:
//! 1000 to 1800 commits a second so, 300 to 470 one by one.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tokio::sync::{mpsc, oneshot};

use super::bulk::{Statement, Statements};
use super::error::{commit_error, store_error};
use crate::store::{Committed, StoreError};

/// Most writes that wait. More than the partitions of a machine, so that waiting here is not what limits anything.
const QUEUE_MAX: usize = 64;
/// Most writes in one transaction: bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 32;

enum Work {
    /// Claims of one group, each by itself.
    Commit(Vec<Statements>),
    Write(Statement),
}

enum Answer {
    Committed(Vec<Committed>),
    Rows(Vec<SqliteRow>),
}

struct Job {
    work: Work,
    answer: oneshot::Sender<Result<Answer, StoreError>>,
}

/// Hands work to the writing task. The task ends when the last handle is gone.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(run(waiting, connection, options));
        Writer { jobs }
    }

    pub async fn commit(&self, claims: Vec<Statements>) -> Result<Vec<Committed>, StoreError> {
        match self.ask(Work::Commit(claims)).await? {
            Answer::Committed(committed) => Ok(committed),
            Answer::Rows(_) => Err(StoreError::Failed("the writer mixed up its answers".into())),
        }
    }

    pub async fn write(&self, statement: Statement) -> Result<Vec<SqliteRow>, StoreError> {
        match self.ask(Work::Write(statement)).await? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Committed(_) => Err(StoreError::Failed("the writer mixed up its answers".into())),
        }
    }

    async fn ask(&self, work: Work) -> Result<Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        let stopped = |_| StoreError::Unavailable("the store's writer has stopped".into());
        self.jobs.send(Job { work, answer }).await.map_err(|_| stopped(()))?;
        // Sent, and the task died with it: it may have got as far as COMMIT.
        answered.await.map_err(|_| StoreError::Unknown("the store's writer stopped meanwhile".into()))?
    }
}

async fn run(mut jobs: mpsc::Receiver<Job>, connection: SqliteConnection, options: SqliteConnectOptions) {
    let mut connection = Some(connection);
    while let Some(first) = jobs.recv().await {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        let opened = match connection.take() {
            Some(open) => Ok(open),
            None => options.connect().await.map_err(store_error),
        };
        let (work, answers): (Vec<Work>, Vec<_>) = group.into_iter().map(|job| (job.work, job.answer)).unzip();
        let results = match opened {
            Err(error) => Err(error),
            Ok(mut open) => match transaction(&mut open, work).await {
                Ok(results) => {
                    connection = Some(open);
                    Ok(results)
                }
                Err(error) => {
                    // Whatever state it is in: closing rolls back, and the next group gets a fresh one.
                    let _ = open.close().await;
                    Err(error)
                }
            },
        };
        // A caller that no longer listens has been cancelled; its write stands all the same.
        match results {
            Ok(results) => answers.into_iter().zip(results).for_each(|(answer, result)| drop(answer.send(result))),
            Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone())))),
        }
    }
    if let Some(open) = connection {
        let _ = open.close().await;
    }
}

/// Runs a group in one transaction. `Err`: none of it took effect, or for `Unknown` perhaps all of it.
async fn transaction(
    connection: &mut SqliteConnection,
    group: Vec<Work>,
) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
    connection.execute("begin immediate").await.map_err(store_error)?;
    let mut results = Vec::with_capacity(group.len());
    let alone = group.len() == 1;
    for work in group {
        let result = match work {
            Work::Commit(claims) => commit(connection, claims, alone).await.map(Answer::Committed),
            Work::Write(statement) => fetch(connection, statement).await.map(Answer::Rows),
        };
        match result {
            // SQLite may have rolled back the whole transaction on its own account: a full disk, an I/O error.
            Err(error @ (StoreError::Unavailable(_) | StoreError::Unknown(_))) => return Err(error),
            result => results.push(result),
        }
    }
    connection.execute("commit").await.map_err(commit_error)?;
    Ok(results)
}

/// `alone`: nothing else is in the transaction, so it needs no savepoint.
async fn commit(
    connection: &mut SqliteConnection,
    claims: Vec<Statements>,
    alone: bool,
) -> Result<Vec<Committed>, StoreError> {
    if !alone {
        connection.execute("savepoint claims").await.map_err(store_error)?;
    }
    let result = all_fenced(connection, claims).await;
    let stays = match &result {
        Ok((_, stays)) => *stays,
        // The transaction as a whole is lost; the caller sees to that.
        Err(error @ (StoreError::Unavailable(_) | StoreError::Unknown(_))) => return Err(error.clone()),
        Err(StoreError::Failed(_) | StoreError::TimedOut(_)) => false,
    };
    let then: &[&str] = match (alone, stays) {
        (true, true) => &[],
        (true, false) => &["rollback", "begin immediate"],
        (false, true) => &["release claims"],
        (false, false) => &["rollback to claims", "release claims"],
    };
    for statement in then {
        connection.execute(*statement).await.map_err(undone)?;
    }
    result.map(|(committed, _)| committed)
}

/// Also whether what was changed may stay: not if the fence let only some of a claim's partitions pass.
async fn all_fenced(
    connection: &mut SqliteConnection,
    claims: Vec<Statements>,
) -> Result<(Vec<Committed>, bool), StoreError> {
    let (mut committed, mut stays) = (Vec::with_capacity(claims.len()), true);
    for claim in claims {
        match fenced(connection, claim).await? {
            Fence::Passed => committed.push(Committed::Done),
            Fence::Closed => committed.push(Committed::Fenced),
            Fence::Half => {
                committed.push(Committed::Fenced);
                stays = false;
            }
        }
    }
    Ok((committed, stays))
}

enum Fence {
    Passed,
    /// Nothing was changed.
    Closed,
    /// The progress of some partitions was changed.
    Half,
}

/// What could be neither kept nor undone takes everything beside it along; COMMIT was not sent, so nothing stays.
fn undone(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

async fn fenced(connection: &mut SqliteConnection, statements: Statements) -> Result<Fence, StoreError> {
    let (fence, expected) = statements.fence;
    match execute_all(connection, fence).await? {
        0 => return Ok(Fence::Closed),
        passed if passed != expected => return Ok(Fence::Half),
        _ => {}
    }
    let (completions, expected) = statements.completions;
    let completed = execute_all(connection, completions).await?;
    if completed != expected {
        let reason = format!("{} completions found no pending request", expected.saturating_sub(completed));
        return Err(StoreError::Failed(reason));
    }
    execute_all(connection, statements.rest).await?;
    Ok(Fence::Passed)
}

/// How many rows were changed.
async fn execute_all(connection: &mut SqliteConnection, statements: Vec<Statement>) -> Result<u64, StoreError> {
    let mut rows = 0;
    for statement in statements {
        rows += execute(connection, statement).await?;
    }
    Ok(rows)
}

async fn execute(connection: &mut SqliteConnection, statement: Statement) -> Result<u64, StoreError> {
    let query = sqlx::query_with(AssertSqlSafe(statement.sql), statement.arguments);
    Ok(query.execute(connection).await.map_err(store_error)?.rows_affected())
}

async fn fetch(connection: &mut SqliteConnection, statement: Statement) -> Result<Vec<SqliteRow>, StoreError> {
    sqlx::query_with(AssertSqlSafe(statement.sql), statement.arguments).fetch_all(connection).await.map_err(store_error)
}
