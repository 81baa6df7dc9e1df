//! Where a call goes, and where it never goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::header::HeaderMap;
use reqwest::Url;

use super::client;
use super::receiver::{Receiver, Reply};
use crate::notifier::client::{Client, Line, Resolver};
use crate::notifier::{AddressFilter, CallError, endpoint};

const TIMEOUT: Duration = Duration::from_secs(5);

/// The public internet only.
fn strict() -> Client {
    Client::new(AddressFilter::default(), true, TIMEOUT, None).unwrap()
}

async fn post(client: Client, url: &str) -> Result<u16, CallError> {
    let url = Url::parse(url).unwrap();
    Line::new(Arc::new(client)).post(&url, &HeaderMap::new(), b"{}").await.map(|answer| answer.status)
}

fn resolving(answers: &'static [&'static str]) -> (Resolver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let resolver: Resolver = Arc::new(move |_, port| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let answer = answers[number.min(answers.len() - 1)];
        let found: Vec<SocketAddr> = answer.split(' ').map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        Box::pin(async move { Ok(found) })
    });
    (resolver, asked)
}

/// Spellings of this machine and of closed networks, as URLs have them.
const SPELLINGS: [&str; 46] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0177.1",
    "127.0.0.1.",
    "127.000.000.001",
    "0",
    "0.0.0.0",
    "0x0",
    "%31%32%37.0.0.1",
    "１２７.０.０.１",
    "127。0。0。1",
    "10.0.0.1",
    "0x0a000001",
    "167772161",
    "012.0.0.1",
    "10.1",
    "172.16.0.1",
    "172.16.1",
    "0xac100001",
    "192.168.0.1",
    "192.168.257",
    "0xc0a80001",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "100.64.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[fd00:ec2::254]",
    "[64:ff9b::7f00:1]",
];

#[tokio::test]
async fn b7_no_spelling_of_a_closed_address_is_dialed() {
    let receiver = Receiver::always(200).await;
    let port = receiver.address.port();
    for spelling in SPELLINGS {
        let answer = post(strict(), &format!("http://{spelling}:{port}/")).await;
        assert!(matches!(answer, Err(CallError::Closed(_))), "{spelling}: {answer:?}");
    }
    assert_eq!(receiver.all().len(), 0);
}

#[tokio::test]
async fn b7_a_name_is_checked_by_what_it_resolves_to_each_time() {
    let receiver = Receiver::always(200).await;
    let url = format!("http://rebinding.example:{}/", receiver.address.port());
    for answers in [&["127.0.0.1"][..], &["10.0.0.1"], &["::ffff:127.0.0.1"], &["1.1.1.1 127.0.0.1"], &["fe80::1"]] {
        let (resolver, asked) = resolving(answers);
        let answer = post(strict().with_resolver(resolver), &url).await;
        assert!(matches!(answer, Err(CallError::Closed(_))), "{answers:?}: {answer:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "what is checked is what is dialed");
    }
    // Public the first time, closed the second: each call asks once, and checks that answer.
    let (resolver, asked) = resolving(&["127.0.0.1", "10.0.0.1"]);
    let line = Arc::new(client(TIMEOUT).with_resolver(resolver));
    let url = Url::parse(&url).unwrap();
    let first = Line::new(Arc::clone(&line)).post(&url, &HeaderMap::new(), b"{}").await;
    assert_eq!(first.unwrap().status, 200);
    let second = Line::new(line).post(&url, &HeaderMap::new(), b"{}").await;
    assert_eq!((second, asked.load(Ordering::SeqCst)), (Err(CallError::Closed("10.0.0.1".parse().unwrap())), 2));
}

#[tokio::test]
async fn b7_a_redirect_is_a_failure_and_is_not_followed() {
    let target = Receiver::always(200).await;
    let to = target.address;
    let receiver = Receiver::start(move |_, _| Reply::Redirect(to)).await;
    assert_eq!(post(client(TIMEOUT), &format!("http://{}/", receiver.address)).await, Ok(307));
    assert_eq!((receiver.all().len(), target.all().len()), (1, 0));
}

#[tokio::test]
async fn plain_http_needs_a_setting() {
    let receiver = Receiver::always(200).await;
    let filter = AddressFilter { allowed: vec![("127.0.0.0".parse().unwrap(), 8)] };
    let client = Client::new(filter, false, TIMEOUT, None).unwrap();
    assert_eq!(post(client, &format!("http://{}/", receiver.address)).await, Err(CallError::Plain));
    assert!(endpoint::check_url("http://a.example", false).is_err());
}

#[tokio::test]
async fn a_connection_is_kept_and_one_that_was_closed_meanwhile_is_made_anew() {
    let receiver = Receiver::start(|n, _| if n == 1 { Reply::Reset } else { Reply::Status(200) }).await;
    let mut line = Line::new(Arc::new(client(TIMEOUT)));
    let url = Url::parse(&format!("http://{}/", receiver.address)).unwrap();
    for _ in 0..3 {
        assert_eq!(line.post(&url, &HeaderMap::new(), b"{}").await.map(|answer| answer.status), Ok(200));
    }
    assert_eq!(receiver.all().len(), 4);
}
