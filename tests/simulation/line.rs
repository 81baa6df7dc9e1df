//! The waiting queue as a steward with a list would keep it: who waits, who was let in and until when, who is gone.

use std::collections::BTreeMap;

use serde_json::Value;
use turnstile::domain::command::{Body, ConfigureQueue};
use turnstile::domain::queue::{Limits, OnTimeout, TokenStatus};
use turnstile::domain::{Change, LogTime};
use turnstile::store::RequestStatus;
use turnstile::wire::parse_rfc3339;

use crate::referee::{Case, Judged, must};

#[derive(Debug, Clone)]
struct Guest {
    user: String,
    /// While waiting: when last seen. Inside: until when.
    time: LogTime,
}

/// Someone inside, from one record to another.
pub struct Visit {
    pub user: String,
    pub sequence: u64,
    /// Steps of the line.
    pub from: usize,
    pub until: Option<usize>,
    pub active_until: LogTime,
}

/// How the line stands after one record.
pub struct Step {
    pub offset: u64,
    /// When the record came to the log, ms since the run began.
    pub stored_ms: u64,
    /// Sequences and users, in order.
    pub waiting: Vec<(u64, String)>,
    pub active: Vec<(u64, String)>,
}

/// Someone dropped for not having been seen, at this step.
pub struct Dropped {
    pub user: String,
    pub step: usize,
    pub abandon_after_ms: i64,
}

#[derive(Default)]
pub struct Line {
    limits: Option<Limits>,
    paused: bool,
    waiting: BTreeMap<u64, Guest>,
    active: BTreeMap<u64, Guest>,
    /// How each ended, at which step.
    pub gone: BTreeMap<u64, (&'static str, usize)>,
    given: u64,
    admitted_at: Option<LogTime>,
    pub steps: Vec<Step>,
    pub visits: Vec<Visit>,
    pub dropped: Vec<Dropped>,
}

struct Named {
    sequence: u64,
    user: String,
    active_until: Option<LogTime>,
}

fn tokens(result: &Value, list: &str) -> Vec<Named> {
    let named = |token: &Value| Named {
        sequence: token["sequence"].as_u64().unwrap_or(0),
        user: token["user_id"].as_str().unwrap_or_default().to_owned(),
        active_until: token["active_until"].as_str().and_then(parse_rfc3339),
    };
    result[list].as_array().into_iter().flatten().map(named).collect()
}

impl Line {
    /// Follows one command of the queue's lane.
    pub fn follow(&mut self, case: &Case) -> Judged {
        let done = case.row.status == RequestStatus::Succeeded;
        let result = &case.outcome["result"];
        match &case.command.body {
            Body::OpenQueue(open) => drop(self.limits.get_or_insert_with(|| open.limits.clone())),
            _ if self.limits.is_none() => must!(!done, "there is no queue yet"),
            Body::ConfigureQueue(configure) if done => self.configured(configure, case)?,
            Body::JoinQueue(join) if done => self.joined(join.user_id.as_str(), case)?,
            Body::JoinQueue(join) => self.not_joined(join.user_id.as_str(), case)?,
            Body::LeaveQueue(c) => self.ended(c.user_id.as_str(), "LEFT", case)?,
            Body::CompleteToken(c) => self.ended(c.user_id.as_str(), "COMPLETED", case)?,
            Body::Seen(seen) => {
                let mut sequences = seen.sequences.clone();
                sequences.dedup();
                let waiting = sequences.iter().filter(|sequence| self.waiting.contains_key(sequence)).count();
                must!(result["tokens"] == waiting, "{waiting} of those seen wait, it says {result}");
                for sequence in sequences {
                    self.see(sequence, case.row.at);
                }
            }
            Body::Tick(_) => self.ticked(case)?,
            other => return Err(format!("{} has no place in a queue", other.name())),
        }
        self.is_in_order(case)?;
        let list = |of: &BTreeMap<u64, Guest>| of.iter().map(|(n, guest)| (*n, guest.user.clone())).collect();
        let (waiting, active) = (list(&self.waiting), list(&self.active));
        let (offset, stored_ms) = (case.row.position.offset, case.stored_ms);
        self.steps.push(Step { offset, stored_ms, waiting, active });
        Ok(())
    }

    fn limits(&self) -> Result<&Limits, String> {
        self.limits.as_ref().ok_or_else(|| "there is no queue yet".to_owned())
    }

    /// The user's place, if they have one.
    fn place(&self, user: &str) -> Option<u64> {
        let mut all = self.waiting.iter().chain(&self.active);
        all.find(|(_, guest)| guest.user == user).map(|(sequence, _)| *sequence)
    }

