//! Tickets: who gets them, who checks them, and what a stranger makes of them.

use std::io::Write;
use std::process::{Command, Stdio};

use super::catalog::path;
use super::*;
use crate::api::settings::TicketSeeds;

async fn sold(door: &Door) -> (Value, String) {
    let sections = json!([{"name": "A, links", "seats": 9, "price": 0}]);
    let date = door.opened(json!({"starts_at": "2999-01-01T00:00:00Z", "sections": sections})).await;
    let seats = json!({"seats": ["A, links-1", "A, links-2"]});
    let held = door.done("alice", Method::POST, &path(&date, "/holds"), seats).await;
    (date, format!("/v1/reservations/{}", held["reservation_id"].as_str().unwrap()))
}

async fn pay(door: &Door, reservation: &str) {
    door.done("alice", Method::POST, &format!("{reservation}/payment"), json!({})).await;
}

async fn codes(door: &Door, reservation: &str) -> Vec<String> {
    let list = door.get(&format!("{reservation}/tickets")).await.json();
    list["tickets"].as_array().unwrap().iter().map(|ticket| ticket["code"].as_str().unwrap().to_owned()).collect()
}

async fn scan(door: &Door, code: &str) -> Answer {
    let ask = door.bare(Method::POST, "/v1/tickets/check").header("x-user-id", "gate-1").header("x-user-roles", "door");
    send(waiting(ask.json(&json!({"code": code})), 30)).await
}

#[tokio::test]
async fn a_sold_seat_has_a_ticket_that_is_admitted_once() {
    let door = Door::open().await;
    door.start_owner();
    let (date, reservation) = sold(&door).await;
    let list = door.get(&format!("{reservation}/tickets")).await.json();
    assert_eq!((&list["status"], &list["tickets"]), (&json!("HELD"), &json!([])), "not yet sold");
    pay(&door, &reservation).await;
    let list = door.get(&format!("{reservation}/tickets")).await.json();
    assert_eq!((&list["status"], &list["schedule_id"]), (&json!("CONFIRMED"), &date["id"]));
    let codes = codes(&door, &reservation).await;
    assert_eq!(codes.len(), 2);
    let admitted = scan(&door, &codes[0]).await;
    assert_eq!((admitted.status, &admitted.json()["result"]["seat"]), (200, &json!("A, links-1")), "{admitted:?}");
    let again = scan(&door, &format!(" {} ", codes[0])).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "ticket_used"));
    assert_eq!(again.json()["used"]["at"], admitted.json()["result"]["admitted_at"]);
    assert_eq!(scan(&door, &codes[1]).await.status, 200, "the other seat has its own");
    let cancel = send(waiting(door.request(Method::DELETE, &reservation), 30)).await;
    assert_eq!(cancel.problem(), "not_cancellable");
}

#[tokio::test]
async fn what_was_given_back_or_not_signed_is_no_ticket() {
    let door = Door::open().await;
    door.start_owner();
    let (_, reservation) = sold(&door).await;
    pay(&door, &reservation).await;
    let codes = codes(&door, &reservation).await;
    door.done("alice", Method::DELETE, &reservation, json!({})).await;
    for code in [codes[0].as_str(), &codes[0][..codes[0].len() - 2], "TS1.AAAA", "x"] {
        let answer = scan(&door, code).await;
        assert_eq!((answer.status, answer.problem().as_str()), (409, "ticket_invalid"), "{code}");
    }
    assert_eq!(scan(&door, "").await.problem(), "invalid_fields");
    for roles in ["", "box_office", "cashier"] {
        let ask = door.bare(Method::POST, "/v1/tickets/check").header("x-user-id", "bob").header("x-user-roles", roles);
        assert_eq!(send(ask.json(&json!({"code": codes[0]}))).await.problem(), "forbidden", "{roles}");
    }
    let others = door.bare(Method::GET, &format!("{reservation}/tickets")).header("x-user-id", "bob");
    assert_eq!(send(others).await.problem(), "reservation_not_found");
}

/// The program in docs/tickets.md, word for word, with the key set of a server whose key was rotated.
#[tokio::test]
async fn a_stranger_checks_a_ticket_without_the_server() {
    let document = include_str!("../../../docs/tickets.md");
    let program = document.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let python = |arguments: &[&str], input: &str| {
        let mut child = Command::new("python3")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let _ = child.stdin.take()?.write_all(input.as_bytes());
        let output = child.wait_with_output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    if python(&["-c", "import cryptography"], "").is_none() {
        let required = std::env::var_os("TURNSTILE_TEST_REQUIRE_SERVICES").is_some();
        assert!(!required, "python3 with cryptography is missing");
        return;
    }
    let seeds = TicketSeeds { signing: [9; 32], former: vec![[8; 32]] };
    let door = Door::with(Settings { ticket_seeds: Some(seeds), ..Settings::default() }).await;
    door.start_owner();
    let (date, reservation) = sold(&door).await;
    pay(&door, &reservation).await;
    let code = codes(&door, &reservation).await.remove(1);
    let keys = send(door.bare(Method::GET, "/v1/tickets/keys")).await;
    assert_eq!((keys.status, keys.json()["keys"].as_array().map(Vec::len)), (200, Some(2)));
    let read: Value = serde_json::from_str(&python(&["-c", program, &code], &keys.text).unwrap()).unwrap();
    assert_eq!((&read["schedule_id"], &read["seat"]), (&date["id"], &json!("A, links-2")));
    assert!(reservation.ends_with(read["reservation_id"].as_str().unwrap()), "{read}");
    let mut forged = code.clone().into_bytes();
    forged[60] = if forged[60] == b'A' { b'B' } else { b'A' };
    assert_eq!(python(&["-c", program, std::str::from_utf8(&forged).unwrap()], &keys.text), None);
    let others = json!({"keys": [keys.json()["keys"][1]]}).to_string();
    assert_eq!(python(&["-c", program, &code], &others), None, "a key that did not sign");
}
