//! The commands of the seats lane.

use crate::domain::command::{
    CancelReservation, Choice, ExpireHolds, HoldSeats, OpenSection, Origin, PayReservation, SettlePayment, Settlement,
};
use crate::domain::section::{HOLD_TTL_MS_MAX, SEATS_MAX, SEATS_PER_HOLD_MAX};
use crate::domain::wallet::AMOUNT_MAX;
use crate::domain::{ScheduleId, SectionName, UserId};
use crate::wire::fields::{DecodeError, Fields, quoted};
use crate::wire::json::Object;

pub(super) fn read_open_section(f: &Fields<'_>) -> Result<OpenSection, DecodeError> {
    Ok(OpenSection {
        schedule_id: f.required("schedule_id")?,
        section: f.required("section")?,
        user_id: f.required("user_id")?,
        seats: f.within("seats", 1, SEATS_MAX)?,
        price: f.within("price", 1, AMOUNT_MAX)?,
        hold_ttl_ms: f.within("hold_ttl_ms", 1, HOLD_TTL_MS_MAX)?,
        max_seats_per_user: f.within("max_seats_per_user", 1, SEATS_PER_HOLD_MAX)?,
        sales_open_at: f.optional("sales_open_at")?,
        starts_at: f.required("starts_at")?,
        queue: f.optional("queue")?.unwrap_or(false),
    })
}

pub(super) fn write_open_section(o: &mut Object<'_>, c: &OpenSection) {
    write_user(o, c.schedule_id, &c.section, &c.user_id);
    o.bare("seats", c.seats).bare("price", c.price).bare("hold_ttl_ms", c.hold_ttl_ms);
    o.bare("max_seats_per_user", c.max_seats_per_user);
    if let Some(at) = c.sales_open_at {
        o.time("sales_open_at", at);
    }
    o.time("starts_at", c.starts_at).bare("queue", c.queue);
}

pub(super) fn read_hold_seats(f: &Fields<'_>) -> Result<HoldSeats, DecodeError> {
    let seats: Option<Vec<u32>> = f.optional("seats")?;
    let best_available = f.optional_within("best_available", 1, SEATS_PER_HOLD_MAX)?;
    let choice = match (seats, best_available) {
        (Some(seats), None) => Choice::Seats(ascending("seats", seats, SEATS_PER_HOLD_MAX as usize)?),
        (None, Some(n)) => Choice::BestAvailable(n),
        _ => return Err(DecodeError::new("exactly one of the fields seats and best_available must be given")),
    };
    Ok(HoldSeats {
        schedule_id: f.required("schedule_id")?,
        section: f.required("section")?,
        user_id: f.required("user_id")?,
        choice,
    })
}

/// Numbers from 1, sorted; none may be there twice.
pub(super) fn ascending<T>(name: &str, mut numbers: Vec<T>, most: usize) -> Result<Vec<T>, DecodeError>
where
    T: Ord + Default + std::fmt::Display,
{
    if !(1..=most).contains(&numbers.len()) {
        return Err(DecodeError::field(name, format_args!("must be 1 to {most} numbers, are {}", numbers.len())));
    }
    numbers.sort_unstable();
    if numbers[0] == T::default() {
        return Err(DecodeError::field(name, "numbers start at 1"));
    }
    match numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(DecodeError::field(name, format_args!("{} is there twice", pair[0]))),
        None => Ok(numbers),
    }
}

pub(super) fn write_hold_seats(o: &mut Object<'_>, c: &HoldSeats) {
    write_user(o, c.schedule_id, &c.section, &c.user_id);
    match &c.choice {
        Choice::Seats(numbers) => o.numbers("seats", numbers),
        Choice::BestAvailable(n) => o.bare("best_available", n),
    };
}

pub(super) fn read_cancel_reservation(f: &Fields<'_>) -> Result<CancelReservation, DecodeError> {
    Ok(CancelReservation {
        schedule_id: f.required("schedule_id")?,
        section: f.required("section")?,
        user_id: f.required("user_id")?,
        reservation_id: f.required("reservation_id")?,
    })
}

