//! The waiting queue as two lists: who waits, and who has a turn until when.

use std::collections::BTreeMap;

use serde_json::Value;
use turnstile::domain::block::SaleNote;
use turnstile::domain::queue::{
    Command, CompleteToken, ConfigureQueue, Limits, NoteSale, OnTimeout, OpenQueue, Row, TokenStatus,
};
use turnstile::domain::{self, Body, LogTime};
use turnstile::wire::time::parse_rfc3339;

use super::Case;
use crate::oracle::{Checked, must};

#[derive(Debug, Clone)]
struct Token {
    user: String,
    joined_at: LogTime,
    /// WAITING: when last seen. ACTIVE: when the turn ends.
    time: LogTime,
}

/// A turn, from one record to another.
pub struct Turn {
    pub user: String,
    pub sequence: u64,
    /// Index of the snapshot.
    pub from: usize,
    pub to: Option<usize>,
    pub active_until: LogTime,
}

/// The queue after one record.
pub struct Snapshot {
    pub offset: u64,
    /// When the record was stored, ms since the run began.
    pub stored_ms: u64,
    /// Sequences and users, in order.
    pub waiting: Vec<(u64, String)>,
    pub active: Vec<(u64, String)>,
}

/// A token that was dropped because its holder was not seen, at this snapshot.
pub struct Dropped {
    pub user: String,
    pub snapshot: usize,
    pub abandon_after_ms: i64,
}

#[derive(Default)]
pub struct QueueModel {
    limits: Option<Limits>,
    paused: bool,
    waiting: BTreeMap<u64, Token>,
    active: BTreeMap<u64, Token>,
    /// The newest note of each block.
    notes: BTreeMap<String, Option<SaleNote>>,
    /// How each token ended, at which snapshot.
    pub ended: BTreeMap<u64, (&'static str, usize)>,
    last_sequence: u64,
    admitted_at: Option<LogTime>,
    pub snapshots: Vec<Snapshot>,
    pub turns: Vec<Turn>,
    pub dropped: Vec<Dropped>,
}

struct Named {
    sequence: u64,
    user: String,
    active_until: Option<LogTime>,
}

fn active_until(token: &Value) -> Option<LogTime> {
    token["active_until"].as_str().and_then(parse_rfc3339)
}

/// The tokens of one list of a decision's effects.
fn tokens(case: &Case, list: &str) -> Vec<Named> {
    let named = |token: &Value| Named {
        sequence: token["sequence"].as_u64().unwrap_or(0),
        user: token["user_id"].as_str().unwrap_or_default().to_owned(),
        active_until: active_until(token),
    };
    case.effects[list].as_array().into_iter().flatten().map(named).collect()
}

impl QueueModel {
    /// Follows one command of the queue's lane.
    pub fn follow(&mut self, case: &Case) -> Checked {
        let Body::Queues(command) = &case.command.body else { return Err("not a command of this lane".to_owned()) };
        let done = case.succeeded();
        match command {
            Command::OpenQueue(open) => self.opened(open),
            _ if self.limits.is_none() => must!(case.code() == "queue_not_found", "there is no queue yet"),
            Command::ConfigureQueue(configure) if done => self.configured(configure, case)?,
            Command::ConfigureQueue(_) => return Err(format!("refused: {}", case.answer)),
            Command::JoinQueue(join) if done => self.joined(join.user_id.as_str(), case)?,
            Command::JoinQueue(join) => self.not_joined(join.user_id.as_str(), case)?,
            Command::LeaveQueue(c) => self.left(c.user_id.as_str(), "LEFT", case)?,
            Command::CompleteToken(c) => self.completed(c, case)?,
            Command::Seen(seen) => {
                let mut sequences = seen.sequences.clone();
                sequences.dedup();
                let waiting = sequences.iter().filter(|sequence| self.waiting.contains_key(sequence)).count();
                must!(case.result()["tokens"] == waiting, "{waiting} of those seen wait: {}", case.answer);
                sequences.into_iter().for_each(|sequence| self.see(sequence, case.time()));
            }
            Command::NoteSale(note) => self.noted(note),
            Command::Tick(_) => self.ticked(case)?,
        }
        self.check_order(case, command)?;
        let list = |of: &BTreeMap<u64, Token>| of.iter().map(|(n, token)| (*n, token.user.clone())).collect();
        let (waiting, active) = (list(&self.waiting), list(&self.active));
        let (offset, stored_ms) = (case.offset(), case.stored_ms);
        self.snapshots.push(Snapshot { offset, stored_ms, waiting, active });
        Ok(())
    }

