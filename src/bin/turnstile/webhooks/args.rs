//! Arguments of `turnstile webhooks`.

use clap::{Args, Subcommand, ValueEnum};
use turnstile::store::{OnFailure, WebhookFormat};
use uuid::Uuid;

use crate::by::By;

#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Add an endpoint and print its secret; it gets what is decided from now on
    Add(Add),
    /// List the endpoints, one line each
    List,
    /// Show one: how far each partition is, and what has failed
    Show { name: String },
    /// Stop delivering to one; what is decided meanwhile waits on the log
    Disable(Named),
    /// Deliver again to one that was disabled, from where it was
    Enable(Named),
    /// Give one a new secret and print it; both sign for a while
    Rotate(Rotate),
    /// Deliver again, from a place in the outcomes
    Replay(Replay),
    /// Remove one with all that is known of it
    Remove(Named),
    /// Send a test event to one, once
    Test(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    pub name: String,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    Standard,
    Slack,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Failing {
    Skip,
    Stop,
}

#[derive(Debug, Args)]
pub struct Add {
    /// 1 to 64 of A-Z, a-z, 0-9, dot, underscore, hyphen
    pub name: String,
    /// Where to send: https://…
    pub url: String,
    /// Event types, such as reservation.confirmed or payment.*; all without it
    #[arg(long, value_delimiter = ',')]
    pub types: Vec<String>,
    /// Only events about this date
    #[arg(long)]
    pub schedule: Option<Uuid>,
    /// Only events about dates of this concert
    #[arg(long)]
    pub concert: Option<Uuid>,
    /// Name users in events
    #[arg(long)]
    pub include_user: bool,
    #[arg(long, value_enum, default_value_t = Format::Standard)]
    pub format: Format,
    /// What happens to an event after its last attempt: skip it, or stop the endpoint
    #[arg(long, value_enum, default_value_t = Failing::Skip)]
    pub on_failure: Failing,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
pub struct Rotate {
    pub name: String,
    /// Hours for which the former secret still signs
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=720))]
    pub overlap_hours: u32,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
pub struct Replay {
    pub name: String,
    /// `first`, a time (RFC 3339), or a position in the outcomes such as outcomes.3.1234
    #[arg(long)]
    pub from: String,
    #[command(flatten)]
    pub by: By,
}

impl From<Format> for WebhookFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Standard => WebhookFormat::Standard,
            Format::Slack => WebhookFormat::Slack,
        }
    }
}

impl From<Failing> for OnFailure {
    fn from(failing: Failing) -> Self {
        match failing {
            Failing::Skip => OnFailure::Skip,
            Failing::Stop => OnFailure::Stop,
        }
    }
}
