//! A decision in the making: rows as they will be, each once, and the block's row exact beside them.

use std::collections::BTreeMap;

use super::section::{Section, Touched, weight};
use super::state::Block;
use super::stretches::Place;
use super::{
    BlockRow, Counts, Payment, PaymentState, Remembered, Reply, Reservation, ReservationState, Row, SeatState,
    SectionRow, money, sale,
};
use crate::domain::{
    Arrival, Asking, Body, Completion, Decision, Effects, LogTime, PaymentId, ReservationId, UserId, Verdict, queue,
};

pub(super) struct Draft<'a> {
    block: &'a Block,
    pub(super) at: Arrival,
    pub(super) row: BlockRow,
    sections: Vec<SectionRow>,
    reservations: BTreeMap<ReservationId, Reservation>,
    payments: BTreeMap<PaymentId, Payment>,
    seats: BTreeMap<Place, Touched>,
    pub(super) follow_ups: Vec<Body>,
    /// Companion seats count as ordinary ones from now on; this decision records it.
    companions_recorded: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(block: &'a Block, at: &Arrival) -> Self {
        let mut row = block.row.clone();
        let companions_recorded = row.companions_free_by(at.time) && !row.companions_free();
        if companions_recorded {
            row.counts.free_companions();
        }
        Draft {
            block,
            at: *at,
            row,
            sections: Vec::new(),
            reservations: BTreeMap::new(),
            payments: BTreeMap::new(),
            seats: BTreeMap::new(),
            follow_ups: Vec::new(),
            companions_recorded,
        }
    }

    /// A seat as it will be.
    pub(super) fn seat(&self, place: Place) -> Touched {
        let seat = self.seats.get(&place).or_else(|| self.block.touched(place));
        seat.cloned().unwrap_or_else(|| Touched::new(self.at))
    }

    fn put_seat(&mut self, place: Place, mut seat: Touched) {
        let before = self.seats.get(&place).or_else(|| self.block.touched(place));
        let before = before.map_or(SeatState::Available, |seat| seat.state);
        self.count(place, before, seat.state);
        (seat.changed, seat.lapsed) = (self.at, None);
        self.seats.insert(place, seat);
    }

    fn count(&mut self, place: Place, before: SeatState, after: SeatState) {
        self.row.pending -= u32::from(is_pending(before));
        self.row.pending += u32::from(is_pending(after));
        let [was_free, is_free] = [before, after].map(|state| state == SeatState::Available);
        if was_free == is_free {
            return;
        }
        let layout = self.block.section(place.rank).layout();
        let Counts { free, blocked, companions } =
            weight(layout, place.number, self.row.companions_free_by(self.at.time));
        self.row.counts.change(place.rank, layout.category_of(place.number), |counts| {
            if is_free {
                counts.free += free;
                counts.blocked += blocked;
                counts.companions += companions;
            } else {
                counts.free -= free;
                counts.blocked -= blocked;
                counts.companions -= companions;
            }
        });
    }

    /// Moves a reservation to its next state, its seats along with it. `remembers`: what becomes of a seat's memory.
    fn put(
        &mut self,
        mut next: Reservation,
        state: ReservationState,
        remembers: impl Fn(Option<Remembered>) -> Option<Remembered>,
    ) -> Reservation {
        next.state = state;
        next.changed = self.at;
        let seat_state = seat_state(&next);
        for place in next.seats.iter().filter_map(|seat| self.block.place(seat)) {
            let mut seat = self.seat(place);
            seat.state = seat_state;
            seat.remembered = remembers(seat.remembered.take());
            seat.checked = None;
            self.put_seat(place, seat);
        }
        self.reservations.insert(next.id, next.clone());
        next
    }

    /// A new hold. A seat goes on remembering this user if its first end still runs; `fresh`: it never does.
    pub(super) fn hold(&mut self, reservation: Reservation, fresh: bool) -> Reservation {
        let (user, time) = (reservation.user_id.clone(), self.at.time);
        self.put(reservation, ReservationState::Held, |memory| memory.filter(|m| !fresh && m.runs_for(&user, time)))
    }

    pub(super) fn pay(&mut self, reservation: Reservation, payment: PaymentId) -> Reservation {
        self.put(reservation, ReservationState::Paying(payment), |memory| memory)
    }

    /// Sells the seats, and tells the queue that the user's turn is done.
    pub(super) fn confirm(&mut self, reservation: Reservation, payment: Option<PaymentId>) -> Reservation {
        let serial = self.at.position.offset;
        let sold = self.put(reservation, ReservationState::Confirmed { payment, serial }, |_| None);
        if self.row.queue {
            self.follow_ups.push(Body::Queues(queue::Command::CompleteToken(queue::CompleteToken {
                schedule_id: self.row.key.schedule_id,
                user_id: sold.user_id.clone(),
                paid_at: self.at.time,
            })));
        }
        sold
    }

    /// Ends a hold unpaid: its seats remember the user.
    fn end_unpaid(&mut self, reservation: Reservation, state: ReservationState) -> Reservation {
        let ended = Remembered { user_id: reservation.user_id.clone(), first_end: self.block.end_of(&reservation) };
        self.put(reservation, state, |memory| Some(memory.unwrap_or_else(|| ended.clone())))
    }

    pub(super) fn expire(&mut self, reservation: Reservation) -> Reservation {
        self.end_unpaid(reservation, ReservationState::Expired)
    }

    /// By its user, before payment.
    pub(super) fn give_up(&mut self, reservation: Reservation) -> Reservation {
        self.end_unpaid(reservation, ReservationState::Cancelled { refund: None })
    }

    /// Of what was not paid; not its user's doing.
    pub(super) fn cancel(&mut self, reservation: Reservation) -> Reservation {
        self.put(reservation, ReservationState::Cancelled { refund: None }, |_| None)
    }

    /// Of what was sold for nothing: a refund of 0 needs no wallet.
    pub(super) fn refund_nothing(&mut self, reservation: Reservation) -> Reservation {
        self.put(reservation, ReservationState::Refunded { payment: None }, |_| None)
    }

    /// After a declined payment: the hold goes on if its time has not run out.
    pub(super) fn unpaid(&mut self, reservation: Reservation) -> Reservation {
        if self.block.end_of(&reservation) > self.at.time {
            self.put(reservation, ReservationState::Held, |memory| memory)
        } else {
            self.expire(reservation)
        }
    }

    /// Frees the seats of what was paid and asks the wallet to take the money back. `asking`: who waits for it; `None`:
    /// the show was cancelled.
    pub(super) fn refund(&mut self, reservation: Reservation, payment: Payment, asking: Option<Asking>) -> Reservation {
        let cancelled = self.put(reservation, ReservationState::Cancelled { refund: Some(payment.id) }, |_| None);
        let waiting = money::waiting(&self.row.terms, self.at.time);
        self.row.refunds_due += u32::from(asking.is_none());
        let payment = self.payment(payment, PaymentState::Refunding { asking: asking.clone(), waiting });
        self.follow_ups.push(money::credit(&payment, asking));
        cancelled
    }

    /// The money is back. The seats are free since the cancellation and may be others' by now.
    pub(super) fn refunded(&mut self, mut reservation: Reservation, payment: PaymentId) -> Reservation {
        reservation.state = ReservationState::Refunded { payment: Some(payment) };
        reservation.changed = self.at;
        self.reservations.insert(reservation.id, reservation.clone());
        reservation
    }

    pub(super) fn payment(&mut self, mut next: Payment, state: PaymentState) -> Payment {
        next.state = state;
        next.changed = self.at;
        self.payments.insert(next.id, next.clone());
        next
    }

    /// Admits the holder of a sold seat.
    pub(super) fn check(&mut self, place: Place) {
        let seat = Touched { checked: Some(self.at), ..self.seat(place) };
        self.put_seat(place, seat);
    }

    /// A section as it will be, counted anew. Only where no seat changes in the same decision.
    pub(super) fn section(&mut self, row: SectionRow) {
        debug_assert!(self.seats.is_empty());
        let free = self.row.companions_free_by(self.at.time);
        let counts = count(&row, self.block.sections.get(row.rank as usize), free);
        self.row.counts.put(row.rank, counts);
        self.sections.push(row);
    }

    /// Whether this decision has changed the reservation already.
    pub(super) fn has(&self, id: ReservationId) -> bool {
        self.reservations.contains_key(&id)
    }

    /// Rows that have changed so far, the block's own aside.
    pub(super) fn changed_rows(&self) -> usize {
        self.sections.len() + self.reservations.len() + self.payments.len() + self.seats.len()
    }

    /// Whether there is anything to record besides when the block is due.
    pub(super) fn is_empty(&self) -> bool {
        self.changed_rows() == 0 && !self.companions_recorded && self.row == self.block.row
    }

    pub(super) fn succeeded(self, reply: Reply) -> Decision<Block> {
        self.decided(Verdict::Decided(Ok(reply.into())))
    }

    /// Decides the command, and an earlier request that waits for it.
    pub(super) fn completed(self, reply: Reply, completes: Option<Completion>) -> Decision<Block> {
        Decision { completes, ..self.succeeded(reply) }
    }

    pub(super) fn decided(mut self, verdict: Verdict) -> Decision<Block> {
        self.check_seats();
        self.row.due_at = self.due_at();
        let note = sale::note(&mut self.row, &self.at);
        self.follow_ups.extend(note);
        let mut changes = Vec::with_capacity(self.changed_rows() + 1);
        if self.row != self.block.row || self.companions_recorded {
            self.row.changed = self.at;
            changes.push(Row::Block(self.row));
        }
        changes.extend(self.sections.into_iter().map(Row::Section));
        changes.extend(self.reservations.into_values().map(Row::Reservation));
        changes.extend(self.payments.into_values().map(Row::Payment));
        let block = self.block;
        let seats = self.seats.iter();
        changes.extend(seats.map(|(place, seat)| Row::Seat(block.section(place.rank).seat(place.number, seat))));
        let effects = Effects::default();
        Decision { verdict, effects, changes, follow_ups: self.follow_ups, completes: None }
    }

    /// When the block needs a record of its own next.
    fn due_at(&self) -> Option<LogTime> {
        let ask = self.block.asks.iter().find(|(_, id)| !self.payments.contains_key(id)).map(|(ask_at, _)| *ask_at);
        let new_asks = self.payments.values().filter_map(|payment| payment.state.waiting()).map(|w| w.ask_at);
        // At once: the time of the cancellation, which stays the same however often the row is written.
        let sweep = self.row.cancelled.filter(|_| !self.row.sweep_done).map(|cancelled| cancelled.time);
        let companions = self.row.terms.companions_free_at.filter(|at| *at > self.at.time);
        let due = [self.first_end(), ask, sweep, companions];
        due.into_iter().flatten().chain(new_asks).min()
    }

    fn first_end(&self) -> Option<LogTime> {
        let starts_at = self.row.terms.starts_at;
        let mut kept = self.block.holds.iter().filter(|(_, id)| !self.reservations.contains_key(id));
        let kept = if starts_at == self.block.row.terms.starts_at {
            kept.next().map(|(end, _)| *end)
        } else {
            kept.filter_map(|(_, id)| self.block.reservation(*id)).map(|r| r.expires_at.min(starts_at)).min()
        };
        let new = self.reservations.values().filter(|r| r.state == ReservationState::Held);
        new.map(|r| r.expires_at.min(starts_at)).chain(kept).min()
    }

    /// A reservation has its seats exactly while it is live.
    fn check_seats(&self) {
        let has_its_seats = |reservation: &Reservation| {
            let mut places = reservation.seats.iter().filter_map(|seat| self.block.place(seat));
            if reservation.state.is_live() {
                places.all(|place| self.seat(place).state == seat_state(reservation))
            } else {
                places.all(|place| self.seat(place).state.reservation() != Some(reservation.id))
            }
        };
        debug_assert!(self.reservations.values().all(has_its_seats), "a reservation and its seats differ");
    }
}

