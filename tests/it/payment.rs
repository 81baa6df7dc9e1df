//! P1 to P8: seats and money together.

use serde_json::{Value, json};

use crate::harness::{Offer, Outcome, System, User, at_once, one_section, refusals, scenarios, successes, text};

scenarios!(
    p1_two_payments_of_one_wallet,
    p2_three_payments_and_money_for_one,
    p3_one_reservation_paid_twice,
    p4_one_reservation_paid_ten_times_with_one_key,
    p5_five_payments,
    p6_declined_then_charged_then_paid,
    p7_a_wrong_amount_moves_nothing,
    p8_a_cancelled_payment_is_given_back,
);

/// Pays these reservations at once.
async fn pay_at_once(user: &User, reservations: &[String]) -> Vec<Outcome> {
    at_once(reservations.len(), |i| {
        let ask = user.pay(&reservations[i]);
        async move { ask.decide().await }
    })
    .await
}

fn statuses(payments: &[Value], status: &str) -> usize {
    payments.iter().filter(|payment| payment["status"] == status).count()
}

async fn p1_two_payments_of_one_wallet(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let user = system.client.user("alice");
    user.start_with(5000).await;
    let reservations = [user.held(&sale, &["A-1"]).await, user.held(&sale, &["A-30"]).await];
    for outcome in pay_at_once(&user, &reservations).await {
        let result = outcome.result();
        assert_eq!((&result["status"], &result["amount"]), (&json!("COMPLETED"), &json!(1000)));
    }
    assert_eq!(user.balance().await, 3000);
    for reservation in &reservations {
        assert_eq!(user.reservation_status(reservation).await, "CONFIRMED");
    }
    sale.shows(&system.client, "SOLD", 2).await;
}

async fn p2_three_payments_and_money_for_one(system: &System) {
    let client = &system.client;
    let sale = Offer { sections: &[("A", 5, 4000), ("B", 5, 2000), ("C", 5, 3500)], ..Offer::default() };
    let sale = sale.open(client).await;
    let user = client.user("alice");
    user.start_with(5000).await;
    let mut reservations = Vec::new();
    for seat in ["A-1", "B-1", "C-1"] {
        reservations.push(user.held(&sale, &[seat]).await);
    }
    let outcomes = pay_at_once(&user, &reservations).await;
    assert_eq!(successes(&outcomes), 1, "{outcomes:?}");
    assert_eq!(refusals(&outcomes, "insufficient_balance"), 2);
    assert!(outcomes.iter().all(|outcome| outcome.succeeded() || outcome.http_status == 402));
    let winner = outcomes.iter().position(Outcome::succeeded).unwrap();
    assert_eq!(user.balance().await, 5000 - [4000, 2000, 3500][winner]);
    let payments = user.payments().await;
    assert_eq!((statuses(&payments, "COMPLETED"), statuses(&payments, "FAILED")), (1, 2), "{payments:?}");
    for (i, reservation) in reservations.iter().enumerate() {
        let expected = if i == winner { "CONFIRMED" } else { "HELD" };
        assert_eq!(user.reservation_status(reservation).await, expected);
    }
}

async fn p3_one_reservation_paid_twice(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let user = system.client.user("alice");
    user.start_with(5000).await;
    let reservation = user.held(&sale, &["A-1"]).await;
    let outcomes = at_once(2, |i| {
        let ask = user.pay(&reservation).key(&format!("try-{i}"));
        async move { ask.decide().await }
    })
    .await;
    assert_eq!(successes(&outcomes), 1);
    let refused = outcomes.iter().find(|outcome| !outcome.succeeded()).unwrap();
    assert!(["payment_in_progress", "already_paid"].contains(&refused.refused()), "{refused:?}");
    assert_eq!(user.balance().await, 4000);
    let again = user.pay(&reservation).decide().await;
    assert_eq!((again.refused(), again.http_status), ("already_paid", 409));
    assert_eq!(user.balance().await, 4000);
}

