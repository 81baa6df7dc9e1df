//! Other services that write to the command topics: queue commands, holds without an admission, duplicates, misrouted
//! records, commands under ids that the program derives for its own, garbage.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use turnstile::domain::block::{BestAvailable, Choice, HoldSeats};
use turnstile::domain::queue::{OfUser, Seen, Sighting};
use turnstile::domain::wallet::Movement;
use turnstile::domain::{
    Arrival, BlockKey, Body, Command, DerivedId, Lane, LanePartition, LogTime, Position, RequestId, UserId, block,
    queue, wallet,
};
use turnstile::log::{Log, Record, Timestamp, Topic};

use crate::cluster::Cluster;
use crate::oracle::{taken, understood};
use crate::sale::{self, BLOCKS};
use crate::workload::USERS;

/// How every piece of garbage starts.
pub const GARBAGE: &str = "garbage ";
/// The index of a decision's first follow-up among the ids derived from its position.
const FIRST_FOLLOW_UP: u32 = 16;
/// How many of the latest records a claim looks back at.
const CLAIM_AMONG: u64 = 4;

pub fn some_user(cluster: &Cluster) -> UserId {
    sale::user(USERS[cluster.sim.below(USERS.len() as u64) as usize])
}

pub fn some_key(cluster: &Cluster) -> BlockKey {
    let sim = &cluster.sim;
    let schedule_id = cluster.schedules[sim.below(2) as usize];
    BlockKey { schedule_id, block: sale::block(BLOCKS[sim.below(BLOCKS.len() as u64) as usize]) }
}

/// Appends this many commands.
pub async fn produce(cluster: Arc<Cluster>, commands: u64) {
    for _ in 0..commands {
        sleep(Duration::from_millis(cluster.sim.below(1_200))).await;
        match cluster.sim.below(12) {
            0 => garbage(&cluster),
            1 => misrouted(&cluster).await,
            2 => duplicated(&cluster).await,
            3..=5 => claim_follow_up(&cluster).await,
            6 => hold(&cluster).await,
            7 => by_inbox(&cluster).await,
            _ => queue_command(&cluster).await,
        }
    }
}

async fn queue_command(cluster: &Cluster) {
    let sim = &cluster.sim;
    let of = OfUser { schedule_id: cluster.schedules[0], user_id: some_user(cluster) };
    let body = match sim.below(6) {
        0..=1 => Body::Queues(queue::Command::JoinQueue(of)),
        2 => Body::Queues(queue::Command::LeaveQueue(of)),
        3 => Body::Queues(queue::Command::Seen(Seen {
            schedule_id: of.schedule_id,
            sightings: vec![Sighting { first: 1, last: 1 + sim.below(8), age_ms: sim.below(5_000) as i64 }],
        })),
        _ => Body::Seats(block::Command::ExpireHolds(some_key(cluster))),
    };
    cluster.send(&cluster.command(body)).await;
}

/// Anywhere in the block, or anywhere in a category, which the API does not offer where a date has several blocks; never
/// admitted by the queue.
async fn hold(cluster: &Cluster) {
    let count = 1 + cluster.sim.below(3) as u32;
    let categories = [None, Some("gold"), Some("blue"), Some("C"), Some("none")];
    let category = categories[cluster.sim.below(5) as usize].map(sale::category);
    let choice = Choice::BestAvailable(BestAvailable { count, section: None, category });
    let hold = HoldSeats { key: some_key(cluster), user_id: some_user(cluster), choice, admitted: false };
    cluster.send(&cluster.command(Body::Seats(block::Command::HoldSeats(hold)))).await;
}

/// Through the inbox: what a client may send; a wallet command; what a client may not give.
async fn by_inbox(cluster: &Cluster) {
    let sim = &cluster.sim;
    let place = (Topic::Lane(Lane::Inbox), sim.below(cluster.log.partitions().inbox.into()) as u32);
    let (schedule_id, user_id) = (cluster.schedules[0], some_user(cluster));
    let choice = Choice::BestAvailable(BestAvailable { count: 1, section: None, category: None });
    let admitted = sim.below(3) == 0;
    let hold = HoldSeats { key: some_key(cluster), user_id: user_id.clone(), choice, admitted };
    let body = match sim.below(4) {
        0 => Body::Queues(queue::Command::JoinQueue(OfUser { schedule_id, user_id })),
        1 => some_charge(cluster, user_id),
        _ => Body::Seats(block::Command::HoldSeats(hold)),
    };
    let by = (sim.below(4) == 0).then(|| sale::user("clerk"));
    let command = Command { by, ..cluster.command(body) };
    let value = turnstile::wire::command::encode(&command);
    sim.note("inbox", [place.1.into(), 0, 0]);
    match taken(&value) {
        Some(_) => cluster.send_to(place, &command).await,
        None => cluster.log.put(place, None, Some(value.into()), Vec::new()),
    }
}

