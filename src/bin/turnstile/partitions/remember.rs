//! `turnstile partitions remember`: how long requests count as seen, and changing it.

use std::time::Duration;

use turnstile::assembly::backends;
use turnstile::config::{self, Config};
use turnstile::domain::UserId;
use turnstile::runtime::clock::Clock;
use turnstile::store::{Act, Intervention, RecordedLog, Remember, Store, lane_partitions};
use uuid::Uuid;

use super::list::aligned;
use crate::by::By;
use crate::exit::Failure;
use crate::output::say;

#[derive(Debug, clap::Args)]
pub struct Remembering {
    /// By log time, such as 12h or 7d, from 1m on. Without it: what holds now, a line a partition
    #[arg(value_parser = age, requires = "reason", value_name = "AGE")]
    age: Option<Duration>,
    /// Why; the audit lists it
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    by: By,
}

fn age(text: &str) -> Result<Duration, String> {
    config::age(text).ok_or_else(|| "not an age from 1m to 3650d, such as 12h or 7d".to_owned())
}

pub async fn run(asked: Remembering, config: &Config) -> Result<(), Failure> {
    let store = backends::open_store(config).await?;
    let recorded = store.recorded_log().await.map_err(anyhow::Error::new)?;
    let recorded = recorded.ok_or_else(|| {
        Failure::Usage("no worker has ever started: retention.after says how long requests count as seen".to_owned())
    })?;
    match (asked.age, asked.reason) {
        (Some(age), Some(reason)) => give(&*store, &recorded, age, reason, asked.by.by).await,
        _ => say(&in_effect(&*store, &recorded).await.map_err(anyhow::Error::new)?),
    }
}

/// One act a partition.
async fn give(
    store: &dyn Store,
    recorded: &RecordedLog,
    age: Duration,
    reason: String,
    by: UserId,
) -> Result<(), Failure> {
    let (ms, at) = (i64::try_from(age.as_millis()).unwrap_or(i64::MAX), Clock::System.now());
    let mut partitions = 0;
    for partition in lane_partitions(&recorded.partitions) {
        let (act, reason, by) = (Act::Remember { ms, began: None }, reason.clone(), by.clone());
        let row = Intervention { id: Uuid::now_v7(), partition, act, reason, by, at, applied_at: None };
        store.intervene(&row).await.map_err(anyhow::Error::new)?;
        partitions += 1;
    }
    let age = shown(ms);
    say(&format!(
        "{partitions} partitions remember requests for {age} once they are acquired again: restart the workers, one after \
         another\n"
    ))
}

async fn in_effect(store: &dyn Store, recorded: &RecordedLog) -> Result<String, turnstile::store::StoreError> {
    let mut lines = vec![["partition", "remembers", "from", "once acquired"].map(str::to_owned)];
    for partition in lane_partitions(&recorded.partitions) {
        let next = store.progress(partition).await?.map_or(0, |progress| progress.next_offset);
        let acts = store.interventions(partition, next).await?;
        let waiting = acts.iter().rev().find_map(|row| match row.act {
            Act::Remember { ms, began: None } => Some(shown(ms)),
            _ => None,
        });
        let from = acts.iter().filter_map(|row| match row.act {
            Act::Remember { began, .. } => began.map(|began| began.offset),
            _ => None,
        });
        let ms = Remember::of_ms(recorded.remember_ms).after(&acts).ms;
        let from = from.max().unwrap_or(0).to_string();
        lines.push([partition.to_string(), shown(ms), from, waiting.unwrap_or_default()]);
    }
    Ok(aligned(&lines))
}

/// An age in its largest whole unit.
pub fn shown(ms: i64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| ms % unit == 0);
    unit.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_shown_as_it_is_given() {
        for text in ["7d", "12h", "90m", "61s"] {
            let age = age(text).unwrap();
            assert_eq!(shown(age.as_millis() as i64), text);
        }
        assert_eq!(shown(60_001), "60001ms");
        for wrong in ["59s", "7", "", "d", "4000d", "-1d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
