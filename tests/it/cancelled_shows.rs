//! P9, P11, P12, P13: money asked for again, shows that are cancelled, and seats that cost nothing. What has no way over
//! HTTP comes from another service on the topics.

use serde_json::{Value, json};
use turnstile::domain::Lane;

use crate::harness::producer::Producer;
use crate::harness::{Offer, Sale, System, User, at_once, one_section, refusals, scenarios, successes, text};

scenarios!(
    p9_a_declined_payment_stays_declined_when_it_is_asked_for_again,
    p11_a_cancelled_date_pays_everybody_back,
    p12_a_cancelled_date_of_many_reservations_goes_in_small_records,
    p13_what_costs_nothing_needs_no_wallet,
);

/// What another service appends while no process runs: lane, routing key, command. Gives the request ids in order.
async fn appended(system: &System, commands: &[(Lane, String, Value)]) -> Vec<String> {
    system.stop().await;
    let mut producer = Producer::open(system).await;
    let mut requests = Vec::new();
    for (lane, key, command) in commands {
        requests.push(producer.command(*lane, key, command.clone()).await);
    }
    producer.close().await;
    system.start().await;
    requests
}

fn block_of(sale: &Sale) -> String {
    format!("{}/main", sale.schedule)
}

fn cancelling(sale: &Sale) -> (Lane, String, Value) {
    let command = json!({"type": "amend_block", "user_id": "admin", "schedule_id": sale.schedule, "block": "main",
        "cancelled": true});
    (Lane::Seats, block_of(sale), command)
}

async fn p9_a_declined_payment_stays_declined_when_it_is_asked_for_again(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let user = system.client.user("alice");
    user.start_with(600).await;
    let reservation = user.held(&sale, &["A-1"]).await;
    assert_eq!(user.pay(&reservation).decide().await.refused(), "insufficient_balance");
    let payment = text(&user.payments().await[0], "payment_id");
    user.charge(400).decide().await.result();
    let again = json!({"type": "ask_payment", "what": "debit", "user_id": "alice", "amount": 1000,
        "origin": {"schedule_id": sale.schedule, "block": "main", "reservation_id": reservation, "payment_id": payment}});
    appended(system, &[(Lane::Wallets, "alice".to_owned(), again)]).await;
    // Behind the repeat on the same lane: it has been decided by then.
    assert_eq!(user.charge(1).decide().await.result()["balance"], 1001);
    assert_eq!(user.reservation_status(&reservation).await, "HELD");
    assert_eq!(user.payments().await[0]["status"], "FAILED");
    assert_eq!(user.pay(&reservation).decide().await.result()["balance"], 1, "a later payment works");
    assert_eq!(user.reservation_status(&reservation).await, "CONFIRMED");
}

/// So many users with 1000 each hold one seat each, from this number on; the first `paying` of them pay.
async fn held_and_paid(system: &System, sale: &Sale, from: usize, count: usize, paying: usize) -> Vec<(User, String)> {
    at_once(count, |i| {
        let user = system.client.user(format!("user{}", from + i));
        let sale = sale.clone();
        async move {
            user.start_with(1000).await;
            let reservation = user.held(&sale, &[&format!("A-{}", from + i + 1)]).await;
            if i < paying {
                user.pay(&reservation).decide().await.result();
            }
            (user, reservation)
        }
    })
    .await
}

