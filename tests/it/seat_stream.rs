//! F13: the seat map live. Whatever happens, who follows the events knows what the seats are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;
use turnstile::domain::ScheduleId;
use turnstile::wire::routing::partition_for;

use crate::harness::{Client, Offer, Sale, System, at_once, scenarios, until};

scenarios!(
    f13_streams_show_every_change_of_all_sections,
    f13_a_stream_that_breaks_off_goes_on_where_it_was,
    f13_many_streams_agree,
    f58_the_compact_form_tells_the_same_of_several_blocks,
    f13_many_changes_cost_few_reads_and_each_is_there_at_once,
);

/// Seats by name, as the events tell.
pub type Seats = BTreeMap<String, String>;

/// A client of the event stream.
pub struct Follower {
    chunks: futures_util::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>,
    unread: Vec<u8>,
    seats: Seats,
    last_id: String,
    /// Names of the events, in order.
    events: Vec<String>,
}

impl Follower {
    pub async fn open(client: &Client, sale: &Sale, last_id: &str, seats: Seats) -> Self {
        Follower::open_as(client, sale, last_id, seats, "text/event-stream").await
    }

    async fn open_as(client: &Client, sale: &Sale, last_id: &str, seats: Seats, accept: &str) -> Self {
        let url = format!("{}{}", client.base(), sale.path("/seats/events"));
        let mut request = client.http().get(url).header("Accept", accept);
        if !last_id.is_empty() {
            request = request.header("Last-Event-ID", last_id);
        }
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let chunks = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec())).boxed();
        Follower { chunks, unread: Vec::new(), seats, last_id: last_id.to_owned(), events: Vec::new() }
    }

    /// Reads one event or comment.
    async fn read(&mut self) {
        let end = loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                break end;
            }
            let chunk = self.chunks.next().await.expect("the stream goes on").expect("a chunk");
            self.unread.extend(chunk);
        };
        let text = String::from_utf8(self.unread.drain(..end + 2).collect()).expect("UTF-8");
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let (Some(event), Some(data)) = (field("event: "), field("data: ")) else { return };
        let data: Value = serde_json::from_str(&data).expect("JSON");
        match event.as_str() {
            "snapshot" => self.seats.clear(),
            "seats" => {}
            other => panic!("event {other}"),
        }
        match (data.as_array(), data["seats"].as_array()) {
            (Some(list), _) | (None, Some(list)) => self.seats.extend(by_name(list)),
            (None, None) => self.seats.extend(by_letter(&data)),
        }
        self.last_id = field("id: ").expect("every event has an id");
        self.events.push(event);
    }

    /// Reads until the seats are as they should be.
    pub async fn read_until(&mut self, expected: &Seats) {
        let whole = async {
            while self.seats != *expected {
                self.read().await;
            }
        };
        if timeout(Duration::from_secs(60), whole).await.is_err() {
            let differ: Vec<_> =
                expected.iter().filter(|(name, status)| self.seats.get(*name) != Some(status)).collect();
            panic!("the stream does not tell of {differ:?}");
        }
    }
}

fn by_name(seats: &[Value]) -> Seats {
    let text = |seat: &Value, field: &str| seat[field].as_str().expect("a text").to_owned();
    seats.iter().map(|seat| (text(seat, "seat"), text(seat, "status"))).collect()
}

/// The compact form: letters of a whole section, or numbers by letter.
fn by_letter(sections: &Value) -> Seats {
    let status = |letter: &str| {
        let known = [("A", "AVAILABLE"), ("H", "HELD"), ("S", "SOLD"), ("X", "NOT_FOR_SALE")];
        let found = known.into_iter().find(|(known, _)| *known == letter);
        found.unwrap_or_else(|| panic!("letter {letter}")).1.to_owned()
    };
    let mut seats = Seats::new();
    for (section, told) in sections.as_object().expect("sections by name") {
        match told.as_str() {
            Some(letters) => {
                let named =
                    letters.chars().zip(1..).map(|(letter, n)| (format!("{section}-{n}"), status(&letter.to_string())));
                seats.extend(named);
            }
            None => {
                for (letter, numbers) in told.as_object().expect("numbers by letter") {
                    let numbers = numbers.as_array().expect("numbers");
                    seats.extend(numbers.iter().map(|number| (format!("{section}-{number}"), status(letter))));
                }
            }
        }
    }
    seats
}

pub async fn now(client: &Client, sale: &Sale) -> Seats {
    by_name(&sale.seats(client).await)
}

/// Sections enough to lie on several partitions.
async fn five_sections(client: &Client, hold_ttl_seconds: u32) -> Sale {
    let sections = [("A", 40, 1000), ("B", 40, 1000), ("C", 40, 1000), ("D", 40, 1000), ("E-1", 40, 1000)];
    Offer { sections: &sections, hold_ttl_seconds, ..Offer::default() }.open(client).await
}

