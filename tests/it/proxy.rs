//! Behind nginx with its defaults, which collect an answer before they pass it on.

use std::process::{Child, Command, Stdio};

use futures_util::StreamExt;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Client, Offer, System, scenarios, services, until};

scenarios!(events_come_through_a_proxy_that_collects_answers);

/// An nginx of our own in front of the server; ends with the test.
struct Proxy {
    child: Child,
    base: String,
    _directory: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// `None`: there is no nginx here, and none is required.
    async fn in_front_of(client: &Client) -> Option<Proxy> {
        let program =
            ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| std::path::Path::new(path).exists());
        let Some(program) = program else {
            assert!(!services::required(), "nginx is missing");
            eprintln!("skipped: nginx is missing");
            return None;
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = directory.path().display();
        let (port, behind) = (free_port(), client.base());
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
             uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {behind}; }} }} }}\n"
        );
        let path = directory.path().join("nginx.conf");
        std::fs::write(&path, config).expect("its configuration is written");
        let child = Command::new(program).arg("-c").arg(&path).stdin(Stdio::null()).spawn().expect("nginx starts");
        let proxy = Proxy { child, base: format!("http://127.0.0.1:{port}"), _directory: directory };
        until("nginx to pass requests on", async || {
            let answer = client.http().get(format!("{}/livez", proxy.base)).send().await;
            answer.map_err(|error| error.to_string()).and_then(|answer| match answer.status().as_u16() {
                200 => Ok(()),
                other => Err(other.to_string()),
            })
        })
        .await;
        Some(proxy)
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// An event stream through the proxy. The proxy gives an address, not a client, so it is asked as a browser would ask.
async fn stream(client: &Client, url: String, user: &str) -> impl StreamExt<Item = String> + Unpin {
    let response = client.http().get(url).header("X-User-Id", user).send().await.expect("a stream");
    assert_eq!(response.status(), 200);
    Box::pin(response.bytes_stream().map(|chunk| String::from_utf8_lossy(&chunk.expect("a chunk")).into_owned()))
}

/// Reads until a text is there; the harness bounds how long a scenario may take.
async fn read_until(stream: &mut (impl StreamExt<Item = String> + Unpin), wanted: &str) {
    let mut read = String::new();
    while !read.contains(wanted) {
        read.push_str(&stream.next().await.unwrap_or_else(|| panic!("the stream ended before {wanted}: {read}")));
    }
}

async fn events_come_through_a_proxy_that_collects_answers(system: &System) {
    let client = &system.client;
    let Some(proxy) = Proxy::in_front_of(client).await else { return };
    let limits = json!({"max_active": 1, "active_ttl_seconds": 300, "max_waiting": 10});
    let sale = Offer { queue: Some(limits), ..Offer::default() }.open(client).await;
    let (first, second) = (client.user("first"), client.user("second"));
    let join = async |user: &crate::harness::User| {
        user.post(&sale.path("/queue"), json!({})).decide().await.result()["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    };
    let (active, waiting) = (join(&first).await, join(&second).await);
    let place = format!("{}{}?token={waiting}", proxy.base, sale.path("/queue/events"));
    let mut places = stream(client, place, "second").await;
    read_until(&mut places, "WAITING").await;
    let mut seats = stream(client, format!("{}{}", proxy.base, sale.path("/seats/events")), "second").await;
    read_until(&mut seats, "A-1").await;
    // Each event is there before anything else is sent: nothing pushes it out of a buffer.
    first.hold(&sale, &["A-1"]).header("Queue-Token", &active).decide().await.result();
    read_until(&mut seats, "HELD").await;
    first.delete(&sale.path("/queue")).header("Queue-Token", &active).decide().await.result();
    read_until(&mut places, "ACTIVE").await;
}
