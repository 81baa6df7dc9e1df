//! Runs the roles of a process: opens log and store, starts the roles, shuts them down in order.

mod listening;
pub mod settings;
pub mod ticket_keys;
pub mod token_secret;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use turnstile::assembly::backends::{self, Backends};
use turnstile::assembly::{heartbeat, identity, retention};
use turnstile::config::{AuthMode, Config, Layers, Needs};
use turnstile::domain::Lane;
use turnstile::log::Topic;
use turnstile::runtime::clock::Clock;
use turnstile::runtime::health::Health;
use turnstile::runtime::shutdown::{self, Hangups};
use turnstile::runtime::supervise::Supervisor;
use turnstile::store::{Process, ProcessStatus, Remember};
use turnstile::telemetry::metrics::{BUILD_INFO, PARTITIONS};
use turnstile::telemetry::spans;
use turnstile::{api, notifier, processor};

use crate::demo::{self, Target};
use crate::exit::Failure;

/// Most of the shutdown deadline reserved for flushing the log after the tasks have ended.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// The roles of a process; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub api: bool,
    pub worker: bool,
    pub notifier: bool,
}

impl Roles {
    pub const ALL: Roles = Roles { api: true, worker: true, notifier: true };
    pub const API: Roles = Roles { api: true, worker: false, notifier: false };
    pub const WORKER: Roles = Roles { api: false, worker: true, notifier: false };
    pub const NOTIFIER: Roles = Roles { api: false, worker: false, notifier: true };

    fn name(self) -> &'static str {
        match (self.api, self.worker) {
            (true, false) => "api",
            (false, true) => "worker",
            (false, false) => "notifier",
            (true, true) => "api and worker",
        }
    }
}

struct Signals {
    /// SIGTERM and SIGINT.
    shutdown: CancellationToken,
    hangups: Hangups,
}

impl Signals {
    fn receive() -> std::io::Result<Self> {
        Ok(Signals { shutdown: shutdown::on_signal()?, hangups: Hangups::listen()? })
    }
}

/// Whoever builds says it: a source archive has no history to ask.
const COMMIT: &str = match option_env!("TURNSTILE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Runs the roles until SIGTERM or SIGINT, or until one of them fails.
///
/// # Errors
/// The configuration lacks what the roles need, log and store cannot be opened or do not belong together, or a role
/// failed or missed the deadline.
pub async fn run(roles: Roles, layers: &Layers, config: Config) -> Result<(), Failure> {
    config.check(layers, Needs { http: roles.api, shared: roles != Roles::ALL })?;
    let signals = Signals::receive().context("signals cannot be received")?;
    let door = front_door(roles, &config)?;
    let webhooks = roles.notifier.then(|| settings::notifier(&config)).transpose().map_err(Failure::Usage)?;
    let listeners = listening::bind(roles.api, &config)?;
    listening::say(&listeners, roles.name(), &config)?;
    let connections_max = listening::fitting_descriptors(&config);
    BUILD_INFO.with_label_values(&[env!("CARGO_PKG_VERSION"), COMMIT]).set(1);
    warn_of_open_login(roles, &config);

    let first_start = backends::is_first_start(&config);
    let clock = Clock::System;
    let opened = tokio::select! {
        opened = Backends::open(&config, &clock) => opened?,
        () = signals.shutdown.cancelled() => return Ok(()),
    };
    let ended = serve(
        roles,
        &config,
        &clock,
        &opened,
        Front { listeners, settings: api::Settings { connections_max, ..door }, webhooks },
        signals,
        first_start,
    )
    .await;
    opened.close(flush_within(&config)).await;
    info!("stopped");
    ended
}

/// What was read and bound before anything else is opened.
struct Front {
    listeners: api::Listeners,
    settings: api::Settings,
    /// `None`: another process has that role.
    webhooks: Option<notifier::Settings>,
}

/// The settings of the API; reads the files they name, so that one that cannot be used is found before a port is bound.
fn front_door(roles: Roles, config: &Config) -> Result<api::Settings, Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::Usage(format!("configuration: {error}"));
    let mut settings = settings::api(config, roles.api);
    api::check_keys(&settings.auth).map_err(|error| refused(&error))?;
    settings.webhook_client = Arc::new(settings::webhook_client(config).map_err(Failure::Usage)?);
    if roles.api {
        let secret = token_secret::of(config).map_err(|error| refused(&format_args!("{error:#}")))?;
        settings.queue_token_secret = secret.map(api::QueueTokenSecret);
        settings.ticket_seeds = ticket_keys::of(config).map_err(|error| refused(&format_args!("{error:#}")))?;
    }
    Ok(settings)
}

fn flush_within(config: &Config) -> Duration {
    FLUSH_MAX.min(config.shutdown_deadline / 4)
}