    fn limits(&self) -> Result<&Limits, String> {
        self.limits.as_ref().ok_or_else(|| "there is no queue yet".to_owned())
    }

    fn opened(&mut self, open: &OpenQueue) {
        if self.limits.is_none() {
            self.limits = Some(open.limits.clone());
            self.notes = open.blocks.iter().map(|block| (block.to_string(), None)).collect();
        }
    }

    fn noted(&mut self, note: &NoteSale) {
        if let Some(kept) = self.notes.get_mut(note.block.as_str())
            && kept.is_none_or(|kept| kept.version < note.note.version)
        {
            *kept = Some(note.note);
        }
    }

    /// The user's live token.
    fn token_of(&self, user: &str) -> Option<(u64, &Token)> {
        let mut all = self.waiting.iter().chain(&self.active);
        all.find(|(_, token)| token.user == user).map(|(sequence, token)| (*sequence, token))
    }

    fn see(&mut self, sequence: u64, time: LogTime) {
        if let Some(token) = self.waiting.get_mut(&sequence) {
            token.time = token.time.max(time);
        }
    }

    fn issue(&mut self, user: &str, sequence: u64, time: LogTime) -> Checked {
        must!(sequence == self.last_sequence + 1, "sequence {sequence} was issued after {}", self.last_sequence);
        self.last_sequence = sequence;
        self.waiting.insert(sequence, Token { user: user.to_owned(), joined_at: time, time });
        Ok(())
    }

    fn admit(&mut self, token: &Named, case: &Case) -> Checked {
        let limits = self.limits()?;
        let (most, until) = (limits.max_active as usize, case.time().plus_ms(limits.active_ttl_ms));
        let first = self.waiting.pop_first();
        let Some((sequence, waiting)) = first.filter(|(sequence, _)| *sequence == token.sequence) else {
            return Err(format!("{} was admitted and is not the first who waits", token.sequence));
        };
        must!(token.active_until == Some(until), "{sequence} is admitted until {:?}", token.active_until);
        must!(self.active.len() < most, "{sequence} is admitted beyond {most}");
        let (user, from) = (waiting.user.clone(), self.snapshots.len());
        self.turns.push(Turn { user, sequence, from, to: None, active_until: until });
        self.active.insert(sequence, Token { time: until, ..waiting });
        Ok(())
    }

    /// Those the command admitted, in order.
    fn admit_all(&mut self, case: &Case) -> Checked {
        tokens(case, "admitted").iter().try_for_each(|token| self.admit(token, case))
    }

    fn end(&mut self, sequence: u64, how: &'static str) {
        let snapshot = self.snapshots.len();
        self.waiting.remove(&sequence);
        self.active.remove(&sequence);
        self.ended.insert(sequence, (how, snapshot));
        if let Some(turn) = self.turns.iter_mut().find(|turn| turn.sequence == sequence) {
            turn.to = Some(snapshot);
        }
    }

    fn configured(&mut self, configure: &ConfigureQueue, case: &Case) -> Checked {
        let Some(limits) = &mut self.limits else { return Err("there is no queue yet".to_owned()) };
        limits.max_active = configure.patch.max_active.unwrap_or(limits.max_active);
        limits.max_waiting = configure.patch.max_waiting.unwrap_or(limits.max_waiting);
        self.paused = configure.paused.unwrap_or(self.paused);
        self.admit_all(case)
    }

