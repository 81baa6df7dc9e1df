//! Thousands of commands a second from another service, straight onto the log, at a steady pace.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use turnstile::domain::command::ChargeWallet;
use turnstile::domain::{Body, Command, Lane, RequestId, UserId};
use turnstile::log::{AppendError, Log, NewRecord, Topic};
use turnstile::store::Store;
use turnstile::wire::{command, routing};

use crate::harness::{System, until};

/// Wallets that are charged in turn.
const USERS: u64 = 2_000;
const TICK: Duration = Duration::from_millis(10);
const TICKS_A_SECOND: u64 = 100;

pub struct Flood {
    crowd: Crowd,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    /// Gives how many charges the log has acknowledged.
    flowing: JoinHandle<u64>,
}

/// Users of one flood only.
#[derive(Clone)]
struct Crowd(String);

impl Crowd {
    fn user(&self, number: u64) -> UserId {
        format!("{}-{}", self.0, number % USERS).parse().expect("a user id")
    }
}

impl Flood {
    pub async fn start(system: &System, commands_a_second: u64) -> Flood {
        let ((log, _), store) = (system.open_log().await, system.open_store().await);
        let stop = CancellationToken::new();
        let crowd = Crowd(format!("flood{}", uuid::Uuid::now_v7().simple()));
        let flowing = tokio::spawn(flow(log, crowd.clone(), commands_a_second / TICKS_A_SECOND, stop.clone()));
        Flood { crowd, store, stop, flowing }
    }

    /// Ends it and waits until each charge has been decided, once. Panics if an append failed or a charge was lost or
    /// doubled. How many there were. The checks at the end know of its users from then on.
    pub async fn end(self, system: &System) -> u64 {
        self.stop.cancel();
        let sent = self.flowing.await.expect("the log takes everything");
        let users: Vec<UserId> = (0..USERS.min(sent)).map(|number| self.crowd.user(number)).collect();
        until("all charges to be decided", async || {
            let wallets = self.store.load_wallets(&users).await.map_err(|error| error.to_string())?;
            let decided: u64 = wallets.iter().map(|wallet| wallet.entries).sum();
            if decided >= sent { Ok(()) } else { Err(format!("{decided} of {sent}")) }
        })
        .await;
        for (number, user) in (0..).zip(&users) {
            let wallet =
                self.store.load_wallets(std::slice::from_ref(user)).await.expect("the store answers").remove(0);
            let charges = (sent - number).div_ceil(USERS);
            let (entries, balance) = (wallet.entries, u64::try_from(wallet.balance).expect("not negative"));
            assert_eq!((entries, balance), (charges, charges), "charges of {user}: lost or doubled");
            let _ = system.client.user(user.to_string());
        }
        sent
    }
}

/// Charges of 1, so many in every tick. What the machine was too busy to send in time is sent at once afterwards.
async fn flow(log: Arc<dyn Log>, crowd: Crowd, a_tick: u64, stop: CancellationToken) -> u64 {
    let topic = Topic::Lane(Lane::Wallets);
    let mut pace = interval(TICK);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut under_way, mut sent) = (FuturesUnordered::new(), 0);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = under_way.next() => {}
            _ = pace.tick() => for _ in 0..a_tick {
                let user_id = crowd.user(sent);
                let key = user_id.to_string();
                let partition = routing::partition_for(&key, log.partitions().of(topic));
                let body = Body::ChargeWallet(ChargeWallet { user_id, amount: 1, reason: None });
                let value = command::encode(&Command { request_id: RequestId(uuid::Uuid::now_v7()), body });
                let record = NewRecord { key: key.into(), value: Bytes::from(value), headers: Vec::new() };
                under_way.push(append(Arc::clone(&log), topic, partition, record));
                sent += 1;
            },
        }
    }
    while under_way.next().await.is_some() {}
    sent
}

/// Until the log has it: who produces commands waits while the client's queue is full.
async fn append(log: Arc<dyn Log>, topic: Topic, partition: u32, record: NewRecord) {
    loop {
        match log.append(topic, partition, record.clone()).await {
            Ok(_) => return,
            Err(AppendError::Backlog) => sleep(TICK).await,
            Err(error) => panic!("a charge was not appended: {error}"),
        }
    }
}
