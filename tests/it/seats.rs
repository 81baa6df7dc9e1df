//! S1 to S8: many users, few seats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::harness::{Offer, Outcome, Place, System, at_once, one_section, refusals, scenarios, successes, text};

scenarios!(
    s1_one_seat_a_thousand_users,
    s2_one_seat_of_a_hundred_ten_users,
    s3_one_seat_fifty_users_with_latency,
    s4_overlapping_groups_are_all_or_nothing,
    s5_best_available_gives_pairs_of_neighbours,
    s6_a_hold_that_runs_out_frees_its_seat,
    s7_expiry_against_payment_has_one_winner,
    s8_only_the_holder_pays_or_cancels,
);

async fn s1_one_seat_a_thousand_users(system: &System) {
    let sale = one_section(&system.client, 1).await;
    let outcomes = one_seat_at_once(system, &sale, 1000).await;
    let winner = one_winner(&outcomes);
    let first = outcomes[winner].position();
    for loser in outcomes.iter().filter(|outcome| !outcome.succeeded()) {
        assert_eq!(Place::of(&loser.taken["position"]), first, "who was first, in {loser:?}");
        assert!(first.offset < loser.position().offset, "the winner arrived before {loser:?}");
        assert_eq!((first.partition, loser.http_status), (loser.position().partition, 409));
        assert_eq!(loser.taken["seat"], "A-1", "{loser:?}");
    }
    let user = system.client.user(format!("user{winner}"));
    let mine = user.reservations().await;
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0]["seats"], serde_json::json!(["A-1"]));
    sale.shows(&system.client, "HELD", 1).await;
}

async fn s2_one_seat_of_a_hundred_ten_users(system: &System) {
    let sale = one_section(&system.client, 100).await;
    one_winner(&one_seat_at_once(system, &sale, 10).await);
    sale.shows(&system.client, "HELD", 1).await;
    sale.shows(&system.client, "AVAILABLE", 99).await;
}

async fn s3_one_seat_fifty_users_with_latency(system: &System) {
    let sale = one_section(&system.client, 1).await;
    let client = system.client.clone();
    let timed = at_once(50, |i| {
        let ask = client.user(format!("user{i}")).hold(&sale, &["A-1"]);
        async move {
            let began = Instant::now();
            (ask.decide().await, began.elapsed())
        }
    })
    .await;
    let (outcomes, mut latencies): (Vec<Outcome>, Vec<Duration>) = timed.into_iter().unzip();
    one_winner(&outcomes);
    latencies.sort();
    println!("{:?}: 50 users, one seat: p95 {:?}, p99 {:?}", system.pair, latencies[47], latencies[49]);
}

async fn s4_overlapping_groups_are_all_or_nothing(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let client = system.client.clone();
    let wanted = |i: usize| -> Vec<String> {
        let size = 2 + i % 3;
        let first = 1 + (i * 7) % (51 - size);
        (first..first + size).map(|number| format!("A-{number}")).collect()
    };
    let outcomes = at_once(200, |i| {
        let seats = wanted(i);
        let seats: Vec<&str> = seats.iter().map(String::as_str).collect();
        let ask = client.user(format!("user{i}")).hold(&sale, &seats);
        async move { ask.decide().await }
    })
    .await;
    let mut taken = BTreeSet::new();
    for (i, outcome) in outcomes.iter().enumerate() {
        match &outcome.code {
            None => {
                let seats = seats_of(&outcome.result);
                assert_eq!(seats, wanted(i), "a hold is complete");
                assert_eq!(outcome.result["amount"], 1000 * seats.len());
                for seat in seats {
                    assert!(taken.insert(seat.clone()), "{seat} was given twice");
                }
            }
            Some(code) => assert_eq!(code, "seat_taken", "{outcome:?}"),
        }
    }
    // Every refusal was for a reason: its group meets a seat that is gone.
    for (i, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| !outcome.succeeded()) {
        assert!(wanted(i).iter().any(|seat| taken.contains(seat)), "refused without need: {outcome:?}");
        let seat = text(&outcome.taken, "seat");
        assert!(wanted(i).contains(&seat), "the taken seat {seat} is one that was asked for");
    }
    sale.shows(&client, "HELD", taken.len()).await;
}

async fn s5_best_available_gives_pairs_of_neighbours(system: &System) {
    let sale = one_section(&system.client, 50).await;
    let client = system.client.clone();
    let outcomes = at_once(30, |i| {
        let ask = client.user(format!("user{i}")).hold_best(&sale, "A", 2);
        async move { ask.decide().await }
    })
    .await;
    assert_eq!(successes(&outcomes), 25);
    assert_eq!(refusals(&outcomes, "not_enough_adjacent_seats"), 5);
    let mut taken = BTreeSet::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.succeeded()) {
        let numbers: Vec<u32> = seats_of(&outcome.result).iter().map(|seat| seat[2..].parse().unwrap()).collect();
        assert_eq!(numbers[1], numbers[0] + 1, "neighbours: {outcome:?}");
        assert_eq!(numbers.len(), 2);
        taken.extend(numbers);
    }
    assert_eq!(taken.len(), 50);
    sale.shows(&client, "AVAILABLE", 0).await;
}

