//! Run where `TURNSTILE_TEST_DATABASE_URL` names a server; each test has a schema of its own there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use turnstile::domain::RequestId;
use turnstile::store::postgres::{PostgresSettings, PostgresStore};
use turnstile::store::reads::Reads;
use turnstile::store::{Committed, Progress, Store, StoreError};

use super::rows::*;
use super::{Subject, conforms};

/// Drops its schema in the end, also if the test fails.
struct Schema(PostgresSettings);

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

async fn execute(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn schema() -> Option<Schema> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("TURNSTILE_TEST_DATABASE_URL").ok()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let schema = format!("test_store_{}_{number}", std::process::id());
    Some(Schema(PostgresSettings { url, schema, connections_max: 6, acquire_timeout: Duration::from_secs(20) }))
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

/// Stands between the store and the server; can swallow the server's answers and then cut the connections.
struct Proxy {
    port: u16,
    /// 0: pass everything on; 1: cut at the server's next answer; 2: cut at the client's next question.
    cut: Arc<AtomicU32>,
}

const PASS: u32 = 0;
const CUT_ANSWERS: u32 = 1;
const CUT_QUESTIONS: u32 = 2;

impl Proxy {
    async fn before(server: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicU32::new(PASS));
        let cut_here = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&cut_here)));
            }
        });
        Proxy { port, cut }
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cut: Arc<AtomicU32>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let one_way = async |from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, cut_when: u32| {
        let mut buffer = vec![0; 65536];
        while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
            if cut.load(Ordering::SeqCst) == cut_when || to.write_all(&buffer[..bytes]).await.is_err() {
                return;
            }
        }
    };
    // Whichever ends first takes both connections with it.
    tokio::select! {
        () = one_way(&mut from_client, &mut to_server, CUT_QUESTIONS) => {}
        () = one_way(&mut from_server, &mut to_client, CUT_ANSWERS) => {}
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
    let proxy = Proxy::before(server.clone()).await;
    let url = schema.0.url.replace(&server, &format!("127.0.0.1:{}", proxy.port));
    assert_ne!(url, schema.0.url, "the test needs host and port in the url");
    // One connection for the owners, so that it is the one that has the statement prepared by its first commit.
    let settings = PostgresSettings { url, connections_max: 2, ..schema.0.clone() };
    let store = PostgresStore::open(&settings).await.unwrap();
    let progress = acquired(&store, SEATS).await;
    let first = batch(SEATS, &progress);
    assert_eq!(store.commit(&first).await, Ok(Committed::Done));

    let second = batch(SEATS, &after(&first));
    proxy.cut.store(CUT_QUESTIONS, Ordering::SeqCst);
    assert!(matches!(store.commit(&second).await, Err(StoreError::Unknown(_))));
    proxy.cut.store(PASS, Ordering::SeqCst);
    assert_eq!(progress_when_back(&store).await, after(&first));
    assert_eq!(store.commit(&second).await, Ok(Committed::Done));

    let third = batch(SEATS, &after(&second));
    proxy.cut.store(CUT_ANSWERS, Ordering::SeqCst);
    assert!(matches!(store.commit(&third).await, Err(StoreError::Unknown(_))));
    proxy.cut.store(PASS, Ordering::SeqCst);
    assert_eq!(progress_when_back(&store).await, after(&third));
}
