//! `turnstile partitions list`: who owns what, how far it is, and why it stands still.

use std::collections::BTreeMap;

use turnstile::assembly::backends;
use turnstile::config::Config;
use turnstile::domain::LanePartition;
use turnstile::log::{Log, Topic};
use turnstile::runtime::clock::Clock;
use turnstile::store::{ProgressView, lane_partitions};

use super::states::{ANSWER_WITHIN, States, states};
use crate::exit::Failure;
use crate::output::say;

#[derive(Debug, Default, clap::Args)]
pub struct List {
    /// A worker's address, asked for the state of its partitions (repeat for each); default: `http.listen`
    #[arg(long, value_name = "URL")]
    at: Vec<String>,
}

pub async fn run(list: List, config: &Config) -> Result<(), Failure> {
    let store = backends::open_store(config).await?;
    let progress = store.progress_views().await.map_err(anyhow::Error::new)?;
    let states = states(&list.at, config).await;
    let (log, note) = match backends::open_log(config, &Clock::System).await {
        Ok(opened) => (Some(opened), None),
        // The embedded log belongs to the running process.
        Err(error) => (None, Some(format!("the log cannot be read, so ends and lag are unknown: {error}"))),
    };
    let ends = match &log {
        Some((log, _)) => Ends::ask(&**log).await,
        None => Ends::default(),
    };
    let text = table(config, &progress, &ends, &states);
    if let Some((_, Some(embedded))) = log {
        embedded.close().await;
    }
    for note in note.into_iter().chain(ends.failure.map(|error| format!("the log does not answer: {error}"))) {
        eprintln!("turnstile: {note}");
    }
    say(&text)
}

/// Where the partitions end, and what the owners have passed.
#[derive(Default)]
struct Ends {
    ends: BTreeMap<LanePartition, u64>,
    /// Behind markers and aborted records, which the store's offsets leave out.
    passed: BTreeMap<LanePartition, u64>,
    failure: Option<String>,
}

impl Ends {
    async fn ask(log: &dyn Log) -> Self {
        let mut known = Ends::default();
        let asked = async {
            known.passed = log.reported().await?;
            for partition in lane_partitions(log.partitions()) {
                let end = log.end_offset(Topic::Lane(partition.lane), partition.partition).await?;
                known.ends.insert(partition, end);
            }
            Ok::<(), turnstile::log::ReadError>(())
        };
        known.failure = match tokio::time::timeout(ANSWER_WITHIN * 6, asked).await {
            Ok(answered) => answered.err().map(|error| error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        known
    }
}

fn table(config: &Config, progress: &[ProgressView], ends: &Ends, states: &States) -> String {
    let mut lines =
        vec![["partition", "owner", "epoch", "next", "end", "lag", "outbox", "state", "reason"].map(str::to_owned)];
    for partition in lane_partitions(&config.log.partitions) {
        let view = progress.iter().find(|view| view.partition == partition);
        let next = view.map_or(0, |view| view.next_offset);
        let end = ends.ends.get(&partition).copied();
        let passed = ends.passed.get(&partition).copied().unwrap_or(0).max(next);
        let shown = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let (state, reason) = match (states.get(&partition), view) {
            (Some(standing), _) => (standing.state.as_str(), standing.reason.clone().unwrap_or_default()),
            (None, Some(_)) => ("unknown", String::new()),
            (None, None) => ("never owned", String::new()),
        };
        lines.push([
            partition.to_string(),
            view.map_or_else(|| "-".to_owned(), |view| view.owner.clone()),
            shown(view.map(|view| view.epoch)),
            next.to_string(),
            shown(end),
            shown(end.map(|end| end.saturating_sub(passed))),
            shown(view.map(|view| view.outbox_pending)),
            state.to_owned(),
            reason,
        ]);
    }
    aligned(&lines)
}

pub(super) fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["a", "bbb", ""], ["aaa", "b", "c"]].map(|line| line.map(str::to_owned));
        assert_eq!(aligned(&lines), "a    bbb\naaa  b    c\n");
    }
}
