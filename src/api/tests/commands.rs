//! 202, waiting, outcomes and refusals.

use super::worker::refuse;
use super::*;
use crate::domain::block::{self, Reservation, ReservationState, Row};
use crate::domain::{
    Amount, Arrival, BlockKey, Body, Code, Lane, LanePartition, LogTime, More, Position, Refusal, ReservationId,
    ScheduleId, Verdict,
};
use crate::wire::command::decode;
use crate::wire::headers::traceparent;
use crate::wire::routing::partition_for;
use uuid::Uuid;

#[tokio::test]
async fn f31_a_command_is_accepted_once_the_log_has_it() {
    let door = Door::open().await;
    let answer = send(door.charge(100)).await;
    assert_eq!(answer.status, 202);
    let body = answer.json();
    let id = body["request_id"].as_str().unwrap();
    assert_eq!(body, json!({ "request_id": id, "status": "PENDING" }));
    assert_eq!(answer.header("retry-after"), "1");
    let partition = partition_for("alice", 2);
    assert_eq!(answer.header("location"), format!("/v1/requests/{id}?position=wallets.{partition}.0"));
    assert_eq!(Uuid::parse_str(id).unwrap().get_version_num(), 7);

    let topic = Topic::Lane(Lane::Wallets);
    let record = door.log.read(topic, partition, 0).await.unwrap().next(1, 1 << 20).await.unwrap().remove(0);
    assert_eq!(record.key.as_deref(), Some(&b"alice"[..]));
    let command = decode(&record.value.unwrap()).unwrap();
    assert_eq!(command.request_id.to_string(), id);
    assert!(traceparent(&record.headers).is_some());
}

#[tokio::test]
async fn f47_the_trace_of_a_request_goes_with_its_command() {
    let door = Door::open().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(send(door.charge(100).header("traceparent", trace)).await.status, 202);
    let partition = partition_for("alice", 2);
    let mut reader = door.log.read(Topic::Lane(Lane::Wallets), partition, 0).await.unwrap();
    let record = reader.next(1, 1 << 20).await.unwrap().remove(0);
    assert_eq!(traceparent(&record.headers).as_deref(), Some(trace.as_bytes()));
}

#[tokio::test]
async fn f31_who_waits_gets_the_outcome() {
    let door = Door::open().await;
    door.worker.start();
    let answer = send(waiting(door.charge(100), 10)).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (200, "wait=10"));
    let body = answer.json();
    assert_eq!(body["status"], "SUCCEEDED");
    assert_eq!(body["command"], "charge_wallet");
    assert_eq!(body["result"]["balance"], 100);
    assert_eq!(body["decided"]["lane"], "wallets");
    assert_eq!(body["decided"]["offset"], 0);
    assert!(body.get("user_id").is_none());
    assert_eq!(door.state.waiters.count(), 0);
}

#[tokio::test]
async fn f16_f33_a_refusal_is_a_problem_under_its_own_status() {
    let door = Door::open().await;
    let by = Arrival { position: Position::new(Lane::Seats, 1, 7), time: LogTime(1000) };
    door.worker.rules(move |command, _| match &command.body {
        Body::Seats(block::Command::HoldSeats(_)) => {
            let more = More::Taken { seat: "A-12".parse().unwrap(), by };
            Verdict::Decided(Err(Refusal::new(Code::SeatTaken, "seat A-12 is taken").with(more)))
        }
        _ => refuse(Code::InsufficientBalance),
    });
    let date = door.put_date(false, &[("main", &["A"])]).await;
    door.worker.start();
    let debit = door.request(Method::POST, "/v1/wallet/debits").json(&json!({ "amount": 5 }));
    let answer = send(waiting(debit, 10)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (402, "insufficient_balance"));
    assert_eq!(answer.json()["detail"], "as the test wants it");
    assert!(answer.json()["request_id"].is_string());
    assert_eq!(answer.json()["decided"]["lane"], "wallets");

    let path = format!("/v1/schedules/{date}/holds");
    let answer = send(waiting(door.request(Method::POST, &path).json(&json!({ "seats": ["A-12"] })), 10)).await;
    assert_eq!((answer.status, answer.problem().as_str(), answer.header("retry-after")), (409, "seat_taken", ""));
    let taken = json!({ "seat": "A-12", "position": { "lane": "seats", "partition": 1, "offset": 7 },
                        "at": "1970-01-01T00:00:01.000Z" });
    assert_eq!(answer.json()["taken"], taken);
}

