//! Faults of databases as they are run: a primary whose standby takes its place, whatever has become of it, and a
//! dump that is open for long.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::backends::Backends;
use crate::faults::PLAIN;
use crate::postgres::{Postgres, number};
use crate::process::find;
use crate::scenario::{Fault, Scenario, rounds, run, run_on};
use crate::switch::Switch;

/// How long the dump's snapshot is open.
const DUMP: Duration = Duration::from_secs(120);

/// A primary, its synchronous standby, and the name that leads to the primary.
struct Replicated {
    primary: Postgres,
    standby: Option<Postgres>,
    switch: Switch,
}

impl Replicated {
    /// `None`: there is no PostgreSQL to start.
    async fn start() -> Option<Replicated> {
        let primary = Postgres::start()?;
        let standby = primary.synchronous_standby().await;
        let switch = Switch::to(&primary).await;
        Some(Replicated { primary, standby, switch })
    }

    /// The former primary ends, the present one gets a standby.
    async fn rebuild(&mut self, present: Postgres) {
        std::mem::replace(&mut self.primary, present).kill();
        self.standby = self.primary.synchronous_standby().await;
    }
}

/// Waits until no session of Turnstile writes any more: what was under way when a server was demoted ends as it began.
async fn no_longer_written(server: &Postgres) {
    let writing = "select count(*) from pg_stat_activity where application_name = 'turnstile' \
                   and (backend_xid is not null or state = 'active')";
    while number(&server.url(), writing).await > 0 {}
}

async fn failover(fault: Fault, mut act: impl AsyncFnMut(&mut Replicated, &mut Scenario, u64)) {
    let Some(rounds) = rounds(&fault) else { return };
    let Some(mut database) = Replicated::start().await else { return };
    let Some(backends) = Backends::with_database(fault.name, database.switch.url()) else { return };
    run_on(fault, rounds, backends, async |scenario: &mut Scenario, round| {
        act(&mut database, scenario, round).await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standby_promoted() {
    let fault = Fault { order: 30, name: "kill -9 of the primary, its synchronous standby promoted", ..PLAIN };
    failover(fault, async |database: &mut Replicated, _, _| {
        let next = database.standby.take().expect("a standby follows");
        std::mem::replace(&mut database.primary, next).kill();
        database.primary.promote().await;
        database.switch.switch(&database.primary);
        database.standby = database.primary.synchronous_standby().await;
    })
    .await;
}

/// The old primary keeps running, and so do all connections to it. In every other round its standby is promoted first, and
/// what was being committed then has no answer: the old primary waits for a standby that no longer follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_demoted() {
    let name = "the primary made read-only and its name given to its standby, connections open";
    failover(Fault { order: 32, name, ..PLAIN }, async |database: &mut Replicated, scenario: &mut Scenario, round| {
        let next = database.standby.take().expect("a standby follows");
        if round % 2 == 0 {
            database.primary.demote().await;
            no_longer_written(&database.primary).await;
            next.promote().await;
        } else {
            next.promote().await;
            database.primary.demote().await;
        }
        database.switch.switch(&next);
        scenario.workload.progress().await;
        database.rebuild(next).await;
    })
    .await;
}

/// Its connections stay open and say nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_silent() {
    let name = "the primary falls silent as without power, its name given to its standby";
    failover(Fault { order: 33, name, ..PLAIN }, async |database: &mut Replicated, scenario: &mut Scenario, _| {
        let next = database.standby.take().expect("a standby follows");
        database.switch.fall_silent();
        next.promote().await;
        database.switch.switch(&next);
        scenario.workload.progress().await;
        database.rebuild(next).await;
    })
    .await;
}

/// `pg_dump` whose reader has stopped reading: its snapshot keeps what is deleted meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dump_held_open() {
    let fault = Fault { order: 31, name: "pg_dump held open for two minutes", unnoticed: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        let program = find("pg_dump").expect("it comes with PostgreSQL");
        let mut dump = Command::new(program);
        let services = scenario.system.services.as_ref().expect("the real pair");
        // Of its own tables alone: it would lock those of others.
        dump.args(["--data-only", "--schema", &services.schema, "--dbname", &services.database_url]);
        let mut dump = dump.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut output = dump.stdout.take().expect("piped");
        let began = Instant::now();
        let mut head = [0; 1];
        output.read_exact(&mut head).expect("its snapshot is open");
        while began.elapsed() < DUMP {
            scenario.workload.progress().await;
        }
        assert!(dump.try_wait().expect("it is ours").is_none(), "it held nothing open: too little to write");
        std::io::copy(&mut output, &mut std::io::sink()).expect("the rest");
        assert!(dump.wait().expect("it is ours").success());
        1
    })
    .await;
}
