//! Who has which seat of one block, until when, and what was paid.

use std::collections::BTreeMap;

use turnstile::domain::block::OpenBlock;
use turnstile::domain::{Arrival, LogTime, RequestId, SeatId};

use super::FollowUp;
use super::hall::Hall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Held,
    Paying,
    Confirmed,
    Expired,
    Cancelled,
    Refunding,
    Refunded,
}

impl Stage {
    pub fn has_seats(self) -> bool {
        matches!(self, Stage::Held | Stage::Paying | Stage::Confirmed)
    }
}

#[derive(Debug, Clone)]
pub struct Booking {
    pub user: String,
    pub by: Option<String>,
    pub seats: Vec<SeatId>,
    pub amount: i64,
    pub stage: Stage,
    pub expires_at: LogTime,
    pub held: Arrival,
    /// The payment under way or done, once it is known.
    pub payment: Option<String>,
    /// Who waits for the refund.
    pub refund_for: Option<RequestId>,
    /// When the wallet is asked again, and the wait after that, while money is on its way.
    pub ask: Option<(LogTime, i64)>,
    /// Offset of the confirmation.
    pub serial: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub struct Seat {
    pub booking: Option<String>,
    /// The last user who held it unpaid, and when the first of their unbroken holds ends.
    pub remembered: Option<(String, LogTime)>,
    pub checked: Option<Arrival>,
}

pub struct Block {
    pub opened: OpenBlock,
    pub hall: Hall,
    pub seats: BTreeMap<SeatId, Seat>,
    pub bookings: BTreeMap<String, Booking>,
    pub cancelled: bool,
    pub swept: bool,
    pub refunds_due: u32,
    pub refunds_done: u32,
    /// State, opening and start as the queue last heard them.
    noted: Option<(&'static str, Option<LogTime>, LogTime)>,
    pub noted_at: Option<u64>,
}

impl Block {
    pub fn new(opened: &OpenBlock) -> Block {
        Block {
            opened: opened.clone(),
            hall: Hall::new(&opened.terms, &opened.sections),
            seats: BTreeMap::new(),
            bookings: BTreeMap::new(),
            cancelled: false,
            swept: false,
            refunds_due: 0,
            refunds_done: 0,
            noted: None,
            noted_at: None,
        }
    }

    pub fn seat(&self, seat: &SeatId) -> Seat {
        self.seats.get(seat).cloned().unwrap_or_default()
    }

    pub fn booking(&self, id: &str) -> Result<&Booking, String> {
        self.bookings.get(id).ok_or_else(|| format!("there is no booking {id}"))
    }

    /// When a hold ends.
    pub fn end_of(&self, booking: &Booking) -> LogTime {
        booking.expires_at.min(self.hall.terms.starts_at)
    }

    pub fn has_run_out(&self, booking: &Booking, time: LogTime) -> bool {
        booking.stage == Stage::Held && self.end_of(booking) <= time
    }

    /// The booking that has this seat and has not run out.
    pub fn taken_by(&self, seat: &SeatId, time: LogTime) -> Option<&Booking> {
        let booking = self.bookings.get(self.seats.get(seat)?.booking.as_ref()?)?;
        (!self.has_run_out(booking, time)).then_some(booking)
    }

    /// Which user the seat remembers while it is free.
    pub fn memory(&self, seat: &SeatId) -> Option<(String, LogTime)> {
        let seat = self.seats.get(seat)?;
        let holder = || {
            let booking = self.bookings.get(seat.booking.as_ref()?)?;
            (booking.stage == Stage::Held).then(|| (booking.user.clone(), self.end_of(booking)))
        };
        seat.remembered.clone().or_else(holder)
    }

    /// Live seats of a user, but for holds that have run out.
    pub fn seats_of(&self, user: &str, time: LogTime) -> usize {
        let live = self.bookings.values().filter(|booking| booking.user == user && booking.stage.has_seats());
        live.filter(|booking| !self.has_run_out(booking, time)).map(|booking| booking.seats.len()).sum()
    }