    fn see(&mut self, sequence: u64, time: LogTime) {
        if let Some(guest) = self.waiting.get_mut(&sequence) {
            guest.time = guest.time.max(time);
        }
    }

    fn give(&mut self, user: &str, sequence: u64, time: LogTime) -> Judged {
        must!(sequence == self.given + 1, "place {sequence} was given after {}", self.given);
        self.given = sequence;
        self.waiting.insert(sequence, Guest { user: user.to_owned(), time });
        Ok(())
    }

    fn let_in(&mut self, token: &Named, case: &Case) -> Judged {
        let limits = self.limits()?;
        let (most, until) = (limits.max_active as usize, case.row.at.plus_ms(limits.active_ttl_ms));
        let first = self.waiting.pop_first();
        let Some((sequence, guest)) = first.filter(|(sequence, _)| *sequence == token.sequence) else {
            return Err(format!("{} was let in and is not the first who waits", token.sequence));
        };
        must!(token.active_until == Some(until), "{sequence} is let in until {:?}", token.active_until);
        must!(self.active.len() < most, "{sequence} is let in beyond {most}");
        let (user, from) = (guest.user.clone(), self.steps.len());
        self.visits.push(Visit { user, sequence, from, until: None, active_until: until });
        self.active.insert(sequence, Guest { time: until, ..guest });
        Ok(())
    }

    /// Those the command let in, in order.
    fn admitted(&mut self, case: &Case) -> Judged {
        for token in tokens(&case.outcome["result"], "admitted") {
            self.let_in(&token, case)?;
        }
        Ok(())
    }

    fn go(&mut self, sequence: u64, how: &'static str) {
        let step = self.steps.len();
        self.waiting.remove(&sequence);
        self.active.remove(&sequence);
        self.gone.insert(sequence, (how, step));
        if let Some(visit) = self.visits.iter_mut().find(|visit| visit.sequence == sequence) {
            visit.until = Some(step);
        }
    }

    fn configured(&mut self, configure: &ConfigureQueue, case: &Case) -> Judged {
        let Some(limits) = &mut self.limits else { return Err("there is no queue yet".to_owned()) };
        limits.max_active = configure.patch.max_active.unwrap_or(limits.max_active);
        limits.max_waiting = configure.patch.max_waiting.unwrap_or(limits.max_waiting);
        self.paused = configure.paused.unwrap_or(self.paused);
        self.admitted(case)
    }

    fn joined(&mut self, user: &str, case: &Case) -> Judged {
        let (result, time) = (&case.outcome["result"], case.row.at);
        let sequence = result["sequence"].as_u64().unwrap_or(0);
        let waits = result["status"] == "WAITING";
        let ended = tokens(result, "ended");
        for token in &ended {
            let own = self.active.get(&token.sequence).filter(|guest| guest.user == user && guest.time <= time);
            must!(own.is_some(), "{} was ended by the join of {user}", token.sequence);
            self.go(token.sequence, "EXPIRED");
        }
        if let Some(has) = self.place(user) {
            must!(has == sequence, "{user} has place {has} and was given {sequence}");
            must!(waits == self.waiting.contains_key(&has), "{user} is told {} of place {has}", result["status"]);
            self.see(sequence, time);
        } else {
            let requeued = !ended.is_empty() && self.limits()?.on_timeout == OnTimeout::Requeue;
            self.give(user, sequence, time)?;
            self.admitted(case)?;
            if !waits {
                let active_until = result["active_until"].as_str().and_then(parse_rfc3339);
                self.let_in(&Named { sequence, user: user.to_owned(), active_until }, case)?;
            }
            let most = self.limits()?.max_waiting as usize;
            must!(!waits || requeued || self.waiting.len() <= most, "{user} waits beyond {most}");
        }
        let ahead = if waits { self.waiting.range(..sequence).count() } else { 0 };
        must!(result["ahead"] == ahead, "{ahead} wait before {sequence}, it says {}", result["ahead"]);
        Ok(())
    }

    fn not_joined(&self, user: &str, case: &Case) -> Judged {
        let code = &case.outcome["problem"]["code"];
        must!(*code == "queue_full", "{user} was refused with {code}");
        let most = self.limits()?.max_waiting as usize;
        must!(self.waiting.len() >= most, "{} wait of {most}, and {user} was sent away", self.waiting.len());
        let place = self.place(user).filter(|has| self.active.get(has).is_none_or(|guest| guest.time > case.row.at));
        must!(place.is_none(), "{user} has place {place:?} and was sent away");
        Ok(())
    }

