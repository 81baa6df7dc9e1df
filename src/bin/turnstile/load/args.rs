//! Arguments of `turnstile load`.

use std::path::PathBuf;

use clap::Args;

use super::mix::Mix;

/// Target, rate and mix of a run.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Address of the server, in auth.mode "dev"
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Requests per second, all kinds together
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Duration in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub duration: u32,
    /// Users that send the requests in turn
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub users: u32,
    /// Shares of the request kinds: hold, charge, pay; or, with a waiting queue: join, poll
    #[arg(long, default_value = "hold=60,charge=20,pay=20", value_name = "KIND=SHARE,…")]
    pub mix: Mix,
    /// Sections of the schedule created for the run, each a block of its own
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub sections: u32,
    /// Seats per section
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub seats: u32,
    /// Users that join a waiting queue before the run; `poll` polls for them
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub waiting: u32,
    /// Most requests in flight; requests due beyond it are not sent and count as failed
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub in_flight: u32,
    /// Write one CSV line per second to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write an HTML page with latency curves to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Allow a server on another machine; load only your own
    #[arg(long)]
    pub allow_remote: bool,
}
