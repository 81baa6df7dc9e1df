//! A receiver of webhooks that is bad at it: of a hundred requests some end in 500, 429, a reset, no answer, or late.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request that was answered 200.
#[derive(Debug, Clone)]
pub struct Received {
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub json: Value,
}

pub struct Receiver {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Received>>>,
    ids: Arc<Mutex<BTreeSet<String>>>,
    asked: Arc<AtomicU64>,
}

/// SplitMix64 of a count: the same run gives the same answers.
fn random(count: u64) -> u64 {
    let mut z = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Receiver {
    /// So many of a hundred answers are bad.
    pub async fn start(bad: u64) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let receiver = Receiver { address, taken: Arc::default(), ids: Arc::default(), asked: Arc::default() };
        let (taken, ids, asked) = (receiver.taken.clone(), receiver.ids.clone(), receiver.asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (taken, ids, asked) = (taken.clone(), ids.clone(), asked.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(received) = read(&mut stream).await {
                        let random = random(asked.fetch_add(1, Ordering::SeqCst));
                        let kind = if random % 100 < bad { random / 100 % 5 } else { 5 };
                        let head = match kind {
                            0 => "500 x",
                            1 => "429 x\r\nretry-after: 0",
                            // It may have been processed nevertheless.
                            2 => {
                                note(&taken, &ids, received);
                                return;
                            }
                            3 => {
                                // Nothing is answered; the other side gives up.
                                let mut rest = Vec::new();
                                let _ = stream.read_to_end(&mut rest).await;
                                return;
                            }
                            4 => {
                                tokio::time::sleep(Duration::from_millis(100)).await;
                                note(&taken, &ids, received);
                                "200 x"
                            }
                            _ => {
                                note(&taken, &ids, received);
                                "204 x"
                            }
                        };
                        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
                        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// In the order in which they came, repeats too.
    pub fn taken(&self) -> Vec<Received> {
        self.taken.lock().unwrap().clone()
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Whether so many different events have come.
    pub fn has(&self, events: usize) -> Result<(), String> {
        let come = self.ids.lock().unwrap().len();
        if come >= events { Ok(()) } else { Err(format!("{come} have come")) }
    }
}

fn note(taken: &Mutex<Vec<Received>>, ids: &Mutex<BTreeSet<String>>, received: Received) {
    ids.lock().unwrap().insert(received.headers["webhook-id"].clone());
    taken.lock().unwrap().push(received);
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).ok()?;
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = text.lines().skip(1).filter_map(pair).collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    let json = serde_json::from_slice(&body).ok()?;
    Some(Received { headers, body: String::from_utf8(body).ok()?, json })
}
