//! A proxy between a worker and PostgreSQL that recognizes commits and cuts or delays them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// How the connection of the next commit is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never gets it.
    Before,
    /// The server gets it, but the connection is gone before it answers.
    Sent,
    /// The server has committed and answered; the answer is lost.
    Answered,
}

impl Cut {
    pub const ALL: [Cut; 3] = [Cut::Before, Cut::Sent, Cut::Answered];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Pass,
    Cut(Cut),
    Hold,
}

/// Upper bound on the time between two commits of a worker under load.
const COMMITS_WITHIN: Duration = Duration::from_secs(60);
/// Every commit statement starts with this, and nothing else does.
const COMMIT: &[u8] = b"with claim as materialized (";
/// ReadyForQuery outside of a transaction: the server's last message for a statement.
const READY: &[u8] = b"Z\0\0\0\x05I";
/// Begins the value of a commit's answer, an array of booleans without nulls: a flag for each claim.
const FLAGS: &[u8] = b"\0\0\0\x01\0\0\0\0\0\0\0\x10";

struct Control {
    plan: watch::Sender<Plan>,
    /// Commits being held.
    held: watch::Sender<u64>,
    fenced: AtomicU64,
}

pub struct Proxy {
    /// The database by way of this proxy.
    pub database_url: String,
    control: Arc<Control>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    pub async fn before(database_url: &str) -> Proxy {
        let options: PgConnectOptions = database_url.parse().expect("the database's url");
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("it is bound").to_string();
        let url = database_url.replacen(&server, &own, 1);
        assert_ne!(url, database_url, "the proxy needs host and port in the url");
        let (plan, held) = (watch::Sender::new(Plan::Pass), watch::Sender::new(0));
        let control = Arc::new(Control { plan, held, fenced: AtomicU64::new(0) });
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&control)));
        Proxy { database_url: url, control, accepting }
    }

    /// Cuts the connection at the next commit; returns once that has happened.
    pub async fn cut(&self, cut: Cut) {
        let mut plan = self.control.plan.subscribe();
        self.control.plan.send_replace(Plan::Cut(cut));
        let done = timeout(COMMITS_WITHIN, plan.wait_for(|plan| *plan == Plan::Pass)).await;
        done.expect("a commit passes the proxy").expect("the sender is ours");
    }

    /// Holds all commits from now on; returns once one is held.
    pub async fn hold(&self) {
        self.control.plan.send_replace(Plan::Hold);
        let mut held = self.control.held.subscribe();
        let done = timeout(COMMITS_WITHIN, held.wait_for(|held| *held > 0)).await;
        done.expect("a commit passes the proxy").expect("the sender is ours");
    }

    pub fn release(&self) {
        self.control.plan.send_replace(Plan::Pass);
    }

    /// Commits that the server answered with "fenced".
    pub fn fenced(&self) -> u64 {
        self.control.fenced.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, server: String, control: Arc<Control>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, control) = (server.clone(), Arc::clone(&control));
        tokio::spawn(async move {
            // If the server is down, the client's connection is closed as well.
            if let Ok(server) = TcpStream::connect(&server).await {
                let _ = Passing { client, server, control, statements: Statements::default() }.run().await;
            }
        });
    }
}

/// One connection. Dropping it closes both sides.
struct Passing {
    client: TcpStream,
    server: TcpStream,
    control: Arc<Control>,
    statements: Statements,
}

impl Passing {
    async fn run(mut self) -> std::io::Result<()> {
        let (mut read, mut answer) = (vec![0; 65536], vec![0; 65536]);
        let mut requests = Vec::new();
        loop {
            tokio::select! {
                bytes = self.client.read(&mut read) => {
                    match bytes? {
                        0 => return Ok(()),
                        bytes => requests.extend_from_slice(&read[..bytes]),
                    }
                    while let Some(message) = self.statements.next(&mut requests) {
                        if message.is_commit {
                            self.commit(&message.bytes, &mut requests).await?;
                        } else {
                            self.server.write_all(&message.bytes).await?;
                        }
                    }
                }
                bytes = self.server.read(&mut answer) => match bytes? {
                    0 => return Ok(()),
                    bytes => self.answer(&answer[..bytes]).await?,
                },
            }
        }
    }

