//! Another service that appends thousands of commands a second to the log at a steady rate.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use turnstile::domain::wallet::{self, Movement};
use turnstile::domain::{Body, Command, Lane, RequestId, UserId};
use turnstile::log::{AppendError, Log, NewRecord, Topic};
use turnstile::store::Store;
use turnstile::wire::{command, routing};

use crate::harness::{System, until};

/// Wallets charged in turn.
const USERS: u64 = 2_000;
const TICK: Duration = Duration::from_millis(10);
const TICKS_A_SECOND: u64 = 100;

pub struct Flood {
    users: Users,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    /// Returns the number of charges acknowledged by the log.
    appending: JoinHandle<u64>,
}

/// The users of one flood: a prefix of their ids.
#[derive(Clone)]
struct Users(String);

impl Users {
    fn user(&self, number: u64) -> UserId {
        format!("{}-{}", self.0, number % USERS).parse().expect("a user id")
    }
}

impl Flood {
    pub async fn start(system: &System, commands_a_second: u64) -> Flood {
        let ((log, _), store) = (system.open_log().await, system.open_store().await);
        let stop = CancellationToken::new();
        let users = Users(format!("flood{}", uuid::Uuid::now_v7().simple()));
        let appending = tokio::spawn(append_all(log, users.clone(), commands_a_second / TICKS_A_SECOND, stop.clone()));
        Flood { users, store, stop, appending }
    }

    /// Ends it and waits until each charge has been decided once; returns their number. Panics if an append failed or a
    /// charge was lost or duplicated. Registers its users for the checks at the end.
    pub async fn end(self, system: &System) -> u64 {
        self.stop.cancel();
        let sent = self.appending.await.expect("the log takes everything");
        let users: Vec<UserId> = (0..USERS.min(sent)).map(|number| self.users.user(number)).collect();
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
            let (entries, balance) = (wallet.entries, u64::try_from(wallet.balance.get()).expect("not negative"));
            assert_eq!((entries, balance), (charges, charges), "charges of {user}: lost or duplicated");
            let _ = system.client.user(user.to_string());
        }
        sent
    }
}

/// Appends this many charges of 1 every tick; ticks that the machine missed are made up for at once.
async fn append_all(log: Arc<dyn Log>, users: Users, per_tick: u64, stop: CancellationToken) -> u64 {
    let topic = Topic::Lane(Lane::Wallets);
    let mut pace = interval(TICK);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut under_way, mut sent) = (FuturesUnordered::new(), 0);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = under_way.next() => {}
            _ = pace.tick() => for _ in 0..per_tick {
                let user_id = users.user(sent);
                let key = user_id.to_string();
                let partition = routing::partition_for(&key, log.partitions().of(topic));
                let charge = Movement { user_id, amount: 1, reason: None };
                let body = Body::Wallets(wallet::Command::ChargeWallet(charge));
                let value = command::encode(&Command { request_id: RequestId(uuid::Uuid::now_v7()), by: None, body });
                let record = NewRecord { key: key.into(), value: Bytes::from(value), headers: Vec::new() };
                under_way.push(append(Arc::clone(&log), topic, partition, record));
                sent += 1;
            },
        }
    }
    while under_way.next().await.is_some() {}
    sent
}

/// Retries while the producer's queue is full.
async fn append(log: Arc<dyn Log>, topic: Topic, partition: u32, record: NewRecord) {
    loop {
        match log.append(topic, partition, record.clone()).await {
            Ok(_) => return,
            Err(AppendError::Backlog) => sleep(TICK).await,
            Err(error) => panic!("a charge was not appended: {error}"),
        }
    }
}
