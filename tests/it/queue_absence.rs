//! Q10 to Q15: the lobby, the end of the sale, and users who are away for a while.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Offer, Sale, System, User, at_once, in_seconds, scenarios, text, until};
use crate::queue::Place;

scenarios!(
    q10_the_lobby_opens_into_full_turns,
    q11_the_silent_are_passed_over_and_come_back_first,
    q12_an_outage_of_the_program_costs_no_place,
    q13_a_hundred_queues_through_one_process,
    q14_sold_out_and_all_held,
    q15_the_absent_make_room,
);

/// Shortest that the API sets.
pub const ABANDON_AFTER: Duration = Duration::from_secs(12);

fn limits(further: Value) -> Value {
    let mut limits = json!({"max_active": 1, "active_ttl_seconds": 300, "max_waiting": 10_000,
        "abandon_after_seconds": ABANDON_AFTER.as_secs(), "claim_after_seconds": 12});
    limits.as_object_mut().expect("an object").extend(further.as_object().expect("an object").clone());
    limits
}

pub async fn sale_of(client: &Client, seats: u32, queue: Value, further: Value) -> Sale {
    Offer { sections: &[("A", seats, 1000)], queue: Some(limits(queue)), further, ..Offer::default() }
        .open(client)
        .await
}

/// A user with a place.
pub struct Guest {
    pub user: User,
    pub place: Place,
}

impl Guest {
    pub async fn poll(&self, sale: &Sale) -> Answer {
        self.user.place(sale, &self.place.token).await
    }

    async fn until(&self, sale: &Sale, status: &str) -> Value {
        self.user.until_token(sale, &self.place.token, status).await
    }

    /// Polls when told for so long; whoever does so is neither absent nor at another position.
    async fn polls(&self, sale: &Sale, how_long: Duration) {
        let until = Instant::now() + how_long;
        while Instant::now() < until {
            let answer = self.poll(sale).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_ne!(answer.body["status"], "ABSENT", "{answer:?}");
            assert_eq!(answer.body["position"], self.place.position, "{answer:?}");
            let wait = answer.body["poll_after_ms"].as_u64().expect("a number");
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    }
}

/// So many users join one after another.
pub async fn joined(client: &Client, sale: &Sale, names: impl IntoIterator<Item = String>) -> Vec<Guest> {
    let mut guests = Vec::new();
    for name in names {
        let user = client.user(name);
        let place = user.joined(sale).await;
        guests.push(Guest { user, place });
    }
    guests
}

fn named(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}{i}")).collect()
}

/// So many users join at once; in order of their places.
pub async fn crowd(client: &Client, sale: &Sale, prefix: &str, count: usize) -> Vec<Guest> {
    let mut guests = at_once(count, |i| {
        let user = client.user(format!("{prefix}{i}"));
        let join = user.join(sale);
        async move { Guest { place: Place::of(&join.decide().await.result()), user } }
    })
    .await;
    guests.sort_by_key(|guest| guest.place.position);
    guests
}

async fn all_poll(sale: &Sale, guests: &[Guest], how_long: Duration) {
    join_all(guests.iter().map(|guest| guest.polls(sale, how_long))).await;
}

async fn q10_the_lobby_opens_into_full_turns(system: &System) {
    let client = &system.client;
    let (queue, opens_at) = (json!({"max_active": 5, "active_ttl_seconds": 60}), in_seconds(12));
    let sale = sale_of(client, 50, queue, json!({"sales_open_at": opens_at})).await;
    let guests = joined(client, &sale, named("guest", 20)).await;
    for guest in &guests {
        let place = guest.poll(&sale).await.body;
        assert_eq!((&place["status"], &place["sale"]), (&json!("WAITING"), &json!("lobby")), "{place}");
        assert_eq!(place["opens_at"].as_str().map(|at| &at[..19]), Some(&opens_at[..19]));
        assert_eq!((place["ahead"].as_u64(), &place["left"]), (Some(guest.place.position - 1), &json!({"A": 50})));
    }
    for guest in &guests[..5] {
        let place = guest.until(&sale, "ACTIVE").await;
        let left = moment(&place, "active_until") - time::OffsetDateTime::now_utc();
        assert!(left > time::Duration::seconds(50), "a full turn, not {left}");
        let hold = guest.user.hold_best(&sale, "A", 1).header("Queue-Token", &guest.place.token);
        hold.decide().await.result();
    }
    assert_eq!(guests[5].poll(&sale).await.body["status"], "WAITING");
}

