//! P9, P11, P12, P13: money asked for again, shows that are cancelled, and seats that cost nothing. What has no way over
//! HTTP comes from another service on the topics.

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};
use turnstile::domain::Lane;

use crate::blocks::{Beside, four_seats, nothing_was_refused_by_the_log, reservations};
use crate::harness::producer::Producer;
use crate::harness::{Offer, Sale, System, User, at_once, one_section, refusals, scenarios, successes, text};

scenarios!(
    f54_a_date_is_amended_while_it_sells,
    p9_a_declined_payment_stays_declined_when_it_is_asked_for_again,
    p11_a_cancelled_date_pays_everybody_back,
    p11_payments_beside_the_cancellation_end_one_way_or_the_other,
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

/// By the organizer; the date as canceled.
async fn cancel_show(system: &System, sale: &Sale) -> Value {
    let answer = system.client.admin().delete(&sale.path("")).key("the show is off").wait(30).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body["cancelled_at"].is_string(), "{answer:?}");
    answer.body
}

/// Waits until everybody has the money back: how many reservations were paid back.
async fn paid_back(system: &System, sale: &Sale) -> u64 {
    crate::harness::until("the refunds to be done", async || {
        let date = system.client.admin().read(&sale.path("")).await;
        let refunds = &date["refunds"];
        let done = refunds["done"].as_u64().filter(|_| refunds["complete"] == true);
        done.ok_or_else(|| refunds.to_string())
    })
    .await
}

async fn f54_a_date_is_amended_while_it_sells(system: &System) {
    let north = json!({"name": "B", "seats": 10, "price": 500, "block": "north"});
    let layouts = vec![json!({"name": "A", "seats": 10, "price": 1000}), north];
    let sale = Offer { layouts, ..Offer::default() }.open(&system.client).await;
    let user = system.client.user("alice");
    let before = user.hold(&sale, &["A-1"]).decide().await.result();
    let (starts_at, closes_at) = (crate::harness::in_seconds(90_000), crate::harness::in_seconds(80_000));
    let body = json!({
        "starts_at": starts_at, "sales_close_at": closes_at,
        "sections": [{"name": "A", "prices": {"A": 1500}, "layout": {"seats": 12, "runs": [[1, 10], [11, 2]], "price": 1000}},
            {"name": "B", "not_for_sale": [[1, 10]]}],
        "new_sections": [{"name": "C", "seats": 5, "price": 0, "block": "north"}],
    });
    let admin = system.client.admin();
    let amend = async |body: &Value| {
        admin.request(reqwest::Method::PATCH, &sale.path("")).json(body.clone()).key("k").wait(30).send().await
    };
    let amended = amend(&body).await;
    assert_eq!(amended.status, 200, "{amended:?}");
    assert_eq!(amended.body["total_seats"], 27);
    for block in amended.body["blocks"].as_array().expect("blocks") {
        assert_eq!(
            (&block["starts_at"], &block["sales_close_at"]),
            (&amended.body["starts_at"], &amended.body["sales_close_at"])
        );
    }
    assert_eq!(user.hold(&sale, &["A-11"]).decide().await.result()["amount"], 1500);
    assert_eq!(user.reservation(&text(&before, "reservation_id")).await["amount"], 1000, "fixed when it was held");
    assert_eq!(user.hold(&sale, &["B-1"]).decide().await.refused(), "seat_not_for_sale");
    assert_eq!(user.hold(&sale, &["C-5"]).decide().await.result()["amount"], 0);
    sale.shows(&system.client, "NOT_FOR_SALE", 10).await;
    system.kill();
    system.start().await;
    let again = amend(&body).await;
    assert_eq!((again.status, &again.body["total_seats"]), (200, &json!(27)), "a repeat changes nothing");
    assert_eq!(amend(&json!({"sales_close_at": null})).await.code(), "idempotency_key_reused");
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

async fn p11_payments_beside_the_cancellation_end_one_way_or_the_other(system: &System) {
    let sale = Offer { sections: &[("A", 100, 1000)], ..Offer::default() }.open(&system.client).await;
    let sold = held_and_paid(system, &sale, 0, 20, 20).await;
    let paying = held_and_paid(system, &sale, 20, 40, 0).await;
    let payments = {
        let asks: Vec<_> = paying.iter().map(|(user, reservation)| user.pay(reservation)).collect();
        tokio::spawn(futures_util::future::join_all(asks.into_iter().map(crate::harness::Ask::decide)))
    };
    cancel_show(system, &sale).await;
    let outcomes = payments.await.expect("the payments");
    assert_eq!(successes(&outcomes) + refusals(&outcomes, "show_cancelled"), paying.len(), "{outcomes:?}");
    let refunds = paid_back(system, &sale).await;
    let through = successes(&outcomes) as u64;
    assert!((20 + through..=60).contains(&refunds), "{refunds} were paid back, {through} payments went through");
    for (user, _) in sold.iter().chain(&paying) {
        assert_eq!(user.balance().await, 1000, "{} has the money back", user.name);
    }
    sale.shows(&system.client, "AVAILABLE", 100).await;
}

async fn p12_a_cancelled_date_of_many_reservations_goes_in_small_records(system: &System) {
    const PRICE: i64 = 10;
    // Of each user, who may have 100 seats.
    const EACH: usize = 25;
    let (client, many) = (&system.client, reservations(500));
    let offer = Offer { sections: &[("A", 4 * many as u32, PRICE)], max_seats_per_user: 100, ..Offer::default() };
    let sale = offer.open(client).await;
    let users: Vec<User> = (0..many.div_ceil(EACH)).map(|n| client.user(format!("user{n}"))).collect();
    iter(&users).for_each_concurrent(50, |user| user.start_with(1000)).await;
    let buy = async |number: usize| {
        let (user, seats) = (&users[number / EACH], four_seats(number));
        let held = user.held(&sale, &seats.each_ref().map(String::as_str)).await;
        user.pay(&held).decide().await.result();
        held
    };
    let bought: Vec<String> = iter(0..many).map(buy).buffered(250).collect().await;
    sale.shows(client, "SOLD", 4 * many).await;

    let beside = Beside::of(client, &sale).await;
    cancel_show(system, &sale).await;
    let admin = client.admin();
    let refunds = async || admin.read(&sale.path("")).await["refunds"].clone();
    let longest = beside.sell_until("all refunds", async || refunds().await["complete"] == true).await;
    println!("{:?}: {many} reservations paid back, another block's hold took {longest:?} at most", system.pair);
    let refunds = refunds().await;
    assert_eq!((&refunds["due"], &refunds["done"]), (&json!(many), &json!(many)), "{refunds}");
    for user in &users {
        assert_eq!(user.balance().await, 1000, "{} has the money back", user.name);
    }
    for (number, reservation) in bought.iter().enumerate().step_by(many / 10) {
        assert_eq!(users[number / EACH].reservation_status(reservation).await, "REFUNDED");
    }
    sale.shows(client, "AVAILABLE", 4 * many).await;
    nothing_was_refused_by_the_log(system).await;
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
    assert_eq!(cancelled["status"], "REFUNDED", "of nothing, at once");
    sale.shows(&system.client, "AVAILABLE", 10).await;
}
