//! Faults of databases as they are run: a primary whose standby takes its place, and a dump that is open for long.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::backends::Backends;
use crate::faults::PLAIN;
use crate::postgres::Postgres;
use crate::process::find;
use crate::scenario::{Fault, Scenario, rounds, run, run_on};
use crate::switch::Switch;

/// How long the dump's snapshot is open.
const DUMP: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standby_promoted() {
    let fault = Fault { order: 30, name: "kill -9 of the primary, its synchronous standby promoted", ..PLAIN };
    let Some(rounds) = rounds(&fault) else { return };
    let Some(mut primary) = Postgres::start() else { return };
    let mut standby = primary.synchronous_standby().await;
    let switch = Switch::to(&primary).await;
    let Some(backends) = Backends::with_database(fault.name, switch.url()) else { return };
    run_on(fault, rounds, backends, async |_: &mut Scenario, _| {
        let next = standby.take().expect("a standby follows");
        std::mem::replace(&mut primary, next).kill();
        primary.promote().await;
        switch.switch(&primary);
        standby = primary.synchronous_standby().await;
        1
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
