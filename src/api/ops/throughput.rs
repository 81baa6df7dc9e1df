//! What was decided in the last 15 minutes, second by second, as the outcomes tell: of the whole system, in every process
//! that follows them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use prometheus::Histogram;
use serde::Serialize;
use utoipa::ToSchema;

use super::system::System;
use crate::api::http::auth::Admin;
use crate::domain::{Code, Lane, LogTime};
use crate::log::Record;
use crate::telemetry::metrics::DECISION_SECONDS;
use crate::wire::headers;
use crate::wire::outcome::refusal_code;
use crate::wire::time::rfc3339;

const SECONDS: usize = 900;
/// Seconds of one point of the series, and of the pace.
const STEP: i64 = 10;
/// Upper bounds in ms; what takes longer is in one more bucket.
const BOUNDS_MS: [u32; 15] = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 250, 1_000, 5_000, 30_000];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    /// By lane, in the order of [`Lane::ALL`].
    decided: [u64; Lane::ALL.len()],
    refused: BTreeMap<Code, u64>,
    /// From append to the outcome on the log, by [`BOUNDS_MS`].
    took: [u64; BOUNDS_MS.len() + 1],
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        let sum = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        sum(&mut self.decided, &other.decided);
        sum(&mut self.took, &other.took);
        for (code, count) in &other.refused {
            *self.refused.entry(*code).or_default() += count;
        }
    }

    /// The bound below which this share lies; `None` if nothing was decided, or it took longer than the last bound.
    fn percentile_ms(&self, percent: u64) -> Option<u32> {
        let rank = (self.took.iter().sum::<u64>() * percent).div_ceil(100).max(1);
        let mut below = 0;
        let reached = self.took.iter().position(|count| {
            below += count;
            below >= rank
        });
        reached.and_then(|bucket| BOUNDS_MS.get(bucket).copied())
    }
}

/// The tallies of the last [`SECONDS`], each with its second since 1970; seconds without an outcome are left out.
pub struct Throughput {
    ring: Mutex<VecDeque<(i64, Tally)>>,
    took: [Histogram; Lane::ALL.len()],
    /// This process follows the outcomes.
    follows: bool,
}

impl Throughput {
    pub fn new(follows: bool) -> Self {
        let took = Lane::ALL.map(|lane| DECISION_SECONDS.with_label_values(&[lane.as_str()]));
        Throughput { ring: Mutex::default(), took, follows }
    }

    /// Outcomes were read. Their second is that of the log, so that all processes tell the same. The lock is taken once for
    /// all of them: they are up to 1,000, of one partition and so of a second or two.
    pub fn note(&self, records: &[Record]) {
        let mut tallies: Vec<(i64, Tally)> = Vec::new();
        for record in records {
            let Some((lane, decided)) = headers::decided_of(&record.headers) else { continue };
            let published = record.timestamp.millis();
            let took_ms = (published - decided.0).max(0);
            self.took[lane as usize].observe(took_ms as f64 / 1_000.0);
            let second = published.div_euclid(1_000);
            if tallies.last().is_none_or(|(of, _)| *of != second) {
                tallies.push((second, Tally::default()));
            }
            let Some((_, tally)) = tallies.last_mut() else { continue };
            tally.decided[lane as usize] += 1;
            tally.took[BOUNDS_MS.partition_point(|bound| i64::from(*bound) < took_ms)] += 1;
            let refused =
                headers::is_refusal(&record.headers).then(|| refusal_code(record.value.as_deref()?)).flatten();
            if let Some(code) = refused {
                *tally.refused.entry(code).or_default() += 1;
            }
        }
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.into_iter().for_each(|(second, tally)| add(&mut ring, second, tally));
    }

    /// Of the seconds from one to another, the last left out.
    fn between(&self, from: i64, to: i64) -> Tally {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Tally::default();
        ring.iter().filter(|(second, _)| (from..to).contains(second)).for_each(|(_, tally)| sum.add(tally));
        sum
    }

    /// Of the last 10 whole seconds; `None` in a process that follows no outcomes.
    pub fn pace(&self, now: LogTime) -> Option<Pace> {
        let second = now.0.div_euclid(1_000);
        self.follows.then(|| Pace::of(&self.between(second - STEP, second)))
    }

    fn series(&self, now: LogTime) -> Series {
        let end = now.0.div_euclid(1_000).div_euclid(STEP) * STEP;
        let begin = end - SECONDS as i64;
        let starts = (begin..end).step_by(STEP as usize);
        let point = |start: i64| Point {
            at: rfc3339(LogTime(start * 1_000)),
            pace: Pace::of(&self.between(start, start + STEP)),
        };
        let refused = self.between(begin, now.0.div_euclid(1_000) + 1).refused;
        Series {
            step_seconds: STEP,
            points: if self.follows { starts.map(point).collect() } else { Vec::new() },
            refused: refused.into_iter().map(|(code, count)| (code.as_str().to_owned(), count)).collect(),
        }
    }
}

