//! The same rules in the plainest words: one list of all tokens ever, everything found and counted by going through it.

use super::*;
use crate::domain::queue::Ending;

#[derive(Clone, Default)]
pub struct Model {
    pub row: Option<Queue>,
    /// All tokens ever; index = sequence - 1.
    pub tokens: Vec<Token>,
    now: i64,
    /// Sequences that ended in the last command.
    pub ended: Vec<u64>,
}

impl Model {
    /// What the user gets: their token's sequence and how many wait before it.
    pub fn run(&mut self, command: &Command, now: i64) -> Result<Option<(u64, u64)>, Code> {
        let before = self.clone();
        (self.now, self.ended) = (now, Vec::new());
        let answer = self.decide(command);
        if answer.is_err() {
            *self = before;
        }
        self.recount();
        answer
    }

    fn decide(&mut self, command: &Command) -> Result<Option<(u64, u64)>, Code> {
        if self.row.is_none() && !matches!(command, Command::OpenQueue(_)) {
            return Err(Code::QueueNotFound);
        }
        let mut answer = None;
        match command {
            Command::OpenQueue(open) => self.open(open),
            Command::JoinQueue(join) => answer = Some(self.join(&join.user_id)?),
            Command::LeaveQueue(leave) => self.end_of(&leave.user_id, Ending::Left, i64::MAX)?,
            Command::CompleteToken(done) => self.end_of(&done.user_id, Ending::Completed, done.paid_at.0)?,
            Command::Seen(seen) => {
                for token in self.tokens.iter_mut().filter(|t| t.state == TokenState::Waiting) {
                    if seen.sequences.contains(&token.sequence) {
                        token.last_seen = LogTime(self.now);
                    }
                }
            }
            Command::Tick(_) => self.tick(),
            Command::ConfigureQueue(configure) => {
                let row = self.row_mut();
                let rate = row.limits.admit_per_minute;
                row.limits = row.limits.patched(&configure.patch);
                row.paused = configure.paused.unwrap_or(row.paused);
                let changed = rate != row.limits.admit_per_minute;
                if let (true, Some((interval, _))) = (changed, self.pace()) {
                    let latest = self.now * 1000 + interval;
                    self.row_mut().rate_next_us = self.limits_row().rate_next_us.min(latest);
                }
                for _ in 0..configure.admit.unwrap_or(0) {
                    if self.count(TokenStatus::Active) < u64::from(self.limits_row().limits.max_active) {
                        self.activate_first();
                    }
                }
                self.admit();
            }
            Command::NoteSale(command) => {
                let kept = self.row_mut().sale.get_mut(&command.block);
                if let Some(kept) = kept
                    && kept.is_none_or(|kept| kept.version < command.note.version)
                {
                    *kept = Some(command.note);
                }
            }
        }
        Ok(answer)
    }

    fn row_mut(&mut self) -> &mut Queue {
        self.row.as_mut().expect("open")
    }

    fn limits_row(&self) -> &Queue {
        self.row.as_ref().expect("open")
    }

    fn open(&mut self, open: &OpenQueue) {
        let at = Arrival { position: Position::new(Lane::Queues, 0, 0), time: LogTime(self.now) };
        self.row.get_or_insert_with(|| Queue {
            schedule_id: SCHEDULE,
            limits: open.limits.clone(),
            sales_open_at: open.sales_open_at,
            starts_at: open.starts_at,
            sale: open.blocks.iter().map(|block| (block.clone(), None)).collect(),
            paused: false,
            next_sequence: 1,
            waiting: 0,
            active: 0,
            admitted: 0,
            completed: 0,
            expired: 0,
            left: 0,
            rate_next_us: 0,
            due_at: None,
            changed: at,
        });
    }

    pub fn count(&self, status: TokenStatus) -> u64 {
        self.tokens.iter().filter(|token| token.state.status() == status).map(|_| 1).sum()
    }

    pub fn ahead(&self, sequence: u64) -> u64 {
        let before = &self.tokens[..usize::try_from(sequence).expect("small") - 1];
        before.iter().filter(|token| token.state == TokenState::Waiting).map(|_| 1).sum()
    }

    fn recount(&mut self) {
        let counts = TokenStatus::ALL.map(|status| self.count(status));
        let admitted = self.tokens.iter().filter(|token| token.state.turn().is_some()).map(|_| 1).sum();
        let next_sequence = self.tokens.len() as u64 + 1;
        if let Some(row) = &mut self.row {
            [row.waiting, row.active, row.completed, row.expired, row.left] = counts;
            (row.admitted, row.next_sequence) = (admitted, next_sequence);
        }
    }

    fn live(&self, user: &UserId) -> Option<&Token> {
        let mut live = self.tokens.iter().filter(|token| token.user_id == *user && token.state.is_live());
        let found = live.next();
        assert!(live.next().is_none(), "one live token per user");
        found
    }

    fn token(&mut self, sequence: u64) -> &mut Token {
        &mut self.tokens[usize::try_from(sequence).expect("small") - 1]
    }

    fn add(&mut self, user: &UserId) -> u64 {
        let sequence = self.tokens.len() as u64 + 1;
        let now = LogTime(self.now);
        self.tokens.push(Token {
            schedule_id: SCHEDULE,
            sequence,
            user_id: user.clone(),
            state: TokenState::Waiting,
            joined_at: now,
            last_seen: now,
            changed: self.limits_row().changed,
        });
        sequence
    }

