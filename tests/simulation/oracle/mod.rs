//! The checks after a run: what the log, the store, the topics and the clients' history must agree on. Models that share no
//! code with the rules decide the log once more.

mod across_lanes;
pub mod acts;
mod lanes;
mod outcomes;
mod state;
mod timers;

use std::collections::{BTreeMap, BTreeSet};

use turnstile::domain::{Body, Command, Lane, LanePartition, Position, Row, block};
use turnstile::log::{Headers, Log, Record, Topic};
use turnstile::store::{AuditReads, DeadLetter, DeadLetters, Page, RequestRow, StateTable, lane_partitions};
use turnstile::wire;

use crate::answer_checker;
use crate::cluster::Cluster;
use crate::model::queue::QueueModel;
use crate::model::seats::SeatModel;
use crate::model::wallets::WalletModel;
use crate::model::{Case, FollowUp};
use crate::place_checker::{self, PlaceChecker};

pub use outcomes::Published;

pub type Checked = Result<(), String>;

macro_rules! must {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use must;

/// Checks a run that is over. The store must be at rest.
pub async fn check(cluster: &Cluster) -> Checked {
    let requests = cluster.archive.requests();
    let rows = all_rows(cluster).await?;
    let mut cases = lanes::cases(cluster, &requests).await?;
    timers::check(cluster)?;
    answer_checker::accepted(cluster, &requests)?;
    let letters = letters(cluster).await?;
    let published = outcomes::check(cluster, &letters, &mut cases)?;
    let (seats, wallets, queue, follow_ups) = follow(&cases, &rows)?;
    across_lanes::check(&cases, follow_ups)?;
    state::seats(&seats, &rows)?;
    state::wallets(&wallets, &rows)?;
    state::hashes(cluster, &rows).await?;
    queue.compare(&rows, &state::newest_notes(&seats, cluster))?;
    dead_letters(cluster, &letters).await?;
    answer_checker::answered(cluster, &cases)?;
    answer_checker::sent_once(cluster)?;
    let published = place_checker::published(&queue, &published);
    PlaceChecker { cluster, queue: &queue, published }.check(&cases)
}

async fn all_rows(cluster: &Cluster) -> Result<Vec<Row>, String> {
    let mut all = Vec::new();
    for table in StateTable::ALL {
        all.extend(cluster.store.state_page(table, None, u32::MAX).await.map_err(|error| error.to_string())?);
    }
    Ok(all)
}

type Followed = (SeatModel, WalletModel, QueueModel, Vec<FollowUp>);

/// Runs the models over all cases.
fn follow(cases: &[Case], rows: &[Row]) -> Result<Followed, String> {
    let payments = rows.iter().filter_map(|row| match row {
        Row::Seats(block::Row::Payment(payment)) => Some((payment.asking.request_id, payment.id.to_string())),
        _ => None,
    });
    let mut seats = SeatModel::new(payments.collect());
    let (mut wallets, mut queue) = (WalletModel::default(), QueueModel::default());
    let mut follow_ups = Vec::new();
    for case in cases.iter().filter(|case| case.code() != "skipped_by_operator") {
        let context = |why: String| case.context(&why);
        match case.at.position.lane() {
            Lane::Seats => follow_ups.extend(seats.follow(case).map_err(context)?),
            Lane::Wallets => follow_ups.extend(wallets.follow(case).map_err(context)?),
            Lane::Queues => queue.follow(case).map_err(context)?,
            Lane::Inbox => return Err(case.context("decided in the inbox")),
        }
    }
    Ok((seats, wallets, queue, follow_ups))
}

/// The partition that owns a command.
pub fn home(cluster: &Cluster, body: &Body) -> LanePartition {
    let (topic, partition) = cluster.place(body);
    let Topic::Lane(lane) = topic else { unreachable!("commands belong on lanes") };
    LanePartition { lane, partition }
}

pub fn understood(record: &Record) -> Option<Command> {
    wire::command::decode(record.value.as_ref()?).ok()
}

/// What the inbox takes: a client's command with what a client may give.
pub fn taken(value: &[u8]) -> Option<Command> {
    let command = wire::command::decode(value).ok()?;
    let fields: serde_json::Value = serde_json::from_slice(value).ok()?;
    let kinds = ["hold_seats", "pay_reservation", "cancel_reservation", "join_queue", "leave_queue"];
    let forbidden = ["by", "admitted", "origin", "payment_id"];
    let clean =
        kinds.contains(&command.body.kind().as_str()) && forbidden.iter().all(|name| fields.get(name).is_none());
    clean.then_some(command)
}

/// The first request of each id in the store; with several partitions' rows any of them.
pub fn decided_ids(requests: &[RequestRow]) -> BTreeSet<turnstile::domain::RequestId> {
    requests.iter().map(|row| row.key.id).collect()
}

async fn letters(cluster: &Cluster) -> Result<Vec<DeadLetter>, String> {
    let page = Page { after: None, limit: u32::MAX };
    let stored = cluster.store.dead_letters(page).await.map_err(|error| error.to_string())?;
    Ok(stored.into_iter().map(|view| view.letter).collect())
}

/// Each record that cannot be understood and each outcome that the log refuses for good is stored and published with its
/// reason, and no other is.
async fn dead_letters(cluster: &Cluster, letters: &[DeadLetter]) -> Checked {
    let mut expected = BTreeSet::new();
    for here in lane_partitions(cluster.log.partitions()) {
        let acts = acts::Acts::of(cluster, here).await?;
        for record in cluster.log.all(Topic::Lane(here.lane), here.partition) {
            let readable = match here.lane {
                Lane::Inbox => record.value.as_ref().and_then(|value| taken(value)),
                _ => understood(&record),
            };
            if readable.is_none() || acts.skips(here.at(record.offset))? {
                expected.insert(here.at(record.offset).to_string());
            }
        }
    }
    let unsent = || letters.iter().filter(|letter| letter.unsent_to.is_some());
    let ids: Vec<Vec<u8>> = unsent().filter_map(|letter| header(&letter.headers, "ce_id")).collect();
    let refused = cluster.log.refused_for_good();
    must!(ids.len() == unsent().count(), "an unsent outcome without an id");
    must!(ids.len() == refused.len(), "{} outcomes are kept as unsent, {} are refused", ids.len(), refused.len());
    must!(ids.into_iter().collect::<BTreeSet<_>>() == refused, "other outcomes are kept as unsent than are refused");
    expected.extend(unsent().map(|letter| letter.position.to_string()));
    // Of markers that were skipped while nothing could be read.
    let marker = |letter: &&DeadLetter| {
        let Position { partition, offset } = letter.position;
        let place = (Topic::Lane(partition.lane), partition.partition);
        letter.unsent_to.is_none() && letter.value.is_none() && cluster.log.is_marker(place, offset)
    };
    expected.extend(letters.iter().filter(marker).map(|letter| letter.position.to_string()));
    let mut published = BTreeSet::new();
    for record in cluster.log.all(Topic::DeadLetters, 0) {
        let position = header(&record.headers, wire::headers::POSITION);
        published.extend(position.map(|position| String::from_utf8_lossy(&position).into_owned()));
    }
    let stored: BTreeSet<String> = letters.iter().map(|letter| letter.position.to_string()).collect();
    must!(stored == expected, "dead letters are stored for {stored:?}, expected are {expected:?}");
    must!(published == expected, "dead letters are published for {published:?}, expected are {expected:?}");
    Ok(())
}

pub fn header(headers: &Headers, wanted: &str) -> Option<Vec<u8>> {
    headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.to_vec())
}

/// Numbers of equal items.
pub fn counted<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}