/// Partitions of the outcomes are read side by side: an older second may come after a newer one.
fn add(ring: &mut VecDeque<(i64, Tally)>, second: i64, tally: Tally) {
    match ring.iter().rposition(|(known, _)| *known <= second) {
        Some(at) if ring[at].0 == second => ring[at].1.add(&tally),
        before => ring.insert(before.map_or(0, |at| at + 1), (second, tally)),
    }
    if ring.len() > SECONDS {
        ring.pop_front();
    }
}

/// Outcomes a second, on average, and how long they took.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pace {
    pub seats: f64,
    pub wallets: f64,
    pub queues: f64,
    /// Of all lanes, refused.
    pub refused: f64,
    /// From the command's append to its outcome on the log, as an upper bound; null: nothing was decided.
    pub p50_ms: Option<u32>,
    pub p99_ms: Option<u32>,
}

impl Pace {
    fn of(tally: &Tally) -> Self {
        let rate = |count: u64| count as f64 / STEP as f64;
        let of = |lane: Lane| rate(tally.decided[lane as usize]);
        Pace {
            seats: of(Lane::Seats),
            wallets: of(Lane::Wallets),
            queues: of(Lane::Queues),
            refused: rate(tally.refused.values().sum()),
            p50_ms: tally.percentile_ms(50),
            p99_ms: tally.percentile_ms(99),
        }
    }
}

/// The last 15 minutes, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Series {
    pub step_seconds: i64,
    /// Empty in a process that follows no outcomes: a worker alone. Those before its start are zero.
    pub points: Vec<Point>,
    /// Refusals of these minutes by code.
    pub refused: BTreeMap<String, u64>,
}

/// Some seconds of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Point {
    #[schema(format = "date-time")]
    pub at: String,
    #[serde(flatten)]
    pub pace: Pace,
}

/// What was decided in the last 15 minutes.
#[utoipa::path(
    get,
    path = "/v1/ops/throughput",
    tag = "operations",
    responses(
        (status = 200, description = "Since this process began to follow the outcomes", body = Series),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn get_throughput(
    State(throughput): State<Arc<Throughput>>,
    State(system): State<Arc<System>>,
    _admin: Admin,
) -> Json<Series> {
    Json(throughput.series(system.clock.now()))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::log::Timestamp;
    use crate::testing::wire::samples;
    use crate::wire::outcome;

    fn record(name: &str, took_ms: i64) -> Record {
        let sample = samples::outcomes().into_iter().find(|outcome| outcome.name == name).unwrap();
        let outcome = sample.record();
        let headers = headers::outcome_headers(Uuid::nil(), "key", &outcome, None);
        let value = outcome::encode(&outcome).record;
        Record {
            offset: 0,
            timestamp: Timestamp::LogAppend(outcome.decided.time.0 + took_ms),
            key: None,
            value: Some(value.into()),
            headers,
            unreadable_headers: 0,
        }
    }

    #[test]
    fn outcomes_are_counted_by_lane_code_and_time() {
        let throughput = Throughput::new(true);
        for _ in 0..99 {
            throughput.note(&[record("held", 4)]);
        }
        let refused = record("rejected_seat_taken", 200);
        let now = LogTime(refused.timestamp.millis() + 2_000);
        throughput.note(&[refused]);
        let pace = throughput.pace(now).unwrap();
        assert_eq!((pace.seats, pace.wallets, pace.refused), (10.0, 0.0, 0.1));
        assert_eq!((pace.p50_ms, pace.p99_ms), (Some(5), Some(5)));
        let series = throughput.series(now.plus_ms(10_000));
        assert_eq!(series.points.len(), 90);
        assert_eq!(series.points.iter().map(|point| point.pace.seats).sum::<f64>(), 10.0);
        assert_eq!(series.refused, [("seat_taken".to_owned(), 1)].into());
        assert!(throughput.pace(now.plus_ms(60_000)).unwrap().p50_ms.is_none());
    }

    #[test]
    fn it_remembers_fifteen_minutes() {
        let throughput = Throughput::new(true);
        for second in (0..2_000).rev().chain(0..2_000) {
            throughput.note(&[record("held", second * 1_000)]);
        }
        assert_eq!(throughput.ring.lock().unwrap().len(), SECONDS);
        assert!(throughput.ring.lock().unwrap().iter().map(|(second, _)| second).is_sorted());
    }
}
