//! The same rules in the plainest words: one list of all tokens ever, everything found and counted by going through it.

use super::offer::offer;
use super::*;
use crate::domain::queue::Ending;

#[derive(Clone, Default)]
pub struct Model {
    pub row: Option<Queue>,
    /// All tokens ever; index = sequence - 1.
    pub tokens: Vec<Token>,
    pub now: i64,
    /// Sequences that ended in the last command.
    pub ended: Vec<u64>,
    admitted: u64,
    /// Log times of all `seen` records and of the opening.
    reports: Vec<i64>,
    /// From when on which notes and pause held: all the sale's history.
    pub sales: Vec<(i64, BTreeMap<BlockName, Option<SaleNote>>, bool)>,
}

impl Model {
    /// What the user gets: their token's sequence and how many wait before it.
    pub fn run(&mut self, command: &Command, now: i64) -> Result<Option<(u64, u64)>, Code> {
        let before = self.clone();
        (self.now, self.ended) = (now, Vec::new());
        let answer = self.decide(command);
        if answer.is_err() {
            *self = before;
            self.now = now;
        }
        self.recount();
        self.remember_sale();
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
            Command::Seen(seen) => self.seen(seen),
            Command::Tick(_) => self.tick(),
            Command::ConfigureQueue(configure) => {
                let (now, row) = (LogTime(self.now), self.row_mut());
                let (rate, since) = (row.limits.admit_per_minute, row.paused_since);
                row.limits = row.limits.patched(&configure.patch);
                row.paused_since = configure.paused.map_or(since, |on| on.then_some(since.unwrap_or(now)));
                let changed = rate != row.limits.admit_per_minute;
                if let (true, Some((interval, _))) = (changed, self.pace()) {
                    let latest = self.now * 1000 + interval;
                    self.row_mut().rate_next_us = self.limits_row().rate_next_us.min(latest);
                }
                for _ in 0..configure.admit.unwrap_or(0) {
                    if self.has_place() {
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
                self.admit();
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
        if self.row.is_some() {
            return;
        }
        let at = Arrival { position: Position::new(Lane::Queues, 0, 0), time: LogTime(self.now) };
        self.reports.push(self.now);
        self.row = Some(Queue {
            schedule_id: SCHEDULE,
            limits: open.limits.clone(),
            sales_open_at: open.sales_open_at,
            starts_at: open.starts_at,
            sale: open.blocks.iter().map(|block| (block.clone(), None)).collect(),
            paused_since: None,
            presence: PresenceClock { now: PresenceMs(0), at: at.time, stood_until: at.time },
            on_sale: SaleClock { now: SaleMs(0), at: at.time },
            next_sequence: 1,
            waiting: 0,
            absent: 0,
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
        let (admitted, next_sequence) = (self.admitted, self.tokens.len() as u64 + 1);
        if let Some(row) = &mut self.row {
            [row.waiting, row.absent, row.active, row.completed, row.expired, row.left] = counts;
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

    fn add(&mut self, user: &UserId, follows: Option<u64>) -> u64 {
        let sequence = self.tokens.len() as u64 + 1;
        self.tokens.push(Token {
            schedule_id: SCHEDULE,
            sequence,
            user_id: user.clone(),
            state: TokenState::Waiting,
            joined_at: LogTime(self.now),
            last_seen: self.presence_if_reported(),
            sighted: false,
            follows,
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
        let mut sequence = self.live(user).map(|token| token.sequence);
        if let Some(token) = self.live(user).cloned().filter(|token| self.is_run_out(token)) {
            sequence = self.time_out(&token);
        }
        let here = self.presence_if_reported();
        if let Some(sequence) = sequence {
            let token = self.token(sequence);
            match &mut token.state {
                TokenState::Active(turn) => (turn.used, token.sighted) = (true, true),
                TokenState::Waiting if here <= token.last_seen => {}
                _ => (token.state, token.last_seen, token.sighted) = (TokenState::Waiting, here, true),
            }
        }
        self.admit();
        let sequence = match sequence {
            Some(sequence) => sequence,
            None => {
                match self.sale() {
                    Sale::Cancelled => return Err(Code::ShowCancelled),
                    Sale::SoldOut | Sale::Closed => return Err(Code::SalesClosed),
                    _ => self.make_room()?,
                }
                self.add(user, None)
            }
        };
        self.admit();
        let waits = self.token(sequence).state == TokenState::Waiting;
        Ok((sequence, if waits { self.ahead(sequence) } else { 0 }))
    }

    fn make_room(&mut self) -> Result<(), Code> {
        let wait = self.count(TokenStatus::Waiting) + self.count(TokenStatus::Absent);
        if wait < u64::from(self.limits_row().limits.max_waiting) || self.allows() {
            return Ok(());
        }
        let mut absent: Vec<(bool, SaleMs, u64)> =
            self.absent().map(|(since, token)| (token.sighted, since, token.sequence)).collect();
        absent.sort_unstable();
        let (_, _, sequence) = absent.first().ok_or(Code::QueueFull)?;
        self.end(*sequence, Ending::Expired);
        Ok(())
    }

    fn absent(&self) -> impl Iterator<Item = (SaleMs, &Token)> {
        self.tokens.iter().filter_map(|token| match token.state {
            TokenState::Absent { since } => Some((since, token)),
            _ => None,
        })
    }

    /// What becomes of a turn that is over, and the sequence the user has then.
    fn time_out(&mut self, token: &Token) -> Option<u64> {
        let (turn, rounds) = (token.state.turn().expect("active"), 2 * self.round_ms());
        // A gap between two reports of which the turn had more than two rounds.
        let mut reports = self.reports.clone();
        reports.push(self.now);
        let stood = reports.windows(2).any(|gap| gap[1] - gap[0] > rounds && gap[1] - rounds > turn.admitted_at.0);
        if !turn.used || stood {
            self.set_absent(token.sequence);
            return Some(token.sequence);
        }
        self.end(token.sequence, Ending::Expired);
        let over = matches!(self.sale(), Sale::SoldOut | Sale::Closed | Sale::Cancelled);
        let requeue = self.limits_row().limits.on_timeout == OnTimeout::Requeue && !over;
        requeue.then(|| self.add(&token.user_id, Some(token.sequence)))
    }

    fn set_absent(&mut self, sequence: u64) {
        let since = SaleMs(self.on_sale_ms(self.now));
        self.token(sequence).state = TokenState::Absent { since };
    }

    fn round_ms(&self) -> i64 {
        (self.limits_row().limits.abandon_after_ms / 6).clamp(1, 15_000)
    }

    fn presence_if_reported(&self) -> PresenceMs {
        let (row, rounds) = (self.limits_row(), 2 * self.round_ms());
        PresenceMs(row.presence.now.0 + (self.now - row.presence.at.0).min(rounds))
    }

    fn seen(&mut self, seen: &Seen) {
        let (now, rounds, clock) = (self.now, 2 * self.round_ms(), self.presence_if_reported());
        let abandon_after_ms = self.limits_row().limits.abandon_after_ms;
        let presence = &mut self.row_mut().presence;
        if now - presence.at.0 > rounds {
            presence.stood_until = presence.stood_until.max(LogTime(now - rounds));
        }
        (presence.now, presence.at) = (clock, LogTime(now));
        self.reports.push(now);
        for sighting in &seen.sightings {
            let (then, age) = (PresenceMs(clock.0 - sighting.age_ms), sighting.age_ms);
            let range = sighting.first..=sighting.last;
            let named = |token: &&mut Token| {
                range.contains(&token.sequence) || token.follows.is_some_and(|follows| range.contains(&follows))
            };
            for token in self.tokens.iter_mut().filter(named) {
                match &mut token.state {
                    TokenState::Active(turn) if !turn.used && turn.admitted_at.0 <= now - age => {
                        (turn.used, token.sighted) = (true, true);
                    }
                    TokenState::Waiting => {
                        token.last_seen = token.last_seen.max(then);
                        token.sighted |= token.joined_at.0 < now - age;
                    }
                    TokenState::Absent { .. } if age < abandon_after_ms => {
                        (token.state, token.sighted) = (TokenState::Waiting, true);
                        token.last_seen = token.last_seen.max(then);
                    }
                    _ => {}
                }
            }
        }
        self.pass_over();
        self.admit();
    }

    /// Who was not seen for too long, by the presence clock.
    fn pass_over(&mut self) {
        let (limits, clock) = (self.limits_row().limits.clone(), self.limits_row().presence.now.0);
        let is_gone = |token: &&Token| match token.state {
            TokenState::Waiting => token.last_seen.0 + limits.abandon_after_ms <= clock,
            TokenState::Active(turn) => {
                let claims = limits.claim_after_ms < limits.active_ttl_ms;
                claims && !turn.used && turn.from.0 + limits.claim_after_ms <= clock
            }
            _ => false,
        };
        let gone: Vec<u64> = self.tokens.iter().filter(is_gone).map(|token| token.sequence).collect();
        gone.into_iter().for_each(|sequence| self.set_absent(sequence));
    }

    fn tick(&mut self) {
        let mut over: Vec<Token> = self.tokens.iter().filter(|token| self.is_run_out(token)).cloned().collect();
        over.sort_by_key(|token| (token.state.turn().map(|turn| turn.until), token.sequence));
        let kept_ms = self.limits_row().limits.absent_max_ms;
        let on_sale_ms = self.on_sale_ms(self.now);
        let mut dropped: Vec<(SaleMs, u64)> = self.absent().map(|(since, token)| (since, token.sequence)).collect();
        dropped.retain(|(since, _)| since.0 + kept_ms <= on_sale_ms);
        dropped.sort_unstable();
        for token in over {
            self.time_out(&token);
        }
        for (_, sequence) in dropped {
            self.end(sequence, Ending::Expired);
        }
        self.pass_over();
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
        let mut check = self.clone();
        check.pass_over();
        let overlooked = (check.tokens != self.tokens).then_some(self.now);
        let turns = self.tokens.iter().filter_map(|token| match token.state {
            TokenState::Active(turn) => Some(turn.until.0),
            _ => None,
        });
        let drops = self.absent().filter_map(|(since, _)| self.on_sale_at(since.0 + row.limits.absent_max_ms));
        let place = self.count(TokenStatus::Active) < u64::from(row.limits.max_active);
        let waits = self.count(TokenStatus::Waiting) > 0 && row.paused_since.is_none() && place;
        let paced = match (row.limits.admit_per_minute, self.pace()) {
            _ if !waits => None,
            (None, _) => Some(self.now),
            (Some(_), None) => None,
            (Some(_), Some(_)) => Some((row.rate_next_us + 999).div_euclid(1000).max(self.now)),
        };
        let (state, opens, starts) = offer(row, &row.sale);
        let admission = paced.map(|paced| paced.max(opens)).filter(|at| state == SaleState::Open && *at < starts);
        turns.chain(drops).chain(overlooked).chain(admission).min()
    }

    /// A seat can be bought, not paused, a place is free, and the rate allows.
    pub fn allows(&self) -> bool {
        let row = self.limits_row();
        let rate = match (row.limits.admit_per_minute, self.pace()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(_)) => self.now * 1000 >= row.rate_next_us,
        };
        rate && row.paused_since.is_none() && self.has_place()
    }

    fn has_place(&self) -> bool {
        self.count(TokenStatus::Active) < u64::from(self.limits_row().limits.max_active) && self.sale() == Sale::Open
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
        let turn = Turn {
            admitted_at: LogTime(now),
            until: LogTime(now + ttl),
            from: self.presence_if_reported(),
            used: false,
        };
        let first = self.tokens.iter_mut().find(|token| token.state == TokenState::Waiting);
        let found = first.map(|token| token.state = TokenState::Active(turn)).is_some();
        self.admitted += u64::from(found);
        found
    }
}
