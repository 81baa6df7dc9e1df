//! `turnstile partitions`: how they stand, and what an operator can do about a record that stops one.

mod act;
mod list;
mod remember;
mod states;

use clap::Subcommand;
use turnstile::config::Config;

use self::act::{Acquire, SetTime, Skip};
use self::list::List;
use self::remember::Remembering;
pub use self::remember::shown;
use crate::exit::Failure;

#[derive(Debug, Subcommand)]
pub enum Partitions {
    /// List them, one line each
    List(List),
    /// Let a partition go on behind a record that it cannot get past: the record becomes a dead letter
    Skip(Skip),
    /// Give a record that waits for its log time another one
    SetTime(SetTime),
    /// Have a parked partition acquired again now, when what stopped it is repaired
    Acquire(Acquire),
    /// Show or change for how long requests count as seen, which `retention.after` says at the first start only
    Remember(Remembering),
}

pub async fn run(command: Option<Partitions>, config: &Config) -> Result<(), Failure> {
    match command.unwrap_or(Partitions::List(List::default())) {
        Partitions::List(list) => list::run(list, config).await,
        Partitions::Skip(skip) => act::skip(skip, config).await,
        Partitions::SetTime(time) => act::set_time(time, config).await,
        Partitions::Acquire(asked) => act::acquire(asked, config).await,
        Partitions::Remember(asked) => remember::run(asked, config).await,
    }
}