async fn serve(
    roles: Roles,
    config: &Config,
    clock: &Clock,
    opened: &Backends,
    front: Front,
    signals: Signals,
    first_start: bool,
) -> Result<(), Failure> {
    let remember = checked(roles, config, opened).await?;
    count_partitions(opened);
    let health = Health::default();
    let Front { listeners, settings: door, webhooks } = front;
    let address = listening::address(&listeners.main)?;
    let name = settings::process_name(roles.worker, config);
    let said = said(roles, &name, &address.to_string(), clock);
    let state = api::AppState::new(opened.log.clone(), opened.store.clone(), clock.clone(), health.clone(), door)
        .map_err(|error| Failure::Usage(format!("configuration: {error}")))?;

    let shutdown = signals.shutdown;
    let mut tasks = Supervisor::new(shutdown.clone());
    spans::set_ratio(f64::from(config.traces.per_million) / 1e6);
    #[cfg(feature = "otel")]
    if let Some(endpoint) = config.traces.endpoint.clone() {
        let (service, system) =
            (config.traces.service.clone(), if config.log.brokers.is_some() { "kafka" } else { "turnstile" });
        tasks.spawn("traces", spans::start(endpoint, service, name.clone(), system, shutdown.clone()));
    }
    tasks.spawn("reload", reload(state.clone(), signals.hangups, shutdown.clone()));
    let heart = heartbeat::Heart {
        store: opened.store.clone(),
        health: health.clone(),
        process: said,
        alone: opened.embedded.is_some(),
    };
    tasks.spawn("heartbeat", heartbeat::run(heart, shutdown.clone()));
    // The API server ends first, so that the worker still decides the commands clients wait for.
    let worker_stop = if roles.api { CancellationToken::new() } else { shutdown.clone() };
    let door_closed = worker_stop.clone().drop_guard();
    let door_shutdown = shutdown.clone();
    tasks.spawn("api", async move {
        let _door_closed = door_closed;
        api::serve(listeners, state, door_shutdown).await
    });
    if let Some(settings) = webhooks {
        let (log, store) = (opened.log.clone(), opened.store.clone());
        let deps = notifier::Deps { log, store, clock: clock.clone(), health: health.clone() };
        tasks.spawn("notifier", notifier::run(deps, settings, shutdown.clone()));
    }
    if roles.worker {
        let deps =
            processor::Deps { log: opened.log.clone(), store: opened.store.clone(), clock: clock.clone(), health };
        tasks.spawn("worker", processor::run(deps, settings::worker(config, name, remember), worker_stop));
        let what = retention::Forgetting {
            store: opened.store.clone(),
            log: opened.log.clone(),
            embedded: opened.embedded.clone(),
            settings: config.retention.clone(),
            remember,
        };
        tasks.spawn("retention", retention::run(what, clock.clone(), shutdown));
    }
    if first_start && roles == Roles::ALL && config.demo_on_first_start && config.auth.mode == AuthMode::Dev {
        // Not supervised: it ends by itself, and its failure is harmless.
        tokio::spawn(offer_demo(format!("http://{address}"), clock.clone()));
    }
    Ok(tasks.run(config.shutdown_deadline.saturating_sub(flush_within(config))).await?)
}

/// By every role: how many have no owner must be known when no worker is left.
fn count_partitions(opened: &Backends) {
    for lane in Lane::ALL {
        PARTITIONS.with_label_values(&[lane.as_str()]).set(opened.log.partitions().of(Topic::Lane(lane)).into());
    }
}

/// What the process says of itself, but for how it goes.
fn said(roles: Roles, name: &str, address: &str, clock: &Clock) -> Process {
    Process {
        name: name.to_owned(),
        role: roles.name().to_owned(),
        host: settings::host().unwrap_or_default(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address: address.to_owned(),
        started_at: clock.now(),
        status: ProcessStatus::default(),
    }
}

/// Checks that log and store belong together; says how long the store has requests count as seen.
async fn checked(roles: Roles, config: &Config, opened: &Backends) -> Result<Remember, Failure> {
    let prefix = config.log.brokers.as_ref().map(|_| config.log.topic_prefix.as_str());
    let after_ms = i64::try_from(config.retention.after.as_millis()).unwrap_or(i64::MAX);
    let checked = identity::check(&*opened.log, &*opened.store, prefix, roles.worker.then_some(after_ms)).await;
    let remember = checked.map_err(|error| match error {
        identity::CheckError::Refused(reason) => Failure::Usage(reason),
        other => Failure::Internal(other.into()),
    })?;
    if roles.worker && remember.ms != after_ms {
        let kept = Duration::from_millis(remember.ms.unsigned_abs());
        warn!(?kept, configured = ?config.retention.after, "retention.after has no effect after the first start: turnstile partitions remember changes it");
    }
    Ok(remember)
}

fn warn_of_open_login(roles: Roles, config: &Config) {
    let unchecked = config.auth.unchecked();
    if roles.api && !unchecked.is_empty() {
        let keys = unchecked.join(" and ");
        warn!("{keys} not set: a token that the login server signs for another application is a login here too");
    }
}

/// Reads again on SIGHUP what can be read again.
async fn reload(state: api::AppState, mut hangups: Hangups, shutdown: CancellationToken) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = hangups.next() => {
                info!("SIGHUP: reading key files again");
                state.reload().await;
            }
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

async fn offer_demo(url: String, clock: Clock) {
    let target = Target { url, token: None };
    match demo::make(&target, &clock).await {
        Ok(made) => print!("{}", demo::invitation(&target, &made)),
        Err(error) => warn!(error = format!("{error:#}"), "the demo concert was not created"),
    }
}
