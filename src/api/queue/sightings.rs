//! Whom this process saw of one queue, and which of it the log has: what is to be reported, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::queue::{Sighting, TOKENS_PER_DECISION_MAX};

/// Before the queue's limits are known: the shortest that the API sets.
const ABANDON_AFTER_MIN: Duration = Duration::from_secs(12);
/// Longest round of reports, see `Limits::round_ms`.
const ROUND_MAX: Duration = Duration::from_secs(15);
/// What is urgent is on the log within 1 s; until then, others join the report.
const URGENT_WITHIN: Duration = Duration::from_millis(300);
/// An urgent token that was reported so lately is not urgent again: its place has not yet shown the report.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
/// While the log takes no reports they are tried this often.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Longest that reports may be outstanding before polls are refused.
const OUTSTANDING_MAX: Duration = Duration::from_secs(30);
/// Entries of one record. With numbers of 15 digits they take 48 of its 64 KiB.
const ENTRIES_MAX: usize = 1_400;

/// When a token's holder was last seen here, and the last sighting that was reported.
#[derive(Debug, Clone, Copy)]
struct Holder {
    seen: Instant,
    reported: Option<Instant>,
    urgent: bool,
}

impl Holder {
    fn is_unreported(&self) -> bool {
        self.reported.is_none_or(|reported| reported < self.seen)
    }
}

/// One queue's holders. Bounded by its tokens.
#[derive(Debug)]
pub(super) struct Sightings {
    /// Known once the queue was read; then an empty report is a report too.
    abandon_after: Option<Duration>,
    holders: BTreeMap<u64, Holder>,
    round_at: Instant,
    urgent_at: Option<Instant>,
    /// The first report that the log did not take since it last took one began then.
    outstanding: Option<Instant>,
}

/// Tokens with the sightings a report names, ascending.
pub(super) type Named = Vec<(u64, Instant)>;

impl Sightings {
    pub fn new(now: Instant) -> Self {
        let round_at = now + ABANDON_AFTER_MIN / 6;
        Sightings { abandon_after: None, holders: BTreeMap::new(), round_at, urgent_at: None, outstanding: None }
    }

    fn abandon_after(&self) -> Duration {
        self.abandon_after.unwrap_or(ABANDON_AFTER_MIN)
    }

    fn round(&self) -> Duration {
        ROUND_MAX.min(self.abandon_after() / 6)
    }

    /// The queue is served here: it is reported from now on, if nobody is seen too.
    pub fn serve(&mut self, abandon_after: Duration, now: Instant) {
        if self.abandon_after != Some(abandon_after) {
            self.abandon_after = Some(abandon_after);
            self.round_at = self.round_at.min(now + self.round());
        }
    }

    /// The holder was seen. True if that makes a report due earlier.
    pub fn note(&mut self, sequence: u64, urgent: bool, now: Instant) -> bool {
        let holder = self.holders.entry(sequence).or_insert(Holder { seen: now, reported: None, urgent: false });
        holder.seen = now;
        if !urgent || holder.reported.is_some_and(|reported| now - reported < SETTLES_WITHIN) {
            return false;
        }
        holder.urgent = true;
        let at = now + URGENT_WITHIN;
        let earlier = self.urgent_at.is_none_or(|urgent_at| at < urgent_at);
        if earlier {
            self.urgent_at = Some(at);
        }
        earlier
    }

    pub fn due_at(&self) -> Instant {
        self.urgent_at.map_or(self.round_at, |urgent_at| urgent_at.min(self.round_at))
    }

    /// Whether reports have been outstanding for too long: other processes may do better.
    pub fn is_stuck(&self, now: Instant) -> bool {
        let most = OUTSTANDING_MAX.min(self.abandon_after() / 3);
        self.outstanding.is_some_and(|since| now - since >= most)
    }

    pub fn is_all_reported(&self) -> bool {
        !self.holders.values().any(Holder::is_unreported)
    }

    /// What to report now; `None`: nothing, and the clock of a queue that is not served here is not ours. At a round all
    /// that the log has known for a third of `abandon_after` or not at all, before it what is urgent; at the end
    /// everything.
    pub fn begin(&mut self, now: Instant, at_end: bool) -> Option<Named> {
        let at_round = now >= self.round_at;
        let known_for = self.abandon_after() / 3;
        let due = |holder: &Holder| {
            let known = holder.reported.is_some_and(|reported| now - reported < known_for);
            holder.is_unreported() && (holder.urgent || at_end || at_round && !known)
        };
        let named: Named =
            self.holders.iter().filter(|(_, holder)| due(holder)).map(|(n, holder)| (*n, holder.seen)).collect();
        self.urgent_at = None;
        if at_round {
            self.round_at = now + self.round();
            let gone = self.abandon_after();
            self.holders.retain(|_, holder| holder.is_unreported() || now - holder.seen < gone);
        }
        let speaks = !named.is_empty() || at_round && self.abandon_after.is_some();
        if speaks {
            self.outstanding.get_or_insert(now);
        }
        speaks.then_some(named)
    }

    /// The log has taken these.
    pub fn taken(&mut self, named: &[(u64, Instant)]) {
        for (sequence, seen) in named {
            if let Some(holder) = self.holders.get_mut(sequence) {
                (holder.reported, holder.urgent) = (Some(*seen), false);
            }
        }
    }

    /// The report came to its end: all was taken, or not.
    pub fn end(&mut self, all_taken: bool, now: Instant) {
        if all_taken {
            self.outstanding = None;
        } else {
            self.round_at = self.round_at.min(now + RETRY_EVERY);
        }
    }
}

/// Cuts what is named into records, each with its tokens and entries. Neighbors whose ages differ by at most `tolerance`
/// share an entry with the greater age.
pub(super) fn records(named: &[(u64, Instant)], now: Instant, tolerance: Duration) -> Vec<(usize, Vec<Sighting>)> {
    let tolerance_ms = millis(tolerance);
    let mut records = vec![(0, Vec::new())];
    let mut youngest_ms = 0;
    for (sequence, seen) in named {
        let age_ms = millis(now - *seen);
        if let Some((tokens, entries)) = records.last_mut()
            && (*tokens >= TOKENS_PER_DECISION_MAX || entries.len() >= ENTRIES_MAX)
        {
            records.push((0, Vec::new()));
        }
        let Some((tokens, entries)) = records.last_mut() else { return records };
        *tokens += 1;
        if let Some(entry) = entries.last_mut()
            && entry_takes(entry, *sequence, [youngest_ms, age_ms], tolerance_ms)
        {
            entry.last = *sequence;
            entry.age_ms = entry.age_ms.max(age_ms);
            youngest_ms = youngest_ms.min(age_ms);
            continue;
        }
        entries.push(Sighting { first: *sequence, last: *sequence, age_ms });
        youngest_ms = age_ms;
    }
    records
}

fn entry_takes(entry: &Sighting, sequence: u64, [youngest_ms, age_ms]: [i64; 2], tolerance_ms: i64) -> bool {
    let spread_ms = entry.age_ms.max(age_ms) - youngest_ms.min(age_ms);
    entry.last + 1 == sequence && spread_ms <= tolerance_ms
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Sightings {
    /// By how much ages may be rounded up.
    pub fn tolerance(&self) -> Duration {
        self.round() / 4
    }
}
