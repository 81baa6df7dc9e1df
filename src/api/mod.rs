//! The front door. It publishes commands, waits for their outcomes and reads the store; it decides nothing.
//!
//! [`serve`] accepts a connection, [`middleware`] bounds it, [`router`] picks the handler in [`routes`]. Below the
//! handlers lie the modules they share: [`http`] parses a request and knows no command, [`cache`] answers reads,
//! [`submission`] publishes a command and brings its outcome back, [`queue`] shows the waiting queue from replicas.
//! [`state`] holds the services of all of them; [`openapi`] describes the interface.

pub(crate) mod cache;
pub(crate) mod http;
pub(crate) mod middleware;
pub mod openapi;
pub mod queue;
pub(crate) mod router;
pub(crate) mod routes;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod state;
pub mod submission;

#[cfg(test)]
mod tests;

pub use router::router;
pub use serve::serve;
pub use settings::{AuthSettings, JwtKeySource, QueueTokenSecret, Settings};
pub use state::AppState;
