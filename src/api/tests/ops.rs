//! `/v1/ops`: for admins, with what processes say and what the store holds.

use bytes::Bytes;

use super::*;
use crate::domain::block::{self, Reservation, ReservationState};
use crate::domain::{Amount, Arrival, BlockKey, Lane, LanePartition, LogTime, ReservationId, ScheduleId};
use crate::log::NewRecord;
use crate::store::{
    Act, DeadLetter, DeadLetters, Interventions, Offsets, Operations, Outbox, Ownership, Process, ProcessCheck,
    ProcessStatus, lane_partitions,
};

const SEATS: LanePartition = LanePartition { lane: Lane::Seats, partition: 0 };
const READS: [&str; 7] = ["overview", "throughput", "partitions", "processes", "queues", "sales", "dead-letters"];

impl Door {
    fn ops(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, &format!("/v1/ops/{path}")).header("x-user-id", "admin")
    }

    async fn look(&self, path: &str) -> Value {
        let answer = send(self.ops(Method::GET, path)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// A worker that owns all partitions, and says this of the first of the seats.
    async fn worker_says(&self, reason: Option<&str>) {
        let check = |of: LanePartition| ProcessCheck {
            name: format!("partition {of}"),
            reason: reason.filter(|_| of == SEATS).map(str::to_owned),
            critical: false,
        };
        let process = Process {
            name: "w-1".to_owned(),
            role: "worker".to_owned(),
            host: "h".to_owned(),
            pid: 7,
            version: "1".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            started_at: LogTime(0),
            status: ProcessStatus {
                checks: lane_partitions(self.log.partitions()).map(check).collect(),
                figures: Default::default(),
            },
        };
        self.store.heartbeat(&process).await.unwrap();
        self.state.system.changed();
    }

    async fn all_owned() -> Self {
        let door = Door::open().await;
        for partition in lane_partitions(door.log.partitions()) {
            door.store.acquire(partition, "w-1").await.unwrap();
        }
        door.worker_says(None).await;
        door
    }

    async fn append_to_seats(&self) {
        let record = NewRecord { key: "k".into(), value: "v".into(), headers: vec![] };
        self.log.append(Topic::Lane(Lane::Seats), 0, record).await.unwrap();
        self.state.system.changed();
    }
}

fn codes(overview: &Value) -> Vec<&str> {
    let troubles = overview["verdict"]["troubles"].as_array().unwrap();
    troubles.iter().map(|trouble| trouble["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn b1_operations_are_for_admins() {
    let door = Door::open().await;
    let routes = operators_routes(&door).await;
    for (method, path) in routes {
        let body = |request: RequestBuilder| if method == Method::GET { request } else { request.json(&json!({})) };
        let nobody = send(body(door.bare(method.clone(), &path))).await;
        assert_eq!((nobody.status, nobody.problem().as_str()), (401, "unauthenticated"), "{path}");
        let user = send(body(door.request(method.clone(), &path))).await;
        assert_eq!((user.status, user.problem().as_str()), (403, "forbidden"), "{path}");
    }
    for path in READS {
        door.look(path).await;
    }
}

/// All of them, as the router made the description of them, each with something in place of its parameters.
async fn operators_routes(door: &Door) -> Vec<(Method, String)> {
    let document = door.get("/openapi.json").await.json();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/ops/") {
            continue;
        }
        let values = [
            ("{partition}", "seats.0"),
            ("{position}", "seats.0.1"),
            ("{id}", "0192e4b0-0000-7000-8000-00000000005c"),
            ("{name}", "shop"),
        ];
        let path = values.iter().fold(path.clone(), |path, (name, value)| path.replace(name, value));
        assert!(!path.contains('{'), "{path}");
        let methods = methods.as_object().unwrap().keys().filter(|name| *name != "parameters");
        routes.extend(methods.map(|name| (name.to_uppercase().parse::<Method>().unwrap(), path.clone())));
    }
    let there = |method: Method, path: &str| routes.contains(&(method, format!("/v1/ops/{path}")));
    assert!(
        there(Method::GET, "requests/0192e4b0-0000-7000-8000-00000000005c") && there(Method::DELETE, "webhooks/shop")
    );
    assert!(routes.len() >= 23, "{routes:?}");
    routes
}

#[tokio::test]
async fn b1_what_is_done_about_a_webhook_keeps_the_admins_name_also_when_it_is_gone() {
    let door = Door::open().await;
    let body = json!({"name": "shop", "url": "https://shop.example/hook"});
    let added = send(door.ops(Method::POST, "webhooks").json(&body)).await;
    assert_eq!((added.status, added.header("location")), (201, "/v1/ops/webhooks/shop"), "{added:?}");
    assert_eq!(send(door.ops(Method::POST, "webhooks").json(&body)).await.status, 422, "the name is taken");
    let kim = |method: Method, path: &str| {
        door.bare(method, &format!("/v1/ops/webhooks/shop{path}"))
            .header("x-user-id", "kim")
            .header("x-user-roles", "admin")
    };
    let paused = send(kim(Method::PATCH, "").json(&json!({"enabled": false}))).await;
    assert_eq!((paused.status, &paused.json()["disabled"]["by"]), (200, &json!("kim")), "{paused:?}");
    assert!(paused.json()["standing_text"].as_str().unwrap().ends_with(": by kim"), "{paused:?}");
    let again = send(door.ops(Method::PATCH, "webhooks/shop").json(&json!({"enabled": false}))).await;
    assert_eq!(again.json()["disabled"]["by"], "kim", "who was first");
    let resumed = send(kim(Method::PATCH, "").json(&json!({"enabled": true, "replay_from": "first"}))).await;
    assert_eq!(resumed.json()["disabled"], Value::Null);
    assert_eq!(send(kim(Method::POST, "/secret")).await.status, 200);
    assert_eq!(send(kim(Method::DELETE, "")).await.status, 204);
    assert_eq!(send(kim(Method::DELETE, "")).await.status, 404, "what is not there leaves no note");
    let listed = door.look("webhooks").await;
    assert_eq!(listed["webhooks"], json!([]));
    let notes: Vec<_> = listed["notes"].as_array().unwrap().iter().map(|note| (&note["act"], &note["by"])).collect();
    let wanted = [
        ("removed", "kim"),
        ("rotated", "kim"),
        ("replayed", "kim"),
        ("enabled", "kim"),
        ("disabled", "admin"),
        ("disabled", "kim"),
        ("added", "admin"),
    ];
    assert_eq!(
        notes,
        wanted.map(|(act, by)| (json!(act), json!(by))).iter().map(|(act, by)| (act, by)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn requests_are_found_by_reservation_and_by_user() {
    let door = Door::open().await;
    assert_eq!(door.look("requests?of=nobody").await["requests"], json!([]));
    let at = |offset: u64, ms: i64| Arrival { position: SEATS.at(offset), time: LogTime(ms) };
    let id = uuid::Uuid::from_u128(7);
    let row = Reservation {
        id: ReservationId(id),
        key: BlockKey { schedule_id: ScheduleId(id), block: "main".parse().unwrap() },
        user_id: "alice".parse().unwrap(),
        by: None,
        seats: vec!["A-1".parse().unwrap(), "A-2".parse().unwrap()],
        amount: Amount::movement(5).unwrap(),
        state: ReservationState::Confirmed { payment: None, serial: 9 },
        expires_at: LogTime(0),
        held: at(4, 1_000),
        changed: at(9, 2_000),
    };
    door.put(vec![block::Row::Reservation(row)]).await;
    let (confirmed, held) = (format!("{id} CONFIRMED: A-1 A-2"), format!("{id} HELD: A-1 A-2"));
    let wanted = json!([
        {"what": confirmed, "at": "1970-01-01T00:00:02.000Z", "position": "seats.0.9"},
        {"what": held, "at": "1970-01-01T00:00:01.000Z", "position": "seats.0.4"},
    ]);
    for of in ["alice".to_owned(), id.to_string()] {
        assert_eq!(door.look(&format!("requests?of={of}")).await["requests"], wanted, "{of}");
    }
    let nothing = send(door.ops(Method::GET, "requests")).await;
    assert_eq!((nothing.status, nothing.problem().as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn b1_the_verdict_says_what_is_wrong_and_why() {
    let door = Door::all_owned().await;
    let good = door.look("overview").await;
    assert_eq!(good["verdict"]["text"], "all 6 partitions are owned and nothing waits", "{good}");
    assert_eq!((&good["verdict"]["level"], &good["counts"]["owned"]), (&json!("ok"), &json!(6)));

    door.append_to_seats().await;
    door.worker_says(Some("parked: commit: a corrupt row; for 3 s")).await;
    let parked = door.look("overview").await;
    assert_eq!(parked["verdict"]["text"], "partition seats.0 is parked: commit: a corrupt row; for 3 s");
    assert_eq!((&parked["verdict"]["level"], codes(&parked)), (&json!("failing"), vec!["partition_parked"]));
    let partitions = door.look("partitions").await;
    let first = &partitions["partitions"][0];
    assert_eq!(
        (&first["partition"], &first["state"], &first["lag_records"]),
        (&json!("seats.0"), &json!("parked"), &json!(1))
    );
    assert!(first["lag_seconds"].as_f64().unwrap() < 60.0, "{first}");

    door.worker_says(Some("publishing: the log's queue is full")).await;
    assert_eq!(codes(&door.look("overview").await), ["struggling"]);

    door.store.leave("w-1").await.unwrap();
    door.state.system.changed();
    let lost = door.look("overview").await;
    assert_eq!(codes(&lost), ["no_owner"]);
    assert_eq!(lost["verdict"]["text"], "6 partitions have no owner: its owner w-1 has stopped");
}

#[tokio::test]
async fn b1_without_a_store_the_verdict_still_comes() {
    use crate::testing::Fault;
    let door = Door::all_owned().await;
    door.store.set_hook(Some(Arc::new(|_| Box::pin(async { Fault::Unavailable }))));
    door.state.system.changed();
    let overview = door.look("overview").await;
    assert_eq!((&overview["verdict"]["level"], &overview["counts"]), (&json!("failing"), &Value::Null));
    assert_eq!(codes(&overview)[0], "store_away");
    let partitions = send(door.ops(Method::GET, "partitions")).await;
    assert_eq!(partitions.status, 503);
}

#[tokio::test]
async fn b1_a_skip_needs_a_partition_that_stands_there_and_keeps_who_and_why() {
    let door = Door::all_owned().await;
    let skip = |offset: u64| {
        let body = json!({"offset": offset, "reason": "ticket 12"});
        send(door.ops(Method::POST, "partitions/seats.0/skip").json(&body))
    };
    door.append_to_seats().await;
    assert_eq!(skip(0).await.problem(), "not_possible", "it does not stand still");
    door.worker_says(Some("parked: why; for 1 s")).await;
    assert_eq!(skip(1).await.problem(), "not_possible", "it stands at 0");
    let beyond = json!({"offset": 0, "through": 5, "reason": "r"});
    let beyond = send(door.ops(Method::POST, "partitions/seats.0/skip").json(&beyond)).await;
    assert_eq!(beyond.problem(), "not_possible", "the log ends before");
    let given = skip(0).await;
    assert_eq!(given.status, 202, "{given:?}");
    let rows = door.store.interventions(SEATS, 0).await.unwrap();
    assert_eq!((rows[0].act, rows[0].by.as_str()), (Act::Skip(Offsets { first: 0, last: 0 }), "admin"));
    let listed = door.look("partitions/seats.0/interventions").await;
    assert_eq!(
        (&listed["interventions"][0]["by"], &listed["interventions"][0]["reason"]),
        (&json!("admin"), &json!("ticket 12"))
    );
    let nameless = send(door.ops(Method::POST, "partitions/seats.0/skip").json(&json!({"offset": 0}))).await;
    assert_eq!(nameless.problem(), "invalid_fields");
    let ahead = json!({"offset": 0, "time": "2999-01-01T00:00:00Z", "reason": "r"});
    let ahead = send(door.ops(Method::POST, "partitions/seats.0/time").json(&ahead)).await;
    assert_eq!(ahead.problem(), "invalid_fields");
}

#[tokio::test]
async fn f36_a_parked_partition_is_to_be_acquired_again_and_no_other() {
    let door = Door::all_owned().await;
    let again = |body: Value| send(door.ops(Method::POST, "partitions/seats.0/acquire").json(&body));
    let why = || json!({"reason": "the disk is free again"});
    assert_eq!(again(why()).await.problem(), "not_possible", "it goes on");
    door.worker_says(Some("waiting: no progress for 30 s")).await;
    assert_eq!(again(why()).await.problem(), "not_possible", "it is tried all the time");
    door.worker_says(Some("parked: why; for 1 s")).await;
    assert_eq!(again(json!({})).await.problem(), "invalid_fields");
    let stranger = door.bare(Method::POST, "/v1/ops/partitions/seats.0/acquire").header("x-user-id", "eve");
    assert_eq!(send(stranger.json(&why())).await.status, 403);
    let given = again(why()).await;
    assert_eq!((given.status, &given.json()["kind"]), (202, &json!("acquire")), "{given:?}");
    let rows = door.store.interventions(SEATS, 0).await.unwrap();
    let row = &rows[0];
    assert_eq!((row.act, row.by.as_str(), row.reason.as_str()), (Act::Acquire, "admin", "the disk is free again"));
    assert_eq!(door.look("partitions/seats.0/interventions").await["interventions"][0]["by"], "admin");
}

#[tokio::test]
async fn b3_a_dead_letter_is_replayed_while_the_server_runs_under_the_admins_name() {
    let door = Door::all_owned().await;
    let letter = DeadLetter {
        position: SEATS.at(5),
        unsent_to: None,
        reason: "unknown type".to_owned(),
        key: Some(b"k\xff".to_vec()),
        value: Some(b"{}".to_vec()),
        headers: vec![("turnstile-hops".into(), Bytes::from("4")), ("a".into(), Bytes::from("b"))],
        at: LogTime(1_000),
    };
    door.store.keep_unsent(&letter).await.unwrap();
    door.state.system.changed();
    assert_eq!(codes(&door.look("overview").await), ["dead_letters"]);
    let shown = door.look("dead-letters/seats.0.5").await;
    assert_eq!((&shown["key"], &shown["value"]), (&json!({"base64": "a/8="}), &json!({"text": "{}"})));
    for offset in [0, 1] {
        let replayed = send(door.ops(Method::POST, "dead-letters/seats.0.5/replay")).await;
        assert_eq!(replayed.json(), json!({"topic": "seats", "partition": 0, "offset": offset}));
    }
    let mut reader = door.log.read(Topic::Lane(Lane::Seats), 0, 0).await.unwrap();
    let record = reader.next(1, 1).await.unwrap().remove(0);
    let header = |name: &'static str, value: &'static str| (name.into(), Bytes::from(value));
    assert_eq!(record.headers, [header("a", "b"), header("turnstile-replayed-by", "admin")]);
    let listed = door.look("dead-letters").await;
    assert_eq!(listed["dead_letters"][0]["replayed"]["by"], "admin");
    assert_eq!(door.store.open_dead_letters(10).await, Ok(0));
    let dismissed = send(door.ops(Method::POST, "dead-letters/seats.0.5/dismiss")).await;
    assert_eq!(dismissed.json()["dismissed"]["by"], "admin");
    for act in ["replay", "dismiss"] {
        let missing = send(door.ops(Method::POST, &format!("dead-letters/seats.0.6/{act}"))).await;
        assert_eq!((missing.status, missing.problem().as_str()), (404, "dead_letter_not_found"));
    }
}