    /// Moves a booking on; all its seats stay.
    pub fn advance(&mut self, id: &str, from: Stage, to: Stage) -> Result<(), String> {
        let booking = self.bookings.get_mut(id).ok_or_else(|| format!("there is no booking {id}"))?;
        if booking.stage != from {
            return Err(format!("booking {id} is {:?}, not {from:?}", booking.stage));
        }
        booking.stage = to;
        Ok(())
    }

    /// Ends a booking. `unpaid`: by its user or by time, so that the seats remember it.
    pub fn end(&mut self, id: &str, to: Stage, unpaid: bool) -> Result<(), String> {
        let booking = self.booking(id)?.clone();
        let end = self.end_of(&booking);
        for seat in &booking.seats {
            let seat = self.seats.entry(seat.clone()).or_default();
            if seat.booking.as_deref() != Some(id) {
                return Err(format!("booking {id} does not have its seats"));
            }
            seat.booking = None;
            seat.checked = None;
            seat.remembered = if unpaid { seat.remembered.take().or(Some((booking.user.clone(), end))) } else { None };
        }
        self.advance(id, booking.stage, to)
    }

    /// Takes a sold booking back and asks for the money.
    pub fn refund(&mut self, id: &str, time: LogTime, asked_by: Option<RequestId>) -> Result<FollowUp, String> {
        self.end(id, Stage::Refunding, false)?;
        self.refunds_due += u32::from(asked_by.is_none());
        let ask = self.first_ask(time);
        let booking = self.bookings.get_mut(id).expect("it has just been ended");
        (booking.refund_for, booking.ask) = (asked_by, Some(ask));
        Ok(FollowUp::Credit {
            payment: booking.payment.clone().ok_or_else(|| format!("booking {id} was not paid"))?,
            reservation: id.to_owned(),
            user: booking.user.clone(),
            amount: booking.amount,
            asked_by,
        })
    }

    pub fn first_ask(&self, time: LogTime) -> (LogTime, i64) {
        let timeout_ms = self.hall.terms.payment_timeout_ms;
        (time.plus_ms(timeout_ms), (2 * timeout_ms).min(3_600_000))
    }

    fn seats_in(&self, stages: [Stage; 2]) -> usize {
        let of = self.bookings.values().filter(|booking| stages.contains(&booking.stage));
        of.map(|booking| booking.seats.len()).sum()
    }

    pub fn pending(&self) -> usize {
        self.seats_in([Stage::Held, Stage::Paying])
    }

    /// Whether seats can be bought.
    pub fn sale_state(&self, time: LogTime) -> &'static str {
        let companions_free = self.hall.companions_free(time);
        let mut places = self.hall.sections.iter().flat_map(|section| {
            let name = &section.name;
            (1..)
                .zip(&section.places)
                .map(move |(number, place)| (SeatId { section: name.parse().expect("a section name"), number }, place))
        });
        let open = places.any(|(id, place)| {
            place.for_sale && (companions_free || place.companion_of.is_none()) && self.seat(&id).booking.is_none()
        });
        match () {
            () if self.cancelled => "cancelled",
            () if open => "open",
            () if self.pending() > 0 => "all_held",
            () => "sold_out",
        }
    }

    /// What the queue must hear after a decision that changed something.
    pub fn note(&mut self, at: &Arrival) -> Option<FollowUp> {
        let terms = &self.hall.terms;
        let note = (self.sale_state(at.time), terms.sales_open_at, terms.starts_at);
        if !self.opened.queue || self.noted == Some(note) {
            return None;
        }
        (self.noted, self.noted_at) = (Some(note), Some(at.position.offset));
        let (state, opens, starts) = note;
        Some(FollowUp::Note {
            schedule: self.opened.key.schedule_id.to_string(),
            block: self.opened.key.block.to_string(),
            offset: at.position.offset,
            state,
            opens,
            starts,
        })
    }
}
