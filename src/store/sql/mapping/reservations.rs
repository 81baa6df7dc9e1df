//! Reservations and payments.

use super::seats::key;
use crate::domain::block::{
    Payment, PaymentState, PaymentStatus, Reservation, ReservationState, ReservationStatus, Waiting,
};
use crate::domain::{Asking, Fingerprint, Lane, PaymentId, RequestId, ReservationId};
use crate::store::StoreError;
use crate::store::sql::cells::{Cells, corrupt};
use crate::store::sql::json;
use crate::store::sql::names::Names;
use crate::store::sql::value::{
    Value, arrival, bits, int, optional_text, optional_time, owned, signed, text, time, uuid,
};

type Result<T> = std::result::Result<T, StoreError>;

const HELD: [&str; 3] = ["held_partition", "held_offset", "held_at"];
const ASKING: [&str; 3] = ["asking_request", "asking_fingerprint", "asking_by"];
const REFUND: [&str; 3] = ["refund_request", "refund_fingerprint", "refund_by"];

pub fn reservation_values(row: &Reservation) -> Result<[Value<'_>; 17]> {
    let Reservation { id, key: of, user_id, by, seats, amount, state, expires_at, held, changed } = row;
    let serial = match state {
        ReservationState::Confirmed { serial, .. } => int(*serial)?,
        _ => Value::Int(None),
    };
    let [schedule_id, block] = key(of);
    let [held_partition, held_offset, held_at] = arrival(held)?;
    let [changed_partition, changed_offset, changed_at] = arrival(changed)?;
    Ok([
        uuid(id.0),
        schedule_id,
        block,
        text(user_id.as_str()),
        optional_text(by.as_ref().map(|by| by.as_str())),
        owned(json::seats(seats)),
        signed(amount.get()),
        text(state.status().as_str()),
        time(*expires_at),
        Value::Uuid(state.payment().map(|id| id.0)),
        serial,
        held_partition,
        held_offset,
        held_at,
        changed_partition,
        changed_offset,
        changed_at,
    ])
}

fn reservation_state(row: &impl Cells) -> Result<ReservationState> {
    let payment = row.optional_uuid("payment_id")?.map(PaymentId);
    match (row.parsed("status")?, payment) {
        (ReservationStatus::Held, None) => Ok(ReservationState::Held),
        (ReservationStatus::Paying, Some(id)) => Ok(ReservationState::Paying(id)),
        (ReservationStatus::Confirmed, payment) => {
            Ok(ReservationState::Confirmed { payment, serial: row.int("serial")? })
        }
        (ReservationStatus::Expired, None) => Ok(ReservationState::Expired),
        (ReservationStatus::Cancelled, refund) => Ok(ReservationState::Cancelled { refund }),
        (ReservationStatus::Refunded, payment) => Ok(ReservationState::Refunded { payment }),
        (status, _) => Err(corrupt("payment_id", format!("it does not fit {status}"))),
    }
}

pub fn reservation(row: &impl Cells, names: &mut Names) -> Result<Reservation> {
    Ok(Reservation {
        id: ReservationId(row.uuid("id")?),
        key: names.block(row)?,
        user_id: row.parsed("user_id")?,
        by: row.optional_parsed("by_user")?,
        seats: json::parse_seats(row.text("seats")?, names)?,
        amount: row.amount()?,
        state: reservation_state(row)?,
        expires_at: row.time("expires_at")?,
        held: row.arrival(Lane::Seats, HELD)?,
        changed: row.changed(Lane::Seats)?,
    })
}

fn asking_values(asking: Option<&Asking>) -> [Value<'_>; 3] {
    let Some(Asking { request_id, fingerprint, by }) = asking else {
        return [Value::Uuid(None), Value::Int(None), Value::Text(None)];
    };
    [uuid(request_id.0), bits(fingerprint.0), optional_text(by.as_ref().map(|by| by.as_str()))]
}

/// `None` where the request is null.
fn asking(row: &impl Cells, [request, fingerprint, by]: [&str; 3]) -> Result<Option<Asking>> {
    let Some(request_id) = row.optional_uuid(request)?.map(RequestId) else { return Ok(None) };
    let (fingerprint, by) = (Fingerprint(row.hash(fingerprint)?), row.optional_parsed(by)?);
    Ok(Some(Asking { request_id, fingerprint, by }))
}

pub fn payment_values(row: &Payment) -> Result<[Value<'_>; 20]> {
    let Payment { id, key: of, reservation_id, user_id, amount, state, asking, created_at, changed } = row;
    let failure = if let PaymentState::Failed(code) = state { Some(code.as_str()) } else { None };
    let refund = if let PaymentState::Refunding { asking, .. } = state { asking.as_ref() } else { None };
    let waiting = state.waiting();
    let [schedule_id, block] = key(of);
    let [asking_request, asking_fingerprint, asking_by] = asking_values(Some(asking));
    let [refund_request, refund_fingerprint, refund_by] = asking_values(refund);
    let [changed_partition, changed_offset, changed_at] = arrival(changed)?;
    Ok([
        uuid(id.0),
        schedule_id,
        block,
        uuid(reservation_id.0),
        text(user_id.as_str()),
        signed(amount.get()),
        text(state.status().as_str()),
        optional_text(failure),
        asking_request,
        asking_fingerprint,
        asking_by,
        refund_request,
        refund_fingerprint,
        refund_by,
        optional_time(waiting.map(|waiting| waiting.ask_at)),
        Value::Int(waiting.map(|waiting| waiting.interval_ms)),
        time(*created_at),
        changed_partition,
        changed_offset,
        changed_at,
    ])
}

fn payment_state(row: &impl Cells) -> Result<PaymentState> {
    let waiting = match row.optional_time("ask_at")? {
        None => None,
        Some(ask_at) => Some(Waiting { ask_at, interval_ms: row.signed("ask_interval_ms")? }),
    };
    match (row.parsed("status")?, waiting) {
        (PaymentStatus::Pending, Some(waiting)) => Ok(PaymentState::Pending(waiting)),
        (PaymentStatus::Completed, None) => Ok(PaymentState::Completed),
        (PaymentStatus::Completed, Some(waiting)) => {
            Ok(PaymentState::Refunding { asking: asking(row, REFUND)?, waiting })
        }
        (PaymentStatus::Failed, None) => Ok(PaymentState::Failed(row.parsed("failure")?)),
        (PaymentStatus::Refunded, None) => Ok(PaymentState::Refunded),
        (status, _) => Err(corrupt("ask_at", format!("it does not fit {status}"))),
    }
}

pub fn payment(row: &impl Cells, names: &mut Names) -> Result<Payment> {
    Ok(Payment {
        id: PaymentId(row.uuid("id")?),
        key: names.block(row)?,
        reservation_id: ReservationId(row.uuid("reservation_id")?),
        user_id: row.parsed("user_id")?,
        amount: row.amount()?,
        state: payment_state(row)?,
        asking: asking(row, ASKING)?.ok_or_else(|| corrupt(ASKING[0], "it is null"))?,
        created_at: row.time("created_at")?,
        changed: row.changed(Lane::Seats)?,
    })
}
