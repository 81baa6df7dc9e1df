//! How the system goes, in one sentence.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::system::{LETTERS_MAX, Now, Partition, SILENT_AFTER, State};
use crate::api::cache::probes::Check;
use crate::runtime::health::Severity;
use crate::store::ProcessView;

/// A partition further behind than this is named: in records, and in ms.
const LAG_RECORDS_MAX: u64 = 5_000;
const LAG_MS_MAX: i64 = 3_000;
/// So many rows of an outbox that the log does not take are named.
const OUTBOX_MAX: u64 = 1_000;
/// More troubles than this are counted only.
const TROUBLES_MAX: usize = 50;

/// How it goes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verdict {
    /// ok, degraded (part of it needs a look) or failing (commands wait or are refused).
    pub level: &'static str,
    /// One sentence.
    #[schema(example = "all 40 partitions are owned and nothing waits")]
    pub text: String,
    /// What is wrong, worst first, 50 at most.
    pub troubles: Vec<Trouble>,
    /// How many there are.
    pub count: usize,
}

/// Something that an operator should know.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trouble {
    /// failing or degraded.
    pub level: &'static str,
    /// Stable: log_away, store_away, check_failing, no_owner, partition_parked, partition_waiting, lag, outbox, struggling,
    /// process_silent, dead_letters, audit_differs.
    #[schema(example = "partition_parked")]
    pub code: &'static str,
    /// One sentence.
    pub text: String,
    /// What the sentence is made of.
    pub values: Map<String, Value>,
}

const FAILING: &str = "failing";
const DEGRADED: &str = "degraded";

fn trouble(level: &'static str, code: &'static str, text: String, values: Value) -> Trouble {
    let values = if let Value::Object(values) = values { values } else { Map::new() };
    Trouble { level, code, text, values }
}

/// What only the process itself can say; its other checks are in its row.
const OWN_CHECKS: [&str; 4] = ["not draining", "outcome feed", "store", "log"];

/// `own`: the checks of the process that answers.
pub fn verdict(now: &Now, own: &[Check]) -> Verdict {
    let own = own.iter().filter(|check| OWN_CHECKS.contains(&check.name.as_str()));
    let mut troubles: Vec<Trouble> = own.filter_map(of_check).collect();
    if let Some(reason) = &now.log_error
        && !troubles.iter().any(|trouble| trouble.code == "log_away")
    {
        troubles.push(trouble(
            FAILING,
            "log_away",
            format!("the log does not answer: {reason}"),
            json!({"reason": reason}),
        ));
    }
    troubles.extend(without_owner(&now.partitions));
    troubles.extend(now.partitions.iter().filter_map(of_partition));
    troubles.extend(now.partitions.iter().filter_map(|of| behind(of, now)));
    troubles.extend(now.processes.iter().flat_map(of_process));
    troubles.extend(letters_and_audit(now));
    troubles.sort_by_key(|trouble| trouble.level != FAILING);
    let count = troubles.len();
    let level = troubles.first().map_or("ok", |worst| worst.level);
    let text = sentence(now, troubles.first(), count);
    troubles.truncate(TROUBLES_MAX);
    Verdict { level, text, troubles, count }
}

/// Of a system whose store does not answer.
pub fn without_store(reason: &str, own: &[Check]) -> Verdict {
    let mut troubles =
        vec![trouble(FAILING, "store_away", format!("the store does not answer: {reason}"), json!({"reason": reason}))];
    troubles.extend(own.iter().filter(|check| check.name != "store").filter_map(of_check));
    Verdict { level: FAILING, text: troubles[0].text.clone(), count: troubles.len(), troubles }
}

fn sentence(now: &Now, worst: Option<&Trouble>, count: usize) -> String {
    match (worst, count) {
        (Some(worst), 1) => worst.text.clone(),
        (Some(worst), count) => format!("{}; {} more", worst.text, count - 1),
        (None, _) => {
            let all = now.partitions.len();
            match waited_ms(now) {
                None => format!("all {all} partitions are owned and nothing waits"),
                Some(ms) => format!("all {all} partitions are owned; the oldest undecided command has waited {ms} ms"),
            }
        }
    }
}

/// The age of the oldest undecided command.
pub fn waited_ms(now: &Now) -> Option<i64> {
    let since = now.partitions.iter().filter_map(|of| of.waiting_since).min()?;
    Some((now.at.0 - since.0).max(0))
}

