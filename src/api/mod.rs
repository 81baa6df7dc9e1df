//! The API server. It publishes commands, waits for their outcomes and reads the store; it decides nothing.
//!
//! [`serve`] accepts a connection, [`connections`] and [`middleware`] bound it, [`router`] picks the handler in [`routes`]. Below the
//! handlers lie the modules they share, each of which knows only those before it: [`http`] parses a request and knows no
//! command, [`openapi`] describes the interface, [`cache`] answers reads and [`submission`] publishes a command and brings
//! its outcome back, [`queue`] shows the waiting queue from replicas, [`tickets`] signs. [`ops`] is for
//! operators. [`state`] makes the services of all of them.

pub(crate) mod cache;
pub(crate) mod connections;
pub(crate) mod http;
pub(crate) mod middleware;
pub mod openapi;
pub mod ops;
pub mod queue;
pub(crate) mod router;
pub(crate) mod routes;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod state;
pub mod submission;
pub(crate) mod tickets;

#[cfg(test)]
mod tests;

pub use http::auth::check_keys;
pub use router::{documentation, router};
pub use serve::{KEPT_BACK, Listeners, OPERATORS_MAX, serve};
pub use settings::{
    AuthSettings, JwtKeySource, JwtSettings, Network, PageSettings, QueueTokenSecret, Rate, SelfCharge, Settings,
    TicketSeeds, TrustedProxies,
};
pub use state::AppState;
