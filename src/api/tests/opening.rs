//! Adding concerts and dates, with the real owner behind the log.

use reqwest::Method;

use super::*;
use crate::api::routes::concerts::new_id;
use crate::api::submission::keys::IdempotencyKey;
use crate::domain::block::{self, Layout, NewSection, OpenBlock};
use crate::domain::{Amount, BlockKey, Body, Command, ConcertId, Lane, LogTime, RequestId, ScheduleId};
use crate::log::NewRecord;
use crate::store::{Catalog, Reads, Schedule};
use crate::wire::command::encode;
use crate::wire::routing::partition_for;
use crate::wire::time::rfc3339;

fn two_sections() -> Value {
    json!({
        "starts_at": "2999-01-01T00:00:00Z",
        "duration": 7200,
        "sections": [{"name": "A", "seats": 3, "price": 1000}, {"name": "B", "seats": 2, "price": 500}],
        "queue": {"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 100},
    })
}

#[tokio::test]
async fn a_date_is_open_in_all_its_parts_when_it_is_answered() {
    let door = Door::open().await;
    door.start_owner();
    let concert = door.concert().await;
    let answer = send(waiting(door.date(&concert, two_sections()), 30)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let date = answer.json();
    let id = date["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/schedules/{id}"));
    let counts = (&date["total_seats"], &date["available_seats"], &date["queue"], &date["duration"]);
    assert_eq!(counts, (&json!(5), &json!(5), &json!(true), &json!(7200)));
    assert_eq!(door.get(&format!("/v1/schedules/{id}")).await.json(), date);
    let listed = door.get(&format!("/v1/concerts/{concert}/schedules?available=true")).await.json();
    assert_eq!(listed["schedules"], json!([date]));
    let seats = door.get(&format!("/v1/schedules/{id}/seats?section=B&status=AVAILABLE")).await.json();
    let names: Vec<&Value> = seats["seats"].as_array().unwrap().iter().map(|seat| &seat["seat"]).collect();
    assert_eq!(names, ["B-1", "B-2"]);
    let schedule = ScheduleId(id.parse().unwrap());
    let queue = door.store.queue(schedule).await.unwrap();
    assert_eq!(queue.map(|queue| queue.limits.max_active), Some(10));
}

#[tokio::test]
async fn a_date_left_half_made_is_finished_by_a_repeat_with_its_key() {
    let door = Door::open().await;
    let concert = door.concert().await;
    let ask = |body: Value, seconds| send(waiting(keyed(door.date(&concert, body), "date-1"), seconds));
    let undecided = ask(two_sections(), 1).await;
    assert_eq!((undecided.status, undecided.problem().as_str()), (503, "outcome_unknown"));
    let listed = door.get(&format!("/v1/concerts/{concert}/schedules")).await.json();
    assert_eq!(listed["schedules"], json!([]), "nobody sees half a date");

    door.start_owner();
    let made = ask(two_sections(), 30).await;
    assert_eq!(made.status, 201, "{made:?}");
    let again = ask(two_sections(), 30).await;
    assert_eq!((again.status, again.json()), (201, made.json()));
    let mut other = two_sections();
    other["sections"][1]["price"] = json!(501);
    let reused = ask(other, 30).await;
    assert_eq!((reused.status, reused.problem().as_str()), (422, "idempotency_key_reused"));
    let listed = door.get(&format!("/v1/concerts/{concert}/schedules")).await.json();
    assert_eq!(listed["schedules"].as_array().map(Vec::len), Some(1));
}

/// Sixty that are over, then sixty to come: more than a page of each.
#[tokio::test]
async fn f12_dates_to_come_are_found_behind_any_number_of_past_ones_page_by_page() {
    let door = Door::open().await;
    let concert = door.concert().await;
    let concert_id = ConcertId(concert.parse().unwrap());
    let (past, ahead) = (1_577_836_800_000_i64, 4_102_444_800_000_i64);
    for n in 0..120_i64 {
        let starts_at = LogTime(if n < 60 { past } else { ahead } + n * 3_600_000);
        let schedule = Schedule {
            id: ScheduleId(uuid::Uuid::from_u128(1 + n.unsigned_abs() as u128)),
            concert_id,
            starts_at,
            duration_ms: None,
            hold_ttl_ms: 300_000,
            max_seats_per_user: 4,
            sales_open_at: None,
            sales_close_at: None,
            queue: false,
            plan: None,
            larger_plan: None,
            created_at: LogTime(past),
        };
        door.store.insert_schedule(&schedule).await.unwrap();
    }
    let path = format!("/v1/concerts/{concert}/schedules");
    let first = door.get(&path).await.json();
    assert!(first["schedules"].as_array().unwrap().iter().all(|date| date["starts_at"].as_str() < Some("2021")));
    let mut found: Vec<String> = Vec::new();
    let mut after = String::new();
    loop {
        let page = door.get(&format!("{path}?from=2026-11-27T03:14:59.999Z{after}")).await.json();
        found.extend(
            page["schedules"].as_array().unwrap().iter().map(|date| date["starts_at"].as_str().unwrap().into()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 60);
    assert!(found.is_sorted() && found[0].as_str() > "2100", "{}", found[0]);
    // Whole minutes: who asks within one shares its answer, and a date that begins in it is there.
    let begins = rfc3339(LogTime(ahead + 60 * 3_600_000));
    for (from, expected) in
        [(begins.replace("00.000Z", "59.999Z"), true), (begins.replace(":00:00.000Z", ":01:00Z"), false)]
    {
        let page = door.get(&format!("{path}?limit=60&from={from}")).await.json();
        let there = page["schedules"].as_array().unwrap().iter().any(|date| date["starts_at"] == *begins);
        assert_eq!(there, expected, "{from}");
    }
    for wrong in ["", "today", "2026-11-27", "2026-11-27T03:14:59"] {
        let answer = door.get(&format!("{path}?from={wrong}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid_request"), "{wrong}");
    }
}

#[tokio::test]
async fn the_queue_is_open_before_its_blocks_are() {
    let door = Door::open().await;
    let concert = door.concert().await;
    let answer = send(waiting(keyed(door.date(&concert, two_sections()), "date-1"), 1)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "outcome_unknown"));
    let end = async |lane, partition| door.log.end_offset(Topic::Lane(lane), partition).await.unwrap();
    assert_eq!(end(Lane::Queues, 0).await, 1);
    assert_eq!(end(Lane::Seats, 0).await + end(Lane::Seats, 1).await, 0, "nobody has decided open_queue");
}

#[tokio::test]
async fn f51_a_date_may_have_several_blocks() {
    let door = Door::open().await;
    door.start_owner();
    let concert = door.concert().await;
    let mut body = two_sections();
    body["sections"][1] = json!({
        "name": "B", "seats": 4, "block": "north", "runs": [[1, 2], [3, 2]], "not_for_sale": [[4, 1]],
        "categories": [{"name": "R", "price": 900}, {"name": "S", "price": 500}], "category_runs": [[1, 1, 0], [2, 3, 1]],
    });
    body.as_object_mut().unwrap().remove("queue");
    let date = send(waiting(door.date(&concert, body), 30)).await;
    assert_eq!(date.status, 201, "{date:?}");
    let date = date.json();
    let categories = json!([
        {"name": "R", "price": 900, "available_seats": 1}, {"name": "S", "price": 500, "available_seats": 2},
    ]);
    let section = json!({"name": "B", "block": "north", "seats": 4, "price": 500, "available_seats": 3, "categories": categories});
    assert_eq!((&date["sections"][1], &date["available_seats"]), (&section, &json!(6)));
    let path = format!("/v1/schedules/{}", date["id"].as_str().unwrap());
    let hold = |body: Value| send(waiting(door.request(Method::POST, &format!("{path}/holds")).json(&body), 30));
    let held = hold(json!({"best_available": 2, "section": "B", "category": "S"})).await;
    assert_eq!(held.status, 409, "no two neighbors of S are for sale: {held:?}");
    let held = hold(json!({"best_available": 2, "section": "A"})).await.json();
    assert_eq!((&held["result"]["block"], &held["result"]["amount"]), (&json!("main"), &json!(2000)));
    let seats = door.get(&format!("{path}/seats?section=B")).await.json();
    let shown = seats["seats"].as_array().unwrap().iter().map(|seat| (seat["price"].clone(), seat["status"].clone()));
    let expected = [(900, "AVAILABLE"), (500, "AVAILABLE"), (500, "AVAILABLE"), (500, "NOT_FOR_SALE")];
    assert!(shown.eq(expected.map(|(price, status)| (json!(price), json!(status)))), "{seats}");
    let blocked = door.get(&format!("{path}/seats?status=NOT_FOR_SALE")).await.json();
    assert_eq!(blocked["seats"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_block_that_cannot_be_opened_is_named() {
    let door = Door::open().await;
    door.start_owner();
    let concert = door.concert().await;
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("idempotency-key", "taken".parse().unwrap());
    let key = IdempotencyKey::from_headers(&headers).unwrap();
    let schedule_id = ScheduleId(new_id(&"admin".parse().unwrap(), key.as_ref(), "schedule"));
    let name = "B".parse().unwrap();
    let layout = Layout::plain(99, &name, Amount::price(1).unwrap()).unwrap();
    let body = Body::Seats(block::Command::OpenBlock(OpenBlock {
        key: BlockKey::main(schedule_id),
        user_id: "admin".parse().unwrap(),
        sections: vec![NewSection { name, layout }],
        terms: records::terms(),
        queue: false,
    }));
    let routing = body.routing_key().to_string();
    let topic = Topic::Lane(Lane::Seats);
    let partition = partition_for(&routing, door.log.partitions().of(topic));
    let value = encode(&Command { request_id: RequestId(uuid::Uuid::now_v7()), by: None, body }).into();
    let record = NewRecord { key: routing.into(), value, headers: Vec::new() };
    door.log.append(topic, partition, record).await.unwrap();

    let answer = send(keyed(door.date(&concert, two_sections()), "taken")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (409, "block_conflict"));
    assert_eq!(answer.json()["pointer"], "/sections/0");
}

#[tokio::test]
async fn only_an_admin_adds_and_only_to_what_is_there() {
    let door = Door::open().await;
    let concert = door.concert().await;
    for path in ["/v1/concerts".to_owned(), format!("/v1/concerts/{concert}/schedules")] {
        let answer = send(door.request(Method::POST, &path).json(&two_sections())).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "{path}");
    }
    let nowhere = uuid::Uuid::now_v7();
    let answer = send(door.date(&nowhere.to_string(), two_sections())).await;
    assert_eq!((answer.status, answer.problem().as_str()), (404, "concert_not_found"));
    let mut past = two_sections();
    past["starts_at"] = json!("2001-01-01T00:00:00Z");
    let answer = send(door.date(&concert, past)).await;
    assert_eq!((answer.status, answer.json()["errors"][0]["pointer"].as_str()), (422, Some("/starts_at")));
    for (path, code) in [
        (format!("/v1/concerts/{nowhere}"), "concert_not_found"),
        (format!("/v1/concerts/{nowhere}/schedules"), "concert_not_found"),
        (format!("/v1/schedules/{nowhere}"), "schedule_not_found"),
        (format!("/v1/schedules/{nowhere}/seats"), "schedule_not_found"),
        (format!("/v1/schedules/{nowhere}/seats/events"), "schedule_not_found"),
    ] {
        let answer = door.get(&path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, code), "{path}");
    }
    for query in ["status=PAYING", "status=free", "section=A%00", "section="] {
        let answer = door.get(&format!("/v1/schedules/{nowhere}/seats?{query}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid_request"), "{query}");
    }
}

#[tokio::test]
async fn a_concert_is_made_once_per_key() {
    let door = Door::open().await;
    let ask = |title: &str| send(keyed(door.admin("/v1/concerts", json!({"title": title})), "concert-1"));
    let made = ask("One").await;
    assert_eq!(made.status, 201);
    assert_eq!(ask("One").await.json(), made.json());
    let reused = ask("Two").await;
    assert_eq!((reused.status, reused.problem().as_str()), (422, "idempotency_key_reused"));
    let listed = door.get("/v1/concerts").await.json();
    assert_eq!(listed["concerts"], json!([made.json()]));
    assert_eq!(door.get(made.header("location")).await.json(), made.json());
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_process() {
    let door = Door::with(Settings { seat_streams_max: 1, ..Settings::default() }).await;
    door.start_owner();
    let concert = door.concert().await;
    let date = send(waiting(door.date(&concert, two_sections()), 30)).await.json();
    let path = format!("/v1/schedules/{}/seats/events", date["id"].as_str().unwrap());
    let mut stream = door.bare(Method::GET, &path).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: snapshot\nid: "), "{first:?}");
    let refused = send(door.bare(Method::GET, &path)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "overloaded"));
    door.shutdown.cancel();
    while stream.chunk().await.unwrap().is_some() {}
    door.served.await.unwrap().unwrap();
}
