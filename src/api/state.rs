//! What all handlers share, made once at the start.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::cache::{queued_schedules, seat_watch, snapshots};
use super::http::{auth, rate_limit};
use super::queue::{replicas, token};
use super::routes::health;
use super::settings::Settings;
use super::submission::{backlog, feed, keys, waiters};
use crate::log::{Log, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::reads::Reads;

/// What all handlers share.
pub struct AppState {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Reads>,
    pub clock: Clock,
    pub settings: Settings,
    /// Long polls and streams end on it. [`super::serve`] cancels it when its own shutdown comes.
    pub shutdown: CancellationToken,
    /// The process's checks, written by all roles.
    pub health: Health,
    pub auth: auth::Authenticator,
    pub waiters: waiters::Waiters,
    pub feed: feed::Feed,
    pub users: rate_limit::Users,
    pub backlog: backlog::Backlog,
    pub keys: keys::RecentKeys,
    pub schedules: queued_schedules::QueuedSchedules,
    /// Shared reads, at most 200 ms old.
    pub views: snapshots::Views,
    pub seat_watches: seat_watch::SeatWatches,
    pub queues: replicas::Replicas,
    /// Signs queue tokens.
    pub tokens: token::Signer,
    /// Permits for open streams of positions.
    pub queue_streams: Arc<Semaphore>,
    pub probes: health::Probes,
    /// Permits for requests being answered.
    pub requests: Semaphore,
}

impl AppState {
    /// Reads the key files the settings name; fails if they cannot be used.
    pub fn new(
        log: Arc<dyn Log>,
        store: Arc<dyn Reads>,
        clock: Clock,
        health: Health,
        settings: Settings,
    ) -> Result<Arc<Self>, auth::AuthError> {
        let shutdown = CancellationToken::new();
        let outcome_partitions = log.partitions().of(Topic::Outcomes);
        Ok(Arc::new(AppState {
            auth: auth::Authenticator::new(&settings.auth)?,
            waiters: waiters::Waiters::new(settings.waiters_max),
            feed: feed::Feed::new(outcome_partitions),
            users: rate_limit::Users::new(settings.user_burst, settings.user_per_second, settings.users_tracked_max),
            backlog: backlog::Backlog::new(store.clone(), settings.backlog_max, settings.progress_age_max),
            keys: keys::RecentKeys::new(settings.recent_keys_max),
            schedules: queued_schedules::QueuedSchedules::new(store.clone()),
            views: snapshots::Views::new(store.clone()),
            seat_watches: seat_watch::SeatWatches::new(settings.seat_streams_max),
            queues: replicas::Replicas::new(log.clone(), store.clone(), clock.clone(), shutdown.clone()),
            tokens: settings.queue_token_signer(),
            queue_streams: Arc::new(Semaphore::new(settings.queue_streams_max)),
            probes: health::Probes::default(),
            requests: Semaphore::new(settings.requests_in_flight_max),
            shutdown,
            log,
            store,
            clock,
            health,
            settings,
        }))
    }
}
