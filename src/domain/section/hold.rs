//! `hold_seats`: seats for one user, all or nothing.

use std::collections::BTreeSet;

use super::edit::Edit;
use super::{Reservation, ReservationStatus, Seat, SeatStatus, Section, best_available};
use crate::domain::command::{Choice, HoldSeats};
use crate::domain::decision::Taken;
use crate::domain::{Arrival, Code, Decision, DerivedId, LogTime, Refusal, ReservationId, Success, UserId};

pub(super) fn decide(section: &Section, command: &HoldSeats, at: &Arrival) -> Decision {
    let refusal = sales_closed(section, at.time)
        .or_else(|| seat_not_found(section, &command.choice))
        .or_else(|| limit_exceeded(section, &command.user_id, &command.choice, at.time));
    if let Some(refusal) = refusal {
        return Decision::rejected(refusal);
    }
    match choose(section, &command.choice, at.time) {
        Ok(seats) => take(section, command.user_id.clone(), seats, at),
        Err(refusal) => Decision::rejected(refusal),
    }
}

fn sales_closed(section: &Section, time: LogTime) -> Option<Refusal> {
    if section.row.sales_open_at.is_some_and(|open_at| time < open_at) {
        return Some(Refusal::new(Code::SalesClosed, "sales have not begun"));
    }
    (time >= section.row.starts_at).then(|| Refusal::new(Code::SalesClosed, "the show has started"))
}

fn seat_not_found(section: &Section, choice: &Choice) -> Option<Refusal> {
    let Choice::Seats(wanted) = choice else { return None };
    let last = section.row.seats;
    if let Some(missing) = wanted.iter().find(|number| !(1..=last).contains(*number)) {
        let detail = format!("section {} has no seat {missing}: its seats are 1 to {last}", section.row.name);
        return Some(Refusal::new(Code::SeatNotFound, detail));
    }
    // A repeated seat would be counted twice.
    let ascending = wanted.is_sorted_by(|a, b| a < b) && !wanted.is_empty();
    (!ascending).then(|| Refusal::new(Code::SeatNotFound, "seats must be named in ascending order, each once"))
}

fn limit_exceeded(section: &Section, user: &UserId, choice: &Choice, time: LogTime) -> Option<Refusal> {
    let wanted = match choice {
        Choice::Seats(seats) => seats.len() as u64,
        Choice::BestAvailable(count) => u64::from(*count),
    };
    let recorded = section.seats_by_user.get(user).copied().unwrap_or(0);
    let run_out: usize = match recorded {
        0 => 0,
        _ => section.due(time).filter(|r| r.user_id == *user).map(|r| r.seats.len()).sum(),
    };
    let live = u64::from(recorded) - run_out as u64;
    let limit = section.row.max_seats_per_user;
    (live + wanted > u64::from(limit)).then(|| {
        let detail = format!("{live} seats and {wanted} more are above the limit of {limit} for one user");
        Refusal::new(Code::TicketLimitExceeded, detail)
    })
}

/// The seats to take, ascending, all of them free by `time`.
fn choose(section: &Section, choice: &Choice, time: LogTime) -> Result<Vec<u32>, Refusal> {
    match choice {
        Choice::Seats(wanted) => {
            let taken = wanted.iter().find_map(|number| section.taken(&section.seats[*number as usize - 1], time));
            match taken {
                Some(by) => Err(by),
                None => Ok(wanted.clone()),
            }
        }
        Choice::BestAvailable(count) => {
            let free = section.seats.iter().map(|seat| section.is_free(seat, time));
            match best_available::first_seat(free, *count) {
                Some(first) => Ok((first..first + count).collect()),
                None => {
                    let detail = format!("section {} has no {count} free seats side by side", section.row.name);
                    Err(Refusal::new(Code::NotEnoughAdjacentSeats, detail))
                }
            }
        }
    }
}

/// Records the hold, and the end of those whose run-out holds it takes seats from.
fn take(section: &Section, user_id: UserId, seats: Vec<u32>, at: &Arrival) -> Decision {
    let mut edit = Edit::new(section, at);
    let expired: BTreeSet<ReservationId> =
        seats.iter().filter_map(|number| section.seats[*number as usize - 1].reservation).collect();
    for id in &expired {
        let mut over = section.reservations[id].clone();
        for number in over.seats.iter().filter(|number| seats.binary_search(number).is_err()) {
            edit.seat(*number, SeatStatus::Available, None);
        }
        edit.reservation_only(&mut over, ReservationStatus::Expired);
    }
    let reservation = Reservation {
        id: DerivedId::of(at, 0).into(),
        schedule_id: section.row.schedule_id,
        section: section.row.name.clone(),
        user_id,
        // At most 100 seats of at most 10^12 each: far below the end of an i64.
        amount: section.row.price * seats.len() as i64,
        seats,
        status: ReservationStatus::Held,
        expires_at: at.time.plus_ms(section.row.hold_ttl_ms),
        payment: None,
        held: *at,
        changed: *at,
    };
    let reservation = edit.reservation(reservation, ReservationStatus::Held);
    Decision::succeeded(Success::Held { reservation, expired: expired.into_iter().collect() }, edit.finish())
}

impl Section {
    /// Reservations whose holds have run out by `time`, in the order they did.
    pub(super) fn due(&self, time: LogTime) -> impl Iterator<Item = &Reservation> {
        self.expiries
            .iter()
            .take_while(move |(expires_at, _)| *expires_at <= time)
            .map(|(_, id)| &self.reservations[id])
    }

    /// AVAILABLE, or held by a hold that has run out.
    fn is_free(&self, seat: &Seat, time: LogTime) -> bool {
        match (seat.status, seat.reservation) {
            (SeatStatus::Available, _) => true,
            // Most of the time nothing is due, and a scan over the seats need not look at their reservations.
            (SeatStatus::Held, Some(id)) => {
                self.next_expiry().is_some_and(|first| first <= time) && self.reservations[&id].has_run_out(time)
            }
            _ => false,
        }
    }

    /// The refusal that names who was first, if the seat is not free.
    fn taken(&self, seat: &Seat, time: LogTime) -> Option<Refusal> {
        if self.is_free(seat, time) {
            return None;
        }
        let by = &self.reservations[&seat.reservation?];
        let mut refusal = Refusal::new(Code::SeatTaken, format!("seat {}-{} is taken", seat.section, seat.number));
        refusal.taken = Some(Taken { section: seat.section.clone(), seat: seat.number, by: by.held });
        Some(refusal)
    }
}
