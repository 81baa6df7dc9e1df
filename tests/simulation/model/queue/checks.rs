//! What must hold after each record, and at the end.

use std::collections::BTreeMap;

use turnstile::domain;
use turnstile::domain::queue::{Command, Row, TokenStatus};

use super::{QueueModel, Token};
use crate::model::Case;
use crate::oracle::{Checked, must};

impl QueueModel {
    /// Nobody waits without need, and nobody is admitted whom the controls hold back.
    pub(super) fn check_order(&mut self, case: &Case, command: &Command) -> Checked {
        let Some(limits) = &self.limits else { return Ok(()) };
        let free = self.active.len() < limits.max_active as usize && self.date.sale(case.time()) == "open";
        let unlimited = limits.admit_per_minute.is_none() && self.date.paused_since.is_none();
        // A refusal changes nothing, and a timer's record without effect none of the places.
        let decides = case.succeeded() && !matches!(command, Command::OpenQueue(_));
        must!(
            !decides || !unlimited || !free || self.waiting.is_empty(),
            "a turn is free, and {:?} wait",
            self.waiting
        );
        let snapshot = self.snapshots.len();
        let admitted = self.turns.iter().rev().take_while(|turn| turn.from == snapshot).count();
        let by_operator = matches!(command, Command::ConfigureQueue(c) if c.admit.is_some());
        if admitted == 0 || by_operator {
            return Ok(());
        }
        must!(self.date.paused_since.is_none(), "{admitted} were admitted during a pause");
        if let Some(per_minute) = limits.admit_per_minute {
            // At a rate of up to 60 a minute there is no credit.
            let earliest = self.admitted_at.map(|last| last.plus_ms(60_000 / i64::from(per_minute.min(60))));
            must!(admitted == 1, "{admitted} were admitted at once, {per_minute} may in a minute");
            must!(earliest.is_none_or(|earliest| earliest <= case.time()), "admitted before {earliest:?}");
            self.admitted_at = Some(case.time());
        }
        Ok(())
    }

    /// Compares the end with the store. `blocks`: the newest note of each block.
    pub fn compare(&self, rows: &[domain::Row], blocks: &BTreeMap<String, Option<u64>>) -> Checked {
        let mut found = 0;
        for row in rows {
            match row {
                domain::Row::Queues(Row::Token(token)) => {
                    found += 1;
                    let user = token.user_id.as_str();
                    let lists = [
                        (&self.waiting, TokenStatus::Waiting),
                        (&self.absent, TokenStatus::Absent),
                        (&self.active, TokenStatus::Active),
                    ];
                    let has = |list: &BTreeMap<u64, Token>| list.get(&token.sequence).is_some_and(|t| t.user == user);
                    let expected = match lists.into_iter().find(|(list, _)| has(list)) {
                        Some((_, status)) => status.as_str(),
                        None => self.ended.get(&token.sequence).map_or("nowhere", |(how, _)| how),
                    };
                    let status = token.state.status().as_str();
                    must!(status == expected, "token {} of {user} is {status}, not {expected}", token.sequence);
                }
                domain::Row::Queues(Row::Queue(row)) => {
                    let said = (row.next_sequence - 1, [row.waiting, row.absent, row.active], row.admitted);
                    let live = [&self.waiting, &self.absent, &self.active].map(|list| list.len() as u64);
                    let counted = (self.last_sequence, live, self.turns.len() as u64);
                    must!(row.presence.now.0 == self.presence.now, "the presence clock is {:?}", row.presence);
                    must!(said == counted, "the queue says {said:?}, the history {counted:?}");
                    let ended = |how: &str| self.ended.values().filter(|(ended, _)| *ended == how).count() as u64;
                    let said = (row.completed, row.expired, row.left);
                    let counted = (ended("COMPLETED"), ended("EXPIRED"), ended("LEFT"));
                    must!(said == counted, "ended tokens are {said:?} in the queue, {counted:?} in the history");
                    let kept: BTreeMap<_, _> = row.sale.iter().map(|(name, note)| (name.to_string(), *note)).collect();
                    must!(kept == self.date.notes, "the notes are {kept:?}, by the history {:?}", self.date.notes);
                    let versions = kept.into_iter().map(|(name, note)| (name, note.map(|note| note.version))).collect();
                    must!(*blocks == versions, "the blocks' newest notes are {blocks:?}, the queue has {versions:?}");
                }
                _ => {}
            }
        }
        must!(found == self.last_sequence, "{found} tokens are stored, {} were issued", self.last_sequence);
        Ok(())
    }
}
