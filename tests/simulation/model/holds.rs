//! Holds: whether one that succeeded could, and whether the reason of a refusal is true.

use std::collections::BTreeSet;

use serde_json::Value;
use turnstile::domain::block::{BestAvailable, Choice, HoldSeats};
use turnstile::domain::{LogTime, SeatId};
use turnstile::wire::time::parse_rfc3339;

use super::bookings::{Block, Booking, Seat, Stage};
use super::{Case, best_available};
use crate::oracle::{Checked, must};

/// A hold that the queue admitted may be this early.
const ADMITTED_EARLY_MS: i64 = 60_000;

pub fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

struct Hold<'a> {
    command: &'a HoldSeats,
    user: &'a str,
    staff: bool,
    time: LogTime,
}

impl<'a> Hold<'a> {
    fn of(command: &'a HoldSeats, case: &Case) -> Hold<'a> {
        Hold { command, user: command.user_id.as_str(), staff: case.command.by.is_some(), time: case.time() }
    }

    fn named(&self) -> &'a [SeatId] {
        match &self.command.choice {
            Choice::Seats(seats) => seats,
            Choice::BestAvailable(_) => &[],
        }
    }

    fn count(&self) -> usize {
        match &self.command.choice {
            Choice::Seats(seats) => seats.len(),
            Choice::BestAvailable(wanted) => wanted.count as usize,
        }
    }

    fn sale_is_closed(&self, block: &Block) -> bool {
        let terms = &block.hall.terms;
        let early_ms = if block.opened.queue && self.command.admitted { ADMITTED_EARLY_MS } else { 0 };
        let not_open = terms.sales_open_at.is_some_and(|open| self.time < open.plus_ms(-early_ms));
        let closed = terms.sales_close_at.is_some_and(|close| self.time >= close);
        self.time >= terms.starts_at || (!self.staff && (not_open || closed))
    }

    fn is_not_admitted(&self, block: &Block) -> bool {
        block.opened.queue && !self.command.admitted && !self.staff
    }

    fn is_above_limit(&self, block: &Block) -> bool {
        block.seats_of(self.user, self.time) + self.count() > block.hall.terms.max_seats_per_user as usize
    }

    /// The end of the cooldown of this user for this seat, if it has one.
    fn cooldown(&self, block: &Block, seat: &SeatId) -> Option<LogTime> {
        let (user, end) = block.memory(seat)?;
        let again_at = end.plus_ms(block.hall.terms.rehold_after_ms);
        (user == self.user && end <= self.time && self.time < again_at && !self.staff).then_some(again_at)
    }

    fn lacks_wheelchair_place(&self, block: &Block, seat: &SeatId) -> bool {
        let Some(number) = block.hall.place(seat).and_then(|place| place.companion_of) else { return false };
        let place = SeatId { section: seat.section.clone(), number };
        let own = block.taken_by(&place, self.time).is_some_and(|booking| booking.user == self.user);
        !block.hall.companions_free(self.time) && !self.named().contains(&place) && !own
    }

    fn best(&self, block: &Block, wanted: &BestAvailable) -> Option<Vec<SeatId>> {
        let companions_free = block.hall.companions_free(self.time);
        best_available::choose(&block.hall, wanted, &|seat| {
            let place = block.hall.place(seat).expect("a seat of the hall");
            let companion = place.companion_of.is_some() && !companions_free;
            let free = block.taken_by(seat, self.time).is_none();
            place.for_sale && !place.wheelchair && !companion && free && self.cooldown(block, seat).is_none()
        })
    }
}

impl Block {
    pub(super) fn held(&mut self, case: &Case, command: &HoldSeats) -> Checked {
        let (hold, result) = (Hold::of(command, case), case.result());
        must!(!self.cancelled, "the show is cancelled");
        must!(!hold.sale_is_closed(self), "the sale is closed");
        must!(!hold.is_not_admitted(self), "it was not admitted");
        must!(!hold.is_above_limit(self), "the user has {} seats already", self.seats_of(hold.user, hold.time));
        let seats: Vec<SeatId> = texts(&result["seats"])
            .iter()
            .map(|seat| seat.parse().map_err(|_| format!("no seat {seat}")))
            .collect::<Result<_, _>>()?;
        match &command.choice {
            Choice::Seats(named) => must!(*named == seats, "other seats than {named:?} were taken"),
            Choice::BestAvailable(wanted) => {
                let best = hold.best(self, wanted);
                must!(best.as_ref() == Some(&seats), "the best are {best:?}, not {seats:?}");
            }
        }
        let mut amount = 0;
        for seat in &seats {
            let place = self.hall.place(seat).ok_or_else(|| format!("there is no seat {seat}"))?;
            amount += place.price;
            must!(place.for_sale, "seat {seat} is not for sale");
            must!(self.taken_by(seat, hold.time).is_none(), "seat {seat} is taken");
            must!(hold.cooldown(self, seat).is_none(), "seat {seat} is closed to this user");
            must!(!hold.lacks_wheelchair_place(self, seat), "seat {seat} is a companion's");
        }
        must!(result["amount"] == amount, "the seats cost {amount}, not {}", result["amount"]);
        let expired = self.end_taken_over(case, &seats)?;
        must!(expired == texts(&case.effects["expired"]).into_iter().collect(), "expired are {expired:?}");
        self.take(case, hold, seats, amount)
    }

