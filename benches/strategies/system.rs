//! One strategy's processes, tables and topics, from the start to the end of its measurements.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::args::Args;
use crate::connection::{Connection, Post};
use crate::cpu::Processes;
use crate::launch::{listening, rival, turnstile, worker};
use crate::load::{self, Pace};
use crate::patterns::{FIRST_BALANCE, HOLDER, Pattern, Plan, SECTIONS, seats_per_section};
use crate::rivals::{self, Planted};
use crate::services::{delete_topics, env, pid, run_sql};
use crate::strategy::Strategy;

const READY_WITHIN: Duration = Duration::from_secs(60);
const PREPARED_WITHIN: Duration = Duration::from_secs(240);
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const PREPARING_CLIENTS: usize = 1024;

pub struct System {
    pub strategy: Strategy,
    pub address: SocketAddr,
    pub schema: String,
    pub data_dir: TempDir,
    child: Child,
    worker: Option<Child>,
    quick: bool,
}

pub struct Options {
    /// Connections of a rival.
    pub pool: usize,
    pub partitions: Option<u32>,
    /// Turnstile's two roles as two processes.
    pub split: bool,
    pub quick: bool,
    /// An error that the check must find.
    pub planted: Option<Planted>,
}

impl Options {
    pub fn of(args: &Args, strategy: Strategy, pattern: Pattern, planted: Option<Planted>) -> Options {
        let pool = args.pool.unwrap_or(strategy.pool(pattern));
        let (partitions, split, quick) = (args.partitions, args.split, args.quick);
        Options { pool, partitions, split, quick, planted }
    }
}

impl System {
    /// Tables, topics and processes, new ones.
    pub async fn start(strategy: Strategy, options: &Options) -> anyhow::Result<System> {
        let schema = format!("strategies_{}", &Uuid::new_v4().simple().to_string()[..10]);
        let data_dir = tempfile::tempdir()?;
        let mut command = match strategy.is_rival() {
            true => rival(strategy, &schema, options).await?,
            false => turnstile(strategy, &schema, &data_dir, options)?,
        };
        let split = options.split && strategy == Strategy::Turnstile;
        let worker = split.then(|| worker(&command, &data_dir)).transpose()?;
        if split {
            command.arg("api");
        }
        let mut child = command.stdout(Stdio::null()).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let said = data_dir.path().join("said");
        let address = match listening(&mut child, &said) {
            Ok(address) => address,
            Err(error) => {
                let _ = child.kill();
                bail!("{strategy}: {error}:\n{}", std::fs::read_to_string(said).unwrap_or_default());
            }
        };
        let system = System { strategy, address, schema, data_dir, child, worker, quick: options.quick };
        system.until_ready().await?;
        Ok(system)
    }