async fn p11_a_cancelled_date_pays_everybody_back(system: &System) {
    let sale = Offer { sections: &[("A", 400, 1000)], ..Offer::default() }.open(&system.client).await;
    let mut people = Vec::new();
    for wave in 0..6 {
        people.extend(held_and_paid(system, &sale, wave * 50, 50, 50).await);
    }
    let held = held_and_paid(system, &sale, 300, 20, 0).await;
    let paying = held_and_paid(system, &sale, 320, 10, 0).await;
    // The ten payments lie right before the cancellation: their money is under way when the show is cancelled.
    let pay = |(user, reservation): &(User, String)| {
        let command = json!({"type": "pay_reservation", "user_id": user.name, "schedule_id": sale.schedule,
            "block": "main", "reservation_id": reservation});
        (Lane::Seats, block_of(&sale), command)
    };
    let mut commands: Vec<_> = paying.iter().map(pay).collect();
    commands.push(cancelling(&sale));
    let requests = appended(system, &commands).await;
    for ((user, _), request) in paying.iter().zip(&requests) {
        let refused = user.decided_later(request).await;
        assert_eq!(refused.refused(), "show_cancelled");
    }
    for (user, reservation) in &people {
        user.until_reservation(reservation, "REFUNDED").await;
    }
    for (user, reservation) in &held {
        user.until_reservation(reservation, "CANCELLED").await;
    }
    for (user, reservation) in people.iter().chain(&paying) {
        crate::harness::until(&format!("{} to have the money back", user.name), async || match user.balance().await {
            1000 => Ok(()),
            balance => Err(format!("{balance}, {}", user.reservation(reservation).await)),
        })
        .await;
        let refunds = user.entries().await.iter().filter(|entry| entry["kind"] == "REFUND").count();
        assert!(refunds <= 1, "paid back once");
    }
    let late = at_once(5, |i| {
        let ask = system.client.user(format!("late{i}")).hold(&sale, &[&format!("A-{}", 390 + i)]);
        async move { ask.decide().await }
    })
    .await;
    assert_eq!((successes(&late), refusals(&late, "show_cancelled")), (0, 5));
    let again = people[0].0.cancel(&people[0].1).decide().await;
    assert_eq!(again.refused(), "not_cancellable");
}

async fn p12_a_cancelled_date_of_many_reservations_goes_in_small_records(system: &System) {
    const RESERVATIONS: usize = 1200;
    let sale = Offer { sections: &[("A", 2000, 0)], ..Offer::default() }.open(&system.client).await;
    let holds: Vec<_> = (0..RESERVATIONS)
        .map(|i| {
            let command = json!({"type": "hold_seats", "user_id": format!("user{i}"), "schedule_id": sale.schedule,
                "block": "main", "seats": [format!("A-{}", i + 1)]});
            (Lane::Seats, block_of(&sale), command)
        })
        .collect();
    let requests = appended(system, &holds).await;
    let last = system.client.user(format!("user{}", RESERVATIONS - 1));
    let reservation = text(&last.decided_later(&requests[RESERVATIONS - 1]).await.result(), "reservation_id");
    let cancelled = appended(system, &[cancelling(&sale)]).await;
    system.client.admin().decided_later(&cancelled[0]).await.result();
    last.until_reservation(&reservation, "CANCELLED").await;
    sale.shows(&system.client, "AVAILABLE", 2000).await;
    for i in (0..RESERVATIONS).step_by(100) {
        let user = system.client.user(format!("user{i}"));
        assert_eq!(text(&user.reservations().await[0], "status"), "CANCELLED", "in order of reservations");
    }
}

async fn p13_what_costs_nothing_needs_no_wallet(system: &System) {
    let sale = Offer { sections: &[("A", 10, 0)], ..Offer::default() }.open(&system.client).await;
    let user = system.client.user("alice");
    let held = user.hold(&sale, &["A-1", "A-2"]).decide().await.result();
    assert_eq!(held["amount"], 0);
    let reservation = text(&held, "reservation_id");
    let paid = user.pay(&reservation).decide().await;
    assert!(paid.succeeded(), "{paid:?}");
    assert_eq!(user.reservation_status(&reservation).await, "CONFIRMED");
    assert_eq!(user.payments().await.len(), 0);
    assert_eq!(user.get("/v1/wallet").await.body["balance"], 0);
    sale.shows(&system.client, "SOLD", 2).await;
    let cancelled = user.cancel(&reservation).decide().await.result();
    assert_eq!(cancelled["status"], "CANCELLED", "nothing to pay back");
    sale.shows(&system.client, "AVAILABLE", 10).await;
}