async fn p4_one_reservation_paid_ten_times_with_one_key(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let user = system.client.user("alice");
    user.start_with(5000).await;
    let reservation = user.held(&sale, &["A-1"]).await;
    let outcomes = at_once(10, |_| {
        let ask = user.pay(&reservation).key("pay-once");
        async move { ask.decide().await }
    })
    .await;
    for outcome in &outcomes {
        assert!(outcome.succeeded(), "{outcome:?}");
        assert_eq!(outcome, &outcomes[0], "ten equal answers");
    }
    assert_eq!(user.balance().await, 4000);
    assert_eq!(user.payments().await.len(), 1);
}

async fn p5_five_payments(system: &System) {
    let sale = Offer { max_seats_per_user: 5, ..Offer::default() }.open(&system.client).await;
    let user = system.client.user("alice");
    user.start_with(10_000).await;
    let mut reservations = Vec::new();
    for number in 1..=5 {
        reservations.push(user.held(&sale, &[&format!("A-{number}")]).await);
    }
    assert_eq!(successes(&pay_at_once(&user, &reservations).await), 5);
    assert_eq!(user.balance().await, 5000);
    assert_eq!(statuses(&user.payments().await, "COMPLETED"), 5);
}

async fn p6_declined_then_charged_then_paid(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let user = system.client.user("alice");
    user.start_with(600).await;
    let reservation = user.held(&sale, &["A-1"]).await;
    let declined = user.pay(&reservation).decide().await;
    assert_eq!((declined.refused(), declined.http_status), ("insufficient_balance", 402));
    assert_eq!(user.reservation_status(&reservation).await, "HELD");
    let payments = user.payments().await;
    assert_eq!(statuses(&payments, "FAILED"), 1, "{payments:?}");
    assert_eq!(user.balance().await, 600);
    user.charge(400).decide().await.result();
    let paid = user.pay(&reservation).decide().await.result();
    assert_eq!((&paid["status"], &paid["balance"]), (&json!("COMPLETED"), &json!(0)));
    assert_eq!(text(&paid, "reservation_id"), reservation);
    let payments = user.payments().await;
    assert_eq!((statuses(&payments, "COMPLETED"), statuses(&payments, "FAILED")), (1, 1));
    assert_eq!(user.reservation_status(&reservation).await, "CONFIRMED");
}

async fn p7_a_wrong_amount_moves_nothing(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let user = system.client.user("alice");
    user.start_with(5000).await;
    let reservation = user.held(&sale, &["A-1"]).await;
    let path = format!("/v1/reservations/{reservation}/payment");
    let refused = user.post(&path, json!({"amount": 999_999_999_999_i64})).decide().await;
    assert_eq!((refused.refused(), refused.http_status), ("amount_mismatch", 422));
    assert_eq!(user.balance().await, 5000);
    assert_eq!(user.reservation_status(&reservation).await, "HELD");
    assert_eq!(user.payments().await.len(), 0);
    user.post(&path, json!({"amount": 1000})).decide().await.result();
    assert_eq!(user.balance().await, 4000);
}

async fn p8_a_cancelled_payment_is_given_back(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let user = system.client.user("alice");
    user.start_with(5000).await;
    let reservation = user.held(&sale, &["A-1", "A-2"]).await;
    assert_eq!(user.pay(&reservation).decide().await.result()["balance"], 3000);
    sale.shows(&system.client, "SOLD", 2).await;
    let cancelled = user.cancel(&reservation).decide().await.result();
    assert_eq!(cancelled["status"], "REFUNDED", "{cancelled}");
    assert_eq!(user.balance().await, 5000);
    assert_eq!(user.reservation_status(&reservation).await, "REFUNDED");
    sale.shows(&system.client, "AVAILABLE", 50).await;
    assert_eq!(statuses(&user.payments().await, "REFUNDED"), 1);
    let kinds: Vec<String> = user.entries().await.iter().rev().map(|entry| text(entry, "kind")).collect();
    assert_eq!(kinds, ["CHARGE", "PAYMENT", "REFUND"]);
    let again = user.cancel(&reservation).decide().await;
    assert_eq!((again.refused(), again.http_status), ("not_cancellable", 409));
    system.client.user("bob").held(&sale, &["A-1", "A-2"]).await;
}
