//! S9 to S14: rules over all sections of a block, time limits of holds, and halls with rows and aisles.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};
use turnstile::wire::routing::partition_for;

use crate::harness::{
    Client, Offer, Outcome, Sale, System, User, at_once, in_seconds, refusals, scenarios, successes, text,
};

scenarios!(
    s9_the_ticket_limit_counts_over_sections,
    s10_holds_over_two_sections_are_all_or_nothing,
    s11_holding_again_gains_no_time,
    s12_a_hold_ends_when_the_show_starts,
    s13_best_available_knows_rows_aisles_and_categories,
    s14_holds_that_end_together_hold_up_nobody,
);

async fn s9_the_ticket_limit_counts_over_sections(system: &System) {
    let names: Vec<String> = (0..10).map(|i| format!("S{i}")).collect();
    let sections: Vec<(&str, u32, i64)> = names.iter().map(|name| (name.as_str(), 10, 1000)).collect();
    let sale = Offer { sections: &sections, ..Offer::default() }.open(&system.client).await;
    let user = system.client.user("alice");
    let outcomes = at_once(8, |i| {
        let ask = user.hold(&sale, &[&format!("S{}-{}", i / 2, 1 + i % 2)]);
        async move { ask.decide().await }
    })
    .await;
    assert_eq!((successes(&outcomes), refusals(&outcomes, "ticket_limit_exceeded")), (4, 4), "{outcomes:?}");
    let held = outcomes.iter().find(|outcome| outcome.succeeded()).expect("four are");
    user.cancel(&text(&held.result, "reservation_id")).decide().await.result();
    user.held(&sale, &["S9-1"]).await;
    assert_eq!(user.hold(&sale, &["S9-2"]).decide().await.refused(), "ticket_limit_exceeded");
}

async fn s10_holds_over_two_sections_are_all_or_nothing(system: &System) {
    const PRICES: [(&str, i64); 2] = [("A", 1000), ("B", 700)];
    let sale = Offer { sections: &PRICES.map(|(name, price)| (name, 40, price)), ..Offer::default() };
    let sale = sale.open(&system.client).await;
    let wanted = |i: usize| -> Vec<String> {
        let of = |section: &str, n: usize, salt: usize| -> Vec<String> {
            let first = 1 + (i * salt) % (41 - n);
            (first..first + n).map(|number| format!("{section}-{number}")).collect()
        };
        [of("A", 1 + i % 2, 7), of("B", 1 + (i / 2) % 2, 11)].concat()
    };
    let outcomes = at_once(200, |i| {
        let seats = wanted(i);
        let seats: Vec<&str> = seats.iter().map(String::as_str).collect();
        let ask = system.client.user(format!("user{i}")).hold(&sale, &seats);
        async move { ask.decide().await }
    })
    .await;
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (i, outcome) in outcomes.iter().enumerate() {
        if !outcome.succeeded() {
            assert_eq!(outcome.refused(), "seat_taken");
            continue;
        }
        let mut seats = strings(&outcome.result["seats"]);
        seats.sort();
        let mut expected = wanted(i);
        expected.sort();
        assert_eq!(seats, expected, "a hold is complete");
        let price = |seat: &String| PRICES.iter().find(|(name, _)| seat.starts_with(name)).expect("A or B").1;
        assert_eq!(outcome.result["amount"], seats.iter().map(price).sum::<i64>(), "the sum of each seat's price");
        for seat in seats {
            assert_eq!(taken.insert(seat.clone(), i), None, "{seat} was given twice");
        }
    }
    for (i, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| !outcome.succeeded()) {
        assert!(wanted(i).iter().any(|seat| taken.contains_key(seat)), "refused without need: {outcome:?}");
    }
    sale.shows(&system.client, "HELD", taken.len()).await;
}

