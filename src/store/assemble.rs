//! From rows to aggregates, the same for every store.

use std::collections::BTreeMap;

use super::StoreError;
use crate::domain::section::{Payment, Reservation, Seat, Section, SectionRow};
use crate::domain::{PaymentId, ScheduleId, SectionName};

/// The parts of one section.
#[derive(Default)]
struct Parts {
    seats: Vec<Seat>,
    reservations: Vec<Reservation>,
    payments: Vec<Payment>,
}

/// Puts together sections from their rows: all seats of each, its unfinished reservations, and the unfinished payments
/// those name. Seats must come in order of number within a section; a section whose seats are not exactly 1..=n is corrupt.
pub(crate) fn sections(
    rows: Vec<SectionRow>,
    seats: Vec<Seat>,
    reservations: Vec<Reservation>,
    payments: Vec<Payment>,
) -> Result<Vec<Section>, StoreError> {
    let mut parts: BTreeMap<(ScheduleId, SectionName), Parts> = BTreeMap::new();
    let mut payments: BTreeMap<PaymentId, Payment> = payments.into_iter().map(|p| (p.id, p)).collect();
    for seat in seats {
        parts.entry((seat.schedule_id, seat.section.clone())).or_default().seats.push(seat);
    }
    for reservation in reservations {
        let of = parts.entry((reservation.schedule_id, reservation.section.clone())).or_default();
        of.payments.extend(reservation.payment.and_then(|id| payments.remove(&id)));
        of.reservations.push(reservation);
    }
    rows.into_iter()
        .map(|row| {
            let of = parts.remove(&(row.schedule_id, row.name.clone())).unwrap_or_default();
            let numbered = of.seats.iter().zip(1..).all(|(seat, number)| seat.number == number);
            if of.seats.len() != row.seats as usize || !numbered {
                let reason = format!("section {}/{} does not have its {} seats", row.schedule_id, row.name, row.seats);
                return Err(StoreError::Failed(reason));
            }
            Ok(Section::load(row, of.seats, of.reservations, of.payments))
        })
        .collect()
}
