//! The front door. It publishes commands, waits for their outcomes and reads the store; it decides nothing.
//!
//! In the order of a command's way: [`serve`] accepts a connection, [`edge`] bounds it, [`router`] picks the handler,
//! [`auth`], [`extract`], [`fields`] and [`keys`] parse it, [`holds`], [`reservations`], [`wallet`] and [`queue`] make a
//! command of it, [`limit`] may refuse it, [`submit`] publishes it, [`feed`] brings its outcome to [`waiters`], and
//! [`requests`] says what became of it. Who only looks is answered by [`catalog`] and [`seats`] from shared [`views`],
//! and by [`queue`] from a replica. Whatever goes wrong is a [`problem`]; [`openapi`] and [`docs`] tell all of it.

pub mod admission;
pub mod auth;
pub mod catalog;
pub mod docs;
pub mod edge;
pub mod extract;
pub mod feed;
pub mod fields;
pub mod health;
pub mod holds;
pub mod keys;
pub mod limit;
pub mod openapi;
pub mod opening;
pub mod prefer;
pub mod problem;
pub mod queue;
pub mod requests;
pub mod reservations;
pub mod router;
pub mod schedules;
pub mod schema;
pub mod seat_map;
pub mod seat_watch;
pub mod seats;
pub mod serve;
pub mod settings;
pub mod submit;
pub mod views;
pub mod waiters;
pub mod wallet;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::log::{Log, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::reads::Reads;

pub use router::router;
pub use serve::serve;
pub use settings::{AuthSettings, JwtKeySource, QueueTokenSecret, Settings};

/// What all handlers share.
pub struct AppState {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Reads>,
    pub clock: Clock,
    pub settings: Settings,
    /// Long polls and streams end on it. [`serve`] cancels it when its own shutdown comes.
    pub shutdown: CancellationToken,
    /// The process's checks, written by all roles.
    pub health: Health,
    pub auth: auth::Authenticator,
    pub waiters: waiters::Waiters,
    pub feed: feed::Feed,
    pub users: limit::Users,
    pub backlog: limit::Backlog,
    pub keys: keys::RecentKeys,
    pub schedules: schedules::Schedules,
    /// Shared reads, at most 200 ms old.
    pub views: views::Views,
    pub seat_watches: seat_watch::SeatWatches,
    pub queues: queue::replicas::Replicas,
    /// Signs queue tokens.
    pub tokens: queue::token::Signer,
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
            users: limit::Users::new(settings.user_burst, settings.user_per_second, settings.users_tracked_max),
            backlog: limit::Backlog::new(store.clone(), settings.backlog_max, settings.progress_age_max),
            keys: keys::RecentKeys::new(settings.recent_keys_max),
            schedules: schedules::Schedules::new(store.clone()),
            views: views::Views::new(store.clone()),
            seat_watches: seat_watch::SeatWatches::new(settings.seat_streams_max),
            queues: queue::replicas::Replicas::new(log.clone(), store.clone(), clock.clone(), shutdown.clone()),
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
