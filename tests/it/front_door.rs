//! E8: more idle sockets than places or descriptors, and clients that hardly read. Operators are answered, memory is
//! bounded, and commands of others are decided.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::harness::{Offer, Pair, System, User, run_set, until};

const IDLE: usize = 400;
/// Debug builds beside compilers; a probe would wait as long.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
const MIB: u64 = 1024 * 1024;

fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (format!("TURNSTILE__{name}"), (*value).to_owned())).collect()
}

fn address(system: &System) -> String {
    system.client.base().trim_start_matches("http://").to_owned()
}

/// What operators ask, each on a connection of its own.
async fn operators_are_answered(base: &str) {
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(ANSWERED_WITHIN).build().unwrap();
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = http.get(format!("{base}{path}")).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{path} is not answered: {error:?}"));
        assert_eq!(answer.status(), 200, "{path}");
    }
}

/// A command that reaches the log and is decided, however often there is no place for its connection.
async fn is_served(user: &User) {
    until("a command to be decided", async || {
        let answer = user.charge(10).key("once").wait(30).try_send().await.map_err(|error| format!("{error:?}"))?;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

async fn idle_sockets_keep_nobody_out(system: &System, operations: &str) {
    let address = address(system);
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(&address).await.expect("the kernel takes it"));
    }
    operators_are_answered(operations).await;
    is_served(&system.client.user("alice")).await;
    drop(idle);
}

async fn few_descriptors(pair: Pair) {
    let start = async |system: &System| system.start_with_descriptors(256).await;
    run_set(pair, "e8a_few_descriptors", Vec::new(), start, async |system| {
        let log = system.servers()[0].tail(400);
        assert!(log.contains("the limit of open files is 256"), "{log}");
        idle_sockets_keep_nobody_out(system, &system.client.base()).await;
    })
    .await;
}

async fn few_places(pair: Pair) {
    let few = settings(&[("HTTP__CONNECTIONS_MAX", "8")]);
    run_set(
        pair,
        "e8b_few_places",
        few,
        async |system: &System| system.start().await,
        async |system| {
            idle_sockets_keep_nobody_out(system, &system.client.base()).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8a_idle_sockets_beyond_the_descriptors_embedded() {
    few_descriptors(Pair::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8a_idle_sockets_beyond_the_descriptors_real() {
    few_descriptors(Pair::Real).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8b_idle_sockets_beyond_the_places_embedded() {
    few_places(Pair::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8b_idle_sockets_beyond_the_places_real() {
    few_places(Pair::Real).await;
}

/// Streams of one place each take all of them: then nobody gives way, and operators still get in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_get_in_when_all_places_are_at_work() {
    let few = settings(&[("HTTP__CONNECTIONS_MAX", "4")]);
    run_set(
        Pair::Embedded,
        "e8_places_at_work",
        few,
        async |system: &System| system.start().await,
        async |system| {
            let sale = crate::harness::one_section(&system.client, 10).await;
            let user = system.client.user("watcher");
            let mut streams = Vec::new();
            until("all places to be at work", async || {
                let ask = user.request(reqwest::Method::GET, &sale.path("/seats/events"));
                let stream = ask.try_stream().await?;
                let turned_away = stream.is_none();
                streams.extend(stream);
                if turned_away { Ok(()) } else { Err(format!("{} streams", streams.len())) }
            })
            .await;
            assert_eq!(streams.len(), 4);
            operators_are_answered(&system.client.base()).await;
            streams.truncate(1);
            is_served(&user).await;
        },
    )
    .await;
}

/// With an address of their own, operators are answered there and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_have_an_address_of_their_own() {
    let apart = settings(&[("HTTP__OPS_LISTEN", "127.0.0.1:0"), ("HTTP__CONNECTIONS_MAX", "8")]);
    let start = async |system: &System| system.start().await;
    run_set(Pair::Embedded, "e8_operations_apart", apart, start, async |system| {
        let operations = system.servers()[0].operations.clone().expect("the first line names it");
        let user = system.client.user("alice");
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(user.get(path).await.status, 404, "{path} is not on the main address");
        }
        let http = system.client.http();
        let wallet = http.get(format!("{operations}/v1/wallet")).header("X-User-Id", "alice").send().await.unwrap();
        assert_eq!(wallet.status(), 404, "and others are not on that of the operators");
        idle_sockets_keep_nobody_out(system, &operations).await;
    })
    .await;
}

const READERS: usize = 200;
const SECTIONS: [(&str, u32, i64); 5] =
    [("A", 10_000, 10), ("B", 10_000, 10), ("C", 10_000, 10), ("D", 10_000, 10), ("E", 10_000, 10)];

/// Connections that the server ended because they were too slow, and because they held too much.
async fn ended(base: &str) -> (usize, usize) {
    let metrics = reqwest::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap();
    let of = |reason: &str| {
        let name = format!("turnstile_http_connections_ended_total{{reason=\"{reason}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    };
    (of("slow_response"), of("held_bytes"))
}

/// Takes one byte a second of a seat map, until the server has had enough.
async fn read_slowly(mut socket: TcpStream) {
    let mut seconds = interval(Duration::from_secs(1));
    let mut byte = [0];
    while socket.read_exact(&mut byte).await.is_ok() {
        seconds.tick().await;
    }
}

async fn ask_for_map(address: &str, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(address.parse().unwrap()).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).await.unwrap();
    let mut status = [0; 12];
    socket.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    socket
}

/// Each reader begins at another moment of the sale, so each would keep a map of its own: 4 MB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8c_clients_that_hardly_read_do_not_fill_the_memory() {
    run_set(
        Pair::Embedded,
        "e8c_slow_readers",
        Vec::new(),
        async |system: &System| system.start().await,
        async |system| {
            let offer = Offer { sections: &SECTIONS, max_seats_per_user: 100, ..Offer::default() };
            let sale = offer.open(&system.client).await;
            let address = address(system);
            let mut readers = JoinSet::new();
            for seat in 1..=READERS {
                let buyer = system.client.user(format!("buyer{}", seat / 100));
                let held = buyer.hold_of(&sale, json!({"seats": [format!("A-{seat}")]})).decide().await;
                assert!(held.succeeded(), "{held:?}");
                readers.spawn(read_slowly(ask_for_map(&address, &sale.path("/seats")).await));
            }
            operators_are_answered(&system.client.base()).await;
            until("all readers to be cut off", async || match ended(&system.client.base()).await {
                (slow, held) if slow + held >= READERS => {
                    println!("{slow} were too slow, {held} held too much");
                    Ok(())
                }
                (slow, held) => Err(format!("{slow} were too slow, {held} held too much")),
            })
            .await;
            readers.shutdown().await;
            let peak = system.servers()[0].peak_memory();
            // 800 MB without a bound.
            assert!(peak < 560 * MIB, "{} MiB at the peak", peak / MIB);
            println!("{} MiB at the peak", peak / MIB);
        },
    )
    .await;
}
