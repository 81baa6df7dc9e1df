//! A lock in Redis (`SET NX PX` with a token, released by a script that compares it) around a transaction that takes no
//! locks itself. Whoever finds it taken waits for the message of its release, as Redisson does; within this process one
//! at a time asks Redis for a lock, the others wait in line.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Mutex as Line, Notify, OwnedMutexGuard};
use uuid::Uuid;

use super::lock::Reads;
use super::session::{Place, Pool};
use super::{Charge, Decided, Failure, Hold, Pay, Rival};
use crate::services::env;

/// Longer than any transaction takes. If one takes longer, two hold the lock: why this is no fencing.
const LEASE_MS: u64 = 10_000;
/// A message may be lost.
const ASKS_AGAIN_AFTER: Duration = Duration::from_millis(50);
const RELEASED: &str = "released:";
const RELEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) \
    redis.call('publish', ARGV[2], '') return 1 end return 0";

const READS: Reads = Reads {
    wallet: "select balance, entries from wallet where user_id = $1",
    seat: "select price, status = 'AVAILABLE' or status = 'HELD' and expires_at < now() as free from seat \
        where schedule_id = $1 and section = $2 and number = $3",
    reservation: "select schedule_id, section, number, amount from reservation \
        where id = $1 and user_id = $2 and status = 'HELD' and expires_at >= now()",
};

type Lines = Mutex<HashMap<String, Weak<Line<()>>>>;

pub struct RedisLock {
    redis: MultiplexedConnection,
    release: String,
    pool: Pool,
    lines: Lines,
    /// Somebody else's lock was released.
    released: Arc<Notify>,
}

struct Held {
    name: String,
    token: String,
    _line: OwnedMutexGuard<()>,
}

impl RedisLock {
    pub async fn connect(place: &Place, pool: usize) -> anyhow::Result<RedisLock> {
        let client = redis::Client::open(env("TURNSTILE_TEST_REDIS")?)?;
        let mut redis = client.get_multiplexed_async_connection().await?;
        let release = redis::cmd("SCRIPT").arg("LOAD").arg(RELEASE).query_async(&mut redis).await?;
        let mut messages = client.get_async_pubsub().await?;
        messages.psubscribe(format!("{RELEASED}*")).await?;
        let released = Arc::new(Notify::new());
        let wakes = released.clone();
        tokio::spawn(async move {
            let mut messages = messages.into_on_message();
            while messages.next().await.is_some() {
                wakes.notify_waiters();
            }
        });
        let pool = Pool::connect(place, pool, &READS.statements()).await?;
        Ok(RedisLock { redis, release, pool, lines: Lines::default(), released })
    }

    /// The line of this name in this process.
    fn line(&self, name: &str) -> Arc<Line<()>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(name).and_then(Weak::upgrade) {
            return line;
        }
        if lines.len() > 10_000 {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let line = Arc::new(Line::new(()));
        lines.insert(name.to_owned(), Arc::downgrade(&line));
        line
    }

    async fn lock(&self, name: String) -> Result<Held, Failure> {
        let line = self.line(&name).lock_owned().await;
        let token = Uuid::now_v7().simple().to_string();
        let mut redis = self.redis.clone();
        loop {
            let mut set = redis::cmd("SET");
            set.arg(&name).arg(&token).arg("NX").arg("PX").arg(LEASE_MS);
            let released = self.released.notified();
            if set.query_async::<Option<String>>(&mut redis).await?.is_some() {
                return Ok(Held { name, token, _line: line });
            }
            let _ = tokio::time::timeout(ASKS_AGAIN_AFTER, released).await;
        }
    }

    async fn unlock(&self, held: Held) -> Result<(), Failure> {
        let mut evaluate = redis::cmd("EVALSHA");
        evaluate.arg(&self.release).arg(1).arg(&held.name).arg(&held.token).arg(format!("{RELEASED}{}", held.name));
        evaluate.query_async::<i64>(&mut self.redis.clone()).await?;
        Ok(())
    }
}

#[async_trait]
impl Rival for RedisLock {
    async fn charge(&self, charge: Charge) -> Result<Decided, Failure> {
        let held = self.lock(format!("lock:wallet:{}", charge.user)).await?;
        let decided = READS.charge(&*self.pool.lease().await, &charge).await;
        self.unlock(held).await?;
        decided
    }

    async fn hold(&self, hold: Hold) -> Result<Decided, Failure> {
        let held = self.lock(format!("lock:seat:{}:{}-{}", hold.schedule, hold.section, hold.number)).await?;
        let decided = READS.hold(&*self.pool.lease().await, &hold).await;
        self.unlock(held).await?;
        decided
    }

    /// A reservation is its owner's, so that the lock of the wallet is enough.
    async fn pay(&self, pay: Pay) -> Result<Decided, Failure> {
        let held = self.lock(format!("lock:wallet:{}", pay.user)).await?;
        let decided = READS.pay(&*self.pool.lease().await, &pay).await;
        self.unlock(held).await?;
        decided
    }
}
