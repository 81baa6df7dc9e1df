//! B1: an outbox that nobody takes is seen with its reason, and how full it is.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::harness::server::Server;
use crate::harness::{Pair, System, run_set, until};
use crate::operating::{all_well, ops, seen_within, trouble};

/// More rows than an outbox may hold before it is named.
const CHARGES: usize = 1_100;

fn settings(further: &[(&str, &str)]) -> Vec<(String, String)> {
    // One user is one partition: its limits are not what is tested.
    let unlimited = [("HTTP__USER_RATE_PER_SECOND", "1000000"), ("HTTP__USER_REQUESTS_PER_SECOND", "1000000")];
    let all = unlimited.iter().chain(further);
    all.map(|(name, value)| (format!("TURNSTILE__{name}"), (*value).to_owned())).collect()
}

async fn in_log(system: &System, statement: &'static str) {
    let path = system.data_dir().join("log.db");
    let mut file = SqliteConnectOptions::new().filename(path).connect().await.expect("an SQLite file");
    sqlx::raw_sql(statement).execute(&mut file).await.expect("planted");
    file.close().await.expect("closed");
}

/// Charges of one user that are accepted, each asked for until it is.
async fn charge_many(system: &System) {
    let charge = async |number: usize| {
        let user = system.client.user("alice");
        loop {
            let answer = user.charge(1).key(&format!("charge-{number}")).try_send().await;
            match answer {
                Ok(answer) if [200, 202].contains(&answer.status) => return,
                // The log takes or refuses a batch whole, and this one had an outcome in it.
                _ => tokio::time::sleep(std::time::Duration::from_millis(25)).await,
            }
        }
    };
    stream::iter(0..CHARGES).for_each_concurrent(16, charge).await;
}

/// The outbox is full: the verdict says how many rows and why, and the metric counts them all.
async fn full_outbox_is_seen(system: &System, reason: &str) {
    let (outbox, _) = trouble(system, "outbox").await;
    let rows = outbox["values"]["rows"].as_u64().unwrap();
    assert!(rows > 1_000, "{outbox}");
    let partition = outbox["values"]["partition"].as_str().unwrap().to_owned();
    let (lane, number) = partition.split_once('.').unwrap();
    let name = format!("turnstile_outbox_pending{{lane=\"{lane}\",partition=\"{number}\"}} ");
    until("the metric", async || {
        let metrics = system.client.admin().get("/metrics").await.text;
        let found = metrics.lines().find_map(|line| line.strip_prefix(&name));
        let pending: f64 = found.and_then(|text| text.parse().ok()).unwrap_or(0.0);
        if pending > 1_000.0 { Ok(()) } else { Err(format!("{name}{pending}")) }
    })
    .await;
    let overview = ops(system, "overview").await;
    assert!(overview["verdict"].to_string().contains(reason), "{reason}: {overview}");
    let partitions = ops(system, "partitions").await;
    let here = partitions["partitions"].as_array().unwrap().iter().find(|of| of["partition"] == *partition).unwrap();
    assert!(here["outbox"].as_u64().unwrap() > 1_000, "{here}");
}

/// A disk that takes no outcomes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_a_full_outbox_is_seen_with_its_reason_embedded() {
    let start = async |system: &System| system.start().await;
    let settings = settings(&[("OUTBOX__IN_FLIGHT_MAX", "2000")]);
    run_set(Pair::Embedded, "b1_full_outbox_embedded", settings, start, async |system| {
        let user = system.client.user("alice");
        user.charge(100).decide().await.result();
        let refuse = "create trigger planted before insert on chunk when new.partition in (select id from partition \
                      where topic = 'outcomes') begin select raise(abort, 'the disk of outcomes is full'); end";
        in_log(system, refuse).await;
        let id = user.charge(7).send().await.request_id().to_owned();
        let began = Instant::now();
        let (seen, _) = trouble(system, "struggling").await;
        assert!(began.elapsed() < seen_within(), "{:?}", began.elapsed());
        assert!(seen["values"]["reason"].as_str().unwrap().contains("the disk of outcomes is full"), "{seen}");
        charge_many(system).await;
        full_outbox_is_seen(system, "the disk of outcomes is full").await;
        in_log(system, "drop trigger planted").await;
        assert_eq!(user.decided_later(&id).await.result()["balance"], 107);
        all_well(system).await;
    })
    .await;
}

/// Whoever publishes the outbox from the database has stopped: nobody reads its replication slot. A broker cannot be made to
/// take commands and no outcomes; `scripts/chaos` takes whole brokers away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_a_full_outbox_is_seen_with_its_reason_real() {
    let start = async |system: &System| system.start().await;
    let settings = settings(&[("OUTBOX__RELAY", "external"), ("OUTBOX__SLOT", "nobody_reads_it")]);
    run_set(Pair::Real, "b1_full_outbox_real", settings, start, async |system| {
        charge_many(system).await;
        full_outbox_is_seen(system, "nobody_reads_it").await;
        let (failing, _) = trouble(system, "check_failing").await;
        assert_eq!(failing["values"]["check"], "outbox", "{failing}");
        // The program publishes by itself again, from where the other one ended.
        system.stop().await;
        let ours = [("RELAY", "worker"), ("SLOT", "")];
        let ours = ours.map(|(name, value)| (format!("TURNSTILE__OUTBOX__{name}"), value.to_owned()));
        let env: Vec<_> = system.env().iter().cloned().chain(ours).collect();
        let server = Server::start(&[], &env);
        server.until_ready(system.client.http()).await;
        system.client.point_at(vec![server.base.clone()]);
        system.servers().push(server);
        let wallet = until("all charges", async || {
            let wallet = system.client.user("alice").get("/v1/wallet").await.body;
            if wallet["balance"] == CHARGES as i64 { Ok(wallet) } else { Err(wallet.to_string()) }
        })
        .await;
        println!("{wallet}");
        all_well(system).await;
    })
    .await;
}
