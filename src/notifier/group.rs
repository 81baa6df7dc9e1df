//! All that runs for one endpoint, from one change of it to the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::concerts::Concerts;
use super::cursors::Cursors;
use super::delivery::{Courier, Target};
use super::endpoint::check_url;
use super::feed::Feed;
use super::partitions::{self, PartitionFeed};
use super::settings::Settings;
use super::{pump, slack};
use crate::runtime::clock::Clock;
use crate::store::{NotifierStore, ProgressState, Webhook, WebhookFormat, WebhookProgress};
use crate::telemetry::metrics::WEBHOOK_LAG;

/// See the module.
pub struct Group {
    pub webhook: Webhook,
    cursors: Arc<Cursors>,
    tasks: JoinSet<Option<String>>,
    stop: CancellationToken,
}

/// What all groups share.
#[derive(Clone)]
pub struct Means {
    pub store: Arc<dyn NotifierStore>,
    pub clock: Clock,
    pub settings: Settings,
    pub feeds: Vec<Arc<Feed>>,
    pub partitions: Arc<PartitionFeed>,
    pub concerts: Arc<Concerts>,
}

impl Group {
    /// Starts delivering from this progress; the reason if the endpoint must be disabled.
    pub fn start(webhook: Webhook, progress: ProgressState, means: &Means) -> Result<Self, String> {
        // What may be dialed is checked then: a setting may have changed since the endpoint was made.
        let url = check_url(&webhook.content.url, true).map_err(|refused| refused.to_string())?;
        let (cursors, stop) = (Arc::new(Cursors::new(progress)), CancellationToken::new());
        let courier = Arc::new(Courier {
            target: Arc::new(Target { webhook: webhook.clone(), url }),
            cursors: Arc::clone(&cursors),
            store: Arc::clone(&means.store),
            concerts: Arc::clone(&means.concerts),
            clock: means.clock.clone(),
            settings: means.settings.clone(),
            stop: stop.clone(),
        });
        let mut tasks = JoinSet::new();
        match webhook.content.format {
            WebhookFormat::Slack => {
                tasks.spawn(slack::run(courier, means.feeds.clone(), Arc::clone(&means.partitions)));
            }
            WebhookFormat::Standard => {
                for feed in &means.feeds {
                    tasks.spawn(pump::run(Arc::clone(&courier), Arc::clone(feed)));
                }
                if partitions::wanted(&webhook.content) {
                    tasks.spawn(partitions::run(courier, Arc::clone(&means.partitions)));
                }
            }
        }
        Ok(Group { webhook, cursors, tasks, stop })
    }

    pub fn id(&self) -> Uuid {
        self.webhook.id
    }

    /// Why the endpoint must be disabled, if it must: asked every now and then.
    pub fn verdict(&mut self) -> Option<String> {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok(None) => {}
                Ok(Some(reason)) => return Some(reason),
                Err(error) => return Some(format!("a task has failed: {error}")),
            }
        }
        None
    }

    /// Shows how far it is behind.
    pub fn measure(&self, clock: &Clock) {
        let lag = self.cursors.lag_ms(clock.now()).div_euclid(1000);
        WEBHOOK_LAG.with_label_values(&[&self.webhook.name]).set(lag);
    }

    /// Its progress, if the store lacks it.
    pub fn unwritten(&self) -> Option<WebhookProgress> {
        let state = self.cursors.unwritten()?;
        Some(WebhookProgress { webhook_id: self.id(), state })
    }

    pub fn not_written(&self) {
        self.cursors.not_written();
    }

    /// Ends all tasks; requests in flight have `drain`. Gives the progress.
    pub async fn stop(mut self, drain: Duration) -> ProgressState {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
        // Nobody is to be alarmed by an endpoint that another process serves.
        let _ = WEBHOOK_LAG.remove_label_values(&[&self.webhook.name]);
        self.cursors.state()
    }
}
