//! The load: closed loops of clients, and open loops whose latencies count from the time a request was due.

use std::cell::{Cell, RefCell};
use std::io::Result;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use crate::connection::{Answer, Connection, Post};
use crate::histogram::Histogram;
use crate::patterns::Plan;

/// Connections of an open loop: more requests than these are never in flight, but their latency counts nevertheless.
const OPEN_CONNECTIONS: usize = 1024;
/// A client whose requests fail gives up after so many in a row.
const FAILURES_MAX: u32 = 20;

/// How the requests of a measurement ended.
#[derive(Default)]
pub struct Counts {
    pub succeeded: u64,
    pub refused: u64,
    /// 429 or 503.
    pub overload: u64,
    /// 202 after the whole wait.
    pub undecided: u64,
    pub failed: u64,
    pub latencies: Histogram,
}

impl Counts {
    pub fn decided(&self) -> u64 {
        self.succeeded + self.refused
    }

    fn add(&mut self, answer: &Result<Answer>, latency: Duration) {
        match answer.as_ref().map(|answer| answer.status) {
            Ok(200 | 201) => self.succeeded += 1,
            Ok(402 | 403 | 409 | 410 | 422) => self.refused += 1,
            Ok(429 | 503) => self.overload += 1,
            Ok(202) => self.undecided += 1,
            _ => self.failed += 1,
        }
        if matches!(answer, Ok(answer) if matches!(answer.status, 200 | 201 | 402 | 403 | 409 | 410 | 422)) {
            self.latencies.add(latency);
        }
    }
}

#[derive(Clone, Copy)]
pub enum Pace {
    /// So many clients, each with one request in flight.
    Closed(usize),
    /// So many requests a second, whatever the answers do.
    Open(f64),
}

/// What all clients of one measurement share.
struct Run {
    address: SocketAddr,
    plan: Rc<Plan>,
    start: Instant,
    end: Instant,
    /// Time between two requests of an open loop.
    interval: Option<Duration>,
    next_due: Cell<u32>,
    counts: RefCell<Counts>,
}

/// Sends for so long, or until the plan has no more requests; returns the counts and how long it took.
pub async fn run(address: SocketAddr, plan: &Rc<Plan>, pace: Pace, lasting: Duration) -> (Counts, Duration) {
    let start = Instant::now();
    let (clients, interval) = match pace {
        Pace::Closed(clients) => (clients, None),
        Pace::Open(rate) => (OPEN_CONNECTIONS, Some(Duration::from_secs_f64(1.0 / rate.max(1.0)))),
    };
    let run = Rc::new(Run {
        address,
        plan: plan.clone(),
        start,
        end: start + lasting,
        interval,
        next_due: Cell::new(0),
        counts: RefCell::default(),
    });
    let tasks = LocalSet::new();
    for _ in 0..clients {
        let run = run.clone();
        tasks.spawn_local(async move { run.client().await });
    }
    tasks.await;
    (run.counts.take(), start.elapsed())
}

impl Run {
    async fn client(&self) {
        let mut connection = None;
        let mut failures = 0;
        while failures < FAILURES_MAX {
            let Some(due) = self.due().await else { return };
            let Some(turn) = self.plan.turn() else { return };
            let answer = self.send(&mut connection, turn).await;
            if answer.is_err() {
                connection = None;
                failures += 1;
            } else {
                failures = 0;
            }
            self.counts.borrow_mut().add(&answer, due.elapsed());
        }
    }

    /// When this client's next request is due; `None` after the end.
    async fn due(&self) -> Option<Instant> {
        let Some(interval) = self.interval else {
            let now = Instant::now();
            return (now < self.end).then_some(now);
        };
        let number = self.next_due.replace(self.next_due.get() + 1);
        let due = self.start + interval * number;
        if due >= self.end {
            return None;
        }
        sleep_until(due).await;
        Some(due)
    }

    /// The requests of one turn: one, or a hold and its payment.
    async fn send(&self, connection: &mut Option<Connection>, turn: u64) -> Result<Answer> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(Connection::open(self.address).await?),
        };
        let request = self.plan.request(turn);
        let post = Post { path: request.path, user: &request.user, key: None, body: &request.body };
        let answer = connection.post(&post).await?;
        if !self.plan.pays() || answer.status != 200 {
            return Ok(answer);
        }
        let reservation = answer.field("reservation_id").unwrap_or_default();
        let path = format!("/v1/reservations/{reservation}/payment");
        connection.post(&Post { path: &path, user: &request.user, key: None, body: "{}" }).await
    }
}
