//! What a page asks after it was away.

use super::catalog::path;
use super::*;

async fn me(door: &Door, user: &str, date: &Value) -> Value {
    let answer = send(door.bare(Method::GET, &path(date, "/me")).header("x-user-id", user)).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
    answer.json()
}

fn date(queue: Value) -> Value {
    json!({
        "starts_at": "2999-01-01T00:00:00Z",
        "queue": queue,
        "sections": [{"name": "A", "seats": 9, "price": 0}, {"name": "B", "seats": 9, "price": 0, "block": "north"}],
    })
}

#[tokio::test]
async fn f35_me_has_all_reservations_of_the_date_and_counts_their_seats() {
    let door = Door::open().await;
    door.start_owner();
    let (opened, other) = (door.opened(date(json!(null))).await, door.opened(date(json!(null))).await);
    let hold = async |date: &Value, seats: Value| {
        let held = door.done("alice", Method::POST, &path(date, "/holds"), json!({"seats": seats})).await;
        held["reservation_id"].as_str().unwrap().to_owned()
    };
    let paid = hold(&opened, json!(["A-1", "A-2"])).await;
    door.done("alice", Method::POST, &format!("/v1/reservations/{paid}/payment"), json!({})).await;
    let ended = hold(&opened, json!(["A-3"])).await;
    door.done("alice", Method::DELETE, &format!("/v1/reservations/{ended}"), json!({})).await;
    let held = hold(&opened, json!(["B-1"])).await;
    hold(&other, json!(["A-1"])).await;

    let found = me(&door, "alice", &opened).await;
    assert_eq!(found["seats"], json!({"held": 1, "paying": 0, "confirmed": 2}));
    assert_eq!(found["queue"], Value::Null, "the date has none");
    let listed = found["reservations"].as_array().unwrap();
    let mut statuses: Vec<_> =
        listed.iter().map(|row| (row["reservation_id"].clone(), row["status"].clone())).collect();
    let mut expected = [(paid, "CONFIRMED"), (ended, "CANCELLED"), (held.clone(), "HELD")]
        .map(|(id, status)| (json!(id), json!(status)));
    statuses.sort_by_key(|row| row.0.to_string());
    expected.sort_by_key(|row| row.0.to_string());
    assert_eq!(statuses, expected);
    let one = door.get(&format!("/v1/reservations/{held}")).await.json();
    assert!(listed.contains(&one), "as it is by itself: {one}");
    assert!(listed.is_sorted_by_key(|row| std::cmp::Reverse(row["reservation_id"].as_str())), "newest first");

    let nothing = me(&door, "bob", &opened).await;
    assert_eq!((&nothing["reservations"], &nothing["seats"]["held"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn f35_me_has_the_place_in_the_queue_with_its_token() {
    let door = Door::open().await;
    door.start_owner();
    let opened = door.opened(date(json!({"max_active": 1, "active_ttl_seconds": 300, "max_waiting": 9}))).await;
    assert_eq!(me(&door, "alice", &opened).await["queue"], Value::Null, "who never joined has no place");
    let joined = door.done("alice", Method::POST, &path(&opened, "/queue"), json!({})).await;
    door.done("bob", Method::POST, &path(&opened, "/queue"), json!({})).await;
    let place = me(&door, "alice", &opened).await["queue"].clone();
    assert_eq!((&place["status"], &place["position"]), (&json!("ACTIVE"), &json!(1)));
    assert_eq!(place["token"], joined["token"], "the same token on whatever device");
    let waits = me(&door, "bob", &opened).await["queue"].clone();
    assert_eq!((&waits["status"], &waits["position"], &waits["ahead"]), (&json!("WAITING"), &json!(2), &json!(0)));
    let hold = door.bare(Method::POST, &path(&opened, "/holds")).header("x-user-id", "alice");
    let hold = hold.header("queue-token", place["token"].as_str().unwrap()).json(&json!({"seats": ["A-1"]}));
    assert_eq!(send(waiting(hold, 30)).await.status, 200);
}

#[tokio::test]
async fn f35_me_of_an_unknown_date_is_not_found_and_has_a_rate() {
    let door = Door::with(Settings { user_burst: 3, user_per_second: 1, ..Settings::default() }).await;
    let unknown = json!({"id": uuid::Uuid::now_v7().to_string()});
    let ask = async || door.get(&path(&unknown, "/me")).await;
    assert_eq!(ask().await.problem(), "schedule_not_found");
    let mut last = ask().await;
    for _ in 0..10 {
        last = ask().await;
    }
    assert_eq!((last.status, last.problem().as_str()), (429, "rate_limited"));
    assert_eq!(send(door.bare(Method::GET, &path(&unknown, "/me"))).await.status, 401);
}

#[tokio::test]
async fn f35_the_time_is_the_servers_and_needs_no_login() {
    let door = Door::open().await;
    let before = Clock::System.now();
    let answer = send(door.bare(Method::GET, "/v1/time")).await;
    let after = Clock::System.now();
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let now = crate::wire::time::parse_rfc3339(answer.json()["now"].as_str().unwrap()).unwrap();
    assert!((before..=after).contains(&now), "{answer:?}");
}
