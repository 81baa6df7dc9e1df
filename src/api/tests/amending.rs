//! Amending a date and cancelling its show, with the real owner behind the log.

use super::catalog::path;
use super::*;
use crate::domain::block::{Command, Reply};
use crate::domain::{Body, Verdict};

fn two_blocks() -> Value {
    json!({
        "starts_at": "2999-01-01T00:00:00Z",
        "sales_open_at": "2998-01-01T00:00:00Z",
        "sections": [
            {"name": "A", "seats": 3, "price": 1000},
            {"name": "B", "seats": 2, "block": "north", "categories": [{"name": "R", "price": 900}, {"name": "S", "price": 500}],
                "category_runs": [[1, 1, 0], [2, 1, 1]]},
        ],
    })
}

async fn amend(door: &Door, key: &str, date: &Value, body: Value) -> Answer {
    let ask = door.bare(Method::PATCH, &path(date, "")).header("x-user-id", "admin").json(&body);
    send(waiting(keyed(ask, key), 30)).await
}

async fn cancel(door: &Door, key: &str, date: &Value) -> Answer {
    let ask = door.bare(Method::DELETE, &path(date, "")).header("x-user-id", "admin");
    send(waiting(keyed(ask, key), 30)).await
}

#[tokio::test]
async fn f54_every_block_of_a_date_is_amended_and_shows_it() {
    let door = Door::open().await;
    door.start_owner();
    let date = door.opened(two_blocks()).await;
    let hold = json!({"seats": ["A-1"]});
    let early = door.bare(Method::POST, &path(&date, "/holds")).header("x-user-id", "alice").json(&hold);
    assert_eq!(send(waiting(early, 30)).await.problem(), "sales_closed");
    let body = json!({
        "starts_at": "2999-06-01T00:00:00Z", "sales_open_at": null, "sales_close_at": "2999-05-01T00:00:00Z",
        "sections": [{"name": "A", "prices": {"A": 1200}, "layout": {"seats": 5, "runs": [[1, 3], [4, 2]], "price": 1000}},
            {"name": "B", "not_for_sale": [[2, 1]], "prices": {"S": 0}}],
        "new_sections": [{"name": "C", "seats": 4, "price": 300, "block": "north"}],
    });
    let answer = amend(&door, "k1", &date, body.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let amended = answer.json();
    let times =
        |block: &Value| (block["starts_at"].clone(), block["sales_open_at"].clone(), block["sales_close_at"].clone());
    let expected = (json!("2999-06-01T00:00:00.000Z"), Value::Null, json!("2999-05-01T00:00:00.000Z"));
    assert_eq!(times(&amended), expected);
    let blocks: Vec<_> = amended["blocks"].as_array().unwrap().iter().map(|b| (b["name"].clone(), times(b))).collect();
    assert_eq!(blocks, [(json!("main"), expected.clone()), (json!("north"), expected)]);
    let section = |at: usize| {
        let section = &amended["sections"][at];
        [&section["name"], &section["seats"], &section["price"], &section["available_seats"]].map(Clone::clone)
    };
    assert_eq!(section(0), [json!("A"), json!(5), json!(1200), json!(5)]);
    assert_eq!(section(1), [json!("B"), json!(2), json!(0), json!(1)]);
    assert_eq!(section(2), [json!("C"), json!(4), json!(300), json!(4)]);
    assert_eq!((&amended["cancelled_at"], &amended["refunds"]), (&Value::Null, &Value::Null));
    assert_eq!(door.get(&path(&date, "")).await.json(), amended);

    assert_eq!(door.done("alice", Method::POST, &path(&date, "/holds"), hold).await["amount"], 1200);
    let again = amend(&door, "k1", &date, body).await;
    assert_eq!((again.status, again.json()["sections"][0]["available_seats"].clone()), (200, json!(4)));
    let other = amend(&door, "k1", &date, json!({"sales_open_at": null})).await;
    assert_eq!((other.status, other.problem().as_str()), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn f54_dates_are_listed_by_their_start_as_amended() {
    let door = Door::open().await;
    door.start_owner();
    let concert = door.concert().await;
    let mut ids = Vec::new();
    for year in [2990, 2991] {
        let body = json!({"starts_at": format!("{year}-01-01T00:00:00Z"), "sections": [{"name": "A", "seats": 1, "price": 0}]});
        let answer = send(waiting(door.date(&concert, body), 30)).await;
        ids.push(answer.json()["id"].clone());
    }
    let listed = async || {
        let list = door.get(&format!("/v1/concerts/{concert}/schedules")).await.json();
        list["schedules"].as_array().unwrap().iter().map(|date| date["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, ids);
    let first = json!({"id": ids[0]});
    assert_eq!(amend(&door, "later", &first, json!({"starts_at": "2992-01-01T00:00:00Z"})).await.status, 200);
    ids.reverse();
    assert_eq!(listed().await, ids);
}

#[tokio::test]
async fn f54_what_cannot_be_amended_is_refused_and_says_why() {
    let door = Door::open().await;
    door.start_owner();
    let date = door.opened(two_blocks()).await;
    let unknown = json!({"id": uuid::Uuid::now_v7().to_string()});
    let price = |section: &str| json!({"sections": [{"name": section, "prices": {"R": 1}}]});
    let refused = async |key: &str, date: &Value, body: Value| {
        let answer = amend(&door, key, date, body).await;
        (answer.status, answer.problem(), answer.json()["pointer"].clone())
    };
    let pointer = json!("/sections/0/name");
    assert_eq!(refused("a", &date, price("Z")).await, (404, "section_not_found".into(), pointer));
    assert_eq!(refused("b", &unknown, price("A")).await, (404, "schedule_not_found".into(), Value::Null));
    assert_eq!(refused("c", &date, price("A")).await, (409, "block_conflict".into(), json!("")));
    let fewer = json!({"sections": [{"name": "A", "layout": {"seats": 2, "price": 1000}}]});
    assert_eq!(refused("d", &date, fewer).await.1, "block_conflict");
    assert_eq!(refused("e", &date, json!({"starts_at": "2020-01-01T00:00:00Z"})).await.1, "block_conflict");
    let elsewhere = json!({"new_sections": [{"name": "C", "seats": 1, "price": 1, "block": "south"}]});
    assert_eq!(refused("f", &date, elsewhere).await.1, "invalid_fields");

    let ask = |user: &str| door.bare(Method::PATCH, &path(&date, "")).header("x-user-id", user).json(&price("A"));
    assert_eq!(send(keyed(ask("alice"), "g")).await.problem(), "forbidden");
    let keyless = send(ask("admin")).await;
    assert_eq!((keyless.status, keyless.problem().as_str()), (400, "invalid_request"));
    let keyless = send(door.bare(Method::DELETE, &path(&date, "")).header("x-user-id", "admin")).await;
    assert_eq!((keyless.status, keyless.problem().as_str()), (400, "invalid_request"));
    let mut fresh = door.get(&path(&date, "")).await.json();
    fresh["created_at"] = date["created_at"].clone();
    assert_eq!(fresh, date, "nothing has changed");
}

#[tokio::test]
async fn f54_a_cancelled_show_says_so_and_how_far_paying_back_has_come() {
    let door = Door::open().await;
    door.start_owner();
    let mut body = two_blocks();
    body.as_object_mut().unwrap().remove("sales_open_at");
    let date = door.opened(body).await;
    door.done("alice", Method::POST, "/v1/wallet/charges", json!({"amount": 5000})).await;
    for seat in ["A-1", "B-1"] {
        let held = door.done("alice", Method::POST, &path(&date, "/holds"), json!({"seats": [seat]})).await;
        let pay = format!("/v1/reservations/{}/payment", held["reservation_id"].as_str().unwrap());
        door.done("alice", Method::POST, &pay, json!({})).await;
    }
    door.done("bob", Method::POST, &path(&date, "/holds"), json!({"seats": ["A-2"]})).await;
    let cancelled = cancel(&door, "off", &date).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert!(cancelled.json()["cancelled_at"].is_string(), "{cancelled:?}");
    let at = cancelled.json()["cancelled_at"].clone();
    let refunds = loop {
        let refunds = door.get(&path(&date, "")).await.json()["refunds"].clone();
        if refunds["complete"] == true {
            break refunds;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refunds, json!({"due": 2, "done": 2, "complete": true}));
    assert_eq!(door.get("/v1/wallet").await.json()["balance"], 5000);
    let again = cancel(&door, "off", &date).await;
    assert_eq!((again.status, &again.json()["cancelled_at"]), (200, &at));
    let twice = cancel(&door, "off again", &date).await;
    assert_eq!((twice.status, &twice.json()["cancelled_at"]), (200, &at), "it is canceled: nothing to refuse");
    let late = amend(&door, "late", &date, json!({"sales_close_at": null})).await;
    assert_eq!(late.status, 200, "what changes nothing succeeds");
    let late = amend(&door, "later", &date, json!({"sales_close_at": "2998-05-01T00:00:00Z"})).await;
    assert_eq!((late.status, late.problem().as_str()), (410, "show_cancelled"));
    let listed =
        door.get(&format!("/v1/concerts/{}/schedules?available=true", date["concert_id"].as_str().unwrap())).await;
    assert_eq!(listed.json()["schedules"], json!([]));
}

#[tokio::test]
async fn f54_a_cancellation_left_half_done_is_finished_by_a_repeat_with_its_key() {
    let door = Door::open().await;
    let id = door.put_date(false, &[("main", &["A"]), ("north", &["B"])]).await;
    let ask = |seconds| {
        let ask = door.bare(Method::DELETE, &format!("/v1/schedules/{id}")).header("x-user-id", "admin");
        send(waiting(keyed(ask, "off"), seconds))
    };
    let undecided = ask(1).await;
    assert_eq!((undecided.status, undecided.problem().as_str()), (503, "outcome_unknown"));
    door.worker.rules(|command, _| {
        let Body::Seats(Command::AmendBlock(amend)) = &command.body else { panic!("{command:?}") };
        assert!(amend.cancelled && amend.user_id.as_str() == "admin");
        let key = amend.key.clone();
        Verdict::Decided(Ok(Reply::BlockAmended { key, sections: 1, seats: 50, cancelled: true }.into()))
    });
    door.worker.start();
    assert_eq!(ask(30).await.status, 200);
    assert_eq!(ask(30).await.status, 200);
    assert_eq!(door.worker.applied.load(std::sync::atomic::Ordering::SeqCst), 2, "once a block");
}
