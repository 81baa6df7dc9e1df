//! A request's life: from the client over the log to its outcome and back, with all that it led to.
//!
//! No table has it. The store has where and when a command arrived and how it ended; the log has when its outcome was
//! published, and the outcome's record when it was committed; follow-ups have ids that follow from their cause. What this
//! process saw itself, it remembers for a while.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::published::{Published, published};
use crate::api::submission::lives::Moments;
use crate::domain::{Arrival, DerivedId, LogTime, Position, RequestId};
use crate::log::{Log, Record, Topic};
use crate::store::{DeadLetterView, OpsStore, RequestRow, RequestState, StoreError};
use crate::wire::time::rfc3339;
use crate::wire::{command, headers, outcome};

/// Follow-ups of one command that are looked for, of one request in all, and how far down.
const FOLLOW_UPS_EACH: u32 = 64;
const FOLLOW_UPS_MAX: usize = 200;
const DEPTH_MAX: u32 = 8;
/// The log may take so long for one record, and for finding an outcome.
const READ_WITHIN: Duration = Duration::from_secs(2);
const FIND_WITHIN: Duration = Duration::from_secs(5);

/// A command's life, with those that it caused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Life {
    #[schema(format = "uuid")]
    pub request_id: String,
    /// Null: nobody can read it.
    pub command: Option<String>,
    /// Whose it is; missing on the program's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Who acted, if not that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// PENDING, SUCCEEDED, REJECTED, DEAD_LETTER or FORWARDED.
    pub status: &'static str,
    /// The code of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Where the log has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "seats.3.1234")]
    pub position: Option<String>,
    /// W3C trace id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// In order; no time is before the one above it.
    pub stages: Vec<Stage>,
    #[schema(no_recursion)]
    pub follow_ups: Vec<Life>,
    /// What could not be found out.
    pub notes: Vec<String>,
}

/// Something that happened to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Stage {
    /// received, appended, forwarded, dead_letter, decided (where another command decided it, later), committed, published,
    /// answered.
    pub stage: &'static str,
    #[schema(format = "date-time")]
    pub at: String,
}

/// Where to look.
pub struct Sources<'s> {
    /// `None`: another process has it.
    pub log: Option<&'s dyn Log>,
    pub store: &'s dyn OpsStore,
    /// What this process saw.
    pub seen: &'s (dyn Fn(RequestId) -> Moments + Send + Sync),
}

/// Times as they come; one that would run back, by clocks that differ a little, counts as the one before.
#[derive(Default)]
struct Stages {
    list: Vec<Stage>,
    last: Option<LogTime>,
}

impl Stages {
    fn add(&mut self, stage: &'static str, at: Option<LogTime>) {
        let Some(at) = at.map(|at| self.last.map_or(at, |last| last.max(at))) else { return };
        self.last = Some(at);
        self.list.push(Stage { stage, at: rfc3339(at) });
    }
}

