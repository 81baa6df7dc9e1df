//! `turnstile partitions skip | set-time | acquire`: gives the owner of a partition an act for the record on which it stands
//! still, or has it acquired again.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use turnstile::assembly::backends;
use turnstile::config::Config;
use turnstile::domain::{LanePartition, LogTime};
use turnstile::log::Topic;
use turnstile::runtime::clock::Clock;
use turnstile::store::{Act, Intervention, Offsets, OwnedState, PartitionStanding, Progress, Store};
use turnstile::wire::time::{parse_rfc3339, rfc3339};
use uuid::Uuid;

use super::states::states;
use crate::by::By;
use crate::exit::Failure;
use crate::output::say;

/// The owner asks once a second.
const APPLIED_WITHIN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(200);

/// What every act names.
#[derive(Debug, clap::Args)]
pub struct Given {
    /// lane.partition, e.g. seats.3
    partition: LanePartition,
    /// Why; the audit lists it
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    by: By,
    /// A worker's address, asked how the partition stands (repeat for each); default: `http.listen`
    #[arg(long, value_name = "URL")]
    at: Vec<String>,
}

impl Given {
    /// Puts the act before the owner of the partition; whether it has applied it.
    async fn give(&self, act: Act, store: &dyn Store) -> Result<bool, Failure> {
        let (id, partition, at) = (Uuid::now_v7(), self.partition, Clock::System.now());
        let (reason, by) = (self.reason.clone(), self.by.by.clone());
        let row = Intervention { id, partition, act, reason, by, at, applied_at: None };
        store.intervene(&row).await.map_err(anyhow::Error::new)?;
        Ok(applied(store, &row).await.map_err(anyhow::Error::new)?)
    }

    /// As the partition's owner says.
    async fn standing(&self, config: &Config) -> Result<PartitionStanding, Failure> {
        let partition = self.partition;
        states(&self.at, config).await.remove(&partition).ok_or_else(|| {
            let why = "give the address of the one that does with --at";
            Failure::Usage(format!("no worker that answers owns {partition}: {why}"))
        })
    }
}

#[derive(Debug, clap::Args)]
pub struct Record {
    /// The record on which it stands still: `next` of the list
    #[arg(long)]
    offset: u64,
    /// The last of several records; default: that one alone
    #[arg(long, value_name = "OFFSET")]
    through: Option<u64>,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, clap::Args)]
pub struct Skip {
    #[command(flatten)]
    record: Record,
}

#[derive(Debug, clap::Args)]
pub struct SetTime {
    #[command(flatten)]
    record: Record,
    /// The log time, e.g. 2026-11-26T18:00:00Z; default: now
    #[arg(long, value_parser = time, value_name = "TIME")]
    time: Option<LogTime>,
}

#[derive(Debug, clap::Args)]
pub struct Acquire {
    #[command(flatten)]
    given: Given,
}

fn time(text: &str) -> Result<LogTime, String> {
    parse_rfc3339(text).ok_or_else(|| "not a time such as 2026-11-26T18:00:00Z".to_owned())
}

pub async fn skip(Skip { record }: Skip, config: &Config) -> Result<(), Failure> {
    act(record, config, |offsets, _| Ok(Act::Skip(offsets))).await
}

pub async fn set_time(SetTime { record, time }: SetTime, config: &Config) -> Result<(), Failure> {
    let now = Clock::System.now();
    act(record, config, |offsets, progress| {
        Act::time(offsets, time, progress.last_time, now).map_err(|refused| {
            let (before, now) = (rfc3339(progress.last_time), rfc3339(now));
            format!("{refused}: the record before has {before}, and it is {now}")
        })
    })
    .await
}

pub async fn acquire(Acquire { given }: Acquire, config: &Config) -> Result<(), Failure> {
    let (store, partition) = (backends::open_store(config).await?, given.partition);
    match given.standing(config).await?.state {
        OwnedState::Parked => {}
        state => return Err(Failure::Usage(format!("{partition} is not parked but {state}"))),
    }
    say(&if given.give(Act::Acquire, &*store).await? {
        format!("{partition} is acquired again; turnstile partitions says whether it goes on\n")
    } else if given.standing(config).await?.state != OwnedState::Parked {
        format!("{partition} was acquired meanwhile and goes on\n")
    } else {
        format!("{partition} cannot be acquired yet: see turnstile partitions\n")
    })
}

async fn act(
    Record { offset, through, given }: Record,
    config: &Config,
    act: impl FnOnce(Offsets, &Progress) -> Result<Act, String>,
) -> Result<(), Failure> {
    let partition = given.partition;
    let offsets = Offsets::new(offset, through).map_err(Failure::Usage)?;
    let store = backends::open_store(config).await?;
    let progress = store.progress(partition).await.map_err(anyhow::Error::new)?;
    let progress = progress.ok_or_else(|| Failure::Usage(format!("nobody has ever owned {partition}")))?;
    if progress.next_offset != offset {
        return Err(Failure::Usage(format!("{partition} stands at {}, not at {offset}", progress.next_offset)));
    }
    // Only what stands still may be helped along: anything else is decided in a moment.
    if given.standing(config).await?.state == OwnedState::Owned {
        return Err(Failure::Usage(format!("{partition} does not stand still")));
    }
    within_the_log(partition, offsets, config).await?;
    let act = act(offsets, &progress).map_err(Failure::Usage)?;
    let kind = act.kind();
    say(&if given.give(act, &*store).await? {
        format!("{partition} goes on: {kind} of {offsets} is applied\n")
    } else {
        format!("given to the owner of {partition}, which has not applied it yet: see turnstile partitions\n")
    })
}

/// An act must not reach records that are not there yet. The embedded log cannot be asked beside its server.
async fn within_the_log(partition: LanePartition, offsets: Offsets, config: &Config) -> Result<(), Failure> {
    if config.log.brokers.is_none() {
        return Ok(());
    }
    let (log, _) = backends::open_log(config, &Clock::System).await?;
    let end = log.end_offset(Topic::Lane(partition.lane), partition.partition).await.map_err(anyhow::Error::new)?;
    if offsets.last < end { Ok(()) } else { Err(Failure::Usage(format!("the log of {partition} ends at {end}"))) }
}

async fn applied(store: &dyn Store, given: &Intervention) -> Result<bool, turnstile::store::StoreError> {
    let until = Instant::now() + APPLIED_WITHIN;
    while Instant::now() < until {
        let rows = store.interventions(given.partition, 0).await?;
        if rows.iter().any(|row| row.id == given.id && row.applied_at.is_some()) {
            return Ok(true);
        }
        sleep(LOOK).await;
    }
    Ok(false)
}
