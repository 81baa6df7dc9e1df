//! What a run can be asked.

use std::path::PathBuf;

use clap::Args;

use super::mix::Mix;

/// What to send where.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// The server, in auth.mode "dev"
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Requests a second, all kinds together
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub duration: u32,
    /// Users who send them in turn
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub users: u32,
    /// Shares of the kinds of request: hold, charge, pay; or of a waiting queue: join, poll
    #[arg(long, default_value = "hold=60,charge=20,pay=20", value_name = "KIND=SHARE,…")]
    pub mix: Mix,
    /// Sections of the schedule that is made for the run; each is decided by one owner
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub sections: u32,
    /// Seats of each section
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub seats: u32,
    /// Users who join a waiting queue before the run, to be polled for by `poll`
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub waiting: u32,
    /// Requests under way at once; those due beyond it are not sent and count as failed
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub in_flight: u32,
    /// Write a line a second to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write a page with the latency curve to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Allow a server that is not on this machine. Make sure that it is yours.
    #[arg(long)]
    pub allow_remote: bool,
}
