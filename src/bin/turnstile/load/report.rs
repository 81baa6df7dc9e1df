//! Report of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::histogram::Histogram;
use super::mix::Kind;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    Succeeded,
    /// Refused by a decision.
    Refused,
    /// 429 or 503.
    Overload,
    /// 202 after the full wait.
    Undecided,
    /// An unexpected response.
    Failed,
    NoAnswer,
    NotSent,
}

impl Ending {
    const ALL: [Ending; 7] = [
        Ending::Succeeded,
        Ending::Refused,
        Ending::Overload,
        Ending::Undecided,
        Ending::Failed,
        Ending::NoAnswer,
        Ending::NotSent,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Ending::Succeeded => "succeeded",
            Ending::Refused => "refused",
            Ending::Overload => "overload",
            Ending::Undecided => "undecided",
            Ending::Failed => "failed",
            Ending::NoAnswer => "no answer",
            Ending::NotSent => "not sent",
        }
    }

    /// The server decided, so the latency counts.
    fn is_decision(self) -> bool {
        matches!(self, Ending::Succeeded | Ending::Refused)
    }
}

/// Result of one request.
pub struct Outcome {
    pub kind: Kind,
    /// Second of the run in which it was due.
    pub second: u64,
    /// From the time it was due to the response.
    pub latency: Duration,
    pub ending: Ending,
}

#[derive(Default)]
pub struct Second {
    endings: BTreeMap<Ending, u64>,
    pub latencies: Histogram,
}

pub struct Report {
    rate: u32,
    duration: u32,
    endings: BTreeMap<Ending, u64>,
    overall: Histogram,
    kinds: Vec<(Kind, Histogram)>,
    seconds: Vec<Second>,
}

impl Report {
    pub fn new(rate: u32, duration: u32) -> Self {
        Self {
            rate,
            duration,
            endings: BTreeMap::new(),
            overall: Histogram::default(),
            kinds: Kind::ALL.into_iter().map(|kind| (kind, Histogram::default())).collect(),
            seconds: (0..duration).map(|_| Second::default()).collect(),
        }
    }

    pub fn add(&mut self, outcome: &Outcome) {
        *self.endings.entry(outcome.ending).or_default() += 1;
        let last = self.seconds.len().saturating_sub(1);
        let second = usize::try_from(outcome.second).unwrap_or(last).min(last);
        if let Some(second) = self.seconds.get_mut(second) {
            *second.endings.entry(outcome.ending).or_default() += 1;
            if outcome.ending.is_decision() {
                second.latencies.add(outcome.latency);
            }
        }
        if outcome.ending.is_decision() {
            self.overall.add(outcome.latency);
            if let Some((_, histogram)) = self.kinds.iter_mut().find(|(kind, _)| *kind == outcome.kind) {
                histogram.add(outcome.latency);
            }
        }
    }

    pub fn count(&self) -> u64 {
        self.endings.values().sum()
    }

    /// Requests without a decision.
    pub fn failed(&self) -> u64 {
        self.endings.iter().filter(|(ending, _)| !ending.is_decision()).map(|(_, count)| count).sum()
    }

    pub fn overall(&self) -> &Histogram {
        &self.overall
    }

    pub fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// Counts and percentiles as text.
    pub fn table(&self) -> String {
        let mut text =
            format!("{} requests/s for {} s, latency from the time each was due\n", self.rate, self.duration);
        let endings: Vec<_> =
            self.endings.iter().map(|(ending, count)| format!("{} {count}", ending.as_str())).collect();
        let _ = writeln!(text, "{}\n", endings.join(", "));
        let _ = writeln!(
            text,
            "{:8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "", "decided", "p50", "p90", "p95", "p99", "p99.9", "max"
        );
        let all = std::iter::once(("all", &self.overall));
        let sent = self.kinds.iter().filter(|(_, histogram)| histogram.count() > 0);
        for (name, histogram) in all.chain(sent.map(|(kind, histogram)| (kind.as_str(), histogram))) {
            let _ = write!(text, "{name:8} {:>9}", histogram.count());
            for percent in [50.0, 90.0, 95.0, 99.0, 99.9] {
                let _ = write!(text, " {:>9}", millis(histogram.percentile(percent)));
            }
            let _ = writeln!(text, " {:>9}", millis(histogram.max()));
        }
        text
    }

    /// One line per second: counts by ending, then latencies in ms.
    pub fn csv(&self) -> String {
        let names: Vec<_> = Ending::ALL.iter().map(|ending| ending.as_str().replace(' ', "_")).collect();
        let mut text = format!("second,{},p50_ms,p95_ms,p99_ms,max_ms\n", names.join(","));
        for (number, second) in self.seconds.iter().enumerate() {
            let counts: Vec<_> =
                Ending::ALL.iter().map(|ending| second.endings.get(ending).unwrap_or(&0).to_string()).collect();
            let ms = |latency: Duration| format!("{:.3}", latency.as_secs_f64() * 1000.0);
            let of = |percent| ms(second.latencies.percentile(percent));
            let max = ms(second.latencies.max());
            let _ = writeln!(text, "{number},{},{},{},{},{max}", counts.join(","), of(50.0), of(95.0), of(99.0));
        }
        text
    }
}

/// Milliseconds with significant digits only.
pub fn millis(latency: Duration) -> String {
    let ms = latency.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decisions_count_as_latencies() {
        let mut report = Report::new(2, 2);
        let outcome = |second, ending| Outcome { kind: Kind::Hold, second, latency: Duration::from_millis(5), ending };
        report.add(&outcome(0, Ending::Succeeded));
        report.add(&outcome(0, Ending::Refused));
        report.add(&outcome(1, Ending::NotSent));
        report.add(&outcome(9, Ending::Overload));
        assert_eq!((report.count(), report.failed(), report.overall().count()), (4, 2, 2));
        let csv = report.csv();
        let lines: Vec<_> = csv.lines().collect();
        assert!(lines[1].starts_with("0,1,1,0,0,0,0,0,5."), "{csv}");
        assert!(lines[2].starts_with("1,0,0,1,0,0,0,1,0.000"), "{csv}");
        assert!(report.table().contains("succeeded 1, refused 1, overload 1, not sent 1"), "{}", report.table());
    }
}
