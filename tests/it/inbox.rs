//! What services that are not trusted with money may do through the inbox, and what they may not.

use serde_json::{Value, json};
use turnstile::domain::Lane;
use turnstile::store::{DeadLetterView, Page};

use crate::foreign::kcat;
use crate::harness::producer::{Producer, new_id};
use crate::harness::{Sale, System, User, one_section, scenarios, text, until};

scenarios!(f41_the_inbox_forwards_what_a_client_may_send_and_keeps_the_rest);

fn command(kind: &str, user: &User, fields: Value) -> (String, Value) {
    let id = new_id();
    let mut command = json!({"type": kind, "version": 1, "request_id": id, "user_id": user.name});
    command.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    (id, command)
}

/// Under any key: on the real pair with kcat's own partitioner.
async fn send(system: &System, commands: &[(String, Value)]) {
    if system.services.is_some() {
        let lines: String = commands.iter().map(|(id, command)| format!("any-{id}|{command}\n")).collect();
        return kcat(system, "inbox", &lines);
    }
    system.stop().await;
    let mut producer = Producer::open(system).await;
    for (number, (_, command)) in commands.iter().enumerate() {
        let value = Some(command.to_string().into_bytes());
        let partition = u32::try_from(number % 2).expect("few");
        assert!(producer.append(Lane::Inbox, partition, Some("any"), value).await, "{command}");
    }
    producer.close().await;
    system.start().await;
}

/// The dead letters of the inbox, once there are so many.
async fn letters(system: &System, count: usize) -> Vec<DeadLetterView> {
    until("the inbox's dead letters", async || {
        let letters = system.open_store().await.dead_letters(Page { after: None, limit: 100 }).await;
        let letters = letters.map_err(|error| error.to_string())?;
        let of_inbox: Vec<_> = letters.into_iter().filter(|view| view.letter.position.lane() == Lane::Inbox).collect();
        if of_inbox.len() >= count { Ok(of_inbox) } else { Err(format!("{} so far", of_inbox.len())) }
    })
    .await
}

async fn f41_the_inbox_forwards_what_a_client_may_send_and_keeps_the_rest(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let user = system.client.user("alice");
    user.start_with(5_000).await;
    let of_sale = |fields: Value| {
        let mut all = json!({"schedule_id": sale.schedule});
        all.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        all
    };
    let hold = command("hold_seats", &user, of_sale(json!({"seats": ["A-1"], "note": "of a later version"})));
    // Twice: a repeat is the lane's business.
    send(system, &[hold.clone(), hold.clone()]).await;
    let held = user.decided_later(&hold.0).await.result();
    let reservation = text(&held, "reservation_id");
    let pay = command("pay_reservation", &user, of_sale(json!({"reservation_id": reservation, "amount": 1_000})));
    send(system, std::slice::from_ref(&pay)).await;
    assert_eq!(user.decided_later(&pay.0).await.result()["balance"], 4_000);
    let cancel = command("cancel_reservation", &user, of_sale(json!({"reservation_id": reservation})));
    send(system, std::slice::from_ref(&cancel)).await;
    assert_eq!(user.decided_later(&cancel.0).await.result()["status"], "REFUNDED");
    assert_eq!((user.balance().await, user.reservations().await.len()), (5_000, 1));
    refuses(system, &user, &sale).await;

    let path = format!("/v1/requests/{}?position=inbox.0.0", hold.0);
    assert_eq!(user.get(&path).await.status, 200, "whatever the position, what is decided is known");
    for (position, status) in [("inbox.0.0", 404), ("inbox.0.999999", 404), ("inbox.9.0", 422)] {
        let answer = user.get(&format!("/v1/requests/{}?position={position}", new_id())).await;
        assert!(answer.status == status || (status == 422 && answer.status == 400), "{position}: {answer:?}");
    }
}

async fn refuses(system: &System, user: &User, sale: &Sale) {
    let hold = |fields: Value| {
        let (id, mut command) = command("hold_seats", user, fields);
        (command["schedule_id"], command["seats"]) = (json!(sale.schedule), json!(["A-2"]));
        (id, command)
    };
    let bad = [
        (command("charge_wallet", user, json!({"amount": 1_000})), "charge_wallet is not taken from the inbox"),
        (command("debit_wallet", user, json!({"amount": 1})), "debit_wallet is not taken from the inbox"),
        (hold(json!({"admitted": true})), "field admitted"),
        (hold(json!({"by": "clerk"})), "field by"),
        (hold(json!({"origin": {}})), "field origin"),
        (hold(json!({"payment_id": new_id()})), "field payment_id"),
        (command("dance", user, json!({})), "unknown type"),
    ];
    let commands: Vec<_> = bad.iter().map(|(command, _)| command.clone()).collect();
    send(system, &commands).await;
    let letters = letters(system, bad.len()).await;
    assert_eq!(letters.len(), bad.len());
    for ((id, _), reason) in &bad {
        let found = letters.iter().find(|view| {
            view.letter.value.as_ref().is_some_and(|value| String::from_utf8_lossy(value).contains(id.as_str()))
        });
        let found = found.unwrap_or_else(|| panic!("no dead letter for {reason}"));
        assert!(found.letter.reason.contains(reason), "{}", found.letter.reason);
        assert_eq!(user.get(&format!("/v1/requests/{id}")).await.status, 404, "it became no request");
    }
    assert_eq!((user.balance().await, user.reservations().await.len()), (5_000, 1), "nothing was done");
}