#[tokio::test]
async fn f31_f34_who_waits_in_vain_is_told_pending_and_leaves_no_trace() {
    let door = Door::open().await;
    let answer = send(waiting(door.charge(100), 1)).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (202, "wait=1"));
    assert_eq!(door.state.waiters.count(), 0);
}

#[tokio::test]
async fn f34_too_many_waits_are_answered_at_once() {
    let door = Door::with(Settings { waiters_max: 0, ..Settings::default() }).await;
    let answer = send(waiting(door.charge(100), 30)).await;
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn f34_a_client_that_goes_away_is_not_waited_for() {
    let door = Door::open().await;
    let request = tokio::spawn(waiting(door.charge(100), 30).send());
    while door.state.waiters.count() == 0 {
        tokio::task::yield_now().await;
    }
    request.abort();
    while door.state.waiters.count() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn f34_a_full_or_silent_log_is_said_honestly() {
    let door =
        Door::with(Settings { append_timeout: std::time::Duration::from_millis(20), ..Settings::default() }).await;
    door.log.hold_appends();
    let answer = send(keyed(door.charge(1), "k")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "outcome_unknown"));
    assert!(answer.json()["request_id"].is_string());
    assert!(!answer.header("retry-after").is_empty());
    door.log.fail_appends(false);
    door.worker.start();
    let answer = send(waiting(keyed(door.charge(1), "k"), 10)).await;
    assert_eq!(answer.status, 200, "the repeat is safe and takes effect once: {answer:?}");
    assert_eq!(door.worker.applied.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn f34_a_backlog_beyond_its_bound_turns_commands_away_unpublished() {
    let age = std::time::Duration::ZERO;
    let door = Door::with(Settings { backlog_max: 3, progress_age_max: age, ..Settings::default() }).await;
    for _ in 0..3 {
        assert_eq!(send(door.charge(1)).await.status, 202);
    }
    assert_eq!(send(door.charge(1)).await.status, 202, "three are behind, which is the bound");
    let answer = send(door.charge(1)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "overloaded"));
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(door.wallet_commands().await, 4);
    door.worker.start();
    while send(waiting(door.charge(1), 10)).await.status != 200 {}
}

#[tokio::test]
async fn f34_a_fast_user_is_slowed_and_others_are_not() {
    let door = Door::with(Settings { user_burst: 2, user_per_second: 1, ..Settings::default() }).await;
    assert_eq!(send(door.charge(1)).await.status, 202);
    assert_eq!(send(door.charge(1)).await.status, 202);
    let answer = send(door.charge(1)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (429, "rate_limited"));
    assert_eq!(answer.header("retry-after"), "1");
    let other = door.bare(Method::POST, "/v1/wallet/charges").header("x-user-id", "bob").json(&json!({ "amount": 1 }));
    assert_eq!(send(other).await.status, 202);
    assert_eq!(door.wallet_commands().await, 3);
}

#[tokio::test]
async fn f32_s8_what_is_somebody_elses_is_not_there() {
    let door = Door::open().await;
    let id = store_reservation(&door, "bob").await;
    let path = format!("/v1/reservations/{id}");
    let payment = format!("{path}/payment");
    for request in [
        door.request(Method::GET, &path),
        door.request(Method::DELETE, &path),
        door.request(Method::POST, &payment),
        door.request(Method::GET, &format!("/v1/reservations/{}", Uuid::now_v7())),
    ] {
        let answer = send(request).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "reservation_not_found"));
    }
    for partition in 0..2 {
        assert_eq!(door.log.end_offset(Topic::Lane(Lane::Seats), partition).await.unwrap(), 0, "nothing was published");
    }
    assert_eq!(door.get("/v1/reservations").await.json(), json!({ "reservations": [] }));
    let bobs = send(door.bare(Method::GET, "/v1/reservations").header("x-user-id", "bob")).await.json();
    assert_eq!(bobs["reservations"][0]["seats"], json!(["A-1", "A-2"]));
    assert_eq!(bobs["reservations"][0]["status"], "HELD");
    let pay = door.bare(Method::POST, &payment).header("x-user-id", "bob");
    assert_eq!(send(pay).await.status, 202, "a payment needs no body");
    let cancel = door.bare(Method::DELETE, &path).header("x-user-id", "bob");
    assert_eq!(send(cancel).await.status, 202);
}