impl Sources<'_> {
    /// Of a request of a client's, or of the program's own; `None`: nobody knows it.
    pub async fn of_request(&self, id: RequestId) -> Result<Option<Life>, StoreError> {
        let rows = self.store.requests_under(&[id]).await?;
        let first = rows.into_iter().min_by_key(|row| (row.key.internal, row.at, row.position));
        let moments = (self.seen)(id);
        match (first, moments.position) {
            (Some(row), _) => Ok(Some(self.of_row(row, 0, &mut 0).await?)),
            // On the log, and not decided yet.
            (None, Some(position)) => self.of_position(position).await,
            (None, None) => Ok(None),
        }
    }

    /// Of the record at a position: also of one that became a dead letter, or was forwarded.
    pub async fn of_position(&self, position: Position) -> Result<Option<Life>, StoreError> {
        if let Some(letter) = self.store.dead_letter(position).await? {
            return Ok(Some(self.of_letter(&letter).await));
        }
        let Some(record) = self.record(position).await else { return Ok(None) };
        let Some(id) =
            record.value.as_deref().and_then(|value| command::decode(value).ok()).map(|read| read.request_id)
        else {
            return Ok(Some(undecided(None, position, &record, Moments::default())));
        };
        let rows = self.store.requests_under(&[id]).await?;
        if let Some(row) = rows.iter().find(|row| row.position == position) {
            return Ok(Some(self.of_row(row.clone(), 0, &mut 0).await?));
        }
        match rows.into_iter().min_by_key(|row| (row.key.internal, row.at)) {
            Some(row) => self.elsewhere(position, &record, row).await.map(Some),
            None => Ok(Some(undecided(Some(id), position, &record, (self.seen)(id)))),
        }
    }

    /// The record lay here and was decided there: a stray, or a repeat.
    async fn elsewhere(&self, position: Position, record: &Record, row: RequestRow) -> Result<Life, StoreError> {
        let (there, at) = (row.position, row.at);
        let mut life = self.of_row(row, 0, &mut 0).await?;
        if there.partition != position.partition {
            let mut stages = Stages::default();
            stages.add("appended", Some(LogTime(record.timestamp.millis())));
            stages.add("forwarded", Some(at));
            let later = life.stages.into_iter().filter(|stage| !["received", "appended"].contains(&stage.stage));
            stages.list.extend(later);
            life.stages = stages.list;
            life.notes.push(format!("forwarded from {position} to {there}"));
        } else {
            life.notes.push(format!("the record at {position} repeats the one at {there}, and changed nothing"));
        }
        Ok(life)
    }

    async fn of_letter(&self, view: &DeadLetterView) -> Life {
        let letter = &view.letter;
        let read = letter.value.as_deref().and_then(|value| command::decode(value).ok());
        let record = self.record(letter.position).await;
        let mut stages = Stages::default();
        stages.add("appended", record.map(|record| LogTime(record.timestamp.millis())));
        stages.add("dead_letter", Some(letter.at));
        let mut notes = vec![letter.reason.clone()];
        notes.extend(view.replayed.as_ref().map(|done| format!("replayed by {} at {}", done.by, rfc3339(done.at))));
        notes.extend(view.dismissed.as_ref().map(|done| format!("dismissed by {} at {}", done.by, rfc3339(done.at))));
        Life {
            request_id: read.as_ref().map_or_else(String::new, |read| read.request_id.to_string()),
            command: read.as_ref().map(|read| read.body.kind().to_string()),
            user_id: read.as_ref().and_then(|read| read.body.user_id()).map(ToString::to_string),
            by: read.as_ref().and_then(|read| read.by.as_ref()).map(ToString::to_string),
            status: "DEAD_LETTER",
            problem: None,
            position: Some(letter.position.to_string()),
            trace_id: trace_id(&letter.headers),
            stages: stages.list,
            follow_ups: Vec::new(),
            notes,
        }
    }

    fn of_row<'f>(
        &'f self,
        row: RequestRow,
        depth: u32,
        found: &'f mut usize,
    ) -> BoxFuture<'f, Result<Life, StoreError>> {
        async move {
            let record = self.record(row.position).await;
            let mut notes = Vec::new();
            if record.is_none() {
                notes.push("the log does not give its record".to_owned());
            }
            let decided = match &row.state {
                RequestState::Decided(decided) => outcome::decode(decided.outcome.as_bytes()).ok(),
                RequestState::Pending => None,
            };
            let mut moments = (self.seen)(row.key.id);
            if let (Some(decided), None) = (&decided, moments.published) {
                match self.published(row.key.id, record.as_ref(), decided.decided).await {
                    Some(Published { committed, at }) => (moments.committed, moments.published) = (committed, Some(at)),
                    None => notes.push("when its outcome was published is not known any more".to_owned()),
                }
            }
            let stages = stages_of(&row, decided.as_ref().map(|decided| decided.decided), moments);
            let cause = Arrival { position: row.position, time: row.at };
            let follow_ups = self.follow_ups(cause, depth, found).await?;
            Ok(Life {
                request_id: row.key.id.to_string(),
                command: Some(row.command.to_string()),
                user_id: row.user_id.as_ref().map(ToString::to_string),
                by: row.by.as_ref().map(ToString::to_string),
                status: row.state.status().as_str(),
                problem: decided.and_then(|decided| decided.outcome.err()).map(|refusal| refusal.code.to_string()),
                position: Some(row.position.to_string()),
                trace_id: record.and_then(|record| trace_id(&record.headers)),
                stages,
                follow_ups,
                notes,
            })
        }
        .boxed()
    }

    /// Their ids follow from the cause: those that the store has are the follow-ups.
    async fn follow_ups(&self, cause: Arrival, depth: u32, found: &mut usize) -> Result<Vec<Life>, StoreError> {
        if depth >= DEPTH_MAX || *found >= FOLLOW_UPS_MAX {
            return Ok(Vec::new());
        }
        let ids: Vec<RequestId> =
            (0..FOLLOW_UPS_EACH).map(|index| RequestId(DerivedId::of_follow_up(&cause, index).0)).collect();
        let rows = self.store.requests_under(&ids).await?;
        let mut by_id: HashMap<RequestId, RequestRow> = HashMap::new();
        rows.into_iter().filter(|row| row.key.internal).for_each(|row| drop(by_id.insert(row.key.id, row)));
        let mut lives = Vec::new();
        for id in ids {
            let Some(row) = by_id.remove(&id) else { continue };
            *found += 1;
            lives.push(self.of_row(row, depth + 1, &mut *found).await?);
        }
        Ok(lives)
    }

    async fn record(&self, position: Position) -> Option<Record> {
        let read = async {
            let topic = Topic::Lane(position.lane());
            let mut reader = self.log?.read(topic, position.partition.partition, position.offset).await.ok()?;
            let record = reader.next(1, 1).await.ok()?.into_iter().next()?;
            (record.offset == position.offset).then_some(record)
        };
        timeout(READ_WITHIN, read).await.ok().flatten()
    }

    /// Looks for the outcome on the log. It has the key of the command that decided it.
    async fn published(&self, id: RequestId, asked: Option<&Record>, decided: Arrival) -> Option<Published> {
        let log = self.log?;
        let find = async {
            let deciding = self.record(decided.position).await;
            let key = deciding.as_ref().or(asked)?.key.clone()?;
            published(log, std::str::from_utf8(&key).ok()?, decided.time, id).await
        };
        timeout(FIND_WITHIN, find).await.ok().flatten()
    }
}