    fn end(&mut self, sequence: u64, how: Ending) {
        let token = self.token(sequence);
        token.state = TokenState::Ended { how, turn: token.state.turn() };
        self.ended.push(sequence);
    }

    fn end_of(&mut self, user: &UserId, how: Ending, paid_at: i64) -> Result<(), Code> {
        let token = self.live(user).filter(|token| token.joined_at.0 <= paid_at);
        let sequence = token.ok_or(Code::TokenNotFound)?.sequence;
        self.end(sequence, how);
        self.admit();
        Ok(())
    }

    fn is_run_out(&self, token: &Token) -> bool {
        matches!(token.state, TokenState::Active(turn) if turn.until.0 <= self.now)
    }

    fn join(&mut self, user: &UserId) -> Result<(u64, u64), Code> {
        let requeue = self.limits_row().limits.on_timeout == OnTimeout::Requeue;
        let mut sequence = None;
        if let Some(token) = self.live(user).cloned() {
            if self.is_run_out(&token) {
                self.end(token.sequence, Ending::Expired);
                sequence = requeue.then(|| self.add(user));
            } else {
                let waits = token.state == TokenState::Waiting;
                let (now, ahead) = (self.now, if waits { self.ahead(token.sequence) } else { 0 });
                if waits {
                    self.token(token.sequence).last_seen = LogTime(now);
                }
                return Ok((token.sequence, ahead));
            }
        }
        self.admit();
        if sequence.is_none() {
            let full = self.count(TokenStatus::Waiting) >= u64::from(self.limits_row().limits.max_waiting);
            if full && !self.allows() {
                return Err(Code::QueueFull);
            }
        }
        let sequence = sequence.unwrap_or_else(|| self.add(user));
        self.admit();
        let waits = self.token(sequence).state == TokenState::Waiting;
        Ok((sequence, if waits { self.ahead(sequence) } else { 0 }))
    }

    fn tick(&mut self) {
        let limits = self.limits_row().limits.clone();
        let mut over: Vec<Token> = self.tokens.iter().filter(|token| self.is_run_out(token)).cloned().collect();
        over.sort_by_key(|token| (token.state.turn().map(|turn| turn.until), token.sequence));
        let is_gone = |token: &&Token| {
            token.state == TokenState::Waiting && token.last_seen.0 + limits.abandon_after_ms <= self.now
        };
        let mut gone: Vec<Token> = self.tokens.iter().filter(is_gone).cloned().collect();
        gone.sort_by_key(|token| (token.last_seen, token.sequence));
        for token in over {
            self.end(token.sequence, Ending::Expired);
            if limits.on_timeout == OnTimeout::Requeue {
                self.add(&token.user_id);
            }
        }
        for token in gone {
            self.end(token.sequence, Ending::Expired);
        }
        self.admit();
    }

    /// Microseconds from one admission to the next, and how much of the past counts.
    fn pace(&self) -> Option<(i64, i64)> {
        let per_minute = i64::from(self.limits_row().limits.admit_per_minute?);
        (per_minute > 0).then(|| {
            let interval = (60_000_000 + per_minute - 1) / per_minute;
            (interval, interval * ((per_minute / 60).max(1) - 1))
        })
    }

    /// The first time at which a tick finds something to do; in the past or now: it does already.
    pub fn due_at(&self) -> Option<i64> {
        let row = self.limits_row();
        let own = self.tokens.iter().filter_map(|token| match token.state {
            TokenState::Active(turn) => Some(turn.until.0),
            TokenState::Waiting => Some(token.last_seen.0 + row.limits.abandon_after_ms),
            TokenState::Ended { .. } => None,
        });
        let place = self.count(TokenStatus::Active) < u64::from(row.limits.max_active);
        let waits = self.count(TokenStatus::Waiting) > 0 && !row.paused && place;
        let admission = match (row.limits.admit_per_minute, self.pace()) {
            _ if !waits => None,
            (None, _) => Some(self.now),
            (Some(_), None) => None,
            (Some(_), Some(_)) => Some((row.rate_next_us + 999).div_euclid(1000)),
        };
        own.chain(admission).min()
    }

    /// Not paused, a place is free, and the rate allows.
    pub fn allows(&self) -> bool {
        let row = self.limits_row();
        let rate = match (row.limits.admit_per_minute, self.pace()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(_)) => self.now * 1000 >= row.rate_next_us,
        };
        rate && !row.paused && self.count(TokenStatus::Active) < u64::from(row.limits.max_active)
    }

    fn admit(&mut self) {
        while self.allows() && self.activate_first() {
            if let Some((interval, credit)) = self.pace() {
                let earliest = self.now * 1000 - credit;
                self.row_mut().rate_next_us = self.limits_row().rate_next_us.max(earliest) + interval;
            }
        }
    }

    fn activate_first(&mut self) -> bool {
        let (now, ttl) = (self.now, self.limits_row().limits.active_ttl_ms);
        match self.tokens.iter_mut().find(|token| token.state == TokenState::Waiting) {
            Some(token) => {
                token.state = TokenState::Active(Turn { admitted_at: LogTime(now), until: LogTime(now + ttl) });
                true
            }
            None => false,
        }
    }
}
