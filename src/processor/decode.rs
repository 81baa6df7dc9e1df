//! Records understood, not yet decided: commands, strays, dead letters.

use std::collections::VecDeque;

use super::interventions::Interventions;
use super::lanes::LaneAggregate;
use crate::domain::{Asking, Command, CommandKind, Lane, LanePartition, LogTime, UserId};
use crate::log::{PartitionCounts, Record, Topic};
use crate::store::RequestKey;
use crate::wire;

/// A record goes round at most so often before it is a dead letter.
const HOPS_MAX: u32 = 3;

/// What a record turned out to be.
pub(super) enum Item<A: LaneAggregate> {
    Command(Box<Ordered<A>>),
    /// It belongs on another partition.
    Stray(Stray),
    /// From the inbox, written anew for the lane that decides it.
    Forward(Forward),
    DeadLetter {
        reason: String,
    },
    /// An operator skipped it.
    Skipped {
        /// What it is, if it is a command of this partition.
        command: Option<Box<Ordered<A>>>,
        reason: String,
    },
}

impl<A: LaneAggregate> Item<A> {
    fn skipped(self, reason: String) -> Self {
        let command = match self {
            Item::Command(command) | Item::Skipped { command: Some(command), .. } => Some(command),
            Item::Stray(_) | Item::Forward(_) | Item::DeadLetter { .. } | Item::Skipped { command: None, .. } => None,
        };
        Item::Skipped { command, reason }
    }
}

/// A command of this partition, with what is made once of it.
pub(super) struct Ordered<A: LaneAggregate> {
    pub command: A::Command,
    pub key: A::Key,
    /// The routing key's text.
    pub key_text: String,
    pub kind: CommandKind,
    pub user_id: Option<UserId>,
    pub asking: Asking,
    pub internal: bool,
}

impl<A: LaneAggregate> Ordered<A> {
    pub fn request(&self) -> RequestKey {
        RequestKey { id: self.asking.request_id, internal: self.internal }
    }

    /// It decides what is due.
    pub fn is_timer(&self) -> bool {
        A::TIMER == Some(self.kind)
    }
}

/// Where a record belongs that lies here.
pub(super) struct Stray {
    pub topic: Topic,
    pub key_text: String,
    pub kind: CommandKind,
    /// Forwarded so often, this time included.
    pub hops: u32,
}

/// A command on its way from the inbox.
pub(super) struct Forward {
    pub key_text: String,
    pub topic: Topic,
    pub kind: CommandKind,
    pub value: Vec<u8>,
}

/// Records in order of offset.
pub(super) struct Decoded<A: LaneAggregate> {
    pub items: VecDeque<(Record, Item<A>)>,
    /// Of the records as they came.
    pub bytes: usize,
    /// What the store has of their requests was read already.
    pub requests_loaded: bool,
}

impl<A: LaneAggregate> Decoded<A> {
    /// Sorts records into commands, strays and dead letters.
    pub fn of(records: Vec<Record>, here: LanePartition, counts: &PartitionCounts) -> Self {
        let item = |mut record: Record| {
            record.headers = wire::folded::unfolded(record.headers);
            let item = understand(&record, here, counts).unwrap_or_else(|reason| Item::DeadLetter { reason });
            (record, item)
        };
        let bytes = records.iter().map(Record::size).sum();
        Decoded { items: records.into_iter().map(item).collect(), bytes, requests_loaded: false }
    }

    /// The records behind these, for which nothing was loaded either.
    pub fn append(&mut self, mut behind: Self) {
        self.items.append(&mut behind.items);
        self.bytes += behind.bytes;
    }

    /// A record that the log holds and cannot give: skipped.
    pub fn unreadable(offset: u64, reason: String) -> Self {
        let record = Record::unread(offset);
        let item = Item::Skipped { command: None, reason };
        Decoded { items: [(record, item)].into(), bytes: 0, requests_loaded: false }
    }

    /// Marks those that an operator skipped: nothing is loaded for these.
    pub fn skip(&mut self, interventions: &mut Interventions, now: LogTime) {
        for (record, item) in &mut self.items {
            if let Some(reason) = interventions.skip(record.offset, now) {
                let taken = std::mem::replace(item, Item::DeadLetter { reason: String::new() });
                *item = taken.skipped(reason);
            }
        }
    }

    /// The commands to decide.
    pub fn commands(&self) -> impl Iterator<Item = &Ordered<A>> {
        self.items.iter().filter_map(|(_, item)| match item {
            Item::Command(ordered) => Some(&**ordered),
            Item::Stray(_) | Item::Forward(_) | Item::DeadLetter { .. } | Item::Skipped { .. } => None,
        })
    }

    /// The requests that get an outcome.
    pub fn requests(&self) -> impl Iterator<Item = RequestKey> {
        self.items.iter().filter_map(|(_, item)| match item {
            Item::Command(command) | Item::Skipped { command: Some(command), .. } => Some(command.request()),
            Item::Stray(_) | Item::Forward(_) | Item::DeadLetter { .. } | Item::Skipped { command: None, .. } => None,
        })
    }
}

fn understand<A: LaneAggregate>(
    record: &Record,
    here: LanePartition,
    counts: &PartitionCounts,
) -> Result<Item<A>, String> {
    if record.unreadable_headers > 0 {
        return Err(format!("{} headers cannot be read: their names are not UTF-8", record.unreadable_headers));
    }
    let value = record.value.as_ref().ok_or("the record has no value")?;
    let headers = wire::headers::bytes(&record.headers);
    if headers > wire::headers::BYTES_MAX {
        return Err(format!("{headers} bytes of headers, at most {} are allowed", wire::headers::BYTES_MAX));
    }
    if here.lane == Lane::Inbox {
        return wire::inbox::decode(value).map(|command| Item::Forward(forward(&command))).map_err(|e| e.to_string());
    }
    let command = wire::command::decode(value).map_err(|error| error.to_string())?;
    let fingerprint = wire::command::fingerprint(&command);
    let (kind, key) = (command.body.kind(), command.body.routing_key());
    let key_text = key.to_string();
    let topic = Topic::Lane(key.lane());
    let partition = wire::routing::partition_for(&key_text, counts.of(topic));
    let (user_id, internal) = (command.body.user_id().cloned(), command.body.is_internal());
    if let Some(own) = A::command_of(command.body)
        && partition == here.partition
    {
        let asking = Asking { request_id: command.request_id, fingerprint, by: command.by };
        let key = A::key(&own);
        return Ok(Item::Command(Box::new(Ordered { command: own, key, key_text, kind, user_id, asking, internal })));
    }
    let hops = wire::headers::hops(&record.headers);
    if hops >= HOPS_MAX {
        return Err(format!("forwarded {hops} times and still not on its partition {topic}.{partition}"));
    }
    Ok(Item::Stray(Stray { topic, key_text, kind, hops: hops + 1 }))
}

/// Written from the fields that a client may give: whatever else the record had is gone.
fn forward(command: &Command) -> Forward {
    let key = command.body.routing_key();
    let (topic, key_text) = (Topic::Lane(key.lane()), key.to_string());
    Forward { key_text, topic, kind: command.body.kind(), value: wire::command::encode(command) }
}
