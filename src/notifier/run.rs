//! The notifier of a process: leads or watches, and while it leads keeps a group running for each enabled endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::concerts::Concerts;
use super::feed::Feed;
use super::group::{Group, Means};
use super::lease::{Leadership, Turn};
use super::partitions::{self, PartitionFeed, PartitionWatch};
use super::settings::Settings;
use super::start::offset_at;
use crate::log::{Log, ReadError, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::{Health, Severity};
use crate::store::{
    Disabled, NotifierStore, ProgressState, StartFrom, StoreError, Webhook, WebhookProgress, Webhooks, Why,
};
use crate::telemetry::metrics::WEBHOOK_DISABLED;

/// Progress is written so often: a crash repeats the events since.
const ROUND: Duration = Duration::from_millis(500);
/// Endpoints are read so often.
const LOOK: Duration = Duration::from_secs(1);
const CHECK: &str = "notifier";

/// What the notifier uses.
#[derive(Clone)]
pub struct Deps {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn NotifierStore>,
    pub clock: Clock,
    pub health: Health,
}

#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] ReadError),
}

/// Runs until `shutdown`. An outage of store or log delays events, no more.
pub async fn run(deps: Deps, settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (wanted, watched) = watch::channel(false);
    let (told, epoch) = watch::channel(None);
    let leadership = Leadership::new(settings.owner.clone(), settings.takeover_after);
    let beat = settings.takeover_after / 5;
    let led = CancellationToken::new();
    // In a set: it ends with this future, whoever drops it.
    let mut keeping = JoinSet::new();
    keeping.spawn(keep(Arc::clone(&deps.store), leadership, beat, watched, told, led.clone()));
    deps.health.ok(CHECK);
    let mut notifier = Notifier::new(deps, settings, wanted, epoch);
    loop {
        match notifier.round().await {
            Ok(()) => notifier.deps.health.ok(CHECK),
            Err(error) => {
                tracing::debug!(%error, "a round of the notifier has failed");
                notifier.deps.health.failing(CHECK, Severity::Degraded, error.to_string());
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = sleep(ROUND) => {}
        }
    }
    notifier.end().await;
    led.cancel();
    // Another notifier takes over at once.
    keeping.join_next().await;
    Ok(())
}

/// Keeps the lease while endpoints are wanted.
async fn keep(
    store: Arc<dyn NotifierStore>,
    mut leadership: Leadership,
    beat: Duration,
    wanted: watch::Receiver<bool>,
    told: watch::Sender<Option<u64>>,
    stop: CancellationToken,
) {
    loop {
        if *wanted.borrow() {
            match leadership.round(&*store).await {
                Ok(Some(Turn::Began(epoch))) => tracing::info!(epoch, "this notifier leads"),
                Ok(Some(Turn::Ended)) => tracing::info!("this notifier leads no longer"),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "the notifiers' lease is out of reach"),
            }
        } else {
            leadership.leave(&*store).await;
        }
        told.send_if_modified(|before| std::mem::replace(before, leadership.epoch()) != leadership.epoch());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep(beat) => {}
        }
    }
    leadership.leave(&*store).await;
}

/// What runs while this process leads.
struct Leading {
    epoch: u64,
    /// Of endpoints without a group.
    resting: BTreeMap<Uuid, ProgressState>,
    groups: BTreeMap<Uuid, Group>,
    feeds: Vec<Arc<Feed>>,
    partitions: Arc<PartitionFeed>,
    watch: PartitionWatch,
    concerts: Arc<Concerts>,
    shown: Shown,
    readers: JoinSet<()>,
    stop: CancellationToken,
}

/// Names in the metric of disabled endpoints. Dropped when another process leads, which shows them then.
#[derive(Default)]
struct Shown(BTreeSet<String>);

impl Shown {
    fn update(&mut self, webhooks: &[Webhook]) {
        let now: BTreeSet<String> = webhooks.iter().map(|webhook| webhook.name.clone()).collect();
        for gone in self.0.difference(&now) {
            let _ = WEBHOOK_DISABLED.remove_label_values(&[gone]);
        }
        for Webhook { name, content, .. } in webhooks {
            WEBHOOK_DISABLED.with_label_values(&[name]).set(content.disabled.is_some().into());
        }
        self.0 = now;
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.update(&[]);
    }
}