    fn joined(&mut self, user: &str, case: &Case) -> Checked {
        let (result, time) = (case.result(), case.time());
        let sequence = result["sequence"].as_u64().unwrap_or(0);
        let waits = result["status"] == "WAITING";
        let ended = tokens(case, "ended");
        for token in &ended {
            let own = self.active.get(&token.sequence).filter(|active| active.user == user && active.time <= time);
            must!(own.is_some(), "{} was ended by the join of {user}", token.sequence);
            self.end(token.sequence, "EXPIRED");
        }
        if let Some((has, _)) = self.token_of(user) {
            must!(has == sequence, "{user} has {has} and was given {sequence}");
            must!(waits == self.waiting.contains_key(&has), "{user} has {has}: {}", case.answer);
            self.see(sequence, time);
        } else {
            let requeued = !ended.is_empty() && self.limits()?.on_timeout == OnTimeout::Requeue;
            // Those admitted in this decision come before the new token.
            self.issue(user, sequence, time)?;
            self.admit_all(case)?;
            if !waits {
                let active_until = active_until(result);
                self.admit(&Named { sequence, user: user.to_owned(), active_until }, case)?;
            }
            let most = self.limits()?.max_waiting as usize;
            must!(!waits || requeued || self.waiting.len() <= most, "{user} waits beyond {most}");
        }
        let ahead = if waits { self.waiting.range(..sequence).count() } else { 0 };
        must!(result["ahead"] == ahead, "{ahead} wait before {sequence}: {}", case.answer);
        Ok(())
    }

    fn not_joined(&self, user: &str, case: &Case) -> Checked {
        must!(case.code() == "queue_full", "{user} was refused with {}", case.code());
        let most = self.limits()?.max_waiting as usize;
        must!(self.waiting.len() >= most, "{} wait of {most}, and {user} was refused", self.waiting.len());
        let has = self.token_of(user).filter(|(n, token)| self.waiting.contains_key(n) || token.time > case.time());
        must!(has.is_none(), "{user} has {has:?} and was refused");
        Ok(())
    }

    /// A user's token ends because they left or paid.
    fn left(&mut self, user: &str, how: &'static str, case: &Case) -> Checked {
        let Some((sequence, _)) = self.token_of(user) else {
            must!(case.code() == "token_not_found", "{user} has no token: {}", case.answer);
            return Ok(());
        };
        must!(case.result()["sequence"] == sequence, "{user} has {sequence}: {}", case.answer);
        self.end(sequence, how);
        self.admit_all(case)
    }

    fn completed(&mut self, command: &CompleteToken, case: &Case) -> Checked {
        let user = command.user_id.as_str();
        if self.token_of(user).is_some_and(|(_, token)| token.joined_at > command.paid_at) {
            must!(case.code() == "token_not_found", "{user} joined after the payment: {}", case.answer);
            return Ok(());
        }
        self.left(user, "COMPLETED", case)
    }

    fn ticked(&mut self, case: &Case) -> Checked {
        let time = case.time();
        let (requeue, abandon_after_ms) = {
            let limits = self.limits()?;
            (limits.on_timeout == OnTimeout::Requeue, limits.abandon_after_ms)
        };
        let mut back = Vec::new();
        for Named { sequence, .. } in tokens(case, "ended") {
            if let Some(token) = self.active.get(&sequence) {
                must!(token.time <= time, "the turn of {sequence} was not over");
                back.push(token.user.clone());
            } else if let Some(token) = self.waiting.get(&sequence) {
                must!(token.time.plus_ms(abandon_after_ms) <= time, "{sequence} was dropped and had been seen");
                let (user, snapshot) = (token.user.clone(), self.snapshots.len());
                self.dropped.push(Dropped { user, snapshot, abandon_after_ms });
            } else {
                return Err(format!("{sequence} was ended and is not there"));
            }
            self.end(sequence, "EXPIRED");
        }
        let last = self.last_sequence;
        let mut new: Vec<Named> = tokens(case, "admitted").into_iter().chain(tokens(case, "requeued")).collect();
        new.retain(|token| token.sequence > last);
        new.sort_by_key(|token| token.sequence);
        let users: Vec<&String> = new.iter().map(|token| &token.user).collect();
        must!(users == if requeue { back.iter().collect() } else { vec![] }, "{users:?} were requeued, not {back:?}");
        for token in &new {
            self.issue(&token.user, token.sequence, time)?;
        }
        self.admit_all(case)?;
        let over = self.active.values().any(|token| token.time <= time);
        let gone = self.waiting.values().any(|token| token.time.plus_ms(abandon_after_ms) <= time);
        must!(!over && !gone, "a tick left something undone: {:?}, {:?}", self.active, self.waiting);
        Ok(())
    }

