//! The place pushed: event streams and WebSockets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Reads an event stream by events.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(request: RequestBuilder) -> Events {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, text: String::new() }
    }

    /// The next place; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                if event.starts_with("event: end") {
                    assert!(self.response.chunk().await.unwrap().is_none(), "nothing comes after the end");
                    return None;
                }
                let data = event.lines().find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
                assert!(data.is_none() || event.contains("event: position"), "{event}");
                self.text = rest.to_owned();
                match data {
                    Some(data) => return Some(serde_json::from_str(&data).unwrap()),
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn f03_a_place_is_pushed_as_it_changes_until_it_ends() {
    let queue = Queue::open(1).await;
    queue.join("alice").await;
    queue.join("bob").await;
    let carol = queue.join("carol").await;
    let path = format!("{}?token={}", queue.path("/queue/events"), token(&carol));
    let mut events = Events::open(queue.door.bare(Method::GET, &path)).await;
    let place = events.next().await.unwrap();
    assert_eq!((&place["status"], &place["ahead"]), (&json!("WAITING"), &json!(1)));
    queue.leave("bob").await;
    assert_eq!(events.next().await.unwrap()["ahead"], 0);
    queue.pay("alice").await;
    let place = events.next().await.unwrap();
    assert_eq!(place["status"], "ACTIVE");
    assert!(place["active_until"].is_string());
    queue.pay("carol").await;
    assert_eq!(events.next().await.unwrap()["status"], "COMPLETED");
    assert_eq!(events.next().await, None, "the stream ends with the place");
    // A browser takes that for an interruption and connects again.
    let again = send(queue.door.bare(Method::GET, &path).header("last-event-id", "3")).await;
    assert_eq!((again.status, again.text.as_str()), (204, ""), "and is told to stop");
}

#[tokio::test]
async fn streams_prove_who_asks_are_bounded_and_end_with_the_process() {
    let settings = Settings { queue_streams_max: 2, ..Settings::default() };
    let queue = Queue::with(settings, limits(1)).await;
    let alice = queue.join("alice").await;
    let bob = queue.join("bob").await;
    let events = |name: &str| queue.ask(name, Method::GET, "/queue/events");
    let nobody = send(queue.door.bare(Method::GET, &queue.path("/queue/events"))).await;
    assert_eq!((nobody.status, nobody.problem().as_str()), (401, "unauthenticated"));
    let forged = format!("{}?token=x", queue.path("/queue/events"));
    assert_eq!(send(queue.door.bare(Method::GET, &forged)).await.problem(), "token_not_found");
    assert_eq!(send(events("alice").header("queue-token", token(&bob))).await.problem(), "token_not_found");

    let mut first = Events::open(events("alice").header("queue-token", token(&alice))).await;
    let second = Events::open(events("bob")).await;
    let third = send(events("bob")).await;
    assert_eq!((third.status, third.problem().as_str()), (503, "overloaded"));
    drop(second);
    let mut again = send(events("nobody-yet")).await;
    while again.status == 503 {
        again = send(events("nobody-yet")).await;
    }
    assert_eq!(again.problem(), "token_not_found", "a closed stream makes room, and a refused one takes none");
    assert!(first.next().await.is_some());
    queue.door.shutdown.cancel();
    assert_eq!(first.next().await, None);
    queue.door.served.await.unwrap().unwrap();
}

/// A WebSocket client: enough to read what a server sends.
struct Socket(TcpStream);

impl Socket {
    async fn open(queue: &Queue, path: &str) -> (Socket, String) {
        let host = queue.door.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).await.unwrap();
        let key = STANDARD.encode(b"0123456789abcdef");
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (Socket(stream), String::from_utf8(head).unwrap())
    }

    /// Opcode and payload of the next frame.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let opcode = self.0.read_u8().await.unwrap() & 0x0f;
        let length = match self.0.read_u8().await.unwrap() {
            126 => usize::from(self.0.read_u16().await.unwrap()),
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.unwrap();
        (opcode, payload)
    }

    async fn place(&mut self) -> Value {
        let (opcode, payload) = self.frame().await;
        assert_eq!(opcode, 1, "text");
        serde_json::from_slice(&payload).unwrap()
    }
}

#[tokio::test]
async fn f03_a_websocket_gets_the_same_and_is_closed_with_the_place() {
    let queue = Queue::open(1).await;
    queue.join("alice").await;
    let bob = queue.join("bob").await;
    let path = format!("{}?token={}", queue.path("/queue/ws"), token(&bob));
    let (mut socket, head) = Socket::open(&queue, &path).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let polled = queue.position("bob", None).await.json();
    assert_eq!(socket.place().await, polled);
    queue.pay("alice").await;
    assert_eq!(socket.place().await["status"], "ACTIVE");
    queue.leave("bob").await;
    assert_eq!(socket.place().await["status"], "LEFT");
    let (opcode, payload) = socket.frame().await;
    assert_eq!((opcode, payload), (8, 1000u16.to_be_bytes().to_vec()), "closed normally");

    let (_, head) = Socket::open(&queue, &queue.path("/queue/ws?token=x")).await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let plain = send(queue.ask("bob", Method::GET, "/queue/ws")).await;
    assert_eq!((plain.status, plain.problem().as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn a_websocket_ends_with_the_process() {
    let queue = Queue::open(1).await;
    let alice = queue.join("alice").await;
    let path = format!("{}?token={}", queue.path("/queue/ws"), token(&alice));
    let (mut socket, _) = Socket::open(&queue, &path).await;
    socket.place().await;
    queue.door.shutdown.cancel();
    let (opcode, payload) = socket.frame().await;
    assert_eq!((opcode, payload), (8, 1001u16.to_be_bytes().to_vec()), "going away");
}
