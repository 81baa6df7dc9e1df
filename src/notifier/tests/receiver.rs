//! A receiver of webhooks: keeps what it took, answers as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::WITHIN;

#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub answered: u16,
    pub at: tokio::time::Instant,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// The offset in the lane of the command that it is about.
    pub fn number(&self) -> u64 {
        self.json()["data"]["position"].as_str().unwrap().rsplit('.').next().unwrap().parse().unwrap()
    }
}

/// What to answer to the n-th request, counted from 0.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Status(u16),
    /// With this `Retry-After` in seconds.
    Later(u16, u32),
    /// To `Location`.
    Redirect(SocketAddr),
    /// The connection is closed without an answer.
    Reset,
}

pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    count: watch::Receiver<usize>,
}

impl Receiver {
    pub async fn start(answer: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (counted, count) = watch::channel(0);
        let (kept, answer) = (Arc::clone(&received), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (kept, answer, counted) = (Arc::clone(&kept), Arc::clone(&answer), counted.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(mut request) = read(&mut stream).await {
                        let (reply, number) = {
                            let mut kept = kept.lock().unwrap();
                            let reply = answer(kept.len(), &request);
                            request.answered = match reply {
                                Reply::Status(status) | Reply::Later(status, _) => status,
                                Reply::Redirect(_) => 307,
                                Reply::Reset => 0,
                            };
                            kept.push(request);
                            (reply, kept.len())
                        };
                        // Not under the lock: who waits for the count looks at the list.
                        counted.send_if_modified(|count| std::mem::replace(count, number.max(*count)) != *count);
                        let further = match reply {
                            Reply::Reset => return,
                            Reply::Status(_) => String::new(),
                            Reply::Later(_, seconds) => format!("retry-after: {seconds}\r\n"),
                            Reply::Redirect(to) => format!("location: http://{to}/elsewhere\r\n"),
                        };
                        let status = match reply {
                            Reply::Status(status) | Reply::Later(status, _) => status,
                            _ => 307,
                        };
                        let text = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n{further}\r\nok");
                        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Receiver { address, received, count }
    }

    pub async fn always(status: u16) -> Self {
        Receiver::start(move |_, _| Reply::Status(status)).await
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Those it has answered 200, in order.
    pub fn taken(&self) -> Vec<Received> {
        self.all().into_iter().filter(|received| received.answered == 200).collect()
    }

    /// Waits until what it has taken is enough; all of that.
    pub async fn until(&self, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut requests = self.count.clone();
        let waited = tokio::time::timeout(WITHIN, requests.wait_for(|_| enough(&self.taken()))).await.is_ok();
        assert!(waited, "{} came", self.taken().len());
        self.taken()
    }

    pub async fn until_taken(&self, count: usize) -> Vec<Received> {
        self.until(|taken| taken.len() >= count).await
    }

    /// So many different events, whatever comes twice.
    pub async fn until_different(&self, count: usize) -> Vec<Received> {
        self.until(|taken| taken.iter().map(Received::id).collect::<BTreeSet<_>>().len() >= count).await
    }

    pub async fn until_asked(&self, count: usize) -> Vec<Received> {
        let mut requests = self.count.clone();
        let waited = tokio::time::timeout(WITHIN, requests.wait_for(|had| *had >= count)).await;
        assert!(waited.is_ok(), "{} of {count} came", self.all().len());
        self.all()
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines.filter_map(pair).collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { path, headers, body, answered: 0, at: tokio::time::Instant::now() })
}
