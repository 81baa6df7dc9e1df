//! Batching in the server: what arrives while a call is under way goes together into the next one. No timer.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Row;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::session::{Place, Session};
use super::{Charge, Decided, Failure, Hold, Pay};

const CHARGES: &str = "select * from charge_batch($1, $2, $3, $4)";
const HOLDS: &str = "select * from hold_batch($1, $2, $3, $4, $5, $6)";
const PAYMENTS: &str = "select * from pay_batch($1, $2, $3, $4)";
pub const CALLS: [&str; 3] = [CHARGES, HOLDS, PAYMENTS];
/// Commands of one call: what Turnstile takes into a batch.
const BATCH_MAX: usize = 2000;

#[derive(Debug, Clone)]
pub enum Command {
    Charge(Charge),
    Hold(Hold),
    Pay(Pay),
}

impl Command {
    pub fn request_id(&self) -> Uuid {
        match self {
            Command::Charge(charge) => charge.request_id,
            Command::Hold(hold) => hold.request_id,
            Command::Pay(pay) => pay.request_id,
        }
    }

    /// Commands on the same wallet or seat go the same way, so that no two calls wait for each other.
    pub fn way(&self, ways: usize) -> usize {
        let hash = match self {
            Command::Charge(charge) => xxh3_64(charge.user.as_bytes()),
            Command::Hold(hold) => xxh3_64(hold.section.as_bytes()) ^ hold.number as u64,
            Command::Pay(pay) => xxh3_64(pay.user.as_bytes()),
        };
        hash as usize % ways
    }
}

/// An answer of a procedure, with its request id.
pub type Answered = (Uuid, Decided);

fn answered(row: &Row) -> Answered {
    (row.get(0), Decided::of(row.get(1), row.get(2)))
}

/// Decides commands in the order in which they came, one call a kind.
pub async fn decide(session: &Session, commands: &[Command]) -> Result<Vec<Answered>, Failure> {
    let charges: Vec<&Charge> =
        commands.iter().filter_map(|c| if let Command::Charge(x) = c { Some(x) } else { None }).collect();
    let holds: Vec<&Hold> =
        commands.iter().filter_map(|c| if let Command::Hold(x) = c { Some(x) } else { None }).collect();
    let payments: Vec<&Pay> =
        commands.iter().filter_map(|c| if let Command::Pay(x) = c { Some(x) } else { None }).collect();
    let mut answers = Vec::with_capacity(commands.len());
    if !charges.is_empty() {
        let ids: Vec<Uuid> = charges.iter().map(|_| Uuid::now_v7()).collect();
        let requests: Vec<Uuid> = charges.iter().map(|charge| charge.request_id).collect();
        let users: Vec<&str> = charges.iter().map(|charge| charge.user.as_str()).collect();
        let amounts: Vec<i64> = charges.iter().map(|charge| charge.amount).collect();
        answers.extend(session.rows(CHARGES, [&requests, &users, &amounts, &ids]).await?.iter().map(answered));
    }
    if !holds.is_empty() {
        let ids: Vec<Uuid> = holds.iter().map(|_| Uuid::now_v7()).collect();
        let requests: Vec<Uuid> = holds.iter().map(|hold| hold.request_id).collect();
        let users: Vec<&str> = holds.iter().map(|hold| hold.user.as_str()).collect();
        let schedules: Vec<Uuid> = holds.iter().map(|hold| hold.schedule).collect();
        let sections: Vec<&str> = holds.iter().map(|hold| hold.section.as_str()).collect();
        let numbers: Vec<i64> = holds.iter().map(|hold| hold.number).collect();
        let rows = session.rows(HOLDS, [&requests, &users, &schedules, &sections, &numbers, &ids]).await?;
        answers.extend(rows.iter().map(answered));
    }
    if !payments.is_empty() {
        let ids: Vec<Uuid> = payments.iter().map(|_| Uuid::now_v7()).collect();
        let requests: Vec<Uuid> = payments.iter().map(|pay| pay.request_id).collect();
        let users: Vec<&str> = payments.iter().map(|pay| pay.user.as_str()).collect();
        let reservations: Vec<Uuid> = payments.iter().map(|pay| pay.reservation).collect();
        let rows = session.rows(PAYMENTS, [&requests, &users, &reservations, &ids]).await?;
        answers.extend(rows.iter().map(answered));
    }
    Ok(answers)
}

type Waiting = (Command, oneshot::Sender<Result<Decided, Failure>>);

/// A way is a task with a connection of its own.
pub struct Batcher {
    ways: Vec<mpsc::UnboundedSender<Waiting>>,
}

impl Batcher {
    pub async fn connect(place: &Place, ways: usize) -> anyhow::Result<Batcher> {
        let mut senders = Vec::new();
        for _ in 0..ways {
            let session = Arc::new(Session::connect(place, &CALLS).await?);
            // The front's connections bound how many wait.
            let (sender, commands) = mpsc::unbounded_channel();
            tokio::spawn(way(session, commands));
            senders.push(sender);
        }
        Ok(Batcher { ways: senders })
    }

    pub async fn decide(&self, command: Command) -> Result<Decided, Failure> {
        let (answer, answered) = oneshot::channel();
        let way = command.way(self.ways.len());
        self.ways[way].send((command, answer)).map_err(|_| Failure::Other("the batcher ended"))?;
        answered.await.map_err(|_| Failure::Other("the batch was not decided"))?
    }
}

async fn way(session: Arc<Session>, mut commands: mpsc::UnboundedReceiver<Waiting>) {
    let mut batch: Vec<Waiting> = Vec::new();
    while commands.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (wanted, waiting): (Vec<Command>, Vec<_>) = batch.drain(..).unzip();
        match decide(&session, &wanted).await {
            Ok(answers) => {
                let answers: std::collections::HashMap<Uuid, Decided> = answers.into_iter().collect();
                for (command, waiter) in wanted.iter().zip(waiting) {
                    let decided = answers.get(&command.request_id()).cloned();
                    // Nobody may wait any more.
                    let _ = waiter.send(decided.ok_or(Failure::Other("the procedure gave no answer")));
                }
            }
            Err(failure) => eprintln!("a batch of {} failed: {failure:?}", wanted.len()),
        }
    }
}