    async fn until_ready(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let answer = match Connection::open(self.address).await {
                Ok(mut connection) => connection.get("/readyz").await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) if answer.status == 200 => return Ok(()),
                other if began.elapsed() > READY_WITHIN => {
                    bail!("{} is not ready: {:?}", self.strategy, other.map(|answer| answer.status))
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    pub fn processes(&self) -> Processes {
        let front = self.child.id();
        let database = if self.strategy.needs_postgres() { pid("postgres") } else { 0 };
        let broker = if self.strategy == Strategy::Turnstile { pid("kafka") } else { 0 };
        let redis = if self.strategy.needs_redis() { pid("redis") } else { 0 };
        let worker = self.worker.as_ref().map_or(0, Child::id);
        Processes { front, worker, broker, database, redis }
    }

    /// The wallets of a pattern, with money, and statistics as after some time of use.
    pub async fn prepare(&self, pattern: Pattern) -> anyhow::Result<()> {
        let wallets = pattern.prepared(self.quick);
        if wallets > 0 && self.strategy.is_rival() {
            let statement = format!(
                "insert into wallet (user_id, balance, entries) select 'w' || i, {FIRST_BALANCE}, 1 \
                 from generate_series(0, {}) i; \
                 insert into wallet_entry (user_id, number, id, kind, amount, balance_after, request_id) \
                 select user_id, 1, gen_random_uuid(), 'CHARGE', balance, balance, gen_random_uuid() from wallet",
                wallets - 1
            );
            self.sql(&statement).await?;
        } else if wallets > 0 {
            let plan = Rc::new(Plan::preparing(wallets));
            let (counts, _) = load::run(self.address, &plan, Pace::Closed(PREPARING_CLIENTS), PREPARED_WITHIN).await;
            if counts.succeeded != wallets {
                bail!("{} of {wallets} wallets were prepared, {} overload", counts.succeeded, counts.overload);
            }
        }
        if pattern != Pattern::NewDatabase && self.strategy.needs_postgres() {
            self.sql(&format!("set search_path = {}; analyze", self.schema)).await?;
        }
        Ok(())
    }

    /// A hall with a seat that is taken; the schedule's id.
    pub async fn open_hall(&self) -> anyhow::Result<String> {
        let seats = seats_per_section(self.quick);
        let schedule = match self.strategy.is_rival() {
            true => {
                let schedule = Uuid::now_v7().to_string();
                self.sql(&format!(
                    "insert into seat (schedule_id, section, number, price) select '{schedule}', 'S' || s, n, 1 \
                     from generate_series(0, {}) s, generate_series(1, {seats}) n; analyze {}.seat",
                    SECTIONS - 1,
                    self.schema
                ))
                .await?;
                schedule
            }
            false => self.open_schedule(seats).await?,
        };
        Ok(schedule)
    }

    /// Takes the seat that everybody wants.
    pub async fn take_hot_seat(&self, schedule: &str) -> anyhow::Result<()> {
        let path = format!("/v1/schedules/{schedule}/holds");
        let post = Post { path: &path, user: HOLDER, key: None, body: r#"{"seats":["S0-1"]}"# };
        match Connection::open(self.address).await?.post(&post).await? {
            answer if answer.status == 200 => Ok(()),
            answer => bail!("the hot seat: {} {}", answer.status, String::from_utf8_lossy(&answer.body)),
        }
    }

    async fn open_schedule(&self, seats: u64) -> anyhow::Result<String> {
        let concert = self.created("/v1/concerts", &json!({"title": "Strategies"})).await?;
        let sections: Vec<Value> =
            (0..SECTIONS).map(|s| json!({"name": format!("S{s}"), "seats": seats, "price": 1})).collect();
        let schedule = json!({"starts_at": "2099-01-01T00:00:00Z", "sections": sections, "max_seats_per_user": 100,
            "hold_ttl_seconds": 3600});
        self.created(&format!("/v1/concerts/{concert}/schedules"), &schedule).await
    }

    async fn created(&self, path: &str, body: &Value) -> anyhow::Result<String> {
        let body = body.to_string();
        let post = Post { path, user: "admin", key: None, body: &body };
        let answer = Connection::open(self.address).await?.post(&post).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        answer.field("id").with_context(|| format!("{path}: {} {text}", answer.status))
    }

    /// Bytes that PostgreSQL has written ahead since it was made; 0 without it.
    pub async fn wal(&self) -> anyhow::Result<i64> {
        if !self.strategy.needs_postgres() {
            return Ok(0);
        }
        let mut connection = PgConnection::connect(&env("TURNSTILE_TEST_DATABASE_URL")?).await?;
        let position = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
        let bytes = sqlx::query_scalar(position).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(bytes)
    }

    async fn sql(&self, statements: &str) -> anyhow::Result<()> {
        run_sql(&format!("set search_path = {}; {statements}", self.schema)).await
    }

    /// SIGTERM, and waits for the end: the embedded files are complete then.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for child in [Some(&mut self.child), self.worker.as_mut()].into_iter().flatten() {
            drop(child.stdin.take());
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let began = Instant::now();
            while child.try_wait()?.is_none() {
                if began.elapsed() > ENDS_WITHIN {
                    bail!("{} does not end", self.strategy);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Ends what still runs, and drops tables, topics and streams.
    pub async fn remove(mut self) -> anyhow::Result<()> {
        self.kill();
        if self.strategy.needs_postgres() {
            run_sql(&format!("set client_min_messages = warning; drop schema {} cascade", self.schema)).await?;
        }
        if self.strategy == Strategy::Turnstile {
            delete_topics(&self.schema).await?;
        }
        if self.strategy == Strategy::RedisStream {
            rivals::delete_streams(&self.schema).await?;
        }
        Ok(())
    }

    fn kill(&mut self) {
        for child in [Some(&mut self.child), self.worker.as_mut()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.kill();
    }
}
