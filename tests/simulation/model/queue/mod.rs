//! The waiting queue as three lists: who waits, who is absent, and who has a turn until when.

mod checks;
mod date;
mod presence;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use turnstile::domain::queue::{Command, CompleteToken, ConfigureQueue, Limits, OnTimeout, OpenQueue};
use turnstile::domain::{Body, LogTime};
use turnstile::wire::time::parse_rfc3339;

use self::date::DateModel;
use self::presence::PresenceModel;
use super::Case;
use crate::oracle::{Checked, must};

#[derive(Debug, Clone)]
struct Token {
    user: String,
    joined_at: LogTime,
    /// On the presence clock.
    last_seen: i64,
    /// Seen since it joined.
    sighted: bool,
    /// The ended token of this user that it was requeued for.
    follows: Option<u64>,
    /// ACTIVE: from when to when, on the log and on the presence clock, and whether its holder was seen.
    admitted_at: LogTime,
    until: LogTime,
    from: i64,
    used: bool,
    /// ABSENT: since when, in time on sale.
    since: i64,
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
    pub absent: Vec<(u64, String)>,
    pub active: Vec<(u64, String)>,
}

/// A WAITING token that became ABSENT at this snapshot.
pub struct Absence {
    pub user: String,
    pub snapshot: usize,
    pub abandon_after_ms: i64,
}