async fn s6_a_hold_that_runs_out_frees_its_seat(system: &System) {
    let client = &system.client;
    let sale = Offer { sections: &[("A", 1, 1000)], hold_ttl_seconds: 2, ..Offer::default() }.open(client).await;
    let (first, second) = (client.user("first"), client.user("second"));
    first.start_with(1000).await;
    let reservation = first.held(&sale, &["A-1"]).await;
    assert_eq!(first.reservation_status(&reservation).await, "HELD");
    first.until_reservation(&reservation, "EXPIRED").await;
    sale.shows(client, "AVAILABLE", 1).await;
    second.held(&sale, &["A-1"]).await;
    let late = first.pay(&reservation).decide().await;
    assert_eq!((late.refused(), late.http_status), ("hold_expired", 409));
    assert_eq!(first.balance().await, 1000);
}

async fn s7_expiry_against_payment_has_one_winner(system: &System) {
    const TIMES: usize = 500;
    const WAVE: usize = 50;
    let client = system.client.clone();
    let seats = u32::try_from(TIMES).unwrap();
    let sale = Offer { sections: &[("A", seats, 1000)], hold_ttl_seconds: 1, ..Offer::default() }.open(&client).await;
    let mut ends = BTreeMap::new();
    for wave in 0..TIMES / WAVE {
        let results = at_once(WAVE, |i| {
            let number = wave * WAVE + i;
            let user = client.user(format!("user{number}"));
            let sale = sale.clone();
            async move {
                user.start_with(1000).await;
                let seat = format!("A-{}", number + 1);
                let held = user.hold(&sale, &[&seat]).decide().await.result();
                // From 120 ms before the limit to 75 ms after it.
                let jitter = time::Duration::milliseconds(4 * i64::try_from(i).unwrap() - 120);
                let limit = OffsetDateTime::parse(&text(&held, "expires_at"), &Rfc3339).unwrap() + jitter;
                let left = limit - OffsetDateTime::now_utc();
                tokio::time::sleep(left.try_into().unwrap_or_default()).await;
                let reservation = text(&held, "reservation_id");
                let paid = user.pay(&reservation).decide().await;
                (number, user, reservation, text(&held, "expires_at"), paid)
            }
        })
        .await;
        for (number, user, reservation, expires_at, paid) in results {
            let in_time = paid.succeeded();
            if in_time {
                assert_eq!(user.reservation_status(&reservation).await, "CONFIRMED");
                let payment = &user.payments().await[0];
                assert!(text(payment, "created_at") < expires_at, "taken after its time: {payment} {expires_at}");
            } else {
                assert_eq!(paid.refused(), "hold_expired");
                assert!(text(&paid.decided, "at") >= expires_at, "refused before its time: {paid:?} {expires_at}");
                user.until_reservation(&reservation, "EXPIRED").await;
            }
            assert_eq!(user.balance().await, if in_time { 0 } else { 1000 });
            ends.insert(format!("A-{}", number + 1), in_time);
        }
    }
    let confirmed = ends.values().filter(|in_time| **in_time).count();
    sale.shows(&client, "SOLD", confirmed).await;
    sale.shows(&client, "AVAILABLE", TIMES - confirmed).await;
    for seat in sale.seats(&client).await {
        let expected = if ends[&text(&seat, "seat")] { "SOLD" } else { "AVAILABLE" };
        assert_eq!(seat["status"], expected, "{seat}");
    }
    println!("{:?}: {confirmed} of {TIMES} payments were in time", system.pair);
    assert!(confirmed > 0 && confirmed < TIMES, "the jitter must lie around the limit, {confirmed} were in time");
}

async fn s8_only_the_holder_pays_or_cancels(system: &System) {
    let client = &system.client;
    let sale = one_section(client, 10).await;
    let (holder, other) = (client.user("holder"), client.user("other"));
    holder.start_with(5000).await;
    other.start_with(5000).await;
    let reservation = holder.held(&sale, &["A-1"]).await;
    for asked in [other.pay(&reservation), other.cancel(&reservation)] {
        let refused = asked.wait(30).send().await;
        assert_eq!(refused.status, 404, "others' things do not exist: {refused:?}");
        assert_eq!(refused.code(), "reservation_not_found");
    }
    assert_eq!(other.get(&format!("/v1/reservations/{reservation}")).await.status, 404);
    assert_eq!(holder.reservation_status(&reservation).await, "HELD");
    assert_eq!((holder.balance().await, other.balance().await), (5000, 5000));
    sale.shows(client, "HELD", 1).await;
    holder.pay(&reservation).decide().await.result();
    for asked in [other.pay(&reservation), other.cancel(&reservation)] {
        assert_eq!(asked.wait(30).send().await.status, 404);
    }
    assert_eq!(holder.reservation_status(&reservation).await, "CONFIRMED");
    sale.shows(client, "SOLD", 1).await;
}

/// So many users, `user0` on, ask for seat A-1 at once.
async fn one_seat_at_once(system: &System, sale: &crate::harness::Sale, users: usize) -> Vec<Outcome> {
    let client = system.client.clone();
    at_once(users, |i| {
        let ask = client.user(format!("user{i}")).hold(sale, &["A-1"]);
        async move { ask.decide().await }
    })
    .await
}

/// Exactly one has the seat, the others were told that it is taken; the winner's index.
fn one_winner(outcomes: &[Outcome]) -> usize {
    assert_eq!(successes(outcomes), 1);
    assert_eq!(refusals(outcomes, "seat_taken"), outcomes.len() - 1);
    outcomes.iter().position(Outcome::succeeded).unwrap()
}

fn seats_of(hold: &Value) -> Vec<String> {
    let seats = hold["seats"].as_array().unwrap_or_else(|| panic!("no seats in {hold}"));
    seats.iter().map(|seat| seat.as_str().unwrap().to_owned()).collect()
}
