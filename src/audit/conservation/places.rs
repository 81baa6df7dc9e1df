//! A queue counts its live tokens.

use std::collections::BTreeMap;

use crate::domain::ScheduleId;
use crate::domain::queue::{Row, TokenStatus};

#[derive(Default)]
struct Counts {
    /// WAITING and ACTIVE, by the queue's row.
    said: (u64, u64),
    counted: (u64, u64),
}

#[derive(Default)]
pub(super) struct Places {
    queues: BTreeMap<ScheduleId, Counts>,
}

impl Places {
    pub fn row(&mut self, row: &Row) {
        match row {
            Row::Queue(row) => self.queues.entry(row.schedule_id).or_default().said = (row.waiting, row.active),
            Row::Token(token) => {
                let counted = &mut self.queues.entry(token.schedule_id).or_default().counted;
                let status = token.state.status();
                counted.0 += u64::from(status == TokenStatus::Waiting);
                counted.1 += u64::from(status == TokenStatus::Active);
            }
        }
    }

    pub fn complaints(self) -> Vec<String> {
        let wrong = self.queues.into_iter().filter(|(_, count)| count.said != count.counted);
        wrong
            .map(|(schedule, Counts { said, counted })| {
                format!("the queue of {schedule} says {said:?} wait and are active, {counted:?} are")
            })
            .collect()
    }
}
