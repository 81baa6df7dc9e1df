//! The box office: staff acts for customers.

use super::catalog::path;
use super::*;

fn by(door: &Door, who: &str, roles: &str, method: Method, path: &str) -> RequestBuilder {
    door.bare(method, path).header("x-user-id", who).header("x-user-roles", roles)
}

/// With a queue, and not yet on sale.
async fn date(door: &Door) -> Value {
    door.opened(json!({
        "starts_at": "2999-01-01T00:00:00Z", "sales_open_at": "2998-01-01T00:00:00Z", "max_seats_per_user": 2,
        "sections": [{"name": "A", "seats": 9, "price": 1000}],
        "queue": {"max_active": 1, "active_ttl_seconds": 300, "max_waiting": 9},
    }))
    .await
}

#[tokio::test]
async fn f55_staff_holds_pays_and_cancels_for_a_customer_past_the_queue() {
    let door = Door::open().await;
    door.start_owner();
    let date = date(&door).await;
    let staff = |method, path: &str| by(&door, "kim", "box_office", method, path);
    let decided = async |ask: RequestBuilder| {
        let answer = send(waiting(ask, 30)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"].clone()
    };
    door.done("alice", Method::POST, "/v1/wallet/charges", json!({"amount": 5000})).await;
    let hold = staff(Method::POST, &path(&date, "/holds")).json(&json!({"seats": ["A-1"], "user_id": "alice"}));
    let held = decided(hold).await;
    let reservation = format!("/v1/reservations/{}", held["reservation_id"].as_str().unwrap());
    let own = door.get(&reservation).await.json();
    assert_eq!((&own["status"], &own["by"]), (&json!("HELD"), &json!("kim")));
    let listed = send(staff(Method::GET, "/v1/reservations?user_id=alice")).await.json();
    assert_eq!(listed["reservations"], json!([own]));
    let customers = format!("{reservation}?user_id=alice");
    assert_eq!(send(staff(Method::GET, &customers)).await.json(), own);
    assert_eq!(send(staff(Method::GET, &reservation)).await.problem(), "reservation_not_found", "it is not kim's");

    let pay = staff(Method::POST, &format!("{reservation}/payment")).json(&json!({"user_id": "alice"}));
    assert_eq!(decided(pay).await["balance"], 4000, "from the customer's wallet");
    let tickets = send(staff(Method::GET, &format!("{reservation}/tickets?user_id=alice"))).await.json();
    assert_eq!(tickets["tickets"].as_array().map(Vec::len), Some(1), "{tickets}");
    assert_eq!(decided(staff(Method::DELETE, &customers)).await["status"], "REFUNDED");

    let more =
        |seats: Value| staff(Method::POST, &path(&date, "/holds")).json(&json!({"seats": seats, "user_id": "alice"}));
    let refused = send(waiting(more(json!(["A-1", "A-2", "A-3"])), 30)).await;
    assert_eq!(refused.problem(), "ticket_limit_exceeded");
}

#[tokio::test]
async fn f55_nobody_else_acts_for_another_and_staff_waits_for_itself() {
    let door = Door::open().await;
    door.start_owner();
    let date = date(&door).await;
    let hold =
        |who: &str, roles: &str, body: Value| by(&door, who, roles, Method::POST, &path(&date, "/holds")).json(&body);
    let for_alice = json!({"seats": ["A-1"], "user_id": "alice"});
    for roles in ["", "cashier", "door"] {
        assert_eq!(send(hold("kim", roles, for_alice.clone())).await.problem(), "forbidden", "{roles}");
    }
    let own = send(waiting(hold("kim", "box_office", json!({"seats": ["A-1"]})), 30)).await;
    assert_eq!(own.problem(), "not_admitted", "a clerk is a customer like any other");
    let own = send(waiting(hold("alice", "", for_alice), 30)).await;
    assert_eq!(own.problem(), "not_admitted", "to name oneself is no other user");
    let admin = send(waiting(hold("admin", "", json!({"seats": ["A-1"], "user_id": "alice"})), 30)).await;
    assert_eq!(admin.status, 200, "{admin:?}");
    for (method, path) in [
        (Method::GET, "/v1/reservations?user_id=alice".to_owned()),
        (Method::GET, format!("/v1/reservations/{}?user_id=alice", uuid::Uuid::nil())),
        (Method::GET, format!("/v1/reservations/{}/tickets?user_id=alice", uuid::Uuid::nil())),
        (Method::DELETE, format!("/v1/reservations/{}?user_id=alice", uuid::Uuid::nil())),
    ] {
        assert_eq!(send(by(&door, "bob", "", method, &path)).await.problem(), "forbidden", "{path}");
    }
    let pay = by(&door, "bob", "", Method::POST, &format!("/v1/reservations/{}/payment", uuid::Uuid::nil()));
    assert_eq!(send(pay.json(&json!({"user_id": "alice"}))).await.problem(), "forbidden");
    let wrong = by(&door, "kim", "box_office", Method::GET, "/v1/reservations?user_id=");
    assert_eq!(send(wrong).await.problem(), "invalid_request");
}
