//! Run where `TURNSTILE_TEST_DATABASE_URL` names a server; each test has a schema of its own there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use turnstile::domain::RequestId;
use turnstile::store::postgres::{PostgresSettings, PostgresStore};
use turnstile::store::{Committed, DeadLetter, DeadLetters, Ownership, Progress, Reads, Store, StoreError};

use super::rows::*;
use super::{Subject, conforms};

/// Drops its schema in the end, also if the test fails.
pub struct Schema(pub PostgresSettings);

impl Drop for Schema {
    fn drop(&mut self) {
        let settings = self.0.clone();
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&settings.url, format!("drop schema if exists {} cascade", settings.schema)));
        });
        let _ = dropped.join();
    }
}

pub async fn execute(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

pub fn schema() -> Option<Schema> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("TURNSTILE_TEST_DATABASE_URL").ok()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let schema = format!("test_store_{}_{number}", std::process::id());
    Some(Schema(PostgresSettings {
        url,
        schema,
        connections_max: 6,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(10),
    }))
}

async fn open() -> Option<Subject> {
    let schema = schema()?;
    PostgresStore::migrate(&schema.0).await.unwrap();
    let store = Arc::new(PostgresStore::open(&schema.0).await.unwrap());
    Some(Subject { store, _keep: Box::new(schema) })
}

conforms!(open());

#[tokio::test]
async fn what_is_committed_is_there_after_reopening() {
    let Some(schema) = schema() else { return };
    PostgresStore::migrate(&schema.0).await.unwrap();
    let store = PostgresStore::open(&schema.0).await.unwrap();
    let committed = commit(&store, SEATS, |batch| batch.requests = vec![request(1, SEATS, 0)]).await;
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    // Migrating what is up to date changes nothing.
    PostgresStore::migrate(&schema.0).await.unwrap();
    let store = PostgresStore::open(&schema.0).await.unwrap();
    assert_eq!(store.progress(SEATS).await, Ok(Some(committed)));
    assert_eq!(store.request(RequestId(id(1))).await, Ok(Some(request(1, SEATS, 0))));
}

#[tokio::test]
async fn a_schema_that_is_not_migrated_or_no_name_is_refused() {
    let Some(schema) = schema() else { return };
    let Err(StoreError::Failed(reason)) = PostgresStore::open(&schema.0).await else { panic!("opened without tables") };
    assert!(reason.contains("turnstile migrate"), "{reason}");
    for name in ["", "A", "x;drop", "1a", "a-b"] {
        let settings = PostgresSettings { schema: name.into(), ..schema.0.clone() };
        assert!(matches!(PostgresStore::migrate(&settings).await, Err(StoreError::Failed(_))), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_the_password_stays_secret() {
    let settings = PostgresSettings {
        url: "postgres://turnstile:hunter2@127.0.0.1:1/turnstile".into(),
        schema: "turnstile".into(),
        connections_max: 2,
        acquire_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(10),
    };
    let Err(StoreError::Unavailable(reason)) = PostgresStore::open(&settings).await else {
        panic!("opened a server that is not there")
    };
    assert!(!reason.contains("hunter2"), "{reason}");
    let Err(StoreError::Failed(reason)) =
        PostgresStore::open(&PostgresSettings { url: "postgres://u:hunter2@h:port/x".into(), ..settings }).await
    else {
        panic!("opened an url that is none")
    };
    assert!(!reason.contains("hunter2"), "{reason}");
}

/// A statement with this text among its parameters does not reach the server.
const CUT_QUESTION: &str = "cut before the server has it";
/// A statement with this text among its parameters runs, and its answer is lost.
const CUT_ANSWER: &str = "cut before the client has its answer";

/// Stands between the store and the server, and cuts a connection where a statement asks for it. Gives its port.
async fn proxy_before(server: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(pass(client, server));
        }
    });
    port
}

/// Passes bytes on until one side ends or a cut is asked for; then both connections are gone.
async fn pass(mut client: TcpStream, mut server: TcpStream) {
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let (mut question, mut answer) = (vec![0; 65536], vec![0; 65536]);
    let mut cut_answer = false;
    loop {
        tokio::select! {
            read = client.read(&mut question) => {
                let Ok(bytes @ 1..) = read else { return };
                if has(&question[..bytes], CUT_QUESTION) || server.write_all(&question[..bytes]).await.is_err() {
                    return;
                }
                cut_answer |= has(&question[..bytes], CUT_ANSWER);
            }
            read = server.read(&mut answer) => {
                let Ok(bytes @ 1..) = read else { return };
                if cut_answer {
                    // The server commits before it says that it is ready for more: its last word.
                    if answer[..bytes].ends_with(b"Z\0\0\0\x05I") {
                        return;
                    }
                } else if client.write_all(&answer[..bytes]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The progress as soon as the store can read it again.
async fn progress_when_back(store: &dyn Store) -> Progress {
    loop {
        match store.progress(SEATS).await {
            Err(StoreError::Unavailable(_)) => {}
            read => return read.unwrap().unwrap(),
        }
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_the_progress_tells() {
    let Some(schema) = schema() else { return };
    PostgresStore::migrate(&schema.0).await.unwrap();
    let options: PgConnectOptions = schema.0.url.parse().unwrap();
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let port = proxy_before(server.clone()).await;
    let url = schema.0.url.replace(&server, &format!("127.0.0.1:{port}"));
    assert_ne!(url, schema.0.url, "the test needs host and port in the url");
    let store = PostgresStore::open(&PostgresSettings { url, ..schema.0.clone() }).await.unwrap();
    let first = acquired(&store, SEATS).await;

    let with = |progress: &Progress, reason: &str| {
        let mut batch = batch(SEATS, progress);
        batch.dead_letters = vec![DeadLetter { reason: reason.into(), ..dead_letter(SEATS, progress.next_offset) }];
        batch
    };
    assert!(matches!(store.commit(&with(&first, CUT_QUESTION)).await, Err(StoreError::Unknown(_))));
    assert_eq!(progress_when_back(&store).await, first);
    let passed = with(&first, "as any other");
    assert_eq!(store.commit(&passed).await, Ok(Committed::Done));

    let lost = with(&passed.after, CUT_ANSWER);
    assert!(matches!(store.commit(&lost).await, Err(StoreError::Unknown(_))));
    assert_eq!(progress_when_back(&store).await, lost.after);
    assert!(store.dead_letter(SEATS.at(1)).await.unwrap().is_some());
}

/// As after a broken connection: the server is still at work on the commit when its owner asks.
#[tokio::test]
async fn the_progress_is_read_after_a_commit_that_is_still_running() {
    let Some(schema) = schema() else { return };
    PostgresStore::migrate(&schema.0).await.unwrap();
    let store = PostgresStore::open(&schema.0).await.unwrap();
    let progress = acquired(&store, SEATS).await;
    let mut running = PgConnection::connect(&schema.0.url).await.unwrap();
    let commit = format!("begin; update {}.partition_progress set next_offset = 5", schema.0.schema);
    sqlx::raw_sql(AssertSqlSafe(commit)).execute(&mut running).await.unwrap();
    let mut asked = store.progress(SEATS);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut asked).await.is_err());
    sqlx::raw_sql("commit").execute(&mut running).await.unwrap();
    assert_eq!(asked.await, Ok(Some(Progress { next_offset: 5, ..progress })));
}
