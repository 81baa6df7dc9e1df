//! Who is seen, who is absent, and which turns end.

use std::collections::BTreeSet;

use turnstile::domain::LogTime;
use turnstile::domain::queue::{OnTimeout, Seen};

use super::{Absence, Named, QueueModel, Token, sequences, tokens};
use crate::model::Case;
use crate::oracle::{Checked, must};

impl QueueModel {
    pub(super) fn seen(&mut self, seen: &Seen, case: &Case) -> Checked {
        let (time, abandon_after_ms) = (case.time(), self.limits()?.abandon_after_ms);
        let limits = self.limits()?.clone();
        self.presence.report(&limits, time);
        let mut back = BTreeSet::new();
        let mut live = 0;
        for sighting in &seen.sightings {
            let (then, at) = (self.presence.now - sighting.age_ms, time.plus_ms(-sighting.age_ms));
            for named in sighting.first..=sighting.last {
                let sequence = self.follower_of(named).unwrap_or(named);
                if let Some(token) = self.waiting.get_mut(&sequence) {
                    token.last_seen = token.last_seen.max(then);
                    token.sighted |= token.joined_at < at;
                } else if self.absent.contains_key(&sequence) {
                    if sighting.age_ms < abandon_after_ms {
                        self.bring_back(sequence, then);
                        back.insert(sequence);
                    }
                } else if let Some(token) = self.active.get_mut(&sequence) {
                    if token.admitted_at <= at {
                        (token.used, token.sighted) = (true, true);
                    }
                } else {
                    continue;
                }
                live += 1;
            }
        }
        must!(case.result()["tokens"] == live, "{live} of those seen are live: {}", case.answer);
        self.pass_over(case)?;
        self.admit_all(case, None)?;
        back.retain(|sequence| self.waiting.contains_key(sequence));
        must!(sequences(case, "returned") == back, "{back:?} came back: {}", case.effects);
        must!(sequences(case, "ended").is_empty(), "a report ended a token: {}", case.effects);
        Ok(())
    }

    /// The live token that was requeued for this one.
    fn follower_of(&self, ended: u64) -> Option<u64> {
        let live = self.waiting.iter().chain(&self.absent).chain(&self.active);
        live.filter(|(_, token)| token.follows == Some(ended)).map(|(sequence, _)| *sequence).next()
    }

    /// Who was not seen for too long is absent from now on: those and no others.
    fn pass_over(&mut self, case: &Case) -> Checked {
        let (limits, clock) = (self.limits()?.clone(), self.presence.now);
        let gone = |token: &Token| token.last_seen + limits.abandon_after_ms <= clock;
        let unclaimed = |token: &Token| {
            limits.claim_after_ms < limits.active_ttl_ms && !token.used && token.from + limits.claim_after_ms <= clock
        };
        let waiting = self.waiting.iter().filter(|(_, token)| gone(token)).map(|(n, _)| *n);
        let active = self.active.iter().filter(|(_, token)| unclaimed(token)).map(|(n, _)| *n);
        let expected: BTreeSet<u64> = waiting.chain(active).collect();
        let named = sequences(case, "absent");
        must!(expected.is_subset(&named), "{expected:?} were not seen for long: {}", case.effects);
        let over = |sequence: &u64| self.absent.contains_key(sequence);
        let others = named.iter().find(|sequence| !expected.contains(sequence) && !over(sequence));
        must!(others.is_none(), "{others:?} is absent without a reason");
        for sequence in expected {
            self.set_absent(sequence, case.time());
        }
        Ok(())
    }

    fn set_absent(&mut self, sequence: u64, time: LogTime) {
        let since = self.date.on_sale_ms(time);
        let (snapshot, abandon_after_ms) =
            (self.snapshots.len(), self.limits.as_ref().map_or(0, |l| l.abandon_after_ms));
        if let Some(token) = self.waiting.remove(&sequence) {
            self.absences.push(Absence { user: token.user.clone(), snapshot, abandon_after_ms });
            self.absent.insert(sequence, Token { since, ..token });
        } else if let Some(token) = self.active.remove(&sequence) {
            self.end_turn(sequence);
            self.absent.insert(sequence, Token { since, ..token });
        }
    }

    pub(super) fn ticked(&mut self, case: &Case) -> Checked {
        let time = case.time();
        let kept_ms = self.limits()?.absent_max_ms;
        let over = ["sold_out", "closed", "cancelled"].contains(&self.date.sale(time));
        let requeue = self.limits()?.on_timeout == OnTimeout::Requeue && !over;
        let on_sale_ms = self.date.on_sale_ms(time);
        let mut back = Vec::new();
        for Named { sequence, .. } in tokens(case, "ended") {
            if let Some(token) = self.active.get(&sequence) {
                must!(token.until <= time, "the turn of {sequence} was not over");
                must!(!self.keeps_place(token, time)?, "{sequence} lost its place: {token:?}");
                back.push((token.user.clone(), sequence));
            } else if let Some(token) = self.absent.get(&sequence) {
                must!(token.since + kept_ms <= on_sale_ms, "{sequence} was dropped, absent since {}", token.since);
            } else {
                return Err(format!("{sequence} was ended and is neither active nor absent"));
            }
            self.end(sequence, "EXPIRED");
        }
        let named = sequences(case, "absent");
        let turns: Vec<u64> = self.active.iter().filter(|(_, t)| t.until <= time).map(|(n, _)| *n).collect();
        for sequence in turns {
            must!(named.contains(&sequence), "a tick left the turn of {sequence}");
            self.set_absent(sequence, time);
        }
        let last = self.last_sequence;
        let mut new: Vec<Named> = tokens(case, "admitted").into_iter().chain(tokens(case, "requeued")).collect();
        new.retain(|token| token.sequence > last);
        new.sort_by_key(|token| token.sequence);
        let users: Vec<&String> = new.iter().map(|token| &token.user).collect();
        let expected = back.iter().filter(|_| requeue).map(|(user, _)| user);
        must!(expected.eq(users.iter().copied()), "{users:?} were requeued, not {back:?}");
        for (token, (_, ended)) in new.iter().zip(back) {
            self.issue(&token.user, token.sequence, Some(ended), time)?;
        }
        self.pass_over(case)?;
        self.admit_all(case, None)?;
        let late = self.absent.values().any(|token| token.since + kept_ms <= on_sale_ms);
        must!(!late, "a tick left something undone: {:?}", self.absent);
        Ok(())
    }
}