async fn s11_holding_again_gains_no_time(system: &System) {
    let sale =
        Offer { sections: &[("A", 1, 1000)], hold_ttl_seconds: 4, ..Offer::default() }.open(&system.client).await;
    let (hoarder, other) = (system.client.user("hoarder"), system.client.user("other"));
    let first = hoarder.hold(&sale, &["A-1"]).decide().await.result();
    let end = text(&first, "expires_at");
    let mut reservation = text(&first, "reservation_id");
    // Cancels and holds again, over and over, until the first end has come.
    let refused = loop {
        let cancelled = hoarder.cancel(&reservation).decide().await;
        let over = ["hold_expired", "not_cancellable"];
        assert!(cancelled.succeeded() || over.contains(&cancelled.refused()), "{cancelled:?}");
        let again = hoarder.hold(&sale, &["A-1"]).decide().await;
        match again.code.as_deref() {
            None => {
                assert_eq!(text(&again.result, "expires_at"), end, "each new hold keeps the end of the first");
                reservation = text(&again.result, "reservation_id");
            }
            Some(_) => break again,
        }
    };
    assert_eq!((refused.refused(), refused.http_status), ("hold_cooldown", 409));
    assert!(text(&refused.decided, "at") >= end, "not before the first end");
    other.held(&sale, &["A-1"]).await;
}

async fn s12_a_hold_ends_when_the_show_starts(system: &System) {
    let user = system.client.user("alice");
    user.start_with(5000).await;
    let (sale, held) = loop {
        let starts_at = in_seconds(3);
        let further = json!({"starts_at": starts_at});
        let sale = Offer { further, ..Offer::default() }.open(&system.client).await;
        let held = user.hold(&sale, &["A-1"]).decide().await;
        // On a busy machine the show has started before anybody could hold: another one.
        match held.code.as_deref() {
            Some(code) => assert_eq!(code, "sales_closed"),
            None => break (sale, held.result),
        }
    };
    let schedule = user.read(&sale.path("")).await;
    let until = |time: &Value| time.as_str().expect("a time")[..19].to_owned();
    assert_eq!(until(&held["expires_at"]), until(&schedule["starts_at"]), "{held} {schedule}");
    let reservation = text(&held, "reservation_id");
    user.until_reservation(&reservation, "EXPIRED").await;
    let late = user.pay(&reservation).decide().await;
    assert_eq!((late.refused(), late.http_status), ("hold_expired", 409));
    assert_eq!(user.balance().await, 5000);
    assert_eq!(user.payments().await.len(), 0);
}

/// Two rows of ten with an aisle after the fifth seat; the second row's last four are of another category; in it a
/// wheelchair place beside a companion seat.
fn hall() -> Value {
    json!({
        "name": "A", "seats": 20,
        "runs": [[1, 5], [6, 5], [11, 5], [16, 5]],
        "categories": [{"name": "R", "price": 1000}, {"name": "S", "price": 500}],
        "category_runs": [[1, 16, 0], [17, 4, 1]],
        "wheelchair": [[12, 1]],
        "companions": [[11, 12]],
    })
}

async fn s13_best_available_knows_rows_aisles_and_categories(system: &System) {
    let client = &system.client;
    let sale = Offer { layouts: vec![hall()], max_seats_per_user: 20, ..Offer::default() }.open(client).await;
    let buyer = client.user("buyer");
    buyer.start_with(20_000).await;
    let front = buyer.held(&sale, &["A-1", "A-2", "A-3", "A-4"]).await;
    buyer.pay(&front).decide().await.result();
    let best =
        async |user: &User, choice: Value| strings(&user.hold_of(&sale, choice).decide().await.result()["seats"]);
    let guest = client.user("guest");
    assert_eq!(best(&guest, json!({"best_available": 2})).await, ["A-6", "A-7"], "not over the aisle");
    assert_eq!(best(&guest, json!({"section": "A", "best_available": 3})).await, ["A-8", "A-9", "A-10"]);
    // 11 and 12 are the companion seat and its wheelchair place, 17 begins another category.
    assert_eq!(best(&guest, json!({"best_available": 3})).await, ["A-13", "A-14", "A-15"]);
    let refused = guest.hold_of(&sale, json!({"category": "R", "best_available": 2})).decide().await;
    assert_eq!(refused.refused(), "not_enough_adjacent_seats", "5, 11 and 16 lie alone or are kept");
    assert_eq!(best(&guest, json!({"category": "S", "best_available": 4})).await, ["A-17", "A-18", "A-19", "A-20"]);
    let alone = client.user("friend").hold(&sale, &["A-11"]).decide().await;
    assert_eq!((alone.refused(), alone.http_status), ("companion_only", 409));
    let both = client.user("rolf").hold(&sale, &["A-11", "A-12"]).decide().await.result();
    assert_eq!(both["amount"], 2000);
}

