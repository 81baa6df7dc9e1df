//! B1, B2, B3: what operators see of a running system, why, and what they do about it under their names.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use turnstile::domain::Lane;

use crate::harness::producer::{Producer, new_id};
use crate::harness::server::{command, run_to_end};
use crate::harness::{Offer, System, one_section, run_unchecked, scenarios, text, until};

scenarios!(
    b1_what_is_wrong_is_seen_with_its_reason,
    b2_a_requests_life_is_told_stage_by_stage,
    b3_a_dead_letter_is_replayed_beside_the_running_server,
);

/// What docs/scenarios.md says, and what a free machine keeps: the table in docs/operations.md has what was measured there.
const SEEN_WITHIN: Duration = Duration::from_secs(3);
/// Beside compilers and other tests. It tells a broken look from a slow machine, no more.
const SEEN_WITHIN_WHEN_BUSY: Duration = Duration::from_secs(15);

/// By the load of the last minute: with more to run than there are cores, times say more of the machine than of the program.
pub fn seen_within() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load: Option<f64> = load.and_then(|text| text.split(' ').next()?.parse().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match load {
        Some(load) if load <= cores as f64 => SEEN_WITHIN,
        _ => SEEN_WITHIN_WHEN_BUSY,
    }
}

/// Not by the scenario's client, which takes whatever names a request and its status for an outcome.
pub async fn ops(system: &System, path: &str) -> Value {
    let url = format!("{}/v1/ops/{path}", system.client.base());
    let answer = system.client.http().get(url).header("x-user-id", "admin").send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.expect("JSON")
}

/// The trouble with this code, once the verdict names it, and how long that took.
pub async fn trouble(system: &System, code: &str) -> (Value, Duration) {
    let began = Instant::now();
    let found = until(code, async || {
        let overview = ops(system, "overview").await;
        let troubles = overview["verdict"]["troubles"].as_array().cloned().unwrap_or_default();
        troubles.into_iter().find(|trouble| trouble["code"] == code).ok_or_else(|| overview.to_string())
    })
    .await;
    println!("{code} was seen after {:?}", began.elapsed());
    (found, began.elapsed())
}

pub async fn all_well(system: &System) {
    until("all to be well", async || {
        let overview = ops(system, "overview").await;
        if overview["verdict"]["level"] == "ok" { Ok(()) } else { Err(overview["verdict"].to_string()) }
    })
    .await;
}

/// A statement on the system's own tables, beside the program.
pub async fn alter(system: &System, statement: &str) {
    match &system.services {
        None => {
            let path = system.data_dir().join("store.db");
            let mut file = SqliteConnectOptions::new().filename(path).connect().await.expect("an SQLite file");
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut file).await.expect("altered");
            file.close().await.expect("closed");
        }
        Some(services) => {
            let mut connection = PgConnection::connect(&services.database_url).await.expect("a connection");
            let statement = format!("set search_path to {}; {statement}", services.schema);
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("altered");
            connection.close().await.expect("closed");
        }
    }
}

async fn b1_what_is_wrong_is_seen_with_its_reason(system: &System) {
    all_well(system).await;
    let user = system.client.user("alice");
    user.charge(100).decide().await.result();
    alter(system, "alter table wallet_entry rename to hidden_entry").await;
    let id = user.charge(7).send().await.request_id().to_owned();
    let (parked, took) = trouble(system, "partition_parked").await;
    assert!(took < seen_within(), "{took:?}");
    let reason = text(&parked["values"], "reason");
    assert!(reason.contains("wallet_entry"), "{parked}");
    let partitions = ops(system, "partitions").await;
    let partitions = partitions["partitions"].as_array().unwrap();
    let here = partitions.iter().find(|of| of["partition"] == parked["values"]["partition"]).unwrap();
    assert_eq!((&here["state"], &here["lag_records"]), (&json!("parked"), &json!(1)));
    let processes = ops(system, "processes").await;
    assert_eq!(
        (&processes["processes"][0]["name"], &processes["processes"][0]["silent"]),
        (&here["owner"], &json!(false))
    );
    // What waits there is lag, once it is more than moments old.
    let (lag, _) = trouble(system, "lag").await;
    assert_eq!(lag["values"]["partition"], here["partition"], "{lag}");
    let seconds = lag["values"]["seconds"].as_f64().unwrap();
    assert!((3.0..3.0 + seen_within().as_secs_f64()).contains(&seconds), "{lag}");
    // What stands still may be stepped over; nothing else may.
    let elsewhere = json!({"offset": 0, "reason": "a test"});
    let other = partitions.iter().find(|of| of["state"] == "owned").unwrap();
    let path = format!("/v1/ops/partitions/{}/skip", text(other, "partition"));
    let refused = system.client.admin().post(&path, elsewhere).send().await;
    assert_eq!((refused.status, refused.code()), (409, "not_possible"));
    alter(system, "alter table hidden_entry rename to wallet_entry").await;
    assert_eq!(user.decided_later(&id).await.result()["balance"], 107);
    all_well(system).await;
}