async fn q11_the_silent_are_passed_over_and_come_back_first(system: &System) {
    const WAIT: u64 = 1_000;
    const UNCLAIMED: u64 = 5;
    const SILENT: u64 = 100;
    let client = &system.client;
    // Turns are claimed later than those behind are found to be away.
    let sale = sale_of(client, 50, json!({"max_active": 1 + UNCLAIMED, "claim_after_seconds": 20}), json!({})).await;
    let first = joined(client, &sale, named("first", 1)).await.remove(0);
    let mut silent = joined(client, &sale, named("unclaimed", UNCLAIMED as usize)).await;
    let mut present = crowd(client, &sale, "guest", WAIT as usize).await;
    silent.extend(present.drain(..(SILENT - UNCLAIMED) as usize));
    let last = present.last().expect("many").place.position;
    assert_eq!(last, 1 + UNCLAIMED + WAIT);
    let while_away = Duration::from_secs(20) + ABANDON_AFTER;
    tokio::join!(first.polls(&sale, while_away), all_poll(&sale, &present, while_away));
    for (guest, position) in present.iter().zip(2 + SILENT..).take(UNCLAIMED as usize) {
        let next = guest.until(&sale, "ACTIVE").await;
        assert_eq!(next["position"], position, "the turns that nobody claimed went to the first who are there: {next}");
    }
    let ahead = present.len() as u64 - UNCLAIMED - 1;
    let until_ahead = async |wanted: u64| {
        until("all to be counted", async || {
            let ahead = present[present.len() - 1].poll(&sale).await.body["ahead"].as_u64();
            if ahead == Some(wanted) { Ok(()) } else { Err(format!("{ahead:?}, not {wanted}")) }
        })
        .await;
    };
    until_ahead(ahead).await;
    // They are back: reported within a second, before all others, with their old positions.
    let all_back = silent.iter().map(|guest| async {
        let back = guest.until(&sale, "WAITING").await;
        assert_eq!(back["position"], guest.place.position, "{back}");
    });
    tokio::join!(join_all(all_back), all_poll(&sale, &present, Duration::from_secs(2)));
    until_ahead(ahead + SILENT).await;
    first.user.leave(&sale).decide().await.result();
    silent[0].until(&sale, "ACTIVE").await;
}

async fn q12_an_outage_of_the_program_costs_no_place(system: &System) {
    let client = &system.client;
    let sale = sale_of(client, 50, json!({"active_ttl_seconds": 30}), json!({})).await;
    let guests = joined(client, &sale, named("guest", 30)).await;
    all_poll(&sale, &guests, Duration::from_secs(5)).await;
    system.stop().await;
    // Longer than anybody may be unseen, longer than the turn.
    tokio::time::sleep(3 * ABANDON_AFTER).await;
    system.start().await;
    let late = joined(client, &sale, named("late", 1)).await;
    for guest in &guests[1..] {
        let place = guest.poll(&sale).await.body;
        assert_eq!(place["position"], guest.place.position, "{place}");
        assert_ne!(place["status"], "ABSENT", "{place}");
    }
    let first = guests[0].poll(&sale).await.body;
    assert_eq!(first["position"], 1, "the turn is over, the place is kept: {first}");
    tokio::join!(all_poll(&sale, &guests[2..], ABANDON_AFTER), late[0].polls(&sale, ABANDON_AFTER), async {
        guests[0].until(&sale, "WAITING").await;
        guests[1].until(&sale, "ACTIVE").await;
        guests[1].user.leave(&sale).decide().await.result();
        guests[0].until(&sale, "ACTIVE").await;
    });
    let last = late[0].poll(&sale).await.body;
    assert_eq!(
        (&last["status"], last["ahead"].as_u64()),
        (&json!("WAITING"), Some(28)),
        "nobody is after those: {last}"
    );
}

async fn q13_a_hundred_queues_through_one_process(system: &System) {
    const QUEUES: usize = 100;
    let client = &system.client;
    let mut polling = tokio::task::JoinSet::new();
    for number in 0..QUEUES {
        let sale = sale_of(client, 1, json!({}), json!({})).await;
        let guests = joined(client, &sale, (0..3).map(|i| format!("q{number}-{i}"))).await;
        polling.spawn(async move { all_poll(&sale, &guests[1..], 2 * ABANDON_AFTER).await });
    }
    while let Some(ended) = polling.join_next().await {
        ended.expect("nobody who polls is absent");
    }
}