fn of_check(check: &Check) -> Option<Trouble> {
    // Partitions are looked at one by one.
    let (severity, reason) = check.failure.as_ref().filter(|_| !check.name.starts_with("partition "))?;
    let level = match severity {
        Severity::Critical => FAILING,
        Severity::Degraded | Severity::Notice => DEGRADED,
    };
    let name = &check.name;
    Some(match name.as_str() {
        "log" => trouble(level, "log_away", format!("the log does not answer: {reason}"), json!({"reason": reason})),
        "store" => {
            trouble(level, "store_away", format!("the store does not answer: {reason}"), json!({"reason": reason}))
        }
        _ => trouble(level, "check_failing", format!("{name}: {reason}"), json!({"check": name, "reason": reason})),
    })
}

/// One trouble for each reason, however many partitions a lost worker leaves.
fn without_owner(partitions: &[Partition]) -> Vec<Trouble> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for of in partitions.iter().filter(|of| of.state == State::NoOwner) {
        let reason = of.reason.as_deref().unwrap_or_default();
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, named)) => named.push(of.partition.to_string()),
            None => by_reason.push((reason, vec![of.partition.to_string()])),
        }
    }
    let said = |(reason, named): (&str, Vec<String>)| {
        let text = match &named[..] {
            [one] => format!("partition {one} has no owner: {reason}"),
            all => format!("{} partitions have no owner: {reason}", all.len()),
        };
        let values = json!({"count": named.len(), "partitions": named, "reason": reason});
        trouble(FAILING, "no_owner", text, values)
    };
    by_reason.into_iter().map(said).collect()
}

fn of_partition(of: &Partition) -> Option<Trouble> {
    let (partition, reason) = (of.partition.to_string(), of.reason.clone().unwrap_or_default());
    let values = json!({"partition": partition, "reason": reason});
    match of.state {
        State::Parked => {
            Some(trouble(FAILING, "partition_parked", format!("partition {partition} is parked: {reason}"), values))
        }
        State::Waiting => {
            Some(trouble(FAILING, "partition_waiting", format!("partition {partition} waits: {reason}"), values))
        }
        State::Owned if !reason.is_empty() => {
            Some(trouble(DEGRADED, "struggling", format!("partition {partition} struggles: {reason}"), values))
        }
        State::Owned | State::NoOwner => None,
    }
}

fn behind(of: &Partition, now: &Now) -> Option<Trouble> {
    let partition = of.partition.to_string();
    let (records, ms) = (of.lag.unwrap_or(0), of.waiting_since.map_or(0, |since| (now.at.0 - since.0).max(0)));
    if records > LAG_RECORDS_MAX || ms > LAG_MS_MAX {
        let text = format!("partition {partition} is {records} records and {:.1} s behind", ms as f64 / 1_000.0);
        let values = json!({"partition": partition, "records": records, "seconds": ms as f64 / 1_000.0});
        return Some(trouble(DEGRADED, "lag", text, values));
    }
    let waiting = of.progress.as_ref().map_or(0, |view| view.outbox_pending);
    (waiting > OUTBOX_MAX).then(|| {
        let why = of.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let text = format!("{waiting} outcomes of partition {partition} are decided and not published{why}");
        trouble(DEGRADED, "outbox", text, json!({"partition": partition, "rows": waiting, "reason": of.reason}))
    })
}

fn of_process(view: &ProcessView) -> Vec<Trouble> {
    let (name, seconds) = (&view.process.name, view.silent_for.as_secs());
    if view.silent_for > SILENT_AFTER {
        let text = format!("process {name} has been silent for {seconds} s");
        return vec![trouble(DEGRADED, "process_silent", text, json!({"process": name, "seconds": seconds}))];
    }
    let checks = view.process.status.checks.iter().filter(|check| check.standing().is_none());
    let failing = checks.filter_map(|check| {
        let (reason, level) = (check.reason.as_ref()?, if check.critical { FAILING } else { DEGRADED });
        let values = json!({"check": check.name, "process": name, "reason": reason});
        Some(trouble(level, "check_failing", format!("{} of {name}: {reason}", check.name), values))
    });
    failing.collect()
}

fn letters_and_audit(now: &Now) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if now.open_letters > 0 {
        let more = if now.open_letters == LETTERS_MAX { " or more" } else { "" };
        let text = format!("{}{more} dead letters wait for somebody", now.open_letters);
        troubles.push(trouble(DEGRADED, "dead_letters", text, json!({"count": now.open_letters})));
    }
    if let Some(audit) = now.audit.as_ref().filter(|audit| audit.differences > 0) {
        let first = audit.first.as_deref().unwrap_or_default();
        let text = format!("the last audit found {} differences, the first {first}", audit.differences);
        let values = json!({"count": audit.differences, "first": first});
        troubles.push(trouble(FAILING, "audit_differs", text, values));
    }
    troubles
}
