//! The services of the API, made once at the start and held together here. Nothing below the routes knows all of them.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::cache::live_maps;
use super::cache::plans::{Labels, Plans};
use super::cache::probes::{self, Probes};
use super::cache::schedule_facts::ScheduleFacts;
use super::cache::seat_watch::{self, SeatWatches};
use super::cache::snapshots::Snapshots;
use super::http::auth::{AuthError, AuthSettings, Authenticator};
use super::http::extract::BodyLimits;
use super::http::pages::{ClaimNames, PageFacts, Pages};
use super::http::prefer::WaitLimit;
use super::http::rate_limit::{Budget, RateLimiter};
use super::ops::system::System;
use super::ops::throughput::Throughput;
use super::queue::places::{self, Places};
use super::queue::replicas::Replicas;
use super::queue::token::Signer;
use super::queue::upkeep;
use super::settings::{SelfCharge, Settings};
use super::submission::feed::{self, Feed};
use super::submission::keys::RecentKeys;
use super::submission::lag_limit::LagLimit;
use super::submission::lives::Lives;
use super::submission::log_ends::LogEnds;
use super::submission::lookups::Lookups;
use super::submission::submit::{self, Submission};
use super::submission::waiters::Waiters;
use super::tickets::keys::TicketKeys;
use crate::log::{Log, Record, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::{FrontStore, OpsStore};
use crate::web::Web;
use crate::wire::headers;

/// The services; a clone shares them. Handlers and extractors take the ones they need by `FromRef`.
#[derive(Clone)]
pub struct AppState(Arc<Services>);

pub struct Services {
    pub settings: Settings,
    pub store: Arc<dyn FrontStore>,
    pub clock: Clock,
    /// The process's checks, written by all roles.
    pub health: Health,
    /// Long polls and streams end on it. [`super::serve`] cancels it when its own shutdown comes.
    pub shutdown: CancellationToken,
    pub authenticator: Arc<Authenticator>,
    pub limiter: Arc<RateLimiter>,
    /// Of requests, also those that only read.
    pub budget: Arc<Budget>,
    pub waiters: Waiters,
    pub feed: Arc<Feed>,
    pub submission: Arc<Submission>,
    pub snapshots: Arc<Snapshots>,
    pub seat_watches: SeatWatches,
    pub facts: Arc<ScheduleFacts>,
    pub plans: Arc<Plans>,
    pub lookups: Arc<Lookups>,
    pub labels: Arc<Labels>,
    /// Signs queue tokens.
    pub signer: Arc<Signer>,
    /// Sign tickets.
    pub ticket_keys: Arc<TicketKeys>,
    pub places: Arc<Places>,
    /// Permits for open streams of positions.
    pub queue_streams: Arc<Semaphore>,
    pub probes: Arc<Probes>,
    pub pages: Arc<Pages>,
    /// For operators.
    pub system: Arc<System>,
    pub throughput: Arc<Throughput>,
    pub lives: Arc<Lives>,
    /// Permits for requests being answered.
    pub requests: Arc<Semaphore>,
}

impl Deref for AppState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

impl AppState {
    /// Reads the key files the settings name; fails if they cannot be used.
    pub fn new(
        log: Arc<dyn Log>,
        store: Arc<dyn OpsStore>,
        clock: Clock,
        health: Health,
        settings: Settings,
    ) -> Result<Self, AuthError> {
        let authenticator = Arc::new(Authenticator::new(&settings.auth)?);
        let ports = Ports { log, store, clock, shutdown: CancellationToken::new() };
        Ok(AppState(Arc::new(Services::new(ports, authenticator, health, settings))))
    }

    /// Reads again what can be read again while requests are answered: the key file. What cannot be used is logged, and
    /// what is in use stays.
    pub async fn reload(&self) {
        self.authenticator.read_keys_again().await;
    }
}

/// What most services are made of.
struct Ports {
    log: Arc<dyn Log>,
    store: Arc<dyn OpsStore>,
    clock: Clock,
    shutdown: CancellationToken,
}

impl Ports {
    /// Tells the seat map of changes, then the waiters of outcomes.
    fn feed(
        &self,
        waiters: Waiters,
        snapshots: Arc<Snapshots>,
        watches: SeatWatches,
        facts: Arc<ScheduleFacts>,
        (throughput, lives): (Arc<Throughput>, Arc<Lives>),
        running: watch::Sender<bool>,
    ) -> Feed {
        let (maps, streams) = (snapshots.clone(), watches.clone());
        let known = facts.clone();
        let seats_changed = Box::new(move |schedule, record: &Record| {
            if headers::is_amendment(&record.headers) {
                facts.amended(schedule);
            }
            snapshots.seats_changed(schedule, record);
            watches.seats_changed(schedule);
        });
        let missed = Box::new(move || {
            known.outcomes_missed();
            maps.outcomes_missed();
            streams.outcomes_missed();
        });
        let (log, shutdown) = (self.log.clone(), self.shutdown.clone());
        let seen = Box::new(move |records: &[Record]| throughput.note(records));
        let awaited = Box::new(move |request, record: &Record| lives.published(request, record));
        Feed::new(feed::Sources { log, waiters, seats_changed, missed, seen, awaited, running, shutdown })
    }

    fn submission(
        &self,
        waiters: Waiters,
        limiter: Arc<RateLimiter>,
        (lookups, lives): (Arc<Lookups>, Arc<Lives>),
        feed_running: watch::Receiver<bool>,
        settings: &Settings,
    ) -> Submission {
        Submission::new(submit::Sources {
            log: self.log.clone(),
            lookups,
            waiters,
            limiter,
            lag: LagLimit::new(self.store.clone(), settings.backlog_max, settings.progress_age_max),
            ends: LogEnds::new(self.log.clone()),
            keys: RecentKeys::new(settings.recent_keys_max),
            lives,
            feed_running,
            append_timeout: settings.append_timeout,
            shutdown: self.shutdown.clone(),
        })
    }

    fn system(&self) -> System {
        System::new(self.log.clone(), self.store.clone(), self.clock.clone())
    }

    fn probes(&self, health: Health, feed_running: Option<watch::Receiver<bool>>) -> Probes {
        let (log, store, shutdown) = (self.log.clone(), self.store.clone(), self.shutdown.clone());
        Probes::new(probes::Sources { log, store, health, feed_running, shutdown })
    }

    fn replicas(&self) -> Replicas {
        Replicas::new(upkeep::Sources {
            log: self.log.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            shutdown: self.shutdown.clone(),
        })
    }

    fn places(&self, facts: Arc<ScheduleFacts>, signer: Arc<Signer>, limiter: Arc<RateLimiter>) -> Places {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Places::new(places::Sources { facts, replicas: self.replicas(), signer, store, limiter, clock })
    }
}

impl Services {
    fn new(ports: Ports, authenticator: Arc<Authenticator>, health: Health, settings: Settings) -> Self {
        let (burst, per_second) = (settings.user_burst, settings.user_per_second);
        let limiter = Arc::new(RateLimiter::new(burst, per_second, settings.users_tracked_max));
        let (running, feed_running) = watch::channel(false);
        let plans = Arc::new(Plans::new(ports.store.clone()));
        let lookups = Arc::new(Lookups::new(ports.store.clone()));
        let snapshots = Arc::new(Snapshots::new(live_maps::Sources {
            store: ports.store.clone(),
            plans: plans.clone(),
            outcomes: ports.log.partitions().of(Topic::Outcomes),
            feed_running: feed_running.clone(),
        }));
        let facts = Arc::new(ScheduleFacts::new(ports.store.clone()));
        let labels = Arc::new(Labels { facts: facts.clone(), plans: plans.clone() });
        let signer = Arc::new(signer(&settings));
        let waiters = Waiters::new(settings.waiters_max);
        let seat_watches = SeatWatches::new(
            seat_watch::Sources {
                snapshots: snapshots.clone(),
                feed_running: feed_running.clone(),
                shutdown: ports.shutdown.clone(),
            },
            settings.seat_streams_max,
        );
        let probes = ports.probes(health.clone(), settings.front_door.then(|| feed_running.clone()));
        let throughput = Arc::new(Throughput::new(settings.front_door));
        let lives = Arc::new(Lives::new(ports.clock.clone()));
        let seen = (throughput.clone(), lives.clone());
        let feed = ports.feed(waiters.clone(), snapshots.clone(), seat_watches.clone(), facts.clone(), seen, running);
        Services {
            feed: Arc::new(feed),
            submission: Arc::new(ports.submission(
                waiters.clone(),
                limiter.clone(),
                (lookups.clone(), lives.clone()),
                feed_running,
                &settings,
            )),
            places: Arc::new(ports.places(facts.clone(), signer.clone(), limiter.clone())),
            queue_streams: Arc::new(Semaphore::new(settings.queue_streams_max)),
            requests: Arc::new(Semaphore::new(settings.requests_in_flight_max)),
            probes: Arc::new(probes),
            budget: Arc::new(budget(&settings)),
            pages: Arc::new(pages(&settings)),
            ticket_keys: Arc::new(ticket_keys(&settings)),
            system: Arc::new(ports.system()),
            throughput,
            lives,
            settings,
            store: ports.store,
            clock: ports.clock,
            shutdown: ports.shutdown,
            health,
            authenticator,
            limiter,
            waiters,
            snapshots,
            seat_watches,
            facts,
            plans,
            lookups,
            labels,
            signer,
        }
    }
}

fn budget(settings: &Settings) -> Budget {
    let (user, address) = (settings.user_requests, settings.address_requests);
    Budget::new(user, address, settings.users_tracked_max, settings.trusted_proxies.clone())
}

fn pages(settings: &Settings) -> Pages {
    let own = &settings.pages;
    let facts = PageFacts {
        auth: match settings.auth {
            AuthSettings::Dev => "dev",
            AuthSettings::Jwt(_) => "jwt",
        },
        login_url: own.login_url.clone(),
        currency: own.currency.clone(),
        self_charge: settings.self_charge.0,
        claims: match &settings.auth {
            AuthSettings::Dev => None,
            AuthSettings::Jwt(tokens) => Some(ClaimNames {
                user: tokens.user_claim.clone(),
                roles: tokens.roles_claim.clone(),
                admin: tokens.admin_role.clone(),
            }),
        },
    };
    Pages::new(Web::new(own.dir.clone()), &own.frame_ancestors, facts)
}

fn ticket_keys(settings: &Settings) -> TicketKeys {
    match (&settings.ticket_seeds, &settings.auth) {
        (Some(seeds), _) => TicketKeys::new(&seeds.signing, &seeds.former),
        (None, AuthSettings::Dev) => TicketKeys::for_dev(),
        (None, AuthSettings::Jwt(_)) => TicketKeys::random(),
    }
}

fn signer(settings: &Settings) -> Signer {
    match (&settings.queue_token_secret, &settings.auth) {
        (Some(secret), _) => Signer::new(&secret.0),
        (None, AuthSettings::Dev) => Signer::for_dev(),
        (None, AuthSettings::Jwt(_)) => Signer::random(),
    }
}

impl FromRef<AppState> for BodyLimits {
    fn from_ref(state: &AppState) -> Self {
        BodyLimits { bytes_max: state.settings.body_bytes_max, within: state.settings.body_timeout }
    }
}

impl FromRef<AppState> for WaitLimit {
    fn from_ref(state: &AppState) -> Self {
        WaitLimit(state.settings.wait_seconds_max)
    }
}

impl FromRef<AppState> for SelfCharge {
    fn from_ref(state: &AppState) -> Self {
        state.settings.self_charge
    }
}

macro_rules! parts {
    ($($service:ty: $field:ident;)+) => {$(
        impl FromRef<AppState> for $service {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        }
    )+};
}

parts! {
    Arc<Authenticator>: authenticator;
    Arc<dyn FrontStore>: store;
    Arc<Submission>: submission;
    Arc<Snapshots>: snapshots;
    Arc<ScheduleFacts>: facts;
    Arc<Labels>: labels;
    Arc<Lookups>: lookups;
    Arc<Places>: places;
    Arc<Signer>: signer;
    Arc<Budget>: budget;
    Arc<Probes>: probes;
    Arc<Pages>: pages;
    Arc<System>: system;
    Arc<Throughput>: throughput;
    Arc<Lives>: lives;
    SeatWatches: seat_watches;
    Clock: clock;
    CancellationToken: shutdown;
}
