//! Converts the configuration to the settings of each role.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use turnstile::config::{Auth, AuthMode, Config, DeclaredEndpoints, Given, KeySource, Web};
use turnstile::store::{OnFailure, Remember, WebhookFormat};
use turnstile::{api, notifier, processor};

/// `front_door: false`: health and metrics only.
pub fn api(config: &Config, front_door: bool) -> api::Settings {
    let http = &config.http;
    api::Settings {
        front_door,
        auth: auth(&config.auth),
        self_charge: api::SelfCharge(config.wallet.self_charge),
        pages: pages(&config.web),
        connections_max: http.connections_max,
        idle_timeout: http.idle_timeout,
        cors_origins: http.cors_origins.clone(),
        public_url: http.public_url.as_deref().map(Into::into),
        requests_in_flight_max: http.requests_in_flight_max,
        body_bytes_max: http.body_bytes_max,
        wait_seconds_max: http.wait_seconds_max,
        waiters_max: http.waiters_max,
        append_timeout: config.log.delivery_timeout,
        user_burst: http.user_burst,
        user_per_second: http.user_rate_per_second,
        user_requests: rate(http.user_requests),
        address_requests: rate(http.address_requests),
        trusted_proxies: proxies(&http.trusted_proxies),
        backlog_max: http.backlog_records_max,
        // The worker needs the rest of the deadline to finish its batches.
        drain_timeout: Duration::from_secs(5).min(config.shutdown_deadline / 2),
        ..api::Settings::default()
    }
}

fn rate((per_second, burst): (u32, u32)) -> api::Rate {
    api::Rate { burst, per_second }
}

fn proxies(networks: &[(IpAddr, u8)]) -> api::TrustedProxies {
    api::TrustedProxies(networks.iter().map(|(address, bits)| api::Network::new(*address, *bits)).collect())
}

fn pages(web: &Web) -> api::PageSettings {
    api::PageSettings {
        dir: web.dir.clone(),
        login_url: web.login_url.clone(),
        currency: web.currency.clone(),
        frame_ancestors: web.frame_ancestors.clone(),
    }
}

fn auth(auth: &Auth) -> api::AuthSettings {
    let keys = match &auth.mode {
        AuthMode::Dev => return api::AuthSettings::Dev,
        AuthMode::Jwt(KeySource::Hs256(secret)) => api::JwtKeySource::Hs256Secret(secret.reveal().to_owned()),
        AuthMode::Jwt(KeySource::PublicKeyFile(path)) => api::JwtKeySource::PublicKeyFile(path.clone()),
        AuthMode::Jwt(KeySource::JwksFile(path)) => api::JwtKeySource::JwksFile(path.clone()),
    };
    let tokens = auth.tokens.clone();
    api::AuthSettings::Jwt(api::JwtSettings {
        keys,
        issuer: tokens.issuer,
        audience: tokens.audience,
        user_claim: tokens.user_claim,
        roles_claim: tokens.roles_claim,
        admin_role: tokens.admin_role,
        leeway: tokens.leeway,
    })
}

/// `owner`: the name of the process.
pub fn worker(config: &Config, owner: String, remember: Remember) -> processor::Settings {
    let worker = &config.worker;
    processor::Settings {
        owner,
        batch_records_max: worker.batch_max_records,
        batch_bytes_max: worker.batch_max_bytes,
        cache_rows_max: worker.cache_rows_max,
        relay_in_flight_max: worker.relay_in_flight_max,
        relay: match &worker.capture_slot {
            None => processor::RelayMode::Worker,
            Some(slot) => processor::RelayMode::External { slot: slot.as_str().into() },
        },
        // As long as another worker may take to notice that it lost the partition.
        rest: worker.session_timeout,
        remember,
    }
}

/// What the process is called where all are listed. Of a worker it is configured, or as of an API server alone: host name
/// and process id, so that an operator can find it.
pub fn process_name(worker: bool, config: &Config) -> String {
    let configured = config.worker.name.as_ref().filter(|_| worker);
    let own = || format!("{}-{}", host().unwrap_or_else(|| "worker".to_owned()), std::process::id());
    configured.cloned().unwrap_or_else(own)
}

/// The machine's name, if it has one.
pub fn host() -> Option<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(host.trim().to_owned()).filter(|host| !host.is_empty())
}

/// # Errors
/// A file of roots cannot be used, or an endpoint that the configuration declares.
pub fn notifier(config: &Config) -> Result<notifier::Settings, String> {
    let notifier = &config.notifier;
    Ok(notifier::Settings {
        owner: process_name(true, config),
        client: Arc::new(webhook_client(config)?),
        retry: notifier.retry.clone().into(),
        disable_after: notifier.disable_after,
        takeover_after: notifier.takeover_after,
        drain: Duration::from_secs(3).min(config.shutdown_deadline / 3),
        declared: declared(config)?,
    })
}

/// What the configuration file declares, each endpoint checked.
fn declared(config: &Config) -> Result<Option<Arc<notifier::Declared>>, String> {
    let Some(DeclaredEndpoints { file, endpoints }) = &config.webhooks else { return Ok(None) };
    let mut webhooks = Vec::new();
    for endpoint in endpoints {
        let refused =
            |why: &dyn std::fmt::Display| format!("configuration: file {file}: webhooks {:?}: {why}", endpoint.name);
        let wanted = notifier::NewWebhook {
            name: endpoint.name.clone(),
            url: text_of(&endpoint.url).map_err(|error| refused(&error))?,
            types: endpoint.types.clone(),
            schedule: endpoint.schedule,
            concert: endpoint.concert,
            include_user: endpoint.include_user,
            format: if endpoint.slack { WebhookFormat::Slack } else { WebhookFormat::Standard },
            on_failure: if endpoint.stop { OnFailure::Stop } else { OnFailure::Skip },
        };
        let secret = endpoint.secret.as_ref().map(text_of).transpose().map_err(|error| refused(&error))?;
        let webhook = notifier::DeclaredWebhook { wanted, secret };
        webhook.check(config.notifier.allow_http).map_err(|error| refused(&error))?;
        webhooks.push(webhook);
    }
    Ok(Some(Arc::new(notifier::Declared { file: file.clone(), webhooks })))
}

fn text_of(given: &Given) -> Result<String, String> {
    match given {
        Given::Here(text) => Ok(text.reveal().to_owned()),
        Given::File(path) => {
            let read = std::fs::read_to_string(path);
            let text = read.map_err(|error| format!("file {} cannot be read: {error}", path.display()))?;
            Ok(text.trim().to_owned())
        }
    }
}

/// What calls endpoints.
///
/// # Errors
/// A file of roots cannot be used.
pub fn webhook_client(config: &Config) -> Result<notifier::Client, String> {
    let notifier = &config.notifier;
    let filter = notifier::AddressFilter { allowed: notifier.allow_private.clone() };
    let made = notifier::Client::new(filter, notifier.allow_http, notifier.timeout, notifier.ca_file.as_deref());
    made.map_err(|error| format!("configuration: notifier.ca_file: {error}"))
}