pub(super) fn write_cancel_reservation(o: &mut Object<'_>, c: &CancelReservation) {
    write_user(o, c.schedule_id, &c.section, &c.user_id);
    o.plain("reservation_id", c.reservation_id);
}

pub(super) fn read_pay_reservation(f: &Fields<'_>) -> Result<PayReservation, DecodeError> {
    Ok(PayReservation {
        schedule_id: f.required("schedule_id")?,
        section: f.required("section")?,
        user_id: f.required("user_id")?,
        reservation_id: f.required("reservation_id")?,
        amount: f.optional("amount")?,
    })
}

pub(super) fn write_pay_reservation(o: &mut Object<'_>, c: &PayReservation) {
    write_user(o, c.schedule_id, &c.section, &c.user_id);
    o.plain("reservation_id", c.reservation_id);
    if let Some(amount) = c.amount {
        o.bare("amount", amount);
    }
}

pub(super) fn read_settle_payment(f: &Fields<'_>) -> Result<SettlePayment, DecodeError> {
    let s = f.object("settlement")?;
    let within = |error: DecodeError| DecodeError::new(format!("settlement: {error}"));
    let status: String = s.required("status").map_err(within)?;
    let settlement = match status.as_str() {
        "DEBITED" => Settlement::Debited { balance: s.required("balance").map_err(within)? },
        "DECLINED" => Settlement::Declined { code: s.required("code").map_err(within)? },
        "REFUNDED" => Settlement::Refunded { balance: s.required("balance").map_err(within)? },
        other => {
            let reason = format_args!("unknown status {}", quoted(other));
            return Err(DecodeError::field("settlement", reason));
        }
    };
    Ok(SettlePayment { origin: read_origin(&f.object("origin")?)?, user_id: f.required("user_id")?, settlement })
}

pub(super) fn write_settle_payment(o: &mut Object<'_>, c: &SettlePayment) {
    write_origin(o, &c.origin);
    o.plain("user_id", &c.user_id).object("settlement", |s| {
        match c.settlement {
            Settlement::Debited { balance } => s.plain("status", "DEBITED").bare("balance", balance),
            Settlement::Declined { code } => s.plain("status", "DECLINED").plain("code", code.as_str()),
            Settlement::Refunded { balance } => s.plain("status", "REFUNDED").bare("balance", balance),
        };
    });
}

pub(super) fn read_origin(f: &Fields<'_>) -> Result<Origin, DecodeError> {
    let read = || {
        Ok(Origin {
            schedule_id: f.required("schedule_id")?,
            section: f.required("section")?,
            reservation_id: f.required("reservation_id")?,
            payment_id: f.required("payment_id")?,
            request_id: f.required("request_id")?,
        })
    };
    read().map_err(|error: DecodeError| DecodeError::new(format!("origin: {error}")))
}

pub(super) fn write_origin(o: &mut Object<'_>, origin: &Origin) {
    o.object("origin", |o| {
        o.plain("schedule_id", origin.schedule_id).plain("section", &origin.section);
        o.plain("reservation_id", origin.reservation_id).plain("payment_id", origin.payment_id);
        o.plain("request_id", origin.request_id);
    });
}

pub(super) fn read_expire_holds(f: &Fields<'_>) -> Result<ExpireHolds, DecodeError> {
    Ok(ExpireHolds { schedule_id: f.required("schedule_id")?, section: f.required("section")? })
}

pub(super) fn write_expire_holds(o: &mut Object<'_>, c: &ExpireHolds) {
    o.plain("schedule_id", c.schedule_id).plain("section", &c.section);
}

fn write_user(o: &mut Object<'_>, schedule: ScheduleId, section: &SectionName, user: &UserId) {
    o.plain("user_id", user).plain("schedule_id", schedule).plain("section", section);
}