async fn store_reservation(door: &Door, user: &str) -> ReservationId {
    let place = LanePartition { lane: Lane::Seats, partition: 0 };
    let at = Arrival { position: place.at(0), time: LogTime(0) };
    let reservation = Reservation {
        id: ReservationId(Uuid::now_v7()),
        key: BlockKey::main(ScheduleId(Uuid::now_v7())),
        user_id: user.parse().unwrap(),
        by: None,
        seats: vec!["A-1".parse().unwrap(), "A-2".parse().unwrap()],
        amount: Amount::new(200).unwrap(),
        state: ReservationState::Held,
        expires_at: LogTime(1000),
        held: at,
        changed: at,
    };
    let id = reservation.id;
    door.put(vec![Row::Reservation(reservation)]).await;
    id
}

#[tokio::test]
async fn a_hold_ends_when_the_show_starts_even_if_that_was_moved() {
    let door = Door::open().await;
    let date = door.put_date(false, &[("main", &["A"])]).await;
    let mut rows = records::open_rows(BlockKey::main(date), &["A"]);
    for row in &mut rows {
        if let Row::Block(block) = row {
            block.terms.starts_at = LogTime(500);
        }
    }
    rows.push(Row::Reservation(Reservation {
        id: ReservationId(Uuid::now_v7()),
        key: BlockKey::main(date),
        user_id: "alice".parse().unwrap(),
        by: None,
        seats: vec!["A-1".parse().unwrap()],
        amount: Amount::new(100).unwrap(),
        state: ReservationState::Held,
        expires_at: LogTime(1000),
        held: Arrival { position: Position::new(Lane::Seats, 0, 0), time: LogTime(0) },
        changed: Arrival { position: Position::new(Lane::Seats, 0, 0), time: LogTime(0) },
    }));
    door.put(rows).await;
    let reservation = door.get("/v1/reservations").await.json()["reservations"][0].clone();
    assert_eq!(reservation["expires_at"], "1970-01-01T00:00:00.500Z", "{reservation}");
    assert_eq!((&reservation["block"], reservation.get("section")), (&json!("main"), None));
}

#[tokio::test]
async fn f51_a_hold_lies_in_one_block() {
    let door = Door::open().await;
    let date = door.put_date(false, &[("main", &["A", "B"]), ("north", &["N"])]).await;
    let path = format!("/v1/schedules/{date}/holds");
    let hold = |body: Value| send(door.request(Method::POST, &path).json(&body));
    assert_eq!(hold(json!({ "seats": ["A-1", "B-1"] })).await.status, 202, "two sections of one block");
    let answer = hold(json!({ "seats": ["A-1", "N-1"] })).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!("/seats")));
    assert!(answer.json()["detail"].as_str().unwrap().contains("one block"), "{answer:?}");
    let answer = hold(json!({ "best_available": 2 })).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!("/section")));
    assert_eq!(hold(json!({ "best_available": 2, "section": "N" })).await.status, 202);
    for body in [
        json!({ "seats": ["Z-1"] }),
        json!({ "seats": ["A-1", "Z-1"] }),
        json!({ "section": "Z", "best_available": 1 }),
    ] {
        let answer = hold(body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "section_not_found"));
    }
    let nowhere = format!("/v1/schedules/{}/holds", Uuid::now_v7());
    for (body, code) in
        [(json!({ "seats": ["A-1"] }), "section_not_found"), (json!({ "best_available": 1 }), "schedule_not_found")]
    {
        let answer = send(door.request(Method::POST, &nowhere).json(&body)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, code));
    }
    let mut blocks = Vec::new();
    for partition in 0..2 {
        let topic = Topic::Lane(Lane::Seats);
        let end = door.log.end_offset(topic, partition).await.unwrap() as usize;
        let mut reader = door.log.read(topic, partition, 0).await.unwrap();
        let mut records = Vec::new();
        while records.len() < end {
            records.extend(reader.next(10, 1 << 20).await.unwrap());
        }
        for record in records {
            match decode(&record.value.unwrap()).unwrap().body {
                Body::Seats(block::Command::HoldSeats(hold)) => blocks.push(hold.key.block.to_string()),
                other => panic!("{other:?}"),
            }
        }
    }
    blocks.sort();
    assert_eq!(blocks, ["main", "north"]);
}