#[derive(Default)]
pub struct QueueModel {
    limits: Option<Limits>,
    date: DateModel,
    presence: PresenceModel,
    waiting: BTreeMap<u64, Token>,
    absent: BTreeMap<u64, Token>,
    active: BTreeMap<u64, Token>,
    /// How each token ended, at which snapshot.
    pub ended: BTreeMap<u64, (&'static str, usize)>,
    last_sequence: u64,
    admitted_at: Option<LogTime>,
    pub snapshots: Vec<Snapshot>,
    pub turns: Vec<Turn>,
    pub absences: Vec<Absence>,
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

fn sequences(case: &Case, list: &str) -> BTreeSet<u64> {
    tokens(case, list).into_iter().map(|token| token.sequence).collect()
}

impl QueueModel {
    /// Follows one command of the queue's lane.
    pub fn follow(&mut self, case: &Case) -> Checked {
        let Body::Queues(command) = &case.command.body else { return Err("not a command of this lane".to_owned()) };
        let done = case.succeeded();
        if !matches!(command, Command::JoinQueue(_) | Command::Seen(_) | Command::Tick(_)) {
            let lists = ["ended", "absent", "returned", "requeued"];
            must!(
                lists.iter().all(|list| tokens(case, list).is_empty()),
                "effects of another command: {}",
                case.effects
            );
        }
        match command {
            Command::OpenQueue(open) => self.opened(open, case.time()),
            _ if self.limits.is_none() => must!(case.code() == "queue_not_found", "there is no queue yet"),
            Command::ConfigureQueue(configure) if done => self.configured(configure, case)?,
            Command::ConfigureQueue(_) => return Err(format!("refused: {}", case.answer)),
            Command::JoinQueue(join) if done => self.joined(join.user_id.as_str(), case)?,
            Command::JoinQueue(join) => self.not_joined(join.user_id.as_str(), case)?,
            Command::LeaveQueue(c) => self.left(c.user_id.as_str(), "LEFT", case)?,
            Command::CompleteToken(c) => self.completed(c, case)?,
            Command::Seen(seen) => self.seen(seen, case)?,
            Command::NoteSale(note) => {
                self.date.noted(note, case.time());
                self.admit_all(case, None)?;
            }
            Command::Tick(_) => self.ticked(case)?,
        }
        self.check_order(case, command)?;
        let list = |of: &BTreeMap<u64, Token>| of.iter().map(|(n, token)| (*n, token.user.clone())).collect();
        let (waiting, absent, active) = (list(&self.waiting), list(&self.absent), list(&self.active));
        let (offset, stored_ms) = (case.offset(), case.stored_ms);
        self.snapshots.push(Snapshot { offset, stored_ms, waiting, absent, active });
        Ok(())
    }

    fn limits(&self) -> Result<&Limits, String> {
        self.limits.as_ref().ok_or_else(|| "there is no queue yet".to_owned())
    }

    fn opened(&mut self, open: &OpenQueue, time: LogTime) {
        if self.limits.is_none() {
            self.limits = Some(open.limits.clone());
            self.date.opened(open, time);
            self.presence.opened(time);
        }
    }

    /// The user's live token.
    fn token_of(&self, user: &str) -> Option<(u64, &Token)> {
        let mut all = self.waiting.iter().chain(&self.absent).chain(&self.active);
        all.find(|(_, token)| token.user == user).map(|(sequence, token)| (*sequence, token))
    }

    fn issue(&mut self, user: &str, sequence: u64, follows: Option<u64>, time: LogTime) -> Checked {
        must!(sequence == self.last_sequence + 1, "sequence {sequence} was issued after {}", self.last_sequence);
        self.last_sequence = sequence;
        let last_seen = self.presence.read(self.limits()?, time);
        let (user, none) = (user.to_owned(), LogTime(0));
        let token = Token {
            user,
            joined_at: time,
            last_seen,
            sighted: false,
            follows,
            admitted_at: none,
            until: none,
            from: 0,
            used: false,
            since: 0,
        };
        self.waiting.insert(sequence, token);
        Ok(())
    }

    fn admit(&mut self, token: &Named, case: &Case) -> Checked {
        let (limits, time) = (self.limits()?, case.time());
        let (most, until) = (limits.max_active as usize, time.plus_ms(limits.active_ttl_ms));
        let from = self.presence.read(limits, time);
        let sale = self.date.sale(time);
        must!(sale == "open", "{} was admitted, and the sale is {sale}", token.sequence);
        let first = self.waiting.pop_first();
        let Some((sequence, waiting)) = first.filter(|(sequence, _)| *sequence == token.sequence) else {
            return Err(format!("{} was admitted and is not the first who waits", token.sequence));
        };
        must!(token.active_until == Some(until), "{sequence} is admitted until {:?}", token.active_until);
        must!(self.active.len() < most, "{sequence} is admitted beyond {most}");
        let user = waiting.user.clone();
        self.turns.push(Turn { user, sequence, from: self.snapshots.len(), to: None, active_until: until });
        self.active.insert(sequence, Token { admitted_at: time, until, from, used: false, ..waiting });
        Ok(())
    }

    /// Those the command admitted, first come first; `own` is not among the effects.
    fn admit_all(&mut self, case: &Case, own: Option<Named>) -> Checked {
        let mut admitted = tokens(case, "admitted");
        let sorted = admitted.windows(2).all(|pair| pair[0].sequence < pair[1].sequence);
        must!(sorted, "admitted out of order: {}", case.effects);
        admitted.extend(own);
        admitted.sort_by_key(|token| token.sequence);
        admitted.iter().try_for_each(|token| self.admit(token, case))
    }

    fn end_turn(&mut self, sequence: u64) {
        let snapshot = self.snapshots.len();
        let open = |turn: &&mut Turn| turn.sequence == sequence && turn.to.is_none();
        if let Some(turn) = self.turns.iter_mut().find(open) {
            turn.to = Some(snapshot);
        }
    }

    fn end(&mut self, sequence: u64, how: &'static str) {
        let lists = [&mut self.waiting, &mut self.absent, &mut self.active];
        lists.into_iter().for_each(|list| drop(list.remove(&sequence)));
        self.ended.insert(sequence, (how, self.snapshots.len()));
        self.end_turn(sequence);
    }

    /// Whether a turn ends without the loss of the place.
    fn keeps_place(&self, turn: &Token, time: LogTime) -> Result<bool, String> {
        Ok(!turn.used || self.presence.stood(self.limits()?, turn.admitted_at, time))
    }

    fn bring_back(&mut self, sequence: u64, last_seen: i64) {
        if let Some(token) = self.absent.remove(&sequence) {
            let last_seen = token.last_seen.max(last_seen);
            self.waiting.insert(sequence, Token { last_seen, sighted: true, ..token });
        }
    }

    fn configured(&mut self, configure: &ConfigureQueue, case: &Case) -> Checked {
        let Some(limits) = &mut self.limits else { return Err("there is no queue yet".to_owned()) };
        limits.max_active = configure.patch.max_active.unwrap_or(limits.max_active);
        limits.max_waiting = configure.patch.max_waiting.unwrap_or(limits.max_waiting);
        let paused = configure.paused.unwrap_or(self.date.paused_since.is_some());
        self.date.set_paused(paused, case.time());
        let since = case.result()["paused_since"].as_str().and_then(parse_rfc3339);
        must!(since == self.date.paused_since, "paused since {:?}, by the answer {since:?}", self.date.paused_since);
        self.admit_all(case, None)
    }

    fn joined(&mut self, user: &str, case: &Case) -> Checked {
        let (result, time) = (case.result(), case.time());
        let sequence = result["sequence"].as_u64().unwrap_or(0);
        let is_active = result["status"] == "ACTIVE";
        let here = self.presence.read(self.limits()?, time);
        let had = self.token_of(user).map(|(sequence, token)| (sequence, token.clone()));
        let over = had.as_ref().filter(|(n, token)| self.active.contains_key(n) && token.until <= time).cloned();
        let mut ended = sequences(case, "ended");
        let mut keeps = had.clone();
        if let Some((own, turn)) = over {
            if self.keeps_place(&turn, time)? {
                self.active.remove(&own);
                self.end_turn(own);
                self.absent.insert(own, turn);
            } else {
                must!(ended.remove(&own), "the turn of {own} was over and used: {}", case.effects);
                self.end(own, "EXPIRED");
                keeps = None;
            }
        }
        let mut made_room = false;
        let requeues = had.is_some() && keeps.is_none() && self.limits()?.on_timeout == OnTimeout::Requeue;
        if let Some((has, _)) = keeps {
            must!(has == sequence, "{user} has {has} and was given {sequence}");
            must!(ended.is_empty(), "{ended:?} were ended by the join of {user}");
            self.bring_back(has, here);
            if let Some(token) = self.waiting.get_mut(&has).filter(|token| token.last_seen < here) {
                (token.last_seen, token.sighted) = (here, true);
            }
            if let Some(token) = self.active.get_mut(&has) {
                (token.used, token.sighted) = (true, true);
            }
        } else {
            let over = ["sold_out", "closed", "cancelled"].contains(&self.date.sale(time));
            must!(!over, "{user} joined, and the sale is {}", self.date.sale(time));
            made_room = !ended.is_empty();
            self.make_room(&ended)?;
            self.issue(user, sequence, had.as_ref().map(|(ended, _)| *ended).filter(|_| requeues), time)?;
        }
        let until = active_until(result);
        let own = Named { sequence, user: user.to_owned(), active_until: until };
        self.admit_all(case, (is_active && !self.active.contains_key(&sequence)).then_some(own))?;
        must!(is_active == self.active.contains_key(&sequence), "{user} has {sequence}: {}", case.answer);
        let most = self.limits()?.max_waiting as usize;
        let wait = self.waiting.len() + self.absent.len();
        must!(is_active || had.is_some() || requeues || made_room || wait <= most, "{user} waits beyond {most}");
        let ahead = if is_active { 0 } else { self.waiting.range(..sequence).count() };
        must!(result["ahead"] == ahead, "{ahead} wait before {sequence}: {}", case.answer);
        Ok(())
    }

    /// One absent token may have made room: of those never seen since they joined the longest absent, then of the others.
    fn make_room(&mut self, dropped: &BTreeSet<u64>) -> Checked {
        let first = self.absent.iter().min_by_key(|(n, token)| (token.sighted, token.since, **n)).map(|(n, _)| *n);
        let most = self.limits()?.max_waiting as usize;
        for sequence in dropped {
            must!(Some(*sequence) == first, "{sequence} made room, not {first:?}");
            must!(self.waiting.len() + self.absent.len() >= most, "{sequence} made room for nothing");
        }
        dropped.iter().for_each(|sequence| self.end(*sequence, "EXPIRED"));
        Ok(())
    }

    fn not_joined(&self, user: &str, case: &Case) -> Checked {
        let refused = match self.date.sale(case.time()) {
            "cancelled" => "show_cancelled",
            "sold_out" | "closed" => "sales_closed",
            _ => "queue_full",
        };
        must!(case.code() == refused, "{user} was refused with {}, not {refused}", case.code());
        let has = self.token_of(user).filter(|(n, token)| !self.active.contains_key(n) || token.until > case.time());
        must!(has.is_none(), "{user} has {has:?} and was refused");
        let (wait, most) = (self.waiting.len(), self.limits()?.max_waiting as usize);
        let full = wait >= most && self.absent.is_empty();
        must!(refused != "queue_full" || full, "{wait} wait of {most}, {:?} are absent", self.absent);
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
        self.admit_all(case, None)
    }

    fn completed(&mut self, command: &CompleteToken, case: &Case) -> Checked {
        let user = command.user_id.as_str();
        if self.token_of(user).is_some_and(|(_, token)| token.joined_at > command.paid_at) {
            must!(case.code() == "token_not_found", "{user} joined after the payment: {}", case.answer);
            return Ok(());
        }
        self.left(user, "COMPLETED", case)
    }
}
