//! Q1 to Q8: the waiting queue.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Client, Offer, Outcome, Sale, System, User, at_once, scenarios, text, until};

scenarios!(
    q1_ten_join_at_once,
    q2_one_user_joins_ten_times,
    q3_a_thousand_join_a_queue_of_ten,
    q4_a_payment_admits_the_next,
    q5_active_time_ends_by_requeue,
    q5_active_time_ends_by_expiry,
    q6_only_an_active_token_may_hold,
    q7_a_full_queue_refuses,
    q8_those_behind_move_up_when_others_leave,
);

/// Fifty seats behind a queue; what is not given is generous.
async fn queue(client: &Client, limits: Value) -> Sale {
    let mut all = json!({"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 10_000});
    all.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    Offer { queue: Some(all), ..Offer::default() }.open(client).await
}

impl User {
    pub fn join(&self, sale: &Sale) -> Ask {
        self.post(&sale.path("/queue"), json!({}))
    }

    pub fn leave(&self, sale: &Sale) -> Ask {
        self.delete(&sale.path("/queue"))
    }

    pub async fn joined(&self, sale: &Sale) -> Place {
        Place::of(&self.join(sale).decide().await.result())
    }

    pub async fn place(&self, sale: &Sale, token: &str) -> Answer {
        self.request(Method::GET, &sale.path("/queue/position")).header("Queue-Token", token).send().await
    }

    pub async fn until_active(&self, sale: &Sale, token: &str) {
        self.until_streamed(sale, token, "ACTIVE").await;
    }

    /// Follows the stream of the place until the token has this status.
    pub async fn until_streamed(&self, sale: &Sale, token: &str, status: &str) {
        self.until_placed(sale, token, |place| place["status"] == status).await;
    }

    /// Follows the stream of the place until it is like that.
    pub async fn until_placed(&self, sale: &Sale, token: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = self.request(Method::GET, &sale.path("/queue/events")).header("Queue-Token", token);
        let mut events = ask.stream().await;
        let mut received = Vec::new();
        while let Some(chunk) = events.next().await {
            received.extend(chunk.expect("the stream goes on"));
            let text = String::from_utf8_lossy(&received);
            let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
            let places = complete.lines().filter_map(|line| line.strip_prefix("data:"));
            let mut places = places.filter_map(|data| serde_json::from_str::<Value>(data).ok());
            if let Some(place) = places.find(&wanted) {
                return place;
            }
        }
        panic!("the stream of {} ended: {}", self.name, String::from_utf8_lossy(&received));
    }

    /// Polls until the token has this status.
    pub async fn until_token(&self, sale: &Sale, token: &str, status: &str) -> Value {
        until(&format!("the token of {} to be {status}", self.name), async || {
            let answer = self.place(sale, token).await;
            if answer.body["status"] == status { Ok(answer.body) } else { Err(format!("{answer:?}")) }
        })
        .await
    }
}

/// What a join gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub token: String,
    pub position: u64,
    pub status: String,
}

impl Place {
    pub fn of(result: &Value) -> Place {
        let position = result["position"].as_u64().unwrap_or_else(|| panic!("no position in {result}"));
        assert!(result["poll_after_ms"].as_u64().is_some_and(|ms| ms >= 100), "{result}");
        Place { token: text(result, "token"), position, status: text(result, "status") }
    }
}

/// So many users, `user0` on, join at once.
async fn join_at_once(client: &Client, sale: &Sale, users: usize) -> Vec<Outcome> {
    at_once(users, |i| {
        let ask = client.user(format!("user{i}")).join(sale);
        async move { ask.decide().await }
    })
    .await
}

async fn q1_ten_join_at_once(system: &System) {
    let sale = queue(&system.client, json!({})).await;
    let places: Vec<Place> = join_at_once(&system.client, &sale, 10).await.into_iter().map(joined).collect();
    let positions: BTreeSet<u64> = places.iter().map(|place| place.position).collect();
    assert!(positions.into_iter().eq(1..=10), "{places:?}");
    let tokens: BTreeSet<&str> = places.iter().map(|place| place.token.as_str()).collect();
    assert_eq!(tokens.len(), 10);
}

fn joined(outcome: Outcome) -> Place {
    Place::of(&outcome.result())
}

async fn q2_one_user_joins_ten_times(system: &System) {
    let client = &system.client;
    let sale = queue(client, json!({})).await;
    let user = client.user("alice");
    let outcomes = at_once(10, |_| {
        let ask = user.join(&sale);
        async move { ask.decide().await }
    })
    .await;
    let places: Vec<Place> = outcomes.into_iter().map(joined).collect();
    for place in &places {
        assert_eq!((&place.token, place.position), (&places[0].token, 1));
    }
    assert_eq!(client.user("bob").joined(&sale).await.position, 2);
}

async fn q3_a_thousand_join_a_queue_of_ten(system: &System) {
    let client = &system.client;
    let sale = queue(client, json!({"max_active": 10})).await;
    let outcomes = join_at_once(client, &sale, 1000).await;
    let mut places: Vec<(usize, Place)> = outcomes.into_iter().map(joined).enumerate().collect();
    places.sort_by_key(|(_, place)| place.position);
    assert!(places.iter().map(|(_, place)| place.position).eq(1..=1000));
    for (i, place) in &places {
        let user = client.user(format!("user{i}"));
        let expected = if place.position <= 10 { "ACTIVE" } else { "WAITING" };
        let now = user.until_token(&sale, &place.token, expected).await;
        assert_eq!(now["ahead"], place.position.saturating_sub(11), "{now}");
        assert_eq!(now["active_until"].is_string(), expected == "ACTIVE", "{now}");
    }
    let near = places[10].clone();
    let far = places[999].clone();
    let poll = async |(i, place): &(usize, Place)| {
        let answer = client.user(format!("user{i}")).place(&sale, &place.token).await;
        answer.body["poll_after_ms"].as_u64().unwrap_or_else(|| panic!("{answer:?}"))
    };
    assert!(poll(&near).await < poll(&far).await, "who is far back asks less often");
}

/// A user with money who is active.
async fn active(client: &Client, sale: &Sale, name: &str) -> (User, String) {
    let user = client.user(name);
    user.start_with(10_000).await;
    let place = user.joined(sale).await;
    user.until_active(sale, &place.token).await;
    (user, place.token)
}

async fn q4_a_payment_admits_the_next(system: &System) {
    let client = &system.client;
    let sale = queue(client, json!({"max_active": 1})).await;
    let (first, token) = active(client, &sale, "first").await;
    let second = client.user("second");
    let place = second.joined(&sale).await;
    assert_eq!(place.status, "WAITING");
    let held = first.hold(&sale, &["A-1"]).header("Queue-Token", &token).decide().await.result();
    first.pay(&text(&held, "reservation_id")).decide().await.result();
    let paid = Instant::now();
    second.until_token(&sale, &place.token, "ACTIVE").await;
    println!("{:?}: the next was active {:?} after the payment", system.pair, paid.elapsed());
    assert!(paid.elapsed() < Duration::from_secs(1), "within a second, not {:?}", paid.elapsed());
    first.until_token(&sale, &token, "COMPLETED").await;
    let again = first.hold(&sale, &["A-2"]).header("Queue-Token", &token).wait(30).send().await;
    assert_eq!((again.status, again.code()), (403, "not_admitted"));
    second.hold(&sale, &["A-2"]).header("Queue-Token", &place.token).decide().await.result();
}

async fn q5_active_time_ends_by_requeue(system: &System) {
    let client = &system.client;
    let sale = queue(client, json!({"max_active": 1, "active_ttl_seconds": 2, "on_timeout": "requeue"})).await;
    let (first, token) = active(client, &sale, "first").await;
    let (second, third) = (client.user("second"), client.user("third"));
    let (second_place, third_place) = (second.joined(&sale).await, third.joined(&sale).await);
    second.until_token(&sale, &second_place.token, "ACTIVE").await;
    let now = first.place(&sale, &token).await;
    assert_eq!(now.body["status"], "WAITING", "at the tail: {now:?}");
    assert_eq!(now.body["ahead"], 1, "the third is before it: {now:?}");
    third.until_token(&sale, &third_place.token, "ACTIVE").await;
    first.until_token(&sale, &token, "ACTIVE").await;
}

async fn q5_active_time_ends_by_expiry(system: &System) {
    let client = &system.client;
    let sale = queue(client, json!({"max_active": 1, "active_ttl_seconds": 2, "on_timeout": "expire"})).await;
    let (first, token) = active(client, &sale, "first").await;
    let second = client.user("second");
    let place = second.joined(&sale).await;
    second.until_token(&sale, &place.token, "ACTIVE").await;
    first.until_token(&sale, &token, "EXPIRED").await;
    let late = first.hold(&sale, &["A-1"]).header("Queue-Token", &token).wait(30).send().await;
    assert_eq!((late.status, late.code()), (403, "not_admitted"));
}

async fn q6_only_an_active_token_may_hold(system: &System) {
    let client = &system.client;
    let sale = queue(client, json!({"max_active": 1})).await;
    let other = queue(client, json!({"max_active": 1})).await;
    let (first, token) = active(client, &sale, "first").await;
    let second = client.user("second");
    let waiting = second.joined(&sale).await.token;
    let elsewhere = second.joined(&other).await.token;
    second.until_token(&other, &elsewhere, "ACTIVE").await;
    let mut forged = token.clone();
    let last = forged.pop().expect("a token is not empty");
    forged.push(if last == 'A' { 'B' } else { 'A' });
    let mut wrong: Vec<(&User, Option<&str>)> = vec![
        (&first, None),
        (&second, Some(&waiting)),
        (&second, Some(&elsewhere)),
        (&first, Some(&forged)),
        (&first, Some("nonsense")),
        // Another one's active token.
        (&second, Some(&token)),
    ];
    let shifted = token.to_ascii_uppercase();
    wrong.push((&first, Some(&shifted)));
    for (user, token) in wrong {
        let ask = user.hold(&sale, &["A-1"]).wait(30);
        let ask = if let Some(token) = token { ask.header("Queue-Token", token) } else { ask };
        let answer = ask.send().await;
        assert_eq!((answer.status, answer.code()), (403, "not_admitted"), "{} with {token:?}: {answer:?}", user.name);
    }
    sale.shows(client, "AVAILABLE", 50).await;
    first.hold(&sale, &["A-1"]).header("Queue-Token", &token).decide().await.result();
}

async fn q7_a_full_queue_refuses(system: &System) {
    let client = &system.client;
    let sale = queue(client, json!({"max_active": 10, "max_waiting": 100})).await;
    let outcomes = join_at_once(client, &sale, 150).await;
    let full: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.succeeded()).collect();
    assert_eq!(full.len(), 40, "110 are in");
    assert!(full.iter().all(|outcome| outcome.refused() == "queue_full" && outcome.http_status == 409));
    let inside = outcomes.iter().position(Outcome::succeeded).unwrap();
    client.user(format!("user{inside}")).leave(&sale).decide().await.result();
    client.user("late").joined(&sale).await;
}

