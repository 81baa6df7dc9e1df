//! A PostgreSQL of a test's own.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use super::process::{Server, command, find, free_port, give, run};

pub struct Postgres {
    pub port: u16,
    /// Ends before its directory does.
    server: Server,
    directory: TempDir,
}

impl Postgres {
    /// An empty server with one database `turnstile` of user and password `turnstile`, a superuser.
    pub fn start() -> Option<Postgres> {
        Postgres::with(|_| Some(Vec::new()))
    }

    /// The same with further settings, which may need files in its directory.
    pub fn with(further: impl FnOnce(&Path) -> Option<Vec<&'static str>>) -> Option<Postgres> {
        let (initdb, postgres, is_ready) = (find("initdb")?, find("postgres")?, find("pg_isready")?);
        let directory = tempfile::tempdir().expect("a temporary directory");
        give(directory.path());
        let data = directory.path().join("data");
        let password = directory.path().join("password");
        std::fs::write(&password, "turnstile").expect("written");
        give(&password);
        let mut init = command(&initdb, directory.path());
        run(init.arg("-D").arg(&data).arg("--pwfile").arg(&password).args([
            "--no-sync",
            "-Uturnstile",
            "-Ascram-sha-256",
            "-EUTF8",
            "--locale=C",
        ]));
        let further = further(directory.path())?;
        Some(Postgres::on(directory, &postgres, &is_ready, &further))
    }

    /// Starts it on the data in this directory, and waits until it answers.
    fn on(directory: TempDir, postgres: &Path, is_ready: &Path, further: &[&str]) -> Postgres {
        let (data, port) = (directory.path().join("data"), free_port());
        let server = Server::start(&mut server(postgres, &data, port, further), directory.path().join("log"), port);
        let began = Instant::now();
        let mut ask = Command::new(is_ready);
        ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        while !ask.status().expect("it runs").success() {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", server.output());
        }
        Postgres { port, server, directory }
    }

    /// A standby of this server, from which on each of its commits waits for it.
    pub async fn synchronous_standby(&self) -> Option<Postgres> {
        let (basebackup, postgres, is_ready) = (find("pg_basebackup")?, find("postgres")?, find("pg_isready")?);
        let directory = tempfile::tempdir().expect("a temporary directory");
        give(directory.path());
        let from = format!("host=127.0.0.1 port={} user=turnstile password=turnstile", self.port);
        let mut copy = command(&basebackup, directory.path());
        copy.arg("-D").arg(directory.path().join("data")).args(["-R", "--no-sync", "-c", "fast", "-d", &from]);
        run(&mut copy);
        let standby = Postgres::on(directory, &postgres, &is_ready, &[]);
        self.execute("alter system set synchronous_standby_names = '*'").await;
        self.execute("select pg_reload_conf()").await;
        let follows = "select count(*) from pg_stat_replication where sync_state = 'sync'";
        let began = Instant::now();
        while number(&self.url(), follows).await == 0 {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", standby.server.output());
        }
        Some(standby)
    }

    /// Makes this standby a primary, which waits for nobody.
    pub async fn promote(&self) {
        self.execute("select pg_promote()").await;
        self.execute("alter system set synchronous_standby_names = ''").await;
        self.execute("select pg_reload_conf()").await;
    }

    /// Makes it read-only for the sessions it has, as a demoted primary is. They stay open.
    pub async fn demote(&self) {
        self.execute("alter system set default_transaction_read_only = on").await;
        self.execute("select pg_reload_conf()").await;
        let setting = "select count(*) from pg_settings where name = 'transaction_read_only' and setting = 'on'";
        while number(&self.url(), setting).await == 0 {}
    }

    /// `kill -9`.
    pub fn kill(self) {
        self.server.kill();
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// By the address as it is; in plain text unless the parameters say otherwise.
    pub fn url(&self) -> String {
        self.url_of("127.0.0.1", "sslmode=disable")
    }

    pub fn url_of(&self, host: &str, parameters: &str) -> String {
        format!("postgres://turnstile:turnstile@{host}:{}/postgres?{parameters}", self.port)
    }

    pub async fn execute(&self, sql: &str) {
        execute(&self.url(), sql).await;
    }
}

fn server(postgres: &Path, data: &Path, port: u16, further: &[&str]) -> Command {
    let mut server = command(postgres, data);
    server.arg("-D").arg(data).args(["-p", &port.to_string()]);
    let settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"];
    for setting in settings.iter().chain(further) {
        server.args(["-c", setting]);
    }
    server
}

/// Runs statements on a connection of their own.
pub async fn execute(url: &str, sql: &str) {
    let mut connection = connection(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the statements succeed");
    connection.close().await.expect("closed");
}

pub async fn connection(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the server takes a connection")
}

/// The only value of the only row.
pub async fn number(url: &str, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection(url).await).await.expect("a number")
}
