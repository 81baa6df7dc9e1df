//! Every command on every lane has exactly one request, decided where it belongs and nowhere else, at the log time of its
//! record.

use std::collections::BTreeMap;

use serde_json::Value;
use turnstile::domain::{Arrival, Body, Command, Lane, LanePartition, LogTime, Position, block, queue};
use turnstile::log::{Log, Record, Topic};
use turnstile::store::{RequestKey, RequestRow, RequestState, RequestStatus, lane_partitions};
use turnstile::wire;

use super::acts::Acts;
use super::{home, must, taken, understood};
use crate::cluster::Cluster;
use crate::model::Case;

/// In order of position.
type ById<'a> = BTreeMap<(RequestKey, LanePartition), Vec<&'a RequestRow>>;

/// The cases by lane and partition, in order of the log; effects are added later.
pub async fn cases(cluster: &Cluster, requests: &[RequestRow]) -> Result<Vec<Case>, String> {
    let mut by_position: BTreeMap<Position, &RequestRow> = BTreeMap::new();
    let mut by_id: ById<'_> = BTreeMap::new();
    for row in requests {
        let status = row.state.status();
        must!(status != RequestStatus::Pending, "request {} at {} is never decided", row.key.id, row.position);
        must!(by_position.insert(row.position, row).is_none(), "two requests lie at {}", row.position);
        by_id.entry((row.key, row.position.partition)).or_default().push(row);
    }
    let mut cases = Vec::new();
    for here in lane_partitions(cluster.log.partitions()) {
        let mut time = LogTime(0);
        let mut acts = Acts::of(cluster, here).await?;
        for (record, stored_ms) in cluster.log.all_timed(Topic::Lane(here.lane), here.partition) {
            let position = here.at(record.offset);
            let (skipped, last) = (acts.skips(position)?, time);
            if !skipped {
                time = time.max(acts.time(position, &record)?);
            }
            let at = Arrival { position, time };
            let since = acts.counts_since(record.offset, last, time);
            let own = by_position.remove(&at.position);
            if skipped && own.is_none() {
                acts.without_outcome(position, &record)?;
                continue;
            }
            if here.lane == Lane::Inbox {
                must!(own.is_none(), "{} was decided in the inbox", at.position);
                forwarded(cluster, &by_id, &record).map_err(|why| format!("{}: {why}", at.position))?;
                continue;
            }
            let Some(command) = understood(&record) else {
                must!(own.is_none(), "garbage at {} became a request", at.position);
                continue;
            };
            match own {
                Some(row) => {
                    let says = row.state.outcome().is_some_and(|outcome| outcome.contains("skipped_by_operator"));
                    must!(says == skipped, "{position} was {}skipped", if skipped { "" } else { "not " });
                    must!(!is_seen(&by_id, row.key, &at, since), "{} is a repeat and was decided again", at.position);
                    check_row(cluster, row, &command, &at)?;
                    cases.push(decided(row, command, stored_ms)?);
                }
                None => cases.extend(not_own(cluster, &by_id, command, at, stored_ms, since)?),
            }
        }
    }
    match by_position.keys().next() {
        None => Ok(cases),
        Some(position) => Err(format!("a request lies at {position}, where no command is")),
    }
}

/// Whether an earlier request under this id counts as seen: one that was undecided then, or was not decided before `since`.
fn is_seen(by_id: &ById<'_>, key: RequestKey, at: &Arrival, since: LogTime) -> bool {
    let rows = by_id.get(&(key, at.position.partition)).into_iter().flatten();
    let counts = |row: &&RequestRow| row.state.decided_at().is_none_or(|decided| decided >= since);
    rows.copied().take_while(|row| row.position < at.position).any(|row| counts(&row))
}

/// What the inbox takes is decided on its lane; the rest is a dead letter, as is checked elsewhere.
fn forwarded(cluster: &Cluster, by_id: &ById<'_>, record: &Record) -> Result<(), String> {
    let Some(command) = record.value.as_ref().and_then(|value| taken(value)) else { return Ok(()) };
    let decided = by_id.contains_key(&(key_of(&command), home(cluster, &command.body)));
    must!(decided, "{} was taken from the inbox and never decided", command.body.kind());
    Ok(())
}

fn is_timer(body: &Body) -> bool {
    matches!(body, Body::Seats(block::Command::ExpireHolds(_)) | Body::Queues(queue::Command::Tick(_)))
}

fn key_of(command: &Command) -> RequestKey {
    RequestKey { id: command.request_id, internal: command.body.is_internal() }
}

fn check_row(cluster: &Cluster, row: &RequestRow, command: &Command, at: &Arrival) -> Result<(), String> {
    let (here, body) = (at.position.partition, &command.body);
    must!(home(cluster, body) == here, "a misrouted command was decided at {}", row.position);
    must!(row.key == key_of(command), "{} has another request's row", row.position);
    must!(row.at == at.time, "log time of {} is {:?}, not {:?}", row.position, row.at, at.time);
    let same = row.fingerprint == wire::command::fingerprint(command)
        && row.command == body.kind()
        && row.user_id.as_ref() == body.user_id()
        && row.by == command.by;
    must!(same, "the row of {} is another command's", row.position);
    Ok(())
}

/// A record that is not the one its request was decided at: a repeat, a misrouted one, or a timer's that found nothing.
fn not_own(
    cluster: &Cluster,
    by_id: &ById<'_>,
    command: Command,
    at: Arrival,
    stored_ms: u64,
    since: LogTime,
) -> Result<Option<Case>, String> {
    let (kind, home) = (command.body.kind(), home(cluster, &command.body));
    let known = match home == at.position.partition {
        true => is_seen(by_id, key_of(&command), &at, since),
        false => by_id.contains_key(&(key_of(&command), home)),
    };
    if known {
        return Ok(None);
    }
    must!(is_timer(&command.body), "{kind} at {} was never decided at {home}", at.position);
    must!(home == at.position.partition, "a misrouted {kind} at {} has no request", at.position);
    let (answer, effects) = (Value::Null, Value::Null);
    Ok(Some(Case { at, command, request: None, answer, effects, at_once: true, stored_ms }))
}

fn decided(row: &RequestRow, command: Command, stored_ms: u64) -> Result<Case, String> {
    let RequestState::Decided(decided) = &row.state else { return Err(format!("{} is undecided", row.position)) };
    let answer: Value = serde_json::from_str(&decided.outcome).map_err(|error| error.to_string())?;
    let succeeded = answer["status"] == "SUCCEEDED";
    must!(
        decided.succeeded == succeeded,
        "the row of {} says {}, its outcome {answer}",
        row.position,
        decided.succeeded
    );
    must!(answer["request_id"] == row.key.id.to_string(), "{} has another request's outcome", row.position);
    let Position { partition, offset } = row.position;
    let said = (&answer["decided"]["lane"], &answer["decided"]["partition"], &answer["decided"]["offset"]);
    let at_once = *said.0 == partition.lane.as_str() && *said.1 == partition.partition && *said.2 == offset;
    let at = Arrival { position: row.position, time: row.at };
    Ok(Case { at, command, request: Some(row.clone()), answer, effects: Value::Null, at_once, stored_ms })
}
