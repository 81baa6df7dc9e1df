//! `turnstile audit`: replays the whole log and compares it with the store.

use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use turnstile::assembly::backends::{BackendError, Backends};
use turnstile::assembly::backup;
use turnstile::audit::{self, AuditError, Report, Step};
use turnstile::config::Config;
use turnstile::log::Log;
use turnstile::runtime::clock::Clock;
use turnstile::store::{Act, AuditRun, Intervention, Store};
use turnstile::wire::time::rfc3339;

use crate::exit::Failure;
use crate::output::say;
use crate::partitions::shown;

const BAR_WIDTH: usize = 30;
const REDRAW: Duration = Duration::from_millis(100);

pub async fn run(config: &Config) -> Result<(), Failure> {
    let clock = Clock::System;
    // A process has the embedded pair open: then of a copy, as it is at one moment.
    let (opened, _copy) = match Backends::open(config, &clock).await {
        Err(BackendError::InUse(_)) => open_copy(config, &clock).await?,
        opened => (opened?, None),
    };
    let audited = watched(&*opened.log, &*opened.store).await;
    if let Ok((report, took)) = &audited {
        note(&*opened.store, report, *took, &clock).await;
    }
    opened.close(config.log.delivery_timeout).await;
    let (report, took) = audited.map_err(anyhow::Error::new)?;
    say(&summary(&report, took))?;
    if report.is_clean() { Ok(()) } else { Err(Failure::Disagreement) }
}

async fn open_copy(config: &Config, clock: &Clock) -> Result<(Backends, Option<Copy>), Failure> {
    let copy = Copy(config.data_dir.join(format!("audit-{}", std::process::id())));
    backup::copy(config, &copy.0).await?;
    let config = Config { data_dir: copy.0.clone(), ..config.clone() };
    Ok((Backends::open(&config, clock).await?, Some(copy)))
}

/// A directory that goes with it.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // What is left of it does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the audit, with a progress bar on a terminal.
async fn watched(log: &dyn Log, store: &dyn Store) -> Result<(Report, Duration), AuditError> {
    let began = Instant::now();
    let mut bar = std::io::stderr().is_terminal().then_some(Bar { began, drawn: None });
    let report = audit::run(log, store, &mut |step| {
        if let Some(bar) = &mut bar {
            bar.show(step);
        }
    })
    .await;
    if bar.is_some() {
        eprint!("\r\x1b[K");
    }
    Ok((report?, began.elapsed()))
}

/// For the ops page. The verdict stands without it.
async fn note(store: &dyn Store, report: &Report, took: Duration, clock: &Clock) {
    let run = AuditRun {
        at: clock.now(),
        took_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        records: report.records,
        rows: report.rows,
        differences: report.differences,
        first: report.first.as_ref().map(ToString::to_string),
    };
    if let Err(error) = store.note_audit(&run).await {
        tracing::warn!(%error, "the result of the audit is not kept for the ops page");
    }
}

/// The result as text.
fn summary(report: &Report, took: Duration) -> String {
    let rate = report.records as f64 / took.as_secs_f64().max(0.001);
    let mut text = format!(
        "{} records replayed and {} rows compared in {:.1} s ({rate:.0} records a second)\n",
        report.records,
        report.rows,
        took.as_secs_f64()
    );
    text.push_str(&format!("{} of the newest outcomes on the topic compared\n", report.newest_outcomes));
    if report.forgotten > 0 {
        text.push_str(&format!("{} old requests and dead letters were deleted by retention\n", report.forgotten));
    }
    if let (holds @ 1.., Some(first)) = report.without_turn {
        text.push_str(&format!("{holds} holds were taken without a turn in the waiting queue, the first at {first}\n"));
    }
    for act in &report.interventions {
        text.push_str(&format!("{}\n", listed(act)));
    }
    match &report.first {
        None => text.push_str("the store is what the log says\n"),
        Some(first) => text.push_str(&format!("{} differences, the first {first}\n", report.differences)),
    }
    text
}

/// One act of an operator in a line.
fn listed(row: &Intervention) -> String {
    let Intervention { partition, act, reason, by, at, .. } = row;
    let what = match act {
        Act::Skip(offsets) => format!("{offsets} skipped"),
        Act::Time { offsets, time } => format!("{offsets} given the log time {}", rfc3339(*time)),
        Act::Acquire => "acquired again".to_owned(),
        Act::Remember { ms, began } => {
            let from = began.map_or(0, |began| began.offset);
            format!("requests count as seen for {} from offset {from} on", shown(*ms))
        }
    };
    format!("{partition}: {what} by {by} at {}: {reason}", rfc3339(*at))
}

struct Bar {
    began: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    fn show(&mut self, step: Step) {
        if self.drawn.is_some_and(|at| at.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = match step {
            Step::Replayed { records, of } => {
                let done = records as f64 / of.max(1) as f64;
                let filled = ((done * BAR_WIDTH as f64) as usize).min(BAR_WIDTH);
                let (full, empty) = ("█".repeat(filled), "░".repeat(BAR_WIDTH - filled));
                let rate = records as f64 / self.began.elapsed().as_secs_f64().max(0.001);
                format!("replaying {full}{empty} {:>3.0} %  {records} of {of}  {rate:.0}/s", done * 100.0)
            }
            Step::Compared { rows } => format!("comparing {rows} rows"),
        };
        let mut stderr = std::io::stderr();
        // The terminal may be gone.
        let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
    }
}
