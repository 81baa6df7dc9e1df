//! What can be set about the API. The configuration maps onto it; the defaults are the program's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use super::http::auth::{AuthSettings, JwtKeySource, JwtSettings, SelfCharge};
pub use super::http::networks::{Network, TrustedProxies};
pub use super::http::rate_limit::Rate;
use crate::notifier::Client;

/// Bounds and times of the API.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Without it the process answers for its health and metrics only: a worker alone.
    pub front_door: bool,
    pub auth: AuthSettings,
    pub self_charge: SelfCharge,
    pub pages: PageSettings,
    /// Most connections open at once. Beyond it the one that has waited longest for a request gives way; if all are
    /// answered, a few more are accepted for operators.
    pub connections_max: usize,
    /// Most requests being answered at once; further ones get 503. Streams count only until their head is sent.
    pub requests_in_flight_max: usize,
    /// A request's head must be complete this long after its first byte.
    pub header_timeout: Duration,
    /// How long a connection may be idle before and between requests. Longer than the 60 s that load balancers usually
    /// keep an idle connection, so that they close it first.
    pub idle_timeout: Duration,
    /// The slowest pace at which a client may take a response, in bytes per second over `slow_for`; else it is cut.
    pub pace_min: u32,
    pub slow_for: Duration,
    /// Most bytes that unfinished responses may hold, each shared buffer counted once; beyond it the slowest are cut.
    pub held_bytes_max: usize,
    /// A request's body must be here within this time.
    pub body_timeout: Duration,
    /// Origins whose pages may use the API, such as `https://shop.example`; `*` for all.
    pub cors_origins: Vec<String>,
    /// Where clients reach the API, without a slash at its end; links lie below it. `None`: at the root.
    pub public_url: Option<Arc<str>>,
    /// Most bytes of a request's body; a schedule's may have 1 MiB.
    pub body_bytes_max: usize,
    /// Longest `Prefer: wait`, in seconds; more is taken as this.
    pub wait_seconds_max: u64,
    /// Most requests waited for at once; beyond it a wait is answered 202 at once.
    pub waiters_max: usize,
    /// The log must acknowledge a command within this time, else the answer is 503 "outcome unknown".
    pub append_timeout: Duration,
    /// Commands one user may send at once.
    pub user_burst: u32,
    /// Commands per second one user may send in the long run.
    pub user_per_second: u32,
    /// Requests of one user, commands among them.
    pub user_requests: Rate,
    /// Requests from one address that need no login, behind trusted proxies.
    pub address_requests: Rate,
    pub trusted_proxies: TrustedProxies,
    /// Users, and addresses, whose rate is remembered; the longest unseen are forgotten first.
    pub users_tracked_max: usize,
    /// Most commands of one lane partition appended but not decided; beyond it 503.
    pub backlog_max: u64,
    /// How old the view of what is decided may be.
    pub progress_age_max: Duration,
    /// Idempotency keys remembered while their commands are on their way; the store knows the rest.
    pub recent_keys_max: usize,
    /// Most streams of seat changes open at once; further ones get 503.
    pub seat_streams_max: usize,
    /// Signs queue tokens; the same in all front doors. `None`: tokens do not outlive the process, except in dev mode,
    /// where they are no secret.
    pub queue_token_secret: Option<QueueTokenSecret>,
    /// Sign tickets; the same in all front doors. `None`: as for queue tokens.
    pub ticket_seeds: Option<TicketSeeds>,
    /// Most event streams and WebSockets of queue positions open at once; further ones get 503.
    pub queue_streams_max: usize,
    /// Calls endpoints of webhooks for a test.
    pub webhook_client: Arc<Client>,
    /// How long connections may take to end once shutdown has begun.
    pub drain_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            front_door: true,
            auth: AuthSettings::Dev,
            self_charge: SelfCharge(true),
            pages: PageSettings::default(),
            connections_max: 20_000,
            requests_in_flight_max: 20_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            pace_min: 4096,
            slow_for: Duration::from_secs(30),
            held_bytes_max: 256 * 1024 * 1024,
            cors_origins: Vec::new(),
            public_url: None,
            body_timeout: Duration::from_secs(10),
            body_bytes_max: 64 * 1024,
            wait_seconds_max: 30,
            waiters_max: 50_000,
            append_timeout: Duration::from_secs(10),
            user_burst: 1000,
            user_per_second: 200,
            user_requests: Rate { burst: 2000, per_second: 400 },
            address_requests: Rate { burst: 5000, per_second: 500 },
            trusted_proxies: TrustedProxies::default(),
            users_tracked_max: 100_000,
            backlog_max: 50_000,
            progress_age_max: Duration::from_millis(250),
            recent_keys_max: 50_000,
            seat_streams_max: 10_000,
            queue_token_secret: None,
            ticket_seeds: None,
            queue_streams_max: 10_000,
            webhook_client: Arc::default(),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// The pages for people.
#[derive(Debug, Clone)]
pub struct PageSettings {
    /// Its files replace the built-in ones.
    pub dir: Option<PathBuf>,
    /// Where users without a token are sent.
    pub login_url: Option<String>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Who may show the pages inside others, in the words of the directive.
    pub frame_ancestors: String,
}

impl Default for PageSettings {
    fn default() -> Self {
        PageSettings { dir: None, login_url: None, currency: None, frame_ancestors: "'none'".to_owned() }
    }
}

/// Seeds of Ed25519 keys. Never printed.
#[derive(Clone)]
pub struct TicketSeeds {
    pub signing: [u8; 32],
    /// Signed before, and are still believed.
    pub former: Vec<[u8; 32]>,
}

impl std::fmt::Debug for TicketSeeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketSeeds")
    }
}

/// 32 bytes or more. Never printed.
#[derive(Clone)]
pub struct QueueTokenSecret(pub Vec<u8>);

impl std::fmt::Debug for QueueTokenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueueTokenSecret")
    }
}