/// Everybody holds two seats; a third of them cancels, a third pays, the other holds run out.
async fn trade(client: &Client, sale: &Sale, users: usize) {
    at_once(users, |i| {
        let (client, sale) = (client.clone(), sale.clone());
        async move {
            let user = client.user(format!("user{i}"));
            if i % 3 == 0 {
                user.start_with(5000).await;
            }
            let section = ["A", "B", "C", "D", "E-1"][i % 5];
            let held = user.hold_best(&sale, section, 2).decide().await;
            let Some(id) = held.result["reservation_id"].as_str().map(str::to_owned) else { return };
            match i % 3 {
                0 => drop(user.pay(&id).decide().await),
                1 => drop(user.cancel(&id).decide().await),
                _ => {}
            }
        }
    })
    .await;
}

/// Until no seat is on hold any more.
async fn settled(client: &Client, sale: &Sale) -> Seats {
    until("holds to run out", async || {
        let seats = now(client, sale).await;
        if seats.values().any(|status| status == "HELD") { Err(format!("{seats:?}")) } else { Ok(seats) }
    })
    .await
}

async fn f13_streams_show_every_change_of_all_sections(system: &System) {
    let client = &system.client;
    let sale = five_sections(client, 3).await;
    let mut follower = Follower::open(client, &sale, "", Seats::new()).await;
    follower.read().await;
    assert_eq!(follower.events, ["snapshot"]);
    assert_eq!(follower.seats.len(), 200);
    let user = client.user("alice");
    user.held(&sale, &["E-1-7", "E-1-8"]).await;
    let before = follower.seats.clone();
    follower.read_until(&now(client, &sale).await).await;
    assert_eq!(follower.seats["E-1-7"], "HELD");
    assert_eq!(before.iter().filter(|(name, status)| follower.seats[*name] != **status).count(), 2);
    assert!(follower.events.len() == 2, "only what changed was told: {:?}", follower.events);

    trade(client, &sale, 60).await;
    let seats = settled(client, &sale).await;
    follower.read_until(&seats).await;
    assert!(follower.events[1..].iter().all(|event| event == "seats"), "{:?}", follower.events);
    assert_eq!(seats.values().filter(|status| *status == "SOLD").count(), 40, "20 of 60 pay for two seats");
}

async fn f13_a_stream_that_breaks_off_goes_on_where_it_was(system: &System) {
    let client = &system.client;
    let sale = five_sections(client, 3).await;
    let mut follower = Follower::open(client, &sale, "", Seats::new()).await;
    follower.read().await;
    let (mut last_id, mut seats) = (follower.last_id, follower.seats);
    let trading = {
        let (client, sale) = (client.clone(), sale.clone());
        tokio::spawn(async move { trade(&client, &sale, 60).await })
    };
    // However quick the trade is, the stream breaks off at least once.
    loop {
        let mut follower = Follower::open(client, &sale, &last_id, seats).await;
        // A change, or the word that there was none.
        follower.read().await;
        assert!(follower.events.iter().all(|event| event == "seats"), "{:?}", follower.events);
        (last_id, seats) = (follower.last_id, follower.seats);
        if trading.is_finished() {
            break;
        }
    }
    trading.await.expect("the trade");
    let expected = settled(client, &sale).await;
    let mut follower = Follower::open(client, &sale, &last_id, seats).await;
    follower.read_until(&expected).await;
    assert!(follower.events.iter().all(|event| event == "seats"), "resumed, not begun anew: {:?}", follower.events);

    // An id that is from elsewhere begins anew.
    for foreign in ["0:999999999999", "99:1", "nonsense"] {
        let mut follower = Follower::open(client, &sale, foreign, Seats::new()).await;
        follower.read().await;
        assert_eq!(
            (follower.events.as_slice(), &follower.seats),
            (&["snapshot".to_owned()][..], &expected),
            "{foreign}"
        );
    }
}

async fn f13_many_streams_agree(system: &System) {
    let client = &system.client;
    let sale = five_sections(client, 3).await;
    let mut followers = Vec::new();
    for _ in 0..100 {
        let mut follower = Follower::open(client, &sale, "", Seats::new()).await;
        follower.read().await;
        followers.push(follower);
    }
    trade(client, &sale, 60).await;
    let expected = settled(client, &sale).await;
    let reading = followers.iter_mut().map(|follower| follower.read_until(&expected));
    futures_util::future::join_all(reading).await;
    assert!(followers.iter().all(|follower| follower.last_id == followers[0].last_id));
}