fn stages_of(row: &RequestRow, decided: Option<Arrival>, moments: Moments) -> Vec<Stage> {
    let mut stages = Stages::default();
    stages.add("received", moments.received.map(|received| received.min(row.at)));
    stages.add("appended", Some(row.at));
    stages.add("decided", decided.filter(|by| by.position != row.position).map(|by| by.time));
    stages.add("committed", moments.committed);
    stages.add("published", moments.published);
    stages.add("answered", moments.answered);
    stages.list
}

fn undecided(id: Option<RequestId>, position: Position, record: &Record, moments: Moments) -> Life {
    let read = record.value.as_deref().and_then(|value| command::decode(value).ok());
    let appended = LogTime(record.timestamp.millis());
    let mut stages = Stages::default();
    stages.add("received", moments.received.map(|received| received.min(appended)));
    stages.add("appended", Some(appended));
    Life {
        request_id: id.map_or_else(String::new, |id| id.to_string()),
        command: read.as_ref().map(|read| read.body.kind().to_string()),
        user_id: read.as_ref().and_then(|read| read.body.user_id()).map(ToString::to_string),
        by: read.as_ref().and_then(|read| read.by.as_ref()).map(ToString::to_string),
        status: "PENDING",
        problem: None,
        position: Some(position.to_string()),
        trace_id: trace_id(&record.headers),
        stages: stages.list,
        follow_ups: Vec::new(),
        notes: vec!["not decided yet".to_owned()],
    }
}

fn trace_id(of: &[headers::Header]) -> Option<String> {
    let traceparent = headers::traceparent(of)?;
    std::str::from_utf8(&traceparent).ok()?.split('-').nth(1).map(str::to_owned)
}
