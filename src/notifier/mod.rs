//! Webhooks: tells endpoints of other services what was decided, in order, from the outcomes topic.
//!
//! The log is the queue: an endpoint has a cursor for each partition of the outcomes, and nothing is copied. Of all
//! notifiers one leads ([`lease`]); it runs a [`group`] for each endpoint: a pump a partition with one request in flight
//! ([`pump`]), or one writer for a chat ([`slack`]). [`feed`] reads each partition once for all of them. What becomes of
//! partitions themselves is in the store ([`partitions`]), and so are endpoints that a file declares ([`declared`]).

mod address;
mod client;
mod concerts;
mod cursors;
mod declared;
mod delivery;
mod endpoint;
mod event;
mod feed;
mod group;
mod lease;
mod message;
mod partitions;
mod pump;
mod run;
mod settings;
mod signature;
mod slack;
mod standing;
mod start;
#[cfg(test)]
mod tests;

pub use address::AddressFilter;
pub use client::{Answer, CallError, Client};
pub use declared::{Declared, DeclaredWebhook};
pub use delivery::{Ended, send_test};
pub use endpoint::{Refused, check_changeable, rotated, shown_url};
pub use event::TYPES;
pub use run::{Deps, run};
pub use settings::Settings;
pub use standing::{NewWebhook, Standing, WEBHOOKS_MAX, delivered, described};
pub use start::start_of;