/// How many reservations of four seats S14 and P12 have: in full 25,000 of 100,000 seats.
pub fn reservations(few: usize) -> usize {
    let text = std::env::var("TURNSTILE_TEST_RESERVATIONS").ok();
    text.map_or(few, |text| text.parse().expect("TURNSTILE_TEST_RESERVATIONS is a number"))
}

/// The seats of the reservation of this number.
pub fn four_seats(number: usize) -> [String; 4] {
    [1, 2, 3, 4].map(|seat| format!("A-{}", 4 * number + seat))
}

/// A limit for debug builds beside others; a partition that is held up for all that ends together takes longer.
const DECIDED_MEANWHILE: Duration = Duration::from_secs(10);

/// A block on the partition of another one.
pub struct Beside {
    sale: Sale,
    user: User,
}

impl Beside {
    pub async fn of(client: &Client, sale: &Sale) -> Beside {
        let partition = |sale: &Sale| partition_for(&format!("{}/main", sale.schedule), 3);
        loop {
            let other = Offer { sections: &[("B", 1000, 1000)], max_seats_per_user: 100, ..Offer::default() };
            let other = other.open(client).await;
            if partition(&other) == partition(sale) {
                break Beside { sale: other, user: client.user("visitor") };
            }
        }
    }

    /// Holds and cancels until something has happened elsewhere on the partition; the longest that a hold took.
    pub async fn sell_until(&self, what: &str, mut happened: impl AsyncFnMut() -> bool) -> Duration {
        let (waiting, mut longest) = (Instant::now(), Duration::ZERO);
        for number in (1..=1000).cycle() {
            let began = Instant::now();
            let held = self.user.held(&self.sale, &[&format!("B-{number}")]).await;
            longest = longest.max(began.elapsed());
            self.user.cancel(&held).decide().await.result();
            if happened().await {
                break;
            }
            assert!(waiting.elapsed() < Duration::from_secs(300), "{what}: it never happens");
        }
        assert!(longest < DECIDED_MEANWHILE, "{what}: another block's hold took {longest:?}");
        longest
    }
}

pub async fn nothing_was_refused_by_the_log(system: &System) {
    let letters = system.open_store().await.dead_letters(turnstile::store::Page { after: None, limit: 1 }).await;
    assert!(letters.expect("the store answers").is_empty(), "nothing is refused by the log");
}

async fn s14_holds_that_end_together_hold_up_nobody(system: &System) {
    let (client, holds) = (&system.client, reservations(250));
    // So many a second can be held on a busy machine.
    let mut selling = 20 + holds / 150;
    let (sale, outcomes) = loop {
        let further = json!({"starts_at": in_seconds(selling as i64)});
        let sections = [("A", 4 * holds as u32, 1000)];
        let sale = Offer { sections: &sections, further, ..Offer::default() }.open(client).await;
        let hold = async |number: usize| {
            let seats = four_seats(number);
            client.user(format!("user{number}")).hold(&sale, &seats.each_ref().map(String::as_str)).decide().await
        };
        let outcomes: Vec<Outcome> = iter(0..holds).map(hold).buffered(250).collect().await;
        // The show may have started before the last was held: once more.
        if successes(&outcomes) == holds {
            break (sale, outcomes);
        }
        assert_eq!(successes(&outcomes) + refusals(&outcomes, "sales_closed"), holds);
        selling *= 2;
    };
    let beside = Beside::of(client, &sale).await;
    let (last, owner) =
        (text(&outcomes[holds - 1].result, "reservation_id"), client.user(format!("user{}", holds - 1)));
    let longest =
        beside.sell_until("the end of all holds", async || owner.reservation_status(&last).await == "EXPIRED").await;
    println!("{:?}: {holds} holds ended together, another block's hold took {longest:?} at most", system.pair);
    for (i, outcome) in outcomes.iter().enumerate().step_by(holds / 5) {
        let user = client.user(format!("user{i}"));
        user.until_reservation(&text(&outcome.result, "reservation_id"), "EXPIRED").await;
    }
    sale.shows(client, "AVAILABLE", 4 * holds).await;
    nothing_was_refused_by_the_log(system).await;
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|value| value.as_str().expect("a text").to_owned()).collect()
}