impl Remembered {
    /// It is this user's, and the first end has not come yet.
    pub(super) fn runs_for(&self, user: &UserId, time: LogTime) -> bool {
        self.user_id == *user && self.first_end > time
    }
}

fn is_pending(state: SeatState) -> bool {
    matches!(state, SeatState::Held(_) | SeatState::Paying(_))
}

/// What a reservation's seats are.
fn seat_state(reservation: &Reservation) -> SeatState {
    match reservation.state {
        ReservationState::Held => SeatState::Held(reservation.id),
        ReservationState::Paying(_) => SeatState::Paying(reservation.id),
        ReservationState::Confirmed { .. } => SeatState::Sold(reservation.id),
        ReservationState::Expired | ReservationState::Cancelled { .. } | ReservationState::Refunded { .. } => {
            SeatState::Available
        }
    }
}

/// Free seats by category of a section under this row, whose seats so far are as `section` has them.
pub(super) fn count(row: &SectionRow, section: Option<&Section>, companions_free: bool) -> Vec<Counts> {
    let mut counts = vec![Counts::default(); row.layout.categories().len()];
    let free = |number: u32| {
        let known = section.filter(|section| number <= section.layout().seats());
        let touched = known.and_then(|section| section.touched(number));
        touched.is_none_or(|seat| seat.state == SeatState::Available)
    };
    for number in (1..=row.layout.seats()).filter(|number| free(*number)) {
        let Counts { free, blocked, companions } = weight(&row.layout, number, companions_free);
        let sum = &mut counts[row.layout.category_of(number)];
        sum.free += free;
        sum.blocked += blocked;
        sum.companions += companions;
    }
    counts
}
