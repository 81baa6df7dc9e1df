//! B4: alerts of a real Prometheus, and the walk of an operator from one to its remedy with nothing but the runbook.

use std::process::Command;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::harness::prometheus::{Prometheus, free_address};
use crate::harness::server::Server;
use crate::harness::{Pair, System, text, unchecked, until};

unchecked!(&[]; b4_from_an_alert_to_its_remedy_by_the_runbook_alone);

fn address(base: &str) -> &str {
    base.trim_start_matches("http://")
}

/// The only worker is killed: that it is away is said, and that nobody owns its partitions. Another one heals both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f59_b4_a_killed_worker_fires_alerts_that_heal() {
    let further = [("TURNSTILE__WORKER__SESSION_TIMEOUT_MS", "6000")];
    let Some(system) = System::prepare(Pair::Real, "b4_killed", owned(&further)).await else { return };
    let api = system.start_role("api").await;
    let listen = free_address();
    let at = owned(&[("TURNSTILE__HTTP__LISTEN", &listen)]);
    let env: Vec<_> = system.env().iter().cloned().chain(at).collect();
    let mut worker = Server::start(&["worker"], &env);
    worker.until_ready(system.client.http()).await;
    let jobs = [("turnstile-api", address(&api)), ("turnstile-worker", listen.as_str())];
    if let Some(prometheus) = Prometheus::start(&jobs).await {
        prometheus.sees(2).await;
        worker.kill();
        let down = prometheus.fires("TurnstileProcessDown").await;
        assert_eq!(down["labels"]["instance"], listen.as_str(), "{down}");
        let lost = prometheus.fires("TurnstilePartitionWithoutOwner").await;
        assert!(text(&lost["annotations"], "summary").contains("have no owner"), "{lost}");
        let mut worker = Server::start(&["worker"], &env);
        worker.until_ready(system.client.http()).await;
        prometheus.heals("TurnstileProcessDown").await;
        prometheus.heals("TurnstilePartitionWithoutOwner").await;
        worker.stop().await;
    }
    system.stop().await;
    system.remove().await;
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// One charge cannot be committed, whatever is tried: a trigger stands for a defect.
async fn plant(system: &System) {
    match &system.services {
        None => {
            let path = system.data_dir().join("store.db");
            let mut file = SqliteConnectOptions::new().filename(path).connect().await.expect("an SQLite file");
            let trigger = "create trigger planted before insert on wallet_entry when new.amount = 13 begin \
                           select raise(abort, 'a defect was planted'); end";
            sqlx::raw_sql(trigger).execute(&mut file).await.expect("planted");
            file.close().await.expect("closed");
        }
        Some(services) => {
            let mut connection = PgConnection::connect(&services.database_url).await.expect("a connection");
            let schema = &services.schema;
            let trigger = format!(
                "create function {schema}.planted() returns trigger language plpgsql as $$ begin \
                 raise exception 'a defect was planted'; end $$; create trigger planted before insert on \
                 {schema}.wallet_entry for each row when (new.amount = 13) execute function {schema}.planted()"
            );
            sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&mut connection).await.expect("planted");
            connection.close().await.expect("closed");
        }
    }
}

/// The commands of a section of the runbook, block by block.
fn commands(section: &str) -> Vec<String> {
    let runbook =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbook.md")).expect("the runbook");
    let title = |of: &&str| of.lines().next().unwrap_or_default().to_lowercase() == section;
    let section = runbook.split("\n## ").find(title).unwrap_or_else(|| panic!("no section {section}")).to_owned();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap_or_default().to_owned());
    blocks.collect()
}

/// What the operator has in their terminal: the program, its configuration, and the variables that the runbook names.
fn shell(system: &System, partition: &str, block: &str) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_turnstile")).parent().expect("it lies somewhere");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let base = system.client.base();
    let output = Command::new("bash")
        .args(["-c", block])
        .env_clear()
        .envs([("PATH", path.as_str()), ("USER", "kim"), ("api", &base), ("worker", &base), ("partition", partition)])
        .envs([("admin", "X-User-Id: admin"), ("why", "ticket 77")])
        .envs(system.env().iter().cloned())
        .output()
        .expect("bash");
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert!(output.status.success(), "{block}: {said}");
    said
}

async fn b4_from_an_alert_to_its_remedy_by_the_runbook_alone(system: &System) {
    let base = system.client.base();
    let Some(prometheus) = Prometheus::start(&[("turnstile", address(&base))]).await else { return };
    prometheus.sees(1).await;
    let user = system.client.user("alice");
    user.charge(100).decide().await.result();
    plant(system).await;
    let poisoned = user.charge(13).send().await.request_id().to_owned();
    let waiting = user.charge(7).send().await.request_id().to_owned();

    // The alert says which section, and which partition.
    let alert = prometheus.fires("TurnstilePartitionParked").await;
    let url = text(&alert["annotations"], "runbook_url");
    let section = url.split_once('#').expect("a section").1.to_owned();
    let partition = format!("{}.{}", text(&alert["labels"], "lane"), text(&alert["labels"], "partition"));
    let blocks = commands(&section);
    let [check, last_resort] = &blocks[..] else { panic!("{blocks:?}") };
    let reason = shell(system, &partition, check);
    assert!(reason.contains("parked") && reason.contains("a defect was planted"), "{reason}");
    let done = until("the last resort to be taken", async || {
        let said = shell(system, &partition, &format!("({last_resort}) || true"));
        if said.contains("goes on") { Ok(said) } else { Err(said) }
    })
    .await;
    println!("{done}");

    assert_eq!(user.decided_later(&poisoned).await.refused(), "skipped_by_operator");
    assert_eq!(user.decided_later(&waiting).await.result()["balance"], 107);
    prometheus.heals("TurnstilePartitionParked").await;
    let overview: Value =
        serde_json::from_str(&shell(system, &partition, "curl -s $api/v1/ops/overview -H \"$admin\"")).unwrap();
    let troubles = overview["verdict"]["troubles"].as_array().unwrap();
    assert!(
        troubles.iter().all(|trouble| trouble["code"] == "dead_letters"),
        "only what was stepped over is left: {troubles:?}"
    );
}
