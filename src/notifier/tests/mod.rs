//! A notifier over log and store in memory, and a receiver that answers as it is told.

mod calls;
mod chat;
mod declared;
mod deliveries;
mod events;
mod leading;
mod partitions;
mod receiver;
mod starts;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::receiver::Receiver;
use super::{AddressFilter, Client, Declared, Deps, NewWebhook, Settings};
use crate::domain::wallet::{Entry, EntryKind, Reply};
use crate::domain::{
    Amount, Arrival, Balance, CommandKind, Effects, EntryId, Fingerprint, Lane, LogTime, Position, RequestId,
    ScheduleId,
};
use crate::log::{Log, NewRecord, PartitionCounts, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::{OnFailure, StartFrom, Webhook, WebhookFormat, WebhookStart, Webhooks};
use crate::testing::{MemoryLog, MemoryStore};
use crate::wire::headers::outcome_headers;
use crate::wire::outcome::{OutcomeRecord, encode};

/// How long anything may take beside compilers.
const WITHIN: Duration = Duration::from_secs(60);

/// Log, store, and what runs on them.
struct World {
    log: Arc<MemoryLog>,
    store: Arc<MemoryStore>,
    retry: Vec<Duration>,
    takeover_after: Duration,
    disable_after: Duration,
    declared: Option<Declared>,
}

/// A notifier that runs.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Ends it like a crash: nothing more is written.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl World {
    fn new() -> Self {
        let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 2, dead_letters: 1 };
        World {
            log: Arc::new(MemoryLog::new(counts, Clock::System)),
            store: Arc::new(MemoryStore::new()),
            retry: vec![Duration::from_millis(1); 20],
            takeover_after: Duration::from_millis(500),
            disable_after: Duration::from_secs(3600),
            declared: None,
        }
    }

    fn start(&self, owner: &str) -> Running {
        let settings = Settings {
            owner: owner.to_owned(),
            client: Arc::new(client(Duration::from_secs(5))),
            retry: self.retry.clone().into(),
            disable_after: self.disable_after,
            takeover_after: self.takeover_after,
            drain: Duration::from_secs(5),
            declared: self.declared.clone().map(Arc::new),
        };
        let (log, store) = (Arc::clone(&self.log), Arc::clone(&self.store));
        let deps = Deps { log, store, clock: Clock::System, health: Health::default() };
        let stop = CancellationToken::new();
        Running { stop: stop.clone(), task: tokio::spawn(super::run(deps, settings, stop)) }
    }

    /// Adds an endpoint that begins at the first outcome.
    async fn add(&self, receiver: &Receiver, change: impl FnOnce(&mut NewWebhook)) -> Webhook {
        let mut wanted = NewWebhook {
            name: "shop".to_owned(),
            url: format!("http://{}/hook?a=1", receiver.address),
            types: Vec::new(),
            schedule: None,
            concert: None,
            include_user: true,
            format: WebhookFormat::Standard,
            on_failure: OnFailure::Skip,
        };
        change(&mut wanted);
        let mut webhook = wanted.checked(Clock::System.now(), true).unwrap();
        webhook.content.start = WebhookStart { id: Uuid::now_v7(), from: StartFrom::First };
        assert!(self.store.insert_webhook(&webhook).await.unwrap());
        webhook
    }

    /// Appends charges of one user to a partition of the outcomes, numbered from `first`.
    async fn charge(&self, partition: u32, user: &str, numbers: std::ops::Range<u64>) {
        for number in numbers {
            self.log.append(Topic::Outcomes, partition, charged(user, number)).await.unwrap();
        }
    }

    /// Waits until the endpoint stands so.
    async fn until(&self, what: &str, stands: impl Fn(&Webhook) -> bool) -> Webhook {
        let waiting = async {
            loop {
                let found = self.store.webhooks().await.unwrap().into_iter().find(&stands);
                match found {
                    Some(webhook) => return webhook,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        tokio::time::timeout(WITHIN, waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
    }
}

/// May call this machine by plain http.
fn client(timeout: Duration) -> Client {
    let filter = AddressFilter { allowed: vec![(IpAddr::V4(Ipv4Addr::LOCALHOST), 8)] };
    Client::new(filter, true, timeout, None).unwrap()
}

/// The outcome of the charge with this number, at that offset of its lane.
fn charged(user: &str, number: u64) -> NewRecord {
    charged_about(user, number, None)
}

/// The same as if it were about a date.
fn charged_about(user: &str, number: u64, schedule_id: Option<ScheduleId>) -> NewRecord {
    let at = Arrival { position: Position::new(Lane::Wallets, 0, number), time: LogTime(1_795_244_400_123) };
    let request_id = RequestId(Uuid::new_v4());
    let entry = Entry {
        id: EntryId(Uuid::new_v4()),
        user_id: user.parse().unwrap(),
        number,
        kind: EntryKind::Charge,
        amount: Amount::movement(5).unwrap(),
        balance_after: Balance::new(5).unwrap(),
        reason: None,
        request_id,
        by: None,
        cause: request_id.0,
        at,
    };
    let written = OutcomeRecord {
        request_id,
        command: CommandKind::ChargeWallet,
        user_id: Some(&entry.user_id.clone()),
        by: None,
        fingerprint: Fingerprint(1),
        schedule_id,
        outcome: &Ok(Reply::WalletChanged(entry).into()),
        effects: &Effects::default(),
        decided: at,
    };
    NewRecord {
        key: Bytes::from(user.to_owned()),
        value: Bytes::from(encode(&written).record),
        headers: outcome_headers(Uuid::new_v4(), user, &written, None),
    }
}
