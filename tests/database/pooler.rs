//! PgBouncer with its defaults, in every mode.

use std::process::Command;

use tempfile::TempDir;
use turnstile::store::postgres::PostgresStore;
use turnstile::store::{Committed, Ownership, Reads, StoreError};

use super::postgres::{Postgres, number};
use super::process::{Server, command, find, free_port, give};
use super::{SEATS, empty_batch, settings};

struct Pooler {
    port: u16,
    _server: Server,
    _directory: TempDir,
}

impl Pooler {
    fn start(before: &Postgres, mode: &str, further: &str) -> Option<Pooler> {
        let pgbouncer = find("pgbouncer")?;
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        give(directory.path());
        let configuration = format!(
            "[databases]\n\
             postgres = host=127.0.0.1 port={} user=turnstile password=turnstile\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\n{further}\n",
            before.port
        );
        let file = directory.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration).unwrap();
        give(&file);
        let log = directory.path().join("log");
        let server = Server::start(command(&pgbouncer, directory.path()).arg(&file), log, port);
        Some(Pooler { port, _server: server, _directory: directory })
    }

    fn url(&self) -> String {
        format!("postgres://turnstile:turnstile@127.0.0.1:{}/postgres", self.port)
    }
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused_before_anything_is_written() {
    let Some(server) = Postgres::start() else { return };
    for (mode, further) in [
        ("transaction", ""),
        ("transaction", "server_round_robin = 1\nmin_pool_size = 5"),
        ("transaction", "default_pool_size = 1"),
        ("transaction", "ignore_startup_parameters = extra_float_digits, options"),
        ("statement", ""),
    ] {
        let Some(pooler) = Pooler::start(&server, mode, further) else { return };
        let settings = settings(pooler.url());
        for refused in [PostgresStore::migrate(&settings).await, PostgresStore::open(&settings).await.map(drop)] {
            let Err(StoreError::Failed(reason)) = refused else { panic!("{mode} {further}: {refused:?}") };
            assert!(reason.contains("transaction mode") && reason.contains("session mode"), "{reason}");
        }
    }
    let schemas = "select count(*) from pg_namespace where nspname = 'turnstile'";
    assert_eq!(number(&server.url(), schemas).await, 0);
}

/// While other clients keep the pooler's connections busy, it hands them out in no order.
#[tokio::test]
async fn a_busy_pooler_in_transaction_mode_is_recognized() {
    let Some(server) = Postgres::start() else { return };
    let Some(pooler) = Pooler::start(&server, "transaction", "default_pool_size = 4") else { return };
    let url = pooler.url();
    let others: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
                let mut other = super::postgres::connection(&url).await;
                while sqlx::raw_sql("select pg_sleep(0.001)").execute(&mut other).await.is_ok() {}
            }))
        })
        .collect();
    for _ in 0..20 {
        let refused = PostgresStore::migrate(&settings(url.clone())).await;
        assert!(
            matches!(&refused, Err(StoreError::Failed(reason)) if reason.contains("transaction mode")),
            "{refused:?}"
        );
    }
    drop(others);
}

#[tokio::test]
async fn a_pooler_in_session_mode_works() {
    let Some(server) = Postgres::start() else { return };
    let Some(pooler) = Pooler::start(&server, "session", "") else { return };
    let settings = settings(pooler.url());
    PostgresStore::migrate(&settings).await.unwrap();
    let store = PostgresStore::open(&settings).await.unwrap();
    let batch = empty_batch(&store.acquire(SEATS, "test").await.unwrap());
    assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
    assert_eq!(store.progress(SEATS).await, Ok(Some(batch.after)));
    assert_eq!(store.ping().await, Ok(()));
    store.close().await;
}

#[tokio::test]
async fn what_the_url_sets_and_a_pooler_refuses_is_said_so() {
    let Some(server) = Postgres::start() else { return };
    let Some(pooler) = Pooler::start(&server, "session", "") else { return };
    let refused = PostgresStore::migrate(&settings(pooler.url() + "?options=-c%20geqo%3Doff")).await;
    let Err(StoreError::Failed(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("a pooler refuses the url's parameters"), "{reason}");
}

#[tokio::test]
async fn the_program_says_it_in_one_line_and_exits() {
    let Some(server) = Postgres::start() else { return };
    let Some(pooler) = Pooler::start(&server, "transaction", "") else { return };
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["migrate"][..], &[]] {
        let output = Command::new(env!("CARGO_BIN_EXE_turnstile"))
            .args(arguments)
            .env("TURNSTILE__DATABASE__URL", pooler.url())
            .env("TURNSTILE__DATA_DIR", directory.path())
            .env("TURNSTILE__HTTP__LISTEN", "127.0.0.1:0")
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {out}{err}");
        assert_eq!(err.lines().filter(|line| line.contains("pooler in transaction mode")).count(), 1, "{out}{err}");
    }
}