    /// Nobody waits without need, and nobody is admitted whom the controls hold back.
    fn check_order(&mut self, case: &Case, command: &Command) -> Checked {
        let Some(limits) = &self.limits else { return Ok(()) };
        let free = self.active.len() < limits.max_active as usize;
        let unlimited = limits.admit_per_minute.is_none() && !self.paused;
        must!(!unlimited || !free || self.waiting.is_empty(), "a turn is free, and {:?} wait", self.waiting);
        let snapshot = self.snapshots.len();
        let admitted = self.turns.iter().rev().take_while(|turn| turn.from == snapshot).count();
        let by_operator = matches!(command, Command::ConfigureQueue(c) if c.admit.is_some());
        if admitted == 0 || by_operator {
            return Ok(());
        }
        must!(!self.paused, "{admitted} were admitted during a pause");
        if let Some(per_minute) = limits.admit_per_minute {
            // At a rate of up to 60 a minute there is no credit.
            let earliest = self.admitted_at.map(|last| last.plus_ms(60_000 / i64::from(per_minute.min(60))));
            must!(admitted == 1, "{admitted} were admitted at once, {per_minute} may in a minute");
            must!(earliest.is_none_or(|earliest| earliest <= case.time()), "admitted before {earliest:?}");
            self.admitted_at = Some(case.time());
        }
        Ok(())
    }

    /// Compares the end with the store. `blocks`: the newest note of each block.
    pub fn compare(&self, rows: &[domain::Row], blocks: &BTreeMap<String, Option<u64>>) -> Checked {
        let mut found = 0;
        for row in rows {
            match row {
                domain::Row::Queues(Row::Token(token)) => {
                    found += 1;
                    let user = token.user_id.as_str();
                    let expected = match (self.waiting.get(&token.sequence), self.active.get(&token.sequence)) {
                        (Some(waiting), _) if waiting.user == user => TokenStatus::Waiting.as_str(),
                        (_, Some(active)) if active.user == user => TokenStatus::Active.as_str(),
                        _ => self.ended.get(&token.sequence).map_or("nowhere", |(how, _)| how),
                    };
                    let status = token.state.status().as_str();
                    must!(status == expected, "token {} of {user} is {status}, not {expected}", token.sequence);
                }
                domain::Row::Queues(Row::Queue(row)) => {
                    let said = (row.next_sequence - 1, row.waiting, row.active, row.admitted);
                    let (waiting, active) = (self.waiting.len() as u64, self.active.len() as u64);
                    let counted = (self.last_sequence, waiting, active, self.turns.len() as u64);
                    must!(said == counted, "the queue says {said:?}, the history {counted:?}");
                    let ended = |how: &str| self.ended.values().filter(|(ended, _)| *ended == how).count() as u64;
                    let said = (row.completed, row.expired, row.left);
                    let counted = (ended("COMPLETED"), ended("EXPIRED"), ended("LEFT"));
                    must!(said == counted, "ended tokens are {said:?} in the queue, {counted:?} in the history");
                    let kept: BTreeMap<_, _> = row.sale.iter().map(|(name, note)| (name.to_string(), *note)).collect();
                    must!(kept == self.notes, "the notes are {kept:?}, by the history {:?}", self.notes);
                    let versions = kept.into_iter().map(|(name, note)| (name, note.map(|note| note.version))).collect();
                    must!(*blocks == versions, "the blocks' newest notes are {blocks:?}, the queue has {versions:?}");
                }
                _ => {}
            }
        }
        must!(found == self.last_sequence, "{found} tokens are stored, {} were issued", self.last_sequence);
        Ok(())
    }
}
