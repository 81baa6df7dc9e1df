//! A Redis stream with a consumer group in front of the batched procedure. The consumer runs in the same process, which
//! spares this rival the way back of an answer between processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{Value, from_redis_value};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::batcher::{Answered, CALLS, Command, decide};
use super::session::{Place, Session};
use super::{Charge, Decided, Failure, Hold, Pay, Rival};
use crate::services::env;

const GROUP: &str = "deciders";
const BATCH_MAX: usize = 2000;
const BLOCK_MS: u64 = 1000;

type Waiters = Arc<Mutex<HashMap<Uuid, oneshot::Sender<Decided>>>>;

pub struct RedisStream {
    redis: MultiplexedConnection,
    /// A stream for each consumer; a wallet or seat has one of them.
    streams: Vec<String>,
    waiters: Waiters,
}

impl RedisStream {
    pub async fn connect(place: &Place, consumers: usize) -> anyhow::Result<RedisStream> {
        let client = redis::Client::open(env("TURNSTILE_TEST_REDIS")?)?;
        let mut redis = client.get_multiplexed_async_connection().await?;
        let waiters = Waiters::default();
        let mut streams = Vec::new();
        for number in 0..consumers {
            let stream = format!("{}{number}", streams_of(&place.schema));
            let mut create = redis::cmd("XGROUP");
            create.arg("CREATE").arg(&stream).arg(GROUP).arg("0").arg("MKSTREAM");
            create.query_async::<()>(&mut redis).await?;
            let consumer = Consumer {
                // A blocking read has a connection of its own, or it would block the others.
                redis: client.get_multiplexed_async_connection_with_config(&patient()).await?,
                stream: stream.clone(),
                session: Session::connect(place, &CALLS).await?,
                waiters: waiters.clone(),
            };
            tokio::spawn(consumer.run());
            streams.push(stream);
        }
        Ok(RedisStream { redis, streams, waiters })
    }

    async fn decide(&self, command: Command, fields: [String; 6], way: usize) -> Result<Decided, Failure> {
        let id = command.request_id();
        let (answer, answered) = oneshot::channel();
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answer);
        let mut add = redis::cmd("XADD");
        add.arg(&self.streams[way % self.streams.len()]).arg("*").arg("c").arg(fields.join("\n"));
        add.query_async::<()>(&mut self.redis.clone()).await?;
        answered.await.map_err(|_| Failure::Other("the batch was not decided"))
    }
}

fn streams_of(schema: &str) -> String {
    format!("commands:{schema}:")
}

/// What this rival leaves in Redis.
pub async fn delete_streams(schema: &str) -> anyhow::Result<()> {
    let mut redis = redis::Client::open(env("TURNSTILE_TEST_REDIS")?)?.get_multiplexed_async_connection().await?;
    let keys =
        redis::cmd("KEYS").arg(format!("{}*", streams_of(schema))).query_async::<Vec<String>>(&mut redis).await?;
    if !keys.is_empty() {
        redis::cmd("DEL").arg(keys).query_async::<()>(&mut redis).await?;
    }
    Ok(())
}

fn patient() -> redis::AsyncConnectionConfig {
    redis::AsyncConnectionConfig::new().set_response_timeout(None)
}

struct Consumer {
    redis: MultiplexedConnection,
    stream: String,
    session: Session,
    waiters: Waiters,
}

impl Consumer {
    async fn run(mut self) {
        loop {
            if let Err(failure) = self.round().await {
                eprintln!("{}: {failure:?}", self.stream);
            }
        }
    }

    fn answer(&self, answers: Vec<Answered>) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, decided) in answers {
            if let Some(waiter) = waiters.remove(&id) {
                // Nobody may wait any more.
                let _ = waiter.send(decided);
            }
        }
    }

    /// Reads what has arrived, decides it in one transaction, acknowledges it.
    async fn round(&mut self) -> Result<(), Failure> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg("front").arg("COUNT").arg(BATCH_MAX).arg("BLOCK").arg(BLOCK_MS);
        read.arg("STREAMS").arg(&self.stream).arg(">");
        type Entries = Vec<(String, Vec<(String, Vec<String>)>)>;
        let value: Value = read.query_async(&mut self.redis).await?;
        let Some(streams) = from_redis_value::<Option<Entries>>(value).map_err(|_| Failure::Other("no entries"))?
        else {
            return Ok(());
        };
        let entries: Vec<(String, Command)> = streams
            .into_iter()
            .flat_map(|(_, entries)| entries)
            .filter_map(|(id, fields)| Some((id, command(fields.get(1)?)?)))
            .collect();
        let (ids, commands): (Vec<String>, Vec<Command>) = entries.into_iter().unzip();
        let answers = decide(&self.session, &commands).await?;
        self.answer(answers);
        let mut pipeline = redis::pipe();
        pipeline.cmd("XACK").arg(&self.stream).arg(GROUP).arg(&ids).ignore();
        pipeline.cmd("XDEL").arg(&self.stream).arg(&ids).ignore();
        pipeline.query_async::<()>(&mut self.redis).await?;
        Ok(())
    }
}

/// As `decide` joined it.
fn command(text: &str) -> Option<Command> {
    let fields: Vec<&str> = text.split('\n').collect();
    let [kind, request_id, user, a, b, c] = fields[..] else { return None };
    let (request_id, user) = (request_id.parse().ok()?, user.to_owned());
    Some(match kind {
        "charge" => Command::Charge(Charge { request_id, user, amount: a.parse().ok()? }),
        "hold" => {
            let (schedule, section, number) = (a.parse().ok()?, b.to_owned(), c.parse().ok()?);
            Command::Hold(Hold { request_id, user, schedule, section, number })
        }
        _ => Command::Pay(Pay { request_id, user, reservation: a.parse().ok()? }),
    })
}

fn fields(kind: &str, request_id: Uuid, user: &str, further: [String; 3]) -> [String; 6] {
    let [a, b, c] = further;
    [kind.to_owned(), request_id.to_string(), user.to_owned(), a, b, c]
}

#[async_trait]
impl Rival for RedisStream {
    async fn charge(&self, charge: Charge) -> Result<Decided, Failure> {
        let further = [charge.amount.to_string(), String::new(), String::new()];
        let fields = fields("charge", charge.request_id, &charge.user, further);
        let command = Command::Charge(charge);
        let way = command.way(self.streams.len());
        self.decide(command, fields, way).await
    }

    async fn hold(&self, hold: Hold) -> Result<Decided, Failure> {
        let further = [hold.schedule.to_string(), hold.section.clone(), hold.number.to_string()];
        let fields = fields("hold", hold.request_id, &hold.user, further);
        let command = Command::Hold(hold);
        let way = command.way(self.streams.len());
        self.decide(command, fields, way).await
    }

    async fn pay(&self, pay: Pay) -> Result<Decided, Failure> {
        let fields =
            fields("pay", pay.request_id, &pay.user, [pay.reservation.to_string(), String::new(), String::new()]);
        let command = Command::Pay(pay);
        let way = command.way(self.streams.len());
        self.decide(command, fields, way).await
    }
}
