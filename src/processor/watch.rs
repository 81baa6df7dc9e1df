//! Looks at the partitions of a worker: work without progress is shown, whatever stops it, and a clock that none of them
//! fits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Context;
use super::standing::Standing;
use crate::runtime::health::Severity;
use crate::wire::time::rfc3339;

const LOOK: Duration = Duration::from_secs(1);
/// Name of the check.
const CLOCK: &str = "clock";

/// Runs until it is dropped.
pub(super) async fn run(context: Arc<Context>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let standings = context.standings.all();
        standings.iter().for_each(|standing| standing.look());
        let health = &context.deps.health;
        let severity = suspected(standings.iter().filter_map(|standing| Standing::time(standing)));
        match severity {
            None => health.forget(CLOCK),
            Some(severity) => {
                let now = rfc3339(context.deps.clock.now());
                let reason =
                    format!("the records of all partitions lie ahead of this machine's clock, which says {now}");
                health.failing(CLOCK, severity, reason);
            }
        }
    }
}

/// One partition that waits for its time has a record with a wrong one; if all that have something to decide wait, this
/// machine's clock is wrong. Of each owned partition: its last commit, and since when it waits.
fn suspected(owned: impl Iterator<Item = (Option<Instant>, Option<Instant>)>) -> Option<Severity> {
    let owned: Vec<_> = owned.collect();
    let waiting: Vec<Instant> = owned.iter().filter_map(|(_, waits)| *waits).collect();
    let first = waiting.iter().min()?;
    if waiting.len() == owned.len() {
        return Some(Severity::Critical);
    }
    let others_go_on = owned.iter().any(|(committed, _)| committed.is_some_and(|at| at > *first));
    (waiting.len() > 1 && !others_go_on).then_some(Severity::Degraded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_suspected_if_every_partition_with_work_waits_for_its_time() {
        let at = |second| Some(Instant::now() + Duration::from_secs(second));
        let of = |owned: &[(Option<Instant>, Option<Instant>)]| suspected(owned.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(at(5), None), (None, None)]), None);
        assert_eq!(of(&[(at(1), at(5)), (None, None)]), None, "one alone has a wrong record");
        assert_eq!(of(&[(at(1), at(5)), (None, at(6))]), Some(Severity::Critical));
        assert_eq!(of(&[(at(1), at(5)), (None, at(6)), (at(2), None)]), Some(Severity::Degraded));
        assert_eq!(of(&[(at(1), at(5)), (None, at(6)), (at(9), None)]), None, "another goes on");
    }
}