    /// Ends the run-out holds that the seats are taken from.
    fn end_taken_over(&mut self, case: &Case, seats: &[SeatId]) -> Result<BTreeSet<String>, String> {
        let over: BTreeSet<String> = seats.iter().filter_map(|seat| self.seat(seat).booking).collect();
        for id in &over {
            must!(self.has_run_out(self.booking(id)?, case.time()), "booking {id} has not run out");
            self.end(id, Stage::Expired, true)?;
        }
        Ok(over)
    }

    fn take(&mut self, case: &Case, hold: Hold<'_>, seats: Vec<SeatId>, amount: i64) -> Checked {
        let (terms, result, time) = (&self.hall.terms, case.result(), hold.time);
        let mut expires_at = time.plus_ms(terms.hold_ttl_ms).min(terms.starts_at);
        let running = |seat: &Seat| seat.remembered.clone().filter(|(user, end)| user == hold.user && *end > time);
        if !hold.staff {
            let ends = seats.iter().filter_map(|seat| running(&self.seat(seat))).map(|(_, end)| end);
            expires_at = ends.chain([expires_at]).min().unwrap_or(expires_at);
        }
        let said = result["expires_at"].as_str().and_then(parse_rfc3339);
        must!(said == Some(expires_at), "the hold ends at {expires_at:?}, not {said:?}");
        let id = result["reservation_id"].as_str().unwrap_or_default().to_owned();
        for seat in &seats {
            let seat = self.seats.entry(seat.clone()).or_default();
            seat.remembered = if hold.staff { None } else { running(seat) };
            seat.booking = Some(id.clone());
        }
        let booking = Booking {
            user: hold.user.to_owned(),
            by: case.command.by.as_ref().map(ToString::to_string),
            seats,
            amount,
            stage: Stage::Held,
            expires_at,
            held: case.at,
            payment: None,
            refund_for: None,
            ask: None,
            serial: None,
        };
        must!(self.bookings.insert(id, booking).is_none(), "two bookings have one id");
        Ok(())
    }

    pub(super) fn not_held(&self, case: &Case, command: &HoldSeats) -> Checked {
        let (hold, problem) = (Hold::of(command, case), &case.answer["problem"]);
        let named = hold.named();
        let place = |seat: &SeatId| self.hall.place(seat);
        let is_true = match case.code() {
            "show_cancelled" => self.cancelled,
            "sales_closed" => hold.sale_is_closed(self),
            "not_admitted" => hold.is_not_admitted(self),
            "ticket_limit_exceeded" => hold.is_above_limit(self),
            "section_not_found" => self.has_no_such_section(command),
            "seat_not_found" => named.iter().any(|seat| place(seat).is_none()),
            "seat_not_for_sale" => named.iter().any(|seat| place(seat).is_some_and(|place| !place.for_sale)),
            "companion_only" => named.iter().any(|seat| hold.lacks_wheelchair_place(self, seat)),
            "not_enough_adjacent_seats" => match &command.choice {
                Choice::BestAvailable(wanted) => hold.best(self, wanted).is_none(),
                Choice::Seats(_) => false,
            },
            "hold_cooldown" => {
                let again_at = named.iter().filter_map(|seat| hold.cooldown(self, seat)).max();
                again_at.is_some() && again_at == problem["again_at"].as_str().and_then(parse_rfc3339)
            }
            "seat_taken" => return self.was_taken(case, named),
            _ => false,
        };
        must!(is_true, "refused for no reason: {problem}");
        Ok(())
    }

    fn has_no_such_section(&self, command: &HoldSeats) -> bool {
        match &command.choice {
            Choice::Seats(seats) => seats.iter().any(|seat| self.hall.section(seat.section.as_str()).is_none()),
            Choice::BestAvailable(wanted) => {
                let section = wanted.section.as_ref().map(|name| name.as_str());
                let mut scope = self.hall.sections.iter().filter(|s| section.is_none_or(|name| s.name == name));
                let category = wanted.category.as_ref().map(|name| name.to_string());
                !scope.any(|section| category.as_ref().is_none_or(|name| section.categories.contains(name)))
            }
        }
    }

    /// A refusal names who was first.
    fn was_taken(&self, case: &Case, named: &[SeatId]) -> Checked {
        let taken = &case.answer["problem"]["taken"];
        let seat = named.iter().find(|seat| taken["seat"] == seat.to_string());
        let seat = seat.ok_or_else(|| format!("{} was not asked for", taken["seat"]))?;
        let booking = self.taken_by(seat, case.time()).ok_or_else(|| format!("seat {seat} was free"))?;
        let first = booking.held.position.offset;
        must!(taken["position"]["offset"] == first, "seat {seat} was taken at {first}, not at {}", taken["position"]);
        must!(first < case.offset(), "seat {seat} was taken later");
        let at = taken["at"].as_str().and_then(parse_rfc3339);
        must!(at == Some(booking.held.time), "seat {seat} was taken at {:?}, not {at:?}", booking.held.time);
        Ok(())
    }
}