async fn q8_those_behind_move_up_when_others_leave(system: &System) {
    let client = &system.client;
    let sale = queue(client, json!({"max_active": 1})).await;
    let mut places = Vec::new();
    for outcome in join_at_once(client, &sale, 200).await {
        places.push(joined(outcome));
    }
    let ahead = async |i: usize| {
        let answer = client.user(format!("user{i}")).place(&sale, &places[i].token).await;
        answer.body["ahead"].as_u64().unwrap_or_else(|| panic!("{answer:?}"))
    };
    let leaving: Vec<usize> = (0..200).filter(|i| (100..150).contains(&places[*i].position)).collect();
    let gone = at_once(leaving.len(), |n| {
        let ask = client.user(format!("user{}", leaving[n])).leave(&sale);
        async move { ask.decide().await }
    })
    .await;
    assert!(gone.iter().all(Outcome::succeeded));
    for (i, place) in places.iter().enumerate().filter(|(i, _)| !leaving.contains(i)) {
        let expected = match place.position {
            position if position < 100 => position.saturating_sub(2),
            position => position - 2 - 50,
        };
        until(&format!("{expected} ahead of position {}", place.position), async || {
            let ahead = ahead(i).await;
            if ahead == expected { Ok(()) } else { Err(format!("{ahead} ahead")) }
        })
        .await;
    }
    let left = client.user(format!("user{}", leaving[0]));
    left.until_token(&sale, &places[leaving[0]].token, "LEFT").await;
}
