//! What the configuration says of webhooks.

use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::declared::Declared;

/// See `notifier.*` in `config/default.toml`.
#[derive(Clone)]
pub struct Settings {
    /// Names this process in the store.
    pub owner: String,
    pub client: Arc<Client>,
    /// Pauses after the first failed attempt, the second and so on. After the last one the event is given up.
    pub retry: Arc<[Duration]>,
    /// An endpoint to which nothing was delivered for so long is disabled.
    pub disable_after: Duration,
    /// A leader whose sign of life has not changed for so long is replaced.
    pub takeover_after: Duration,
    /// Requests in flight have this long at the shutdown.
    pub drain: Duration,
    /// What the configuration file declares, to be put into the store at the start.
    pub declared: Option<Arc<Declared>>,
}
