//! `hold_seats`: seats for one user, all or nothing.

use std::collections::BTreeSet;

use super::best_available::first_seat;
use crate::domain::block::draft::Draft;
use crate::domain::block::stretches::{Place, Scope};
use crate::domain::block::{
    BestAvailable, Block, Choice, HoldSeats, Remembered, Reply, Reservation, ReservationState, SeatState,
};
use crate::domain::{
    Amount, Arrival, Asking, Code, Decision, DerivedId, Effects, LogTime, More, Refusal, ReservationId, SeatId, UserId,
};

/// The queue is the gate: a hold that it admitted is taken this long before the sale opens, as the clocks of two brokers
/// may differ.
const ADMITTED_EARLY_MS: i64 = 60_000;

pub(super) fn decide(block: &Block, command: &HoldSeats, asking: &Asking, at: &Arrival) -> Decision<Block> {
    let hold = Hold { block, command, staff: asking.by.is_some(), time: at.time };
    match hold.choose() {
        Ok(places) => hold.take(&places, asking, at),
        Err(refusal) => Decision::rejected(refusal),
    }
}

struct Hold<'a> {
    block: &'a Block,
    command: &'a HoldSeats,
    /// Staff acts for the user.
    staff: bool,
    time: LogTime,
}

impl Hold<'_> {
    /// The seats to take, in order of their ids, all of them free.
    fn choose(&self) -> Result<Vec<Place>, Refusal> {
        self.check_sale()?;
        match &self.command.choice {
            Choice::Seats(seats) => {
                let places = self.places(seats)?;
                self.check_for_sale(&places)?;
                self.check_limit(seats.len() as u64)?;
                self.check_companions(&places)?;
                self.check_free(&places)?;
                self.check_cooldown(&places)?;
                Ok(places)
            }
            Choice::BestAvailable(wanted) => {
                let scope = self.scope(wanted)?;
                self.check_limit(u64::from(wanted.count))?;
                self.best(wanted, scope)
            }
        }
    }

    fn check_sale(&self) -> Result<(), Refusal> {
        let (row, terms) = (&self.block.row, &self.block.row.terms);
        let admitted = self.command.admitted || self.staff;
        let early_ms = if row.queue && admitted { ADMITTED_EARLY_MS } else { 0 };
        let closed = |detail: &str| Err(Refusal::new(Code::SalesClosed, detail));
        if row.cancelled.is_some() {
            return Err(Refusal::new(Code::ShowCancelled, "the show is cancelled"));
        }
        if self.time >= terms.starts_at {
            return closed("the show has started");
        }
        if !self.staff && terms.sales_open_at.is_some_and(|open_at| self.time < open_at.plus_ms(-early_ms)) {
            return closed("sales have not begun");
        }
        if !self.staff && terms.sales_close_at.is_some_and(|close_at| self.time >= close_at) {
            return closed("sales have ended");
        }
        if row.queue && !admitted {
            return Err(Refusal::new(Code::NotAdmitted, "the date has a waiting queue, and it is not your turn"));
        }
        Ok(())
    }

    fn places(&self, seats: &[SeatId]) -> Result<Vec<Place>, Refusal> {
        let place = |seat: &SeatId| {
            let place = self.block.place(seat);
            place.ok_or_else(|| match self.block.rank_of(&seat.section) {
                None => no_section(seat.section.as_str()),
                Some(rank) => {
                    let last = self.block.section(rank).layout().seats();
                    let detail = format!("there is no seat {seat}: the seats of this section are 1 to {last}");
                    Refusal::new(Code::SeatNotFound, detail)
                }
            })
        };
        let places = seats.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        // A repeated seat would be counted twice.
        if seats.is_empty() || !seats.is_sorted_by(|a, b| a < b) {
            return Err(Refusal::new(Code::SeatNotFound, "seats must be named in ascending order, each once"));
        }
        Ok(places)
    }

    fn check_for_sale(&self, places: &[Place]) -> Result<(), Refusal> {
        let is_for_sale = |place: &Place| self.block.section(place.rank).layout().is_for_sale(place.number);
        match places.iter().find(|place| !is_for_sale(place)) {
            None => Ok(()),
            Some(place) => {
                let detail = format!("seat {} is not for sale", self.block.seat_id(*place));
                Err(Refusal::new(Code::SeatNotForSale, detail))
            }
        }
    }

    fn check_limit(&self, wanted: u64) -> Result<(), Refusal> {
        let (live, limit) = (self.block.seats_of(&self.command.user_id), self.block.row.terms.max_seats_per_user);
        if u64::from(live) + wanted <= u64::from(limit) {
            return Ok(());
        }
        let detail = format!("{live} seats and {wanted} more are above the limit of {limit} for one user");
        Err(Refusal::new(Code::TicketLimitExceeded, detail))
    }

    /// A companion seat goes with its wheelchair place: of the same hold, or held or bought by the same user before.
    fn check_companions(&self, places: &[Place]) -> Result<(), Refusal> {
        if self.block.row.companions_free_by(self.time) {
            return Ok(());
        }
        let is_theirs = |place: Place| {
            let reservation = self.taken(place);
            reservation.is_some_and(|reservation| reservation.user_id == self.command.user_id)
        };
        for place in places {
            let Some(number) = self.block.section(place.rank).layout().place_of(place.number) else { continue };
            let wheelchair = Place { rank: place.rank, number };
            if !places.contains(&wheelchair) && !is_theirs(wheelchair) {
                let (seat, with) = (self.block.seat_id(*place), self.block.seat_id(wheelchair));
                let detail = format!("seat {seat} is for the companion of seat {with}");
                return Err(Refusal::new(Code::CompanionOnly, detail));
            }
        }
        Ok(())
    }

    /// The reservation that has this seat, if it is not free by now.
    fn taken(&self, place: Place) -> Option<&Reservation> {
        let reservation = self.block.reservation(self.block.touched(place)?.state.reservation()?)?;
        let run_out = reservation.state == ReservationState::Held && self.block.end_of(reservation) <= self.time;
        (!run_out).then_some(reservation)
    }

    fn check_free(&self, places: &[Place]) -> Result<(), Refusal> {
        let taken = places.iter().find_map(|place| Some((*place, self.taken(*place)?)));
        let Some((place, reservation)) = taken else { return Ok(()) };
        let seat = self.block.seat_id(place);
        let refusal = Refusal::new(Code::SeatTaken, format!("seat {seat} is taken"));
        Err(refusal.with(More::Taken { seat, by: reservation.held }))
    }

    fn check_cooldown(&self, places: &[Place]) -> Result<(), Refusal> {
        let ends = places.iter().filter_map(|place| self.first_end(*place)).filter(|end| *end <= self.time);
        let again_at = ends.map(|end| end.plus_ms(self.block.row.terms.rehold_after_ms)).max();
        match again_at.filter(|again_at| *again_at > self.time && !self.staff) {
            None => Ok(()),
            Some(again_at) => {
                let detail = "your last hold of these seats has ended unpaid a short while ago";
                Err(Refusal::new(Code::HoldCooldown, detail).with(More::AgainAt(again_at)))
            }
        }
    }

    /// When the first of this user's unbroken holds of a free seat ends or ended.
    fn first_end(&self, place: Place) -> Option<LogTime> {
        let seat = self.block.touched(place)?;
        let of_user = |memory: &Remembered| memory.user_id == self.command.user_id;
        match (&seat.remembered, seat.state) {
            (Some(memory), _) => of_user(memory).then_some(memory.first_end),
            (None, SeatState::Held(id)) => {
                let held = self.block.reservation(id).filter(|held| held.user_id == self.command.user_id)?;
                Some(self.block.end_of(held))
            }
            (None, _) => None,
        }
    }

    fn scope(&self, wanted: &BestAvailable) -> Result<Scope, Refusal> {
        let section = match &wanted.section {
            None => None,
            Some(name) => Some(self.block.rank_of(name).ok_or_else(|| no_section(name.as_str()))?),
        };
        let Some(name) = &wanted.category else { return Ok(Scope { section, category: None }) };
        let in_section = |rank: u32| {
            let categories = self.block.section(rank).layout().categories();
            categories.iter().any(|category| category.name == *name)
        };
        match self.block.category(name).filter(|_| section.is_none_or(in_section)) {
            Some(category) => Ok(Scope { section, category: Some(category) }),
            None => Err(Refusal::new(Code::SectionNotFound, format!("there is no category {name}"))),
        }
    }

    fn best(&self, wanted: &BestAvailable, scope: Scope) -> Result<Vec<Place>, Refusal> {
        let closed = if self.staff {
            Vec::new()
        } else {
            let since = self.time.plus_ms(-self.block.row.terms.rehold_after_ms);
            self.block.cooling(&self.command.user_id, since, self.time, scope)
        };
        match first_seat(&self.block.stretches, scope, wanted.count, &closed) {
            Some(Place { rank, number }) => {
                Ok((number..number + wanted.count).map(|number| Place { rank, number }).collect())
            }
            None => {
                let detail = format!("there are no {} free seats side by side", wanted.count);
                Err(Refusal::new(Code::NotEnoughAdjacentSeats, detail))
            }
        }
    }

    /// Records the hold, and the end of those whose run-out holds it takes seats from.
    fn take(&self, places: &[Place], asking: &Asking, at: &Arrival) -> Decision<Block> {
        let mut draft = Draft::new(self.block, at);
        let over = |place: &Place| self.block.touched(*place)?.state.reservation();
        let expired: BTreeSet<ReservationId> = places.iter().filter_map(over).collect();
        for reservation in expired.iter().filter_map(|id| self.block.reservation(*id)) {
            draft.expire(reservation.clone());
        }
        let user = &self.command.user_id;
        let expires_at = if self.staff { self.latest_end() } else { self.end_as_remembered(&draft, places, user) };
        let reservation = Reservation {
            id: DerivedId::of(at, 0).into(),
            key: self.block.row.key.clone(),
            user_id: user.clone(),
            by: asking.by.clone(),
            seats: places.iter().map(|place| self.block.seat_id(*place)).collect(),
            amount: self.amount(places),
            state: ReservationState::Held,
            expires_at,
            held: *at,
            changed: *at,
        };
        let reservation = draft.hold(reservation, self.staff);
        let effects = Effects { expired: expired.into_iter().collect(), ..Effects::default() };
        Decision { effects, ..draft.succeeded(Reply::Held { reservation, expires_at }) }
    }

    fn latest_end(&self) -> LogTime {
        let terms = &self.block.row.terms;
        self.time.plus_ms(terms.hold_ttl_ms).min(terms.starts_at)
    }

    /// A user's new hold ends no later than their first of the same seats.
    fn end_as_remembered(&self, draft: &Draft, places: &[Place], user: &UserId) -> LogTime {
        let remembered = places.iter().filter_map(|place| draft.seat(*place).remembered);
        let running = remembered.filter(|memory| memory.runs_for(user, self.time)).map(|memory| memory.first_end);
        running.chain([self.latest_end()]).min().unwrap_or_else(|| self.latest_end())
    }

    /// At most 100 seats of at most 10^12 each: never above the largest amount.
    fn amount(&self, places: &[Place]) -> Amount {
        let price = |place: &Place| self.block.section(place.rank).layout().price_of(place.number);
        let sum = places.iter().map(price).try_fold(Amount::ZERO, Amount::plus);
        sum.unwrap_or_else(|| unreachable!("more than 100 seats in one hold"))
    }
}

fn no_section(name: &str) -> Refusal {
    Refusal::new(Code::SectionNotFound, format!("there is no section {name}"))
}