async fn f58_the_compact_form_tells_the_same_of_several_blocks(system: &System) {
    const COMPACT: &str = "application/vnd.turnstile.seats+json";
    let client = &system.client;
    let section = |(name, block): (&str, &str)| json!({"name": name, "seats": 40, "price": 1000, "block": block});
    let blocks = [("A", "a"), ("B", "b"), ("C", "c"), ("D", "main"), ("E-1", "main")];
    let sale = loop {
        let offer = Offer { layouts: blocks.map(section).into(), hold_ttl_seconds: 3, ..Offer::default() };
        let sale = offer.open(client).await;
        // One date in 27 has all its blocks on one partition.
        let partition = |block: &str| partition_for(&format!("{}/{block}", sale.schedule), 3);
        if blocks.iter().any(|(_, block)| partition(block) != partition("main")) {
            break sale;
        }
    };
    let visitor = client.user("visitor");
    let compact = async || visitor.request(Method::GET, &sale.path("/seats?format=compact")).send().await;
    let first = compact().await;
    assert_eq!((first.status, first.header("content-type")), (200, COMPACT), "{first:?}");
    let id = first.header("etag").trim_matches('"').to_owned();
    let again =
        visitor.request(Method::GET, &sale.path("/seats?format=compact")).header("If-None-Match", first.header("etag"));
    assert_eq!(again.send().await.status, 304);
    let readable = visitor.get(&sale.path("/seats")).await.text.len();
    assert!(readable > 50 * first.text.len(), "{readable} bytes, compact {}", first.text.len());

    // What was read goes on as a stream; who begins with the stream gets the same.
    let mut resumed = Follower::open_as(client, &sale, &id, by_letter(&first.body), COMPACT).await;
    let mut begun = Follower::open_as(client, &sale, "", Seats::new(), COMPACT).await;
    trade(client, &sale, 60).await;
    let expected = settled(client, &sale).await;
    resumed.read_until(&expected).await;
    begun.read_until(&expected).await;
    assert!(resumed.events.iter().all(|event| event == "seats"), "resumed, not begun anew: {:?}", resumed.events);
    assert_eq!(begun.events[0], "snapshot");
    assert_eq!(by_letter(&compact().await.body), expected);
    assert!(begun.last_id.contains(','), "the blocks lie on several partitions: {}", begun.last_id);
}

/// How often the process has read a seat map from the store.
async fn reads(system: &System) -> f64 {
    let base = system.servers()[0].base.clone();
    let answer = system.client.http().get(format!("{base}/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("metrics are text");
    let lines = text.lines().filter(|line| line.starts_with("turnstile_seat_map_reads_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Holds one seat after another and gives it up, or pays and is paid back. What each outcome says is in the map once it is
/// known: nobody else wants these seats. How many changes that were.
async fn change_their_mind(client: &Client, sale: &Sale, number: usize) -> usize {
    const ROUNDS: usize = 8;
    let user = client.user(format!("fickle{number}"));
    let pays = number.is_multiple_of(3);
    if pays {
        user.start_with(1000).await;
    }
    for round in 1..=ROUNDS {
        let seat = format!("{}-{}", ["A", "B", "C", "D", "E-1"][number % 5], number / 5 * 10 + round);
        let shows = async || now(client, sale).await[&seat].clone();
        let id = user.held(sale, &[&seat]).await;
        assert_eq!(shows().await, "HELD", "{seat}");
        if pays {
            let paid = user.pay(&id).decide().await;
            assert!(paid.succeeded(), "{paid:?}");
            assert_eq!(shows().await, "SOLD", "{seat}");
        }
        let cancelled = user.cancel(&id).decide().await;
        assert!(cancelled.succeeded(), "{cancelled:?}");
        assert_eq!(shows().await, "AVAILABLE", "{seat}");
    }
    ROUNDS * if pays { 3 } else { 2 }
}

async fn f13_many_changes_cost_few_reads_and_each_is_there_at_once(system: &System) {
    let client = &system.client;
    let sale = five_sections(client, 300).await;
    let mut follower = Follower::open(client, &sale, "", Seats::new()).await;
    follower.read().await;
    let (before, began) = (reads(system).await, Instant::now());
    let changes = {
        let everybody = at_once(20, |number| {
            let (client, sale) = (client.clone(), sale.clone());
            async move { change_their_mind(&client, &sale, number).await }
        });
        tokio::pin!(everybody);
        loop {
            tokio::select! {
                changes = &mut everybody => break changes.into_iter().sum::<usize>(),
                () = follower.read() => {}
            }
        }
    };
    let shown = now(client, &sale).await;
    assert!(shown.values().all(|status| status == "AVAILABLE"), "{shown:?}");
    follower.read_until(&shown).await;
    assert!(follower.events[1..].iter().all(|event| event == "seats"), "{:?}", follower.events);

    let store = system.open_store().await;
    let stored = store.seats(sale.schedule.parse().map(ScheduleId).expect("an id")).await.expect("the store answers");
    let touched = stored.iter().flat_map(|block| &block.seats);
    for seat in touched {
        assert_eq!(shown[&seat.id.to_string()], seat.state.status().as_str(), "{}", seat.id);
    }
    // Every ten seconds anyway.
    let (reads, seconds) = (reads(system).await - before, began.elapsed().as_secs());
    println!("{:?}: {changes} changes in {seconds} s, {reads} reads", system.pair);
    assert!(reads <= 3.0 + (seconds / 10) as f64, "{reads} reads in {seconds} s");
}
