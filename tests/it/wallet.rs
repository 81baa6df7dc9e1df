//! W1 to W9: one wallet, many hands.

use serde_json::{Value, json};

use crate::harness::{Ask, Outcome, System, User, at_once, scenarios, successes};

scenarios!(
    w1_three_hundred_charges,
    w2_three_hundred_debits,
    w3_three_hundred_charges_with_one_key,
    w4_one_key_counts_once_however_often_it_comes,
    w5_debits_of_different_amounts,
    w6_charges_of_different_amounts,
    w7_charges_and_debits_mixed,
    w8_two_charges,
    w9_amounts_that_are_none,
);

/// `n` commands at once, all of which must succeed, and the balance they must lead to.
async fn all_succeed(user: &User, n: usize, ask: impl Fn(usize) -> Ask, balance: i64) -> Vec<Outcome> {
    let outcomes = at_once(n, |i| {
        let ask = ask(i);
        async move { ask.decide().await }
    })
    .await;
    assert_eq!(successes(&outcomes), n, "{:?}", outcomes.iter().find(|outcome| !outcome.succeeded()));
    assert_eq!(user.balance().await, balance);
    outcomes
}

/// The user's wallet starts with this.
async fn with_balance(system: &System, balance: i64) -> User {
    let user = system.client.user("alice");
    user.start_with(balance).await;
    user
}

async fn w1_three_hundred_charges(system: &System) {
    let user = with_balance(system, 1000).await;
    all_succeed(&user, 300, |i| user.charge(500).key(&format!("charge-{i}")), 151_000).await;
    assert_eq!(user.entries().await.len(), 301);
}

async fn w2_three_hundred_debits(system: &System) {
    let user = with_balance(system, 500_000).await;
    all_succeed(&user, 300, |_| user.debit(1000), 200_000).await;
}

async fn w3_three_hundred_charges_with_one_key(system: &System) {
    let user = with_balance(system, 1000).await;
    let answers = all_succeed(&user, 300, |_| user.charge(500).key("once"), 1500).await;
    for answer in &answers {
        assert_eq!(answer, &answers[0], "all answers are equal");
    }
    assert_eq!(user.entries().await.len(), 2);
    let other_body = user.charge(600).key("once").wait(30).send().await;
    assert_eq!((other_body.status, other_body.code()), (422, "idempotency_key_reused"));
    assert_eq!(user.balance().await, 1500);
}

async fn w4_one_key_counts_once_however_often_it_comes(system: &System) {
    let few = system.client.user("few");
    few.start_with(1000).await;
    all_succeed(&few, 5, |_| few.charge(100).key("k"), 1100).await;
    let many = system.client.user("many");
    many.start_with(1000).await;
    all_succeed(&many, 100, |_| many.charge(100).key("k"), 1100).await;
    // The same key of another user is another key.
    assert_eq!(few.balance().await, 1100);
}

async fn w5_debits_of_different_amounts(system: &System) {
    let user = with_balance(system, 200_000).await;
    all_succeed(&user, 10, |i| user.debit(thousands(i)), 145_000).await;
}

async fn w6_charges_of_different_amounts(system: &System) {
    let user = with_balance(system, 200_000).await;
    all_succeed(&user, 10, |i| user.charge(thousands(i)), 255_000).await;
}

async fn w7_charges_and_debits_mixed(system: &System) {
    let user = with_balance(system, 200_000).await;
    let ask = |i: usize| if (i + 1).is_multiple_of(2) { user.charge(thousands(i)) } else { user.debit(thousands(i)) };
    all_succeed(&user, 10, ask, 205_000).await;
}

async fn w8_two_charges(system: &System) {
    let user = with_balance(system, 1000).await;
    all_succeed(&user, 2, |i| user.charge([200, 300][i]), 1500).await;
}

async fn w9_amounts_that_are_none(system: &System) {
    let user = with_balance(system, 1000).await;
    let amounts: [Value; 5] = [json!(0), json!(-1), json!(1.5), json!("100"), json!(10_000_000_000_000_i64)];
    let bodies: Vec<Value> = amounts.into_iter().map(|amount| json!({"amount": amount})).chain([json!({})]).collect();
    for path in ["/v1/wallet/charges", "/v1/wallet/debits"] {
        for body in &bodies {
            let refused = user.post(path, body.clone()).wait(30).send().await;
            assert_eq!(refused.status, 422, "{path} {body}: {refused:?}");
            assert!(refused.header("content-type").starts_with("application/problem+json"), "{refused:?}");
            assert!(!refused.code().is_empty() && refused.body["title"].is_string(), "a problem: {refused:?}");
        }
    }
    let too_much = user.debit(1001).decide().await;
    assert_eq!((too_much.refused(), too_much.http_status), ("insufficient_balance", 402));
    assert_eq!(user.balance().await, 1000);
    assert_eq!(user.entries().await.len(), 1);
}

/// 1000·(i + 1)
fn thousands(i: usize) -> i64 {
    1000 * (i64::try_from(i).unwrap() + 1)
}
