//! Converts the configuration to the settings of each role.

use std::net::IpAddr;
use std::time::Duration;

use turnstile::config::{Auth, AuthMode, Config, KeySource, Web};
use turnstile::store::Remember;
use turnstile::{api, processor};

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

pub fn worker(config: &Config, remember: Remember) -> processor::Settings {
    let worker = &config.worker;
    processor::Settings {
        owner: worker.name.clone().unwrap_or_else(own_name),
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

/// Host name and process id, so that an operator can find a partition's owner.
fn own_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "worker",
        name => name,
    };
    format!("{host}-{}", std::process::id())
}