    /// A user's place ended by their leaving, or their payment.
    fn ended(&mut self, user: &str, how: &'static str, case: &Case) -> Judged {
        let place = self.place(user);
        let Some(sequence) = place else {
            must!(case.outcome["problem"]["code"] == "token_not_found", "{user} has no place");
            return Ok(());
        };
        must!(case.outcome["result"]["sequence"] == sequence, "{user} has {sequence}: {}", case.outcome);
        self.go(sequence, how);
        self.admitted(case)
    }

    fn ticked(&mut self, case: &Case) -> Judged {
        let (result, time) = (&case.outcome["result"], case.row.at);
        let (requeue, patience_ms) = {
            let limits = self.limits()?;
            (limits.on_timeout == OnTimeout::Requeue, limits.abandon_after_ms)
        };
        let mut back = Vec::new();
        for Named { sequence, .. } in tokens(result, "ended") {
            if let Some(guest) = self.active.get(&sequence) {
                must!(guest.time <= time, "the time of {sequence} was not over");
                back.push(guest.user.clone());
            } else if let Some(guest) = self.waiting.get(&sequence) {
                must!(guest.time.plus_ms(patience_ms) <= time, "{sequence} was dropped and had been seen");
                let (user, step) = (guest.user.clone(), self.steps.len());
                self.dropped.push(Dropped { user, step, abandon_after_ms: patience_ms });
            } else {
                return Err(format!("{sequence} was ended and was not there"));
            }
            self.go(sequence, "EXPIRED");
        }
        let given = self.given;
        let mut new: Vec<Named> = tokens(result, "admitted").into_iter().chain(tokens(result, "requeued")).collect();
        new.retain(|token| token.sequence > given);
        new.sort_by_key(|token| token.sequence);
        let users: Vec<&String> = new.iter().map(|token| &token.user).collect();
        must!(users == if requeue { back.iter().collect() } else { vec![] }, "{users:?} were requeued, not {back:?}");
        for token in &new {
            self.give(&token.user, token.sequence, time)?;
        }
        self.admitted(case)
    }

    /// No one waits without need, and no one was let in whom the controls hold back.
    fn is_in_order(&mut self, case: &Case) -> Judged {
        let Some(limits) = &self.limits else { return Ok(()) };
        let room = self.active.len() < limits.max_active as usize;
        let free = limits.admit_per_minute.is_none() && !self.paused;
        must!(!free || !room || self.waiting.is_empty(), "there is room, and {:?} wait", self.waiting);
        let step = self.steps.len();
        let let_in = self.visits.iter().rev().take_while(|visit| visit.from == step).count();
        let by_operator = matches!(&case.command.body, Body::ConfigureQueue(c) if c.admit.is_some());
        if let_in == 0 || by_operator {
            return Ok(());
        }
        must!(!self.paused, "{let_in} were let in during a pause");
        if let Some(per_minute) = limits.admit_per_minute {
            // Up to a minute's 60 there is no credit to make up for.
            let earliest = self.admitted_at.map(|last| last.plus_ms(60_000 / i64::from(per_minute.min(60))));
            must!(let_in == 1, "{let_in} were let in at once, {per_minute} may in a minute");
            must!(earliest.is_none_or(|earliest| earliest <= case.row.at), "let in before {earliest:?}");
            self.admitted_at = Some(case.row.at);
        }
        Ok(())
    }

    /// Whether the store ends where the line does.
    pub fn compare(&self, state: &[Change]) -> Judged {
        let mut found = 0;
        for change in state {
            match change {
                Change::Token(token) => {
                    found += 1;
                    let user = token.user_id.as_str();
                    let expected = match (self.waiting.get(&token.sequence), self.active.get(&token.sequence)) {
                        (Some(guest), _) if guest.user == user => TokenStatus::Waiting.as_str(),
                        (_, Some(guest)) if guest.user == user => TokenStatus::Active.as_str(),
                        _ => self.gone.get(&token.sequence).map_or("nowhere", |(how, _)| how),
                    };
                    let status = token.status.as_str();
                    must!(status == expected, "place {} of {user} is {status}, not {expected}", token.sequence);
                }
                Change::Queue(row) => {
                    let said = (row.next_sequence - 1, row.waiting, row.active);
                    let counted = (self.given, self.waiting.len() as u64, self.active.len() as u64);
                    must!(said == counted, "the queue says {said:?}, the history {counted:?}");
                }
                _ => {}
            }
        }
        must!(found == self.given, "{found} places are kept, {} were given", self.given);
        Ok(())
    }
}
