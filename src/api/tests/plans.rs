//! Seating plans over HTTP, and dates made of them.

use super::catalog::path;
use super::*;
use crate::plan::demo::Hall;
use crate::plan::{Format, Plan, read, write};

fn upload(door: &Door, query: &str, media_type: &str, file: impl Into<Vec<u8>>) -> RequestBuilder {
    let ask = door.bare(Method::POST, &format!("/v1/plans{query}")).header("x-user-id", "admin");
    ask.header("content-type", media_type).body(file.into())
}

async fn uploaded(door: &Door, plan: &Plan) -> String {
    let answer = send(upload(door, "", "application/json", write(plan, Format::Turnstile))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn f52_a_plan_is_kept_under_its_hash_whatever_format_it_came_in() {
    let door = Door::open().await;
    let theater = Hall::Theater.plan();
    let answer = send(upload(&door, "", "application/json", write(&theater, Format::Turnstile))).await;
    let object = answer.json();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("location"), format!("/v1/plans/{}", theater.id()));
    let found = (&object["id"], &object["name"], &object["seats"], &object["warnings"]);
    assert_eq!(found, (&json!(theater.id().to_string()), &json!(theater.name()), &json!(600), &json!([])));
    let counted = |list: &Value| list.as_array().unwrap().iter().map(|one| one["seats"].as_u64().unwrap()).sum::<u64>();
    assert_eq!((counted(&object["sections"]), counted(&object["categories"])), (600, 600));

    let again = send(upload(&door, "", "application/json", write(&theater, Format::Turnstile))).await;
    assert_eq!((again.status, again.json()), (201, object));
    let pretix = send(upload(&door, "", "application/json", write(&theater, Format::Pretix))).await;
    assert_eq!((pretix.status, &pretix.json()["seats"]), (201, &json!(600)));
    let csv = send(upload(&door, "?name=Saal", "text/csv; charset=utf-8", "section,row,seat\nA,1,1\nA,1,2\n")).await;
    assert_eq!((csv.status, &csv.json()["name"], &csv.json()["seats"]), (201, &json!("Saal"), &json!(2)));
    let list = send(door.bare(Method::GET, "/v1/plans?limit=2").header("x-user-id", "admin")).await.json();
    assert_eq!(list["plans"].as_array().map(Vec::len), Some(2));
    let next = format!("/v1/plans?after={}", list["next"].as_str().unwrap());
    let rest = send(door.bare(Method::GET, &next).header("x-user-id", "admin")).await.json();
    assert_eq!((rest["plans"].as_array().map(Vec::len), &rest["next"]), (Some(1), &Value::Null));
    assert_eq!(door.get("/v1/plans").await.problem(), "forbidden");
}

#[tokio::test]
async fn f52_a_plan_is_given_back_in_every_format_and_never_changes() {
    let door = Door::open().await;
    let theater = Hall::Theater.plan();
    let id = uploaded(&door, &theater).await;
    for format in Format::ALL {
        let answer = send(door.bare(Method::GET, &format!("/v1/plans/{id}?format={format}"))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text, write(&theater, format), "{format}");
        let media_type = if format == Format::Csv { "text/csv; charset=utf-8" } else { "application/json" };
        assert_eq!(answer.header("content-type"), media_type);
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        let tag = answer.header("etag").to_owned();
        let ask = door.bare(Method::GET, &format!("/v1/plans/{id}?format={format}"));
        let same = send(ask.header("if-none-match", format!("\"other\", W/{tag}"))).await;
        assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", tag.as_str()));
    }
    let unknown = "0".repeat(64);
    for path in [format!("/v1/plans/{unknown}"), "/v1/plans/x".to_owned(), format!("/v1/plans/{}", id.to_uppercase())] {
        assert_eq!(door.get(&path).await.problem(), "plan_not_found", "{path}");
    }
    assert_eq!(door.get(&format!("/v1/plans/{id}?format=svg")).await.problem(), "invalid_request");
}

#[tokio::test]
async fn f52_what_is_no_plan_is_refused_with_its_place_and_a_check_keeps_nothing() {
    let door = Door::open().await;
    let theater = write(&Hall::Theater.plan(), Format::Pretix);
    let checked = send(upload(&door, "?check=true", "application/json", theater)).await;
    assert_eq!((checked.status, checked.header("location")), (200, ""));
    let id = checked.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(door.get(&format!("/v1/plans/{id}")).await.problem(), "plan_not_found");
    let odd = json!({"name": "x", "size": {"width": 9, "height": 9}, "categories": [{"name": "R"}], "zones": [{"name": "A",
        "position": {"x": 0, "y": 0}, "rows": [{"row_number": "1", "seats": [
            {"seat_guid": "a", "seat_number": "1", "position": {"x": 0, "y": 0}, "category": "R", "smell": "good"}]}]}]});
    let warned = send(upload(&door, "?check=true", "application/json", odd.to_string())).await.json();
    assert!(!warned["warnings"].as_array().unwrap().is_empty(), "{warned}");
    for (media_type, file, status, code, pointer) in [
        ("application/json", "{}", 422, "invalid_fields", None),
        ("application/json", "[1", 422, "invalid_fields", None),
        ("application/json", "section,row,seat\nA,1,1\n", 400, "malformed_json", None),
        ("text/csv", "section,row\nA,1\n", 422, "invalid_fields", None),
        ("text/csv", "section,row,seat\nA,1,1\nA,1\n", 422, "invalid_fields", Some("line 3")),
        ("image/png", "x", 415, "unsupported_media_type", None),
    ] {
        let answer = send(upload(&door, "", media_type, file)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{file}: {answer:?}");
        if let Some(pointer) = pointer {
            assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{answer:?}");
        }
    }
    let large = send(upload(&door, "", "text/csv", vec![b'x'; 16 * 1024 * 1024 + 1])).await;
    assert_eq!((large.status, large.problem().as_str()), (413, "body_too_large"));
    let user = door.request(Method::POST, "/v1/plans").header("content-type", "text/csv").body("x");
    assert_eq!(send(user).await.problem(), "forbidden");
}

fn date(plan: &str, more: Value) -> Value {
    let mut body = json!({"starts_at": "2999-01-01T00:00:00Z", "plan": plan});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Two rows of three seats, R and S.
const HALL: &str =
    "section,row,seat,category\nParkett,C,11,R\nParkett,C,12,R\nParkett,C,13,R\nRang,1,1,S\nRang,1,2,S\n";

#[tokio::test]
async fn f52_a_date_is_made_of_a_plan_and_people_read_its_labels() {
    let door = Door::open().await;
    door.start_owner();
    let plan = read(HALL.as_bytes(), Some(Format::Csv), "Haus").unwrap().plan;
    let id = uploaded(&door, &plan).await;
    let guid = plan.section("Rang").unwrap().seats[1].guid.clone();
    let more = json!({"prices": {"R": 110_000, "S": 0}, "blocked": [guid], "blocks": {"Rang": "north"}});
    let concert = door.concert().await;
    let body = date(&id, more);
    let answer = send(waiting(keyed(door.date(&concert, body.clone()), "one"), 30)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let opened = answer.json();
    assert_eq!(
        (&opened["plan"], &opened["total_seats"], &opened["available_seats"]),
        (&json!(id), &json!(5), &json!(4))
    );
    let blocks: Vec<_> = opened["sections"].as_array().unwrap().iter().map(|s| (&s["name"], &s["block"])).collect();
    assert_eq!(blocks, [(&json!("Parkett"), &json!("main")), (&json!("Rang"), &json!("north"))]);
    let again = send(waiting(keyed(door.date(&concert, body), "one"), 30)).await;
    assert_eq!((again.status, again.json()), (201, opened.clone()));

    let hall = door.get(&path(&opened, "/plan")).await;
    assert_eq!((hall.status, hall.text.as_str()), (200, write(&plan, Format::Turnstile).as_str()));
    assert_eq!(hall.header("etag"), format!("\"{id}\""));
    let seats = door.get(&path(&opened, "/seats?section=Parkett")).await.json();
    let best = &seats["seats"][0];
    assert_eq!((&best["seat"], &best["price"]), (&json!("Parkett-1"), &json!(110_000)));
    let label = best["label"].as_str().unwrap().to_owned();
    assert!(label.starts_with("Parkett, row C, seat 1"), "{label}");

    let hold = json!({"seats": ["Parkett-1"]});
    let held = door.done("bob", Method::POST, &path(&opened, "/holds"), hold.clone()).await;
    assert_eq!(held["labels"], json!([label]));
    let reservation = format!("/v1/reservations/{}", held["reservation_id"].as_str().unwrap());
    let own = send(door.bare(Method::GET, &reservation).header("x-user-id", "bob")).await.json();
    assert_eq!((&own["seats"], &own["labels"]), (&json!(["Parkett-1"]), &json!([label])));
    let late = send(waiting(door.request(Method::POST, &path(&opened, "/holds")).json(&hold), 30)).await;
    assert_eq!(late.problem(), "seat_taken");
    assert_eq!((&late.json()["taken"]["label"], &late.json()["taken"]["seat"]), (&json!(label), &json!("Parkett-1")));
    assert_eq!(late.json()["detail"], format!("{label} is taken"));
    let later = format!("/v1/requests/{}", late.json()["request_id"].as_str().unwrap());
    let later = door.get(&later).await.json();
    assert_eq!(later["problem"]["taken"], late.json()["taken"], "read later, too");
    assert_eq!(later["problem"]["detail"], late.json()["detail"]);
    let free = door.request(Method::POST, &path(&opened, "/holds")).json(&json!({"seats": ["Rang-2"]}));
    let refused = send(waiting(free, 30)).await;
    assert_eq!(refused.problem(), "seat_not_for_sale");
    assert_eq!(refused.json()["detail"], "Rang, row 1, seat 2 is not for sale");

    let gone = door.bare(Method::DELETE, &reservation).header("x-user-id", "bob");
    let gone = send(gone).await;
    assert_eq!(gone.status, 202);
    let request = door.bare(Method::GET, gone.header("location")).header("x-user-id", "bob");
    let request = send(waiting(request, 30)).await.json();
    assert_eq!((&request["result"]["status"], &request["result"]["labels"]), (&json!("CANCELLED"), &json!([label])));
}

#[tokio::test]
async fn f52_a_date_without_a_plan_has_no_labels() {
    let door = Door::open().await;
    door.start_owner();
    let sections = json!([{"name": "A", "seats": 1, "price": 0}]);
    let opened = door.opened(json!({"starts_at": "2999-01-01T00:00:00Z", "sections": sections})).await;
    assert_eq!(door.get(&path(&opened, "/plan")).await.problem(), "plan_not_found");
    let unknown = json!({"id": uuid::Uuid::now_v7().to_string()});
    assert_eq!(door.get(&path(&unknown, "/plan")).await.problem(), "schedule_not_found");
    let seats = door.get(&path(&opened, "/seats")).await.json();
    assert_eq!(seats["seats"][0].get("label"), None);
    let held = door.done("alice", Method::POST, &path(&opened, "/holds"), json!({"seats": ["A-1"]})).await;
    let own = door.get(&format!("/v1/reservations/{}", held["reservation_id"].as_str().unwrap())).await.json();
    assert_eq!(own.get("labels"), None);
}

#[tokio::test]
async fn f52_a_date_that_does_not_fit_its_plan_is_refused_with_a_pointer() {
    let door = Door::open().await;
    let plan = read(HALL.as_bytes(), Some(Format::Csv), "Haus").unwrap().plan;
    let id = uploaded(&door, &plan).await;
    let concert = door.concert().await;
    let prices = json!({"R": 1, "S": 1});
    for (body, pointer) in [
        (date("x", json!({"prices": prices})), "/plan"),
        (date(&"0".repeat(64), json!({"prices": prices})), "/plan"),
        (date(&id, json!({})), "/prices"),
        (date(&id, json!({"prices": {"R": 1}})), "/prices"),
        (date(&id, json!({"prices": {"R": 1, "S": -1}})), "/prices/S"),
        (date(&id, json!({"prices": {"R": 1, "S": 1, "T": 1}})), "/prices"),
        (date(&id, json!({"prices": prices, "blocked": ["nobody"]})), "/blocked/0"),
        (date(&id, json!({"prices": prices, "blocks": {"Nowhere": "north"}})), "/blocks/Nowhere"),
        (date(&id, json!({"prices": prices, "blocks": {"Rang": "a b"}})), "/blocks/Rang"),
        (date(&id, json!({"prices": prices, "sections": [{"name": "A", "seats": 1, "price": 1}]})), "/sections"),
    ] {
        let answer = send(door.date(&concert, body.clone())).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}: {answer:?}");
    }
}