/// Names of the stages, after a look at their order.
fn stages(life: &Value) -> Vec<String> {
    let stages = life["stages"].as_array().unwrap();
    let times: Vec<String> = stages.iter().map(|stage| text(stage, "at")).collect();
    assert!(times.is_sorted(), "{life}");
    stages.iter().map(|stage| text(stage, "stage")).collect()
}

async fn b2_a_requests_life_is_told_stage_by_stage(system: &System) {
    let client = &system.client;
    let sale = Offer {
        queue: Some(json!({"max_active": 5, "active_ttl_seconds": 300, "max_waiting": 9})),
        ..Offer::default()
    };
    let queued = sale.open(client).await;
    let sale = one_section(client, 50).await;
    let user = client.user("alice");
    user.start_with(5_000).await;
    let life = async |id: &str| ops(system, &format!("requests/{id}")).await;
    let whole = ["received", "appended", "committed", "published", "answered"];

    let held = user.hold(&sale, &["A-1"]).decide().await;
    let id = held.request_id.clone();
    let told = life(&id).await;
    assert_eq!(
        (stages(&told), &told["status"], &told["command"]),
        (whole.map(str::to_owned).into(), &json!("SUCCEEDED"), &json!("hold_seats"))
    );
    let reservation = text(&held.result(), "reservation_id");
    assert_eq!(life(&text(&told, "position")).await["request_id"], id.as_str(), "the same by its position");

    let paid = user.pay(&reservation).decide().await;
    let told = life(&paid.request_id).await;
    let of_pay = ["received", "appended", "decided", "committed", "published", "answered"];
    assert_eq!(stages(&told), of_pay, "{told}");
    let debit = &told["follow_ups"][0];
    let settle = &debit["follow_ups"][0];
    assert_eq!((&debit["command"], &settle["command"]), (&json!("debit_wallet"), &json!("settle_payment")), "{told}");
    assert_eq!(told["trace_id"], settle["trace_id"]);
    assert!(stages(debit).contains(&"committed".to_owned()) && stages(settle).contains(&"committed".to_owned()));

    let refused = client.user("bob").hold(&sale, &["A-1"]).decide().await;
    let told = life(&refused.request_id).await;
    assert_eq!((&told["status"], &told["problem"]), (&json!("REJECTED"), &json!("seat_taken")));

    let joined = client.user("carol").post(&queued.path("/queue"), json!({})).decide().await;
    assert_eq!(life(&joined.request_id).await["command"], "join_queue");

    let unknown = client.admin().get(&format!("/v1/ops/requests/{}", new_id())).await;
    assert_eq!(unknown.code(), "request_not_found");
    // In a terminal beside the server, and from the log and the store alone. On one machine the server has the log.
    let beside = run_to_end(&["trace", &paid.request_id, "--at", &client.base()], system.env());
    assert_eq!(beside.contains("answered"), system.services.is_none(), "only the server knows: {beside}");
    system.stop().await;
    for told in [beside, run_to_end(&["trace", &paid.request_id], system.env())] {
        for line in [
            "pay_reservation SUCCEEDED",
            "    debit_wallet SUCCEEDED",
            "        settle_payment SUCCEEDED",
            "committed",
            "published",
        ] {
            assert!(told.contains(line), "{told}");
        }
    }
    system.start().await;
}

/// Appends a value to the first partition of the seats, as another service would.
async fn append_to_seats(system: &System, value: &Value) {
    let embedded = system.services.is_none();
    if embedded {
        system.stop().await;
    }
    let mut producer = Producer::open(system).await;
    assert!(producer.append(Lane::Seats, 0, Some("any"), Some(value.to_string().into_bytes())).await);
    producer.close().await;
    if embedded {
        system.start().await;
    }
}

