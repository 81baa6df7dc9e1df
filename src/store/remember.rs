//! How long decided requests count as seen, and how operators change it, a partition at a time.

use super::intervention::{Act, Began, Intervention};
use super::rows::Progress;
use crate::domain::LogTime;

/// How long a decided request counts as seen: a repeat of it changes nothing. One that is PENDING counts anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remember {
    /// Age, by log time.
    pub ms: i64,
    /// What was decided before this no longer counted when `ms` was last changed, and may have been deleted.
    pub floor: LogTime,
}

impl Remember {
    /// Where no store says otherwise: 7 days.
    pub const DEFAULT: Remember = Remember::of_ms(7 * 24 * 3_600 * 1_000);

    pub const fn of_ms(ms: i64) -> Remember {
        Remember { ms, floor: LogTime(i64::MIN) }
    }

    /// For a command of this log time requests count that were decided then or later. It never moves back.
    pub fn since(&self, now: LogTime) -> LogTime {
        LogTime(now.0.saturating_sub(self.ms)).max(self.floor)
    }

    /// Another age for what is decided after `now`.
    pub fn changed(&self, ms: i64, now: LogTime) -> Remember {
        Remember { ms, floor: self.since(now) }
    }

    /// As the acts that owners of one partition have applied left it.
    pub fn after(self, acts: &[Intervention]) -> Remember {
        match changes(acts).pop() {
            Some((began, ms)) => Remember { ms, floor: began.floor },
            None => self,
        }
    }

    /// The acts that wait for the next owner, as it applies them where it takes over. Of several the one given last counts.
    pub fn begin(&self, acts: &[Intervention], from: &Progress, now: LogTime) -> (Remember, Vec<Intervention>) {
        let Progress { epoch, next_offset: offset, last_time, .. } = *from;
        let floor = self.since(last_time);
        let begins = |act: &Intervention| match act.act {
            Act::Remember { ms, began: None } => {
                let act = Act::Remember { ms, began: Some(Began { offset, floor, epoch }) };
                Some(act)
            }
            _ => None,
        };
        let applied = acts.iter().filter_map(|row| {
            let applied_at = Some(now);
            Some(Intervention { act: begins(row)?, applied_at, ..row.clone() })
        });
        let applied: Vec<Intervention> = applied.collect();
        (self.after(&applied), applied)
    }
}

/// What was applied, in order; of several that one owner applied at its takeover the one given last. A later takeover at the
/// same offset found the age of the one before, by which rows may have been deleted.
pub fn changes(acts: &[Intervention]) -> Vec<(Began, i64)> {
    let mut all: Vec<_> = acts
        .iter()
        .filter_map(|row| match row.act {
            Act::Remember { ms, began: Some(began) } => Some(((began.offset, began.epoch, row.id), (began, ms))),
            _ => None,
        })
        .collect();
    all.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
    all.dedup_by_key(|((offset, epoch, _), _)| (*offset, *epoch));
    all.into_iter().rev().map(|(_, change)| change).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Lane, LanePartition};

    fn given(id: u128, ms: i64) -> Intervention {
        let partition = LanePartition { lane: Lane::Seats, partition: 0 };
        let (by, reason) = ("ann".parse().expect("a name"), "why".to_owned());
        let act = Act::Remember { ms, began: None };
        Intervention { id: Uuid::from_u128(id), partition, act, reason, by, at: LogTime(5), applied_at: None }
    }

    /// Where an owner takes over.
    fn taken(next_offset: u64, epoch: u64) -> Progress {
        Progress { epoch, next_offset, last_time: LogTime(500), ..Progress::NONE }
    }

    #[test]
    fn a_longer_age_does_not_bring_back_what_may_have_been_deleted() {
        let (longer, applied) = Remember::of_ms(100).begin(&[given(1, 1_000)], &taken(7, 1), LogTime(9));
        assert_eq!(longer.since(LogTime(600)), LogTime(400));
        assert_eq!(longer.since(LogTime(2_000)), LogTime(1_000));
        assert_eq!(Remember::of_ms(100).after(&applied), longer, "as the next owner reads it");
        assert_eq!(applied[0].applied_at, Some(LogTime(9)));
    }

    #[test]
    fn a_shorter_age_holds_at_once_and_for_good() {
        let (shorter, applied) = Remember::of_ms(1_000).begin(&[given(1, 10)], &taken(7, 1), LogTime(9));
        assert_eq!(shorter.since(LogTime(500)), LogTime(490));
        let (again, both) = shorter.begin(&[applied[0].clone(), given(2, 1_000)], &taken(8, 2), LogTime(9));
        assert_eq!(again.since(LogTime(501)), LogTime(490));
        assert_eq!(both.len(), 1, "what is applied is not applied again");
    }

    #[test]
    fn two_takeovers_at_one_offset_count_one_after_the_other() {
        let (_, first) = Remember::of_ms(1_000).begin(&[given(1, 10)], &taken(7, 1), LogTime(9));
        let shorter = Remember::of_ms(1_000).after(&first);
        let acts = [first[0].clone(), given(2, 5_000)];
        let (longer, second) = shorter.begin(&acts, &taken(7, 2), LogTime(10));
        let all = [first, second].concat();
        let ages: Vec<_> = changes(&all).into_iter().map(|(began, ms)| (began.floor.0, ms)).collect();
        assert_eq!(ages, [(-500, 10), (490, 5_000)]);
        assert_eq!(Remember::of_ms(1_000).after(&all), longer);
    }

    #[test]
    fn the_last_takeover_at_one_offset_counts_whatever_was_given_first() {
        let (_, first) = Remember::of_ms(100).begin(&[given(2, 200)], &taken(7, 1), LogTime(9));
        let acts = [first[0].clone(), given(1, 300)];
        let before = Remember::of_ms(100).after(&first);
        let (last, second) = before.begin(&acts, &taken(7, 2), LogTime(9));
        assert_eq!((last.ms, last.floor), (300, before.floor), "neither moves the floor");
        assert_eq!(Remember::of_ms(100).after(&[first, second].concat()), last, "as the next owner reads it");
    }

    #[test]
    fn of_several_that_wait_the_one_given_last_counts() {
        let (both, applied) = Remember::of_ms(1_000).begin(&[given(1, 10), given(2, 500)], &taken(7, 1), LogTime(9));
        assert_eq!((both.ms, both.floor), (500, LogTime(-500)));
        assert_eq!(applied.len(), 2);
        let began = Began { offset: 7, floor: LogTime(-500), epoch: 1 };
        assert_eq!(changes(&applied), [(began, 500)]);
    }
}