struct Notifier {
    deps: Deps,
    settings: Settings,
    wanted: watch::Sender<bool>,
    epoch: watch::Receiver<Option<u64>>,
    looked: Option<Instant>,
    leading: Option<Leading>,
}

impl Notifier {
    fn new(deps: Deps, settings: Settings, wanted: watch::Sender<bool>, epoch: watch::Receiver<Option<u64>>) -> Self {
        Notifier { deps, settings, wanted, epoch, looked: None, leading: None }
    }

    async fn round(&mut self) -> Result<(), RoundError> {
        let epoch = *self.epoch.borrow_and_update();
        if self.leading.as_ref().map(|leading| leading.epoch) != epoch {
            self.let_go().await;
            if let Some(epoch) = epoch {
                self.leading = Some(self.begin(epoch).await?);
                self.looked = None;
            }
        }
        if let Some(declared) = &self.settings.declared {
            declared.apply(&*self.deps.store, &self.deps.clock).await?;
            self.settings.declared = None;
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            let webhooks = self.deps.store.webhooks().await?;
            self.wanted.send_replace(webhooks.iter().any(|webhook| webhook.content.disabled.is_none()));
            self.looked = Some(Instant::now());
            let enabled = webhooks.iter().filter(|webhook| webhook.content.disabled.is_none());
            let watched = enabled.into_iter().any(|webhook| partitions::wanted(&webhook.content));
            self.reconcile(webhooks).await?;
            if let Some(leading) = self.leading.as_mut().filter(|_| watched) {
                leading.watch.look(&leading.partitions, &self.deps.clock).await?;
            }
        }
        self.write().await
    }

    async fn begin(&self, epoch: u64) -> Result<Leading, RoundError> {
        let claimed = self.deps.store.claim_webhook_progress(epoch).await?;
        let resting = claimed.into_iter().map(|row| (row.webhook_id, row.state)).collect();
        let partitions = self.deps.log.partitions().of(Topic::Outcomes);
        let feeds: Vec<Arc<Feed>> =
            (0..partitions).map(|partition| Arc::new(Feed::new(Arc::clone(&self.deps.log), partition))).collect();
        let (stop, mut readers) = (CancellationToken::new(), JoinSet::new());
        for feed in &feeds {
            let (feed, stop) = (Arc::clone(feed), stop.clone());
            readers.spawn(async move { feed.follow(stop).await });
        }
        let concerts = Arc::new(Concerts::new(Arc::clone(&self.deps.store)));
        let partitions = Arc::new(PartitionFeed::new(Arc::clone(&self.deps.store)));
        Ok(Leading {
            epoch,
            resting,
            groups: BTreeMap::new(),
            feeds,
            partitions,
            watch: PartitionWatch::default(),
            concerts,
            shown: Shown::default(),
            readers,
            stop,
        })
    }

    /// Stops all that runs; another one leads.
    async fn let_go(&mut self) {
        let Some(leading) = self.leading.take() else { return };
        leading.stop.cancel();
        for group in leading.groups.into_values() {
            group.stop(Duration::ZERO).await;
        }
    }