    async fn answer(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if any_is_fenced(bytes) {
            self.control.fenced.fetch_add(1, Ordering::Relaxed);
        }
        self.client.write_all(bytes).await
    }

    /// Passes on a commit whose first message has been read; its other messages end with Sync.
    async fn commit(&mut self, first: &[u8], requests: &mut Vec<u8>) -> std::io::Result<()> {
        let broken = || std::io::Error::other("cut");
        let cut = self.plan().await;
        if cut == Some(Cut::Before) {
            return Err(broken());
        }
        self.server.write_all(first).await?;
        let mut read = vec![0; 65536];
        loop {
            while let Some(message) = self.statements.next(requests) {
                self.server.write_all(&message.bytes).await?;
                if message.is_sync {
                    return match cut {
                        None => Ok(()),
                        Some(Cut::Answered) => self.swallow_answer().await.and(Err(broken())),
                        Some(_) => Err(broken()),
                    };
                }
            }
            match self.client.read(&mut read).await? {
                0 => return Err(broken()),
                bytes => requests.extend_from_slice(&read[..bytes]),
            }
        }
    }

    /// How to cut this commit, after holding it if the plan says so.
    async fn plan(&self) -> Option<Cut> {
        let mut taken = None;
        self.control.plan.send_if_modified(|plan| match *plan {
            Plan::Cut(cut) => {
                taken = Some(cut);
                *plan = Plan::Pass;
                true
            }
            Plan::Pass | Plan::Hold => false,
        });
        if taken.is_none() && *self.control.plan.borrow() == Plan::Hold {
            self.control.held.send_modify(|held| *held += 1);
            let _ = self.control.plan.subscribe().wait_for(|plan| *plan != Plan::Hold).await;
            self.control.held.send_modify(|held| *held -= 1);
        }
        taken
    }

    async fn swallow_answer(&mut self) -> std::io::Result<()> {
        let (mut swallowed, mut read) = (Vec::new(), vec![0; 65536]);
        while !swallowed.ends_with(READY) {
            match self.server.read(&mut read).await? {
                0 => return Ok(()),
                bytes => swallowed.extend_from_slice(&read[..bytes]),
            }
        }
        Ok(())
    }
}

/// Whether the answer has a flag that is false: the fence matched no partition.
fn any_is_fenced(answer: &[u8]) -> bool {
    let Some(at) = answer.windows(FLAGS.len()).position(|window| window == FLAGS) else { return false };
    let rest = &answer[at + FLAGS.len()..];
    let Some((count, rest)) = rest.split_first_chunk() else { return false };
    let count = usize::try_from(u32::from_be_bytes(*count)).unwrap_or(0);
    // The lower bound, then for each flag its length and its byte.
    rest.get(4..).unwrap_or_default().chunks_exact(5).take(count).any(|flag| flag == [0, 0, 0, 1, 0])
}

struct FrontMessage {
    bytes: Vec<u8>,
    /// Binds a commit's parameters: the first message of its execution.
    is_commit: bool,
    is_sync: bool,
}

/// Parses the client's side of the protocol and tracks which prepared statements are commits.
#[derive(Default)]
struct Statements {
    started: bool,
    commits: BTreeSet<Vec<u8>>,
}

impl Statements {
    /// Takes the next whole message.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<FrontMessage> {
        // Startup messages have no type byte before their length.
        let head = usize::from(self.started);
        let length: [u8; 4] = bytes.get(head..head + 4)?.try_into().ok()?;
        let end = head + usize::try_from(u32::from_be_bytes(length)).ok()?;
        if bytes.len() < end {
            return None;
        }
        let message: Vec<u8> = bytes.drain(..end).collect();
        let body = &message[head + 4..];
        if !self.started {
            // Version 3.x; anything else asks for encryption first.
            self.started = body.starts_with(&[0, 3]);
            return Some(FrontMessage { bytes: message, is_commit: false, is_sync: false });
        }
        let kind = message[0];
        let mut texts = body.split(|byte| *byte == 0);
        let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        let is_commit = match kind {
            b'P' if second.starts_with(COMMIT) => {
                self.commits.insert(first.to_vec());
                false
            }
            b'P' => {
                self.commits.remove(first);
                false
            }
            b'B' => self.commits.contains(second),
            _ => false,
        };
        Some(FrontMessage { bytes: message, is_commit, is_sync: kind == b'S' })
    }
}
