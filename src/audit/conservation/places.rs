//! A queue counts its live tokens.

use std::collections::BTreeMap;

use crate::domain::ScheduleId;
use crate::domain::queue::{Row, TokenStatus};

#[derive(Default)]
struct Counts {
    /// WAITING, ABSENT and ACTIVE, by the queue's row.
    said: [u64; 3],
    counted: [u64; 3],
}

#[derive(Default)]
pub(super) struct Places {
    queues: BTreeMap<ScheduleId, Counts>,
}

impl Places {
    pub fn row(&mut self, row: &Row) {
        match row {
            Row::Queue(row) => {
                self.queues.entry(row.schedule_id).or_default().said = [row.waiting, row.absent, row.active];
            }
            Row::Token(token) => {
                let counted = &mut self.queues.entry(token.schedule_id).or_default().counted;
                let status = token.state.status();
                let counts = [TokenStatus::Waiting, TokenStatus::Absent, TokenStatus::Active].into_iter().zip(counted);
                counts.for_each(|(counted, count)| *count += u64::from(status == counted));
            }
        }
    }

    pub fn complaints(self) -> Vec<String> {
        let wrong = self.queues.into_iter().filter(|(_, count)| count.said != count.counted);
        wrong
            .map(|(schedule, Counts { said, counted })| {
                format!("the queue of {schedule} says {said:?} wait, are absent and active, {counted:?} are")
            })
            .collect()
    }
}