    /// Makes groups of what the endpoints say now.
    async fn reconcile(&mut self, webhooks: Vec<Webhook>) -> Result<(), RoundError> {
        let Some(leading) = &mut self.leading else { return Ok(()) };
        let means = Means {
            store: Arc::clone(&self.deps.store),
            clock: self.deps.clock.clone(),
            settings: self.settings.clone(),
            feeds: leading.feeds.clone(),
            partitions: Arc::clone(&leading.partitions),
            concerts: Arc::clone(&leading.concerts),
        };
        leading.shown.update(&webhooks);
        let now: BTreeMap<Uuid, Webhook> = webhooks.into_iter().map(|webhook| (webhook.id, webhook)).collect();
        let changed = |group: &&Group| now.get(&group.id()).is_none_or(|webhook| *webhook != group.webhook);
        let ended: Vec<Uuid> = leading.groups.values().filter(changed).map(Group::id).collect();
        for id in ended {
            let Some(group) = leading.groups.remove(&id) else { continue };
            let state = group.stop(self.settings.drain).await;
            leading.resting.insert(id, state);
        }
        leading.resting.retain(|id, _| now.contains_key(id));
        for (id, webhook) in now {
            if webhook.content.disabled.is_some() || leading.groups.contains_key(&id) {
                continue;
            }
            let before = leading.resting.get(&id).cloned().unwrap_or_default();
            let anew = before.started != webhook.content.start.id;
            let mut state = begun(&*self.deps.log, &webhook, before).await?;
            partitions::begin(&*self.deps.store, &webhook, anew, &mut state).await?;
            let row = WebhookProgress { webhook_id: id, state };
            if !self.deps.store.save_webhook_progress(leading.epoch, &row).await? {
                // Removed, or another one leads: the next round says which.
                continue;
            }
            match Group::start(webhook.clone(), row.state, &means) {
                Ok(group) => drop(leading.groups.insert(id, group)),
                Err(reason) => disable(&*self.deps.store, &self.deps.clock, webhook, reason).await?,
            }
        }
        Ok(())
    }

    /// Writes how far the groups are, and disables endpoints that must be.
    async fn write(&mut self) -> Result<(), RoundError> {
        let Some(leading) = &mut self.leading else { return Ok(()) };
        for group in leading.groups.values_mut() {
            group.measure(&self.deps.clock);
            if let Some(reason) = group.verdict() {
                disable(&*self.deps.store, &self.deps.clock, group.webhook.clone(), reason).await?;
                self.looked = None;
            }
            let Some(row) = group.unwritten() else { continue };
            match self.deps.store.save_webhook_progress(leading.epoch, &row).await {
                Ok(true) => {}
                Ok(false) => tracing::debug!(endpoint = group.webhook.name, "its progress is not this notifier's"),
                Err(error) => {
                    group.not_written();
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Stops in order; the last progress is written.
    async fn end(mut self) {
        let Some(mut leading) = self.leading.take() else { return };
        let mut stopping = JoinSet::new();
        for (id, group) in std::mem::take(&mut leading.groups) {
            let drain = self.settings.drain;
            stopping.spawn(async move { WebhookProgress { webhook_id: id, state: group.stop(drain).await } });
        }
        while let Some(stopped) = stopping.join_next().await {
            let Ok(row) = stopped else { continue };
            if let Err(error) = self.deps.store.save_webhook_progress(leading.epoch, &row).await {
                tracing::warn!(%error, "the last events will be delivered again");
            }
        }
        leading.stop.cancel();
        while leading.readers.join_next().await.is_some() {}
        self.leading = None;
    }
}

/// The progress of an endpoint, at the start that its operator wants.
async fn begun(log: &dyn Log, webhook: &Webhook, mut state: ProgressState) -> Result<ProgressState, ReadError> {
    let start = &webhook.content.start;
    let anew = state.started != start.id;
    for partition in 0..log.partitions().of(Topic::Outcomes) {
        let known = state.cursors.contains_key(&partition);
        let next_offset = match start.from {
            StartFrom::First if anew => log.first_offset(Topic::Outcomes, partition).await?,
            StartFrom::TimeMs(time_ms) if anew => offset_at(log, partition, time_ms).await?,
            StartFrom::Position { partition: only, offset } if anew && only == partition => offset,
            // A partition that the topic did not have before.
            _ if !known => log.first_offset(Topic::Outcomes, partition).await?,
            _ => continue,
        };
        let cursor = state.cursors.entry(partition).or_default();
        cursor.next_offset = next_offset;
        cursor.failure = None;
    }
    if anew {
        state.failing_since_ms = None;
    }
    state.started = start.id;
    Ok(state)
}

/// Disables an endpoint, unless an operator has changed it meanwhile.
async fn disable(store: &dyn Webhooks, clock: &Clock, mut webhook: Webhook, reason: String) -> Result<(), StoreError> {
    tracing::error!(endpoint = webhook.name, reason, "a webhook is disabled; turnstile webhooks enable NAME");
    webhook.content.disabled = Some(Disabled { at_ms: clock.now().0, why: Why::Failed(reason) });
    store.change_webhook(&webhook).await.map(drop)
}