async fn b3_a_dead_letter_is_replayed_beside_the_running_server(system: &System) {
    let odd = json!({"type": "hold_seat", "version": 1, "request_id": new_id()});
    append_to_seats(system, &odd).await;
    let (_, took) = trouble(system, "dead_letters").await;
    // Counted from before the record was read: on one machine the program was started for it.
    assert!(took < seen_within(), "{took:?}");
    let letters = ops(system, "dead-letters").await;
    let position = text(&letters["dead_letters"][0], "position");
    let told = ops(system, &format!("requests/{position}")).await;
    assert_eq!(
        (&told["status"], stages(&told)),
        (&json!("DEAD_LETTER"), vec!["appended".to_owned(), "dead_letter".to_owned()])
    );
    let path = format!("/v1/ops/dead-letters/{position}");
    for _ in 0..2 {
        let replayed = system.client.admin().post(&format!("{path}/replay"), json!({})).send().await;
        assert_eq!((replayed.status, &replayed.body["topic"]), (200, &json!("seats")), "{replayed:?}");
    }
    // Still nobody knows the type: each replay is a dead letter of its own, with the name of who wanted it.
    let again = until("the replayed records", async || {
        let letters = ops(system, "dead-letters").await;
        let letters = letters["dead_letters"].as_array().cloned().unwrap_or_default();
        if letters.len() == 3 { Ok(letters) } else { Err(format!("{} so far", letters.len())) }
    })
    .await;
    let last = ops(system, &format!("dead-letters/{}", text(&again[0], "position"))).await;
    let by = last["headers"].as_array().unwrap().iter().find(|header| header["name"] == "turnstile-replayed-by");
    assert_eq!(by.unwrap()["value"]["text"], "admin", "{last}");
    let first = ops(system, &format!("dead-letters/{position}")).await;
    assert_eq!(first["replayed"]["by"], "admin");
    for letter in &again {
        let path = format!("/v1/ops/dead-letters/{}/dismiss", text(letter, "position"));
        assert_eq!(system.client.admin().post(&path, json!({})).send().await.status, 200);
    }
    all_well(system).await;
}

/// On the real pair: a worker among others is killed, then stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_a_killed_worker_is_seen_with_what_it_owned() {
    run_unchecked(crate::harness::Pair::Real, "b1_a_killed_worker", &[], async |system| {
        system.start_role("worker").await;
        until("both to own partitions", async || {
            let processes = ops(system, "processes").await;
            let owned: Vec<usize> = processes["processes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|of| of["partitions"].as_array().unwrap().len())
                .collect();
            if owned.len() == 2 && owned.iter().all(|count| *count > 0) { Ok(()) } else { Err(processes.to_string()) }
        })
        .await;
        let pid = system.servers().last().unwrap().pid();
        system.servers().last_mut().unwrap().kill();
        let (silent, took) = trouble(system, "process_silent").await;
        assert!(took < seen_within() && text(&silent["values"], "process").ends_with(&format!("-{pid}")), "{silent}");
        let (lost, _) = trouble(system, "no_owner").await;
        assert!(text(&lost["values"], "reason").contains("has been silent"), "{lost}");
        until("the other to take them over", async || {
            let overview = ops(system, "overview").await;
            let counts = &overview["counts"];
            if counts["owned"] == counts["partitions"] { Ok(()) } else { Err(overview.to_string()) }
        })
        .await;
        system.servers().pop();
    })
    .await;
}

/// The audit's result is for the page too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_audit_is_on_the_page() {
    run_unchecked(crate::harness::Pair::Embedded, "the_last_audit", &[], async |system| {
        assert_eq!(ops(system, "overview").await["audit"], Value::Null);
        system.client.user("alice").charge(5).decide().await.result();
        system.stop().await;
        assert!(Path::new(system.data_dir()).join("store.db").is_file());
        assert!(command(&["audit"], system.env()).status().unwrap().success());
        system.start().await;
        let audit = ops(system, "overview").await["audit"].clone();
        assert_eq!((&audit["differences"], audit["records"].as_u64() >= Some(1)), (&json!(0), true), "{audit}");
    })
    .await;
}