pub fn some_charge(cluster: &Cluster, user_id: UserId) -> Body {
    let amount = 1 + cluster.sim.below(50) as i64;
    Body::Wallets(wallet::Command::ChargeWallet(Movement { user_id, amount, reason: None }))
}

/// On any partition of any lane.
async fn misrouted(cluster: &Cluster) {
    let command = cluster.command(some_charge(cluster, some_user(cluster)));
    let lane = Lane::ALL[cluster.sim.below(3) as usize];
    let topic = Topic::Lane(lane);
    let partition = cluster.sim.below(cluster.log.partitions().of(topic).into()) as u32;
    cluster.sim.note("misrouted", [lane as u64, partition.into(), 0]);
    cluster.send_to((topic, partition), &command).await;
}

/// The same command several times.
async fn duplicated(cluster: &Cluster) {
    let command = cluster.command(some_charge(cluster, some_user(cluster)));
    for _ in 0..2 + cluster.sim.below(3) {
        cluster.send(&command).await;
        sleep(Duration::from_millis(cluster.sim.below(400))).await;
    }
}

/// Sends a client's command under the id that a follow-up of one of the latest records will have, to the partition where
/// that follow-up will arrive. It must not be taken for it, nor the other way round.
async fn claim_follow_up(cluster: &Cluster) {
    let sim = &cluster.sim;
    let lane = if sim.below(3) == 0 { Lane::Wallets } else { Lane::Seats };
    let topic = Topic::Lane(lane);
    let partition = sim.below(cluster.log.partitions().of(topic).into()) as u32;
    let records = cluster.log.all(topic, partition);
    let Some(last) = records.len().checked_sub(1) else { return };
    let at = last - (sim.below(CLAIM_AMONG) as usize).min(last);
    let Some(command) = understood(&records[at]) else { return };
    let Some(user_id) = command.body.user_id().cloned() else { return };
    let position = LanePartition { lane, partition }.at(records[at].offset);
    let request_id = RequestId(follow_up_id(position, &records[..=at]));
    let body = match (lane, &command.body) {
        (Lane::Wallets, Body::Wallets(wallet::Command::DebitForPayment(debit))) => {
            let choice = Choice::BestAvailable(BestAvailable { count: 1, section: None, category: None });
            let key = debit.origin.key.clone();
            Body::Seats(block::Command::HoldSeats(HoldSeats { key, user_id, choice, admitted: false }))
        }
        _ => some_charge(cluster, user_id),
    };
    sim.note("claimed", [lane as u64, partition.into(), position.offset]);
    cluster.send(&Command { request_id, by: Some(sale::user("clerk")), body }).await;
}

/// Where the log stamps records, log time is the latest stamp so far.
fn follow_up_id(position: Position, records: &[Record]) -> uuid::Uuid {
    let stamps = records.iter().filter_map(|record| match record.timestamp {
        Timestamp::LogAppend(ms) => Some(ms),
        Timestamp::Create(_) => None,
    });
    let time = LogTime(stamps.max().unwrap_or(0));
    DerivedId::of(&Arrival { position, time }, FIRST_FOLLOW_UP).0
}

fn garbage(cluster: &Cluster) {
    let lane = Lane::ALL[cluster.sim.below(3) as usize];
    let topic = Topic::Lane(lane);
    let partition = cluster.sim.below(cluster.log.partitions().of(topic).into()) as u32;
    let value = match cluster.sim.below(4) {
        0 => None,
        1 => Some(format!("{GARBAGE}{}", cluster.sim.below(1_000)).into_bytes()),
        2 => Some(vec![0xff, 0xfe, 0x00]),
        _ => Some(br#"{"type":"sell_soul","version":1}"#.to_vec()),
    };
    cluster.log.put((topic, partition), None, value.map(Into::into), Vec::new());
}
