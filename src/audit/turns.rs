//! Who had a turn in which queue when: so that holds of others can be counted. The log's writers are trusted to say that
//! a hold was admitted, so one without a turn is no difference.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use crate::domain::block::{self, Reservation};
use crate::domain::queue::{self, TokenState};
use crate::domain::{BlockKey, Changes, LogTime, Position, Row, ScheduleId, UserId};

/// A front door's view of the queue may be old, the hold takes its time to the log, and two brokers' clocks may differ.
const TOLERANCE_MS: i64 = 60_000;

/// A user in a queue.
type Holder = u64;

/// 24 bytes a turn.
#[derive(Default)]
pub(super) struct Turns {
    /// ACTIVE tokens by queue and sequence: whose, and since when.
    open: HashMap<(ScheduleId, u64), (Holder, LogTime)>,
    closed: HashMap<Holder, Vec<(LogTime, LogTime)>>,
    /// Blocks whose date has a queue.
    queued: HashSet<BlockKey>,
    without: u64,
    first_without: Option<Position>,
}

fn holder(schedule: ScheduleId, user: &UserId) -> Holder {
    xxh3_64(&[schedule.0.as_bytes(), user.as_str().as_bytes()].concat())
}

impl Turns {
    /// Takes in what one record of the queues' lane changed.
    pub fn take(&mut self, changes: &Changes) {
        let Changes::Queues(rows) = changes else { return };
        for row in rows {
            let queue::Row::Token(token) = row else { continue };
            let key = (token.schedule_id, token.sequence);
            match token.state {
                TokenState::Active(turn) => {
                    self.open.entry(key).or_insert((holder(token.schedule_id, &token.user_id), turn.admitted_at));
                }
                _ => {
                    if let Some((holder, from)) = self.open.remove(&key) {
                        self.closed.entry(holder).or_default().push((from, token.changed.time));
                    }
                }
            }
        }
    }

    /// To be called once all queues were followed.
    pub fn close(&mut self) {
        for (_, (holder, from)) in self.open.drain() {
            self.closed.entry(holder).or_default().push((from, LogTime(i64::MAX)));
        }
    }

    /// Takes in a row of the store, blocks before reservations.
    pub fn row(&mut self, row: &Row) {
        match row {
            Row::Seats(block::Row::Block(row)) if row.queue => drop(self.queued.insert(row.key.clone())),
            Row::Seats(block::Row::Reservation(row)) if self.is_without_turn(row) => {
                self.without += 1;
                let at = row.held.position;
                self.first_without = Some(self.first_without.map_or(at, |first| first.min(at)));
            }
            _ => {}
        }
    }

    /// Staff need none.
    fn is_without_turn(&self, row: &Reservation) -> bool {
        row.by.is_none() && self.queued.contains(&row.key) && !self.had_turn(row)
    }

    fn had_turn(&self, row: &Reservation) -> bool {
        let held = row.held.time;
        let around =
            |(from, to): &(LogTime, LogTime)| from.plus_ms(-TOLERANCE_MS) <= held && held <= to.plus_ms(TOLERANCE_MS);
        let turns = self.closed.get(&holder(row.key.schedule_id, &row.user_id));
        turns.is_some_and(|turns| turns.iter().any(around))
    }

    /// Holds without a turn, and the first of them.
    pub fn without(&self) -> (u64, Option<Position>) {
        (self.without, self.first_without)
    }
}