/// Holds and pays for the seat.
async fn buys(guest: &Guest, sale: &Sale, seat: &str) -> String {
    guest.until(sale, "ACTIVE").await;
    let held = guest.user.hold(sale, &[seat]).header("Queue-Token", &guest.place.token).decide().await.result();
    let id = text(&held, "reservation_id");
    guest.user.pay(&id).decide().await.result();
    id
}

async fn q14_sold_out_and_all_held(system: &System) {
    let client = &system.client;
    let queue = limits(json!({"max_active": 1, "abandon_after_seconds": 600, "claim_after_seconds": 290}));
    let sale = Offer { hold_ttl_seconds: 20, queue: Some(queue), ..seats(2) }.open(client).await;
    let guests = joined(client, &sale, named("guest", 6)).await;
    crowd(client, &sale, "crowd", 200).await;
    for guest in &guests[..3] {
        guest.user.start_with(10_000).await;
    }
    let sold = buys(&guests[0], &sale, "A-1").await;
    // The second holds the last seat and leaves the queue: nobody is admitted while all seats are held.
    guests[1].until(&sale, "ACTIVE").await;
    let hold = guests[1].user.hold(&sale, &["A-2"]).header("Queue-Token", &guests[1].place.token);
    let ends = moment(&hold.decide().await.result(), "expires_at");
    guests[1].user.leave(&sale).decide().await.result();
    until_sale(&guests[2], &sale, "all_held").await;
    let placed = client.user("joins").joined(&sale).await;
    assert_eq!(placed.status, "WAITING", "joins are taken");
    // The hold ends, and one may buy.
    let turn = guests[2].until(&sale, "ACTIVE").await;
    let admitted = moment(&turn, "active_until") - time::Duration::seconds(300);
    assert!(admitted >= ends && admitted - ends < time::Duration::seconds(1), "{ends} {admitted}");
    buys(&guests[2], &sale, "A-2").await;
    until_sale(&guests[3], &sale, "sold_out").await;
    guests[3].until(&sale, "WAITING").await;
    let refused = client.user("late").join(&sale).decide().await;
    assert_eq!((refused.refused(), refused.http_status), ("sales_closed", 409));
    let place = guests[3].poll(&sale).await.body;
    assert_eq!((&place["status"], &place["left"]), (&json!("WAITING"), &json!({"A": 0})), "places are kept: {place}");
    assert_eq!(guests[3].user.joined(&sale).await.position, guests[3].place.position, "a place is given again");
    guests[0].user.cancel(&sold).decide().await.result();
    guests[3].until(&sale, "ACTIVE").await;
}

fn moment(json: &Value, field: &str) -> time::OffsetDateTime {
    time::OffsetDateTime::parse(&text(json, field), &time::format_description::well_known::Rfc3339).expect("a time")
}

fn seats(count: u32) -> Offer<'static> {
    match count {
        2 => Offer { sections: &[("A", 2, 1000)], further: json!({"rehold_after_seconds": 0}), ..Offer::default() },
        _ => Offer::default(),
    }
}

async fn until_sale(guest: &Guest, sale: &Sale, state: &str) {
    until(&format!("the sale to be {state}"), async || {
        let place = guest.poll(sale).await.body;
        if place["sale"] == state { Ok(()) } else { Err(place.to_string()) }
    })
    .await;
}

async fn q15_the_absent_make_room(system: &System) {
    const MAX_WAITING: usize = 100;
    let client = &system.client;
    let sale = sale_of(client, 50, json!({"max_waiting": MAX_WAITING}), json!({})).await;
    crowd(client, &sale, "silent", 1 + MAX_WAITING).await;
    let refused = client.user("early").join(&sale).decide().await;
    assert_eq!(refused.refused(), "queue_full");
    until("the silent to be absent", async || {
        let stats = client.admin().read(&sale.path("/queue/stats")).await;
        if stats["absent"].as_u64() >= Some(MAX_WAITING as u64) { Ok(()) } else { Err(stats.to_string()) }
    })
    .await;
    let later = crowd(client, &sale, "later", MAX_WAITING).await;
    all_poll(&sale, &later, ABANDON_AFTER).await;
    // The token alone is enough to poll.
    let url = format!("{}{}", client.base(), sale.path("/queue/position"));
    let ask = client.http().request(Method::GET, url).header("Queue-Token", &later[0].place.token);
    assert_eq!(ask.send().await.expect("an answer").status(), 200);
}
