//! What a decision of the block puts on the outcomes topic, and what the store shows of its seats.

use bytes::Bytes;
use uuid::Uuid;

use super::World;
use super::world::key;
use crate::domain::block::{self, Block};
use crate::domain::{Arrival, Asking, CommandKind, Decision, Effects, Outcome, Row, Verdict};
use crate::log::{Record, Timestamp};
use crate::store::BlockSeats;
use crate::wire::headers::outcome_headers;
use crate::wire::outcome::{OutcomeRecord, encode};

/// The command's own outcome first, then that of the request it completes.
pub fn outcomes(command: &block::Command, asking: &Asking, decision: &Decision<Block>, at: Arrival) -> Vec<Record> {
    let mut records = Vec::new();
    if let Verdict::Decided(outcome) = &decision.verdict {
        records.push(record(asking, command.kind(), outcome, &decision.effects, at));
    }
    if let Some(completion) = &decision.completes {
        records.push(record(&completion.asking, completion.command, &completion.outcome, &Effects::default(), at));
    }
    records
}

fn record(asking: &Asking, command: CommandKind, outcome: &Outcome, effects: &Effects, at: Arrival) -> Record {
    let written = OutcomeRecord {
        request_id: asking.request_id,
        command,
        user_id: None,
        by: asking.by.as_ref(),
        fingerprint: asking.fingerprint,
        schedule_id: Some(key().schedule_id),
        outcome,
        effects,
        decided: at,
    };
    let key = key().to_string();
    Record {
        offset: 0,
        timestamp: Timestamp::LogAppend(at.time.0),
        headers: outcome_headers(Uuid::nil(), &key, &written, None),
        key: Some(Bytes::from(key)),
        value: Some(Bytes::from(encode(&written).record)),
        unreadable_headers: 0,
    }
}

impl World {
    pub fn block_seats(&self) -> BlockSeats {
        let mut block = BlockSeats { block: key().block, sections: Vec::new(), seats: Vec::new() };
        for row in self.rows.values() {
            match row {
                Row::Seats(block::Row::Section(row)) => block.sections.push(row.clone()),
                Row::Seats(block::Row::Seat(row)) => block.seats.push(row.clone()),
                _ => {}
            }
        }
        block.sections.sort_by_key(|row| row.rank);
        block
    }
}
