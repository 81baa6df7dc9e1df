//! B1: an outbox that the log does not take is seen with its reason.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::harness::{Pair, System, run, until};

/// For debug builds beside compilers.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

async fn verdict(system: &System) -> Value {
    let url = format!("{}/v1/ops/overview", system.client.base());
    let answer = system.client.http().get(url).header("x-user-id", "admin").send().await.expect("an answer");
    answer.json::<Value>().await.expect("JSON")["verdict"].clone()
}

async fn in_log(system: &System, statement: &'static str) {
    let path = system.data_dir().join("log.db");
    let mut file = SqliteConnectOptions::new().filename(path).connect().await.expect("an SQLite file");
    sqlx::raw_sql(statement).execute(&mut file).await.expect("planted");
    file.close().await.expect("closed");
}

/// On the embedded pair: a broker cannot be made to take commands and no outcomes, since a topic's min.insync.replicas
/// above its replicas has no effect. `scripts/chaos` takes whole brokers away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_a_stuck_outbox_is_seen_with_its_reason() {
    run(Pair::Embedded, "b1_stuck_outbox", async |system: &System| {
        let user = system.client.user("alice");
        user.charge(100).decide().await.result();
        let refuse = "create trigger planted before insert on chunk when new.partition in (select id from partition \
                      where topic = 'outcomes') begin select raise(abort, 'the disk of outcomes is full'); end";
        in_log(system, refuse).await;
        let id = user.charge(7).send().await.request_id().to_owned();
        let began = Instant::now();
        let seen = until("the reason", async || {
            let verdict = verdict(system).await;
            let troubles = verdict["troubles"].as_array().cloned().unwrap_or_default();
            let of = |trouble: &&Value| {
                trouble["values"]["reason"].as_str().is_some_and(|reason| reason.contains("publishing"))
            };
            troubles.iter().find(of).cloned().ok_or_else(|| verdict.to_string())
        })
        .await;
        println!("the outbox was seen after {:?}: {seen}", began.elapsed());
        assert!(began.elapsed() < SEEN_WITHIN, "{:?}", began.elapsed());
        assert!(seen["values"]["reason"].as_str().unwrap().contains("the disk of outcomes is full"), "{seen}");
        in_log(system, "drop trigger planted").await;
        assert_eq!(user.decided_later(&id).await.result()["balance"], 107);
        until("all to be well", async || {
            let verdict = verdict(system).await;
            if verdict["level"] == "ok" { Ok(()) } else { Err(verdict.to_string()) }
        })
        .await;
    })
    .await;
}
