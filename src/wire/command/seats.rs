//! The commands of the seats lane, and their results.

use super::{opening, origin};
use crate::domain::block::{
    BestAvailable, CancelReservation, CheckTicket, Choice, Command, HoldSeats, PayReservation, Reply, Reservation,
    SEATS_PER_HOLD_MAX, SettlePayment, Settlement,
};
use crate::domain::{CategoryName, CommandKind, SeatId, SectionName};
use crate::wire::fields::{DecodeError, Fields, ascending, no_reader, quoted};
use crate::wire::json::Object;
use crate::wire::key;
use crate::wire::values::OFFSET_MAX;

pub(super) fn write(o: &mut Object<'_>, command: &Command) {
    match command {
        Command::OpenBlock(c) => opening::write_open_block(o, c),
        Command::AmendBlock(c) => opening::write_amend_block(o, c),
        Command::HoldSeats(c) => write_hold_seats(o, c),
        Command::CancelReservation(c) => {
            key::write(o, &c.key);
            o.plain("reservation_id", c.reservation_id);
        }
        Command::PayReservation(c) => {
            key::write(o, &c.key);
            o.plain("reservation_id", c.reservation_id).bare_if("amount", c.amount);
        }
        Command::SettlePayment(c) => write_settle_payment(o, c),
        Command::ExpireHolds(block) => key::write(o, block),
        Command::CheckTicket(c) => {
            key::write(o, &c.key);
            o.plain("reservation_id", c.reservation_id).seat("seat", &c.seat).bare("serial", c.serial);
        }
    }
}

/// The readers of this lane.
pub(super) fn read(kind: CommandKind, f: &Fields<'_>) -> Result<Command, DecodeError> {
    Ok(match kind {
        CommandKind::OpenBlock => Command::OpenBlock(opening::read_open_block(f)?),
        CommandKind::AmendBlock => Command::AmendBlock(opening::read_amend_block(f)?),
        CommandKind::HoldSeats => Command::HoldSeats(read_hold_seats(f)?),
        CommandKind::CancelReservation => Command::CancelReservation(read_cancel_reservation(f)?),
        CommandKind::PayReservation => Command::PayReservation(read_pay_reservation(f)?),
        CommandKind::SettlePayment => Command::SettlePayment(read_settle_payment(f)?),
        CommandKind::ExpireHolds => Command::ExpireHolds(key::read(f)?),
        CommandKind::CheckTicket => Command::CheckTicket(read_check_ticket(f)?),
        other => return Err(no_reader(other)),
    })
}

fn read_hold_seats(f: &Fields<'_>) -> Result<HoldSeats, DecodeError> {
    Ok(HoldSeats {
        key: key::read(f)?,
        user_id: f.required("user_id")?,
        choice: read_choice(f)?,
        admitted: f.optional("admitted")?.unwrap_or(false),
    })
}

fn read_choice(f: &Fields<'_>) -> Result<Choice, DecodeError> {
    let seats: Option<Vec<SeatId>> = f.list("seats", 1..=SEATS_PER_HOLD_MAX as usize)?;
    let count = f.optional_within("best_available", 1..=SEATS_PER_HOLD_MAX)?;
    let (section, category) = (f.optional("section")?, f.optional("category")?);
    match (seats, count) {
        (Some(seats), None) if section.is_none() && category.is_none() => Ok(Choice::Seats(ascending("seats", seats)?)),
        (Some(_), None) => Err(DecodeError::new("fields section and category may be given with best_available only")),
        (None, Some(count)) => Ok(Choice::BestAvailable(BestAvailable { count, section, category })),
        _ => Err(DecodeError::new("exactly one of the fields seats and best_available must be given")),
    }
}

fn write_hold_seats(o: &mut Object<'_>, c: &HoldSeats) {
    key::write(o, &c.key);
    match &c.choice {
        Choice::Seats(seats) => o.seats("seats", seats),
        Choice::BestAvailable(best) => o
            .bare("best_available", best.count)
            .text_if("section", best.section.as_ref().map(SectionName::as_str))
            .text_if("category", best.category.as_ref().map(CategoryName::as_str)),
    };
}

fn read_cancel_reservation(f: &Fields<'_>) -> Result<CancelReservation, DecodeError> {
    Ok(CancelReservation {
        key: key::read(f)?,
        user_id: f.required("user_id")?,
        reservation_id: f.required("reservation_id")?,
    })
}

fn read_pay_reservation(f: &Fields<'_>) -> Result<PayReservation, DecodeError> {
    Ok(PayReservation {
        key: key::read(f)?,
        user_id: f.required("user_id")?,
        reservation_id: f.required("reservation_id")?,
        amount: f.optional("amount")?,
    })
}

fn read_check_ticket(f: &Fields<'_>) -> Result<CheckTicket, DecodeError> {
    Ok(CheckTicket {
        key: key::read(f)?,
        user_id: f.required("user_id")?,
        reservation_id: f.required("reservation_id")?,
        seat: f.required("seat")?,
        serial: f.within("serial", 0..=OFFSET_MAX)?,
    })
}

fn read_settle_payment(f: &Fields<'_>) -> Result<SettlePayment, DecodeError> {
    Ok(SettlePayment {
        origin: f.object("origin", origin::read)?,
        user_id: f.required("user_id")?,
        amount: f.required("amount")?,
        settlement: f.object("settlement", read_settlement)?,
    })
}

fn read_settlement(f: &Fields<'_>) -> Result<Settlement, DecodeError> {
    let status: String = f.required("status")?;
    Ok(match status.as_str() {
        "DEBITED" => Settlement::Debited { balance: f.required("balance")? },
        "DECLINED" => Settlement::DebitDeclined { code: f.required("code")? },
        "REFUNDED" => Settlement::Refunded { balance: f.required("balance")? },
        "REFUND_DECLINED" => Settlement::RefundDeclined { code: f.required("code")? },
        other => return Err(DecodeError::field("status", format_args!("unknown: {}", quoted(other)))),
    })
}

fn write_settle_payment(o: &mut Object<'_>, c: &SettlePayment) {
    o.bare("amount", c.amount).object("settlement", |s| {
        match c.settlement {
            Settlement::Debited { balance } => s.plain("status", "DEBITED").bare("balance", balance),
            Settlement::DebitDeclined { code } => s.plain("status", "DECLINED").plain("code", code),
            Settlement::Refunded { balance } => s.plain("status", "REFUNDED").bare("balance", balance),
            Settlement::RefundDeclined { code } => s.plain("status", "REFUND_DECLINED").plain("code", code),
        };
    });
    origin::write(o, &c.origin);
}

/// The result of a success.
pub(in crate::wire) fn write_result(o: &mut Object<'_>, reply: &Reply) {
    match reply {
        Reply::BlockOpened { key, sections, seats } => {
            key::write(o, key);
            o.bare("sections", sections).bare("seats", seats);
        }
        Reply::BlockAmended { key, sections, seats, cancelled } => {
            key::write(o, key);
            o.bare("sections", sections).bare("seats", seats).bare("cancelled", cancelled);
        }
        Reply::Held { reservation, expires_at } => {
            write_reservation(o, reservation);
            o.time("expires_at", *expires_at);
        }
        Reply::Cancelled(reservation) => write_reservation(o, reservation),
        Reply::Refunded { reservation, balance } => {
            write_reservation(o, reservation);
            o.bare("balance", balance);
        }
        Reply::PaymentCompleted { payment, balance } => {
            o.plain("payment_id", payment.id).plain("reservation_id", payment.reservation_id);
            o.bare("amount", payment.amount).plain("status", payment.state.status()).bare_if("balance", *balance);
        }
        // What a payment hands back, without a payment: who pays reads one object.
        Reply::Confirmed(reservation) => {
            o.plain("reservation_id", reservation.id).bare("amount", reservation.amount).plain("status", "COMPLETED");
        }
        Reply::Settled(reservation) => {
            write_reservation(o, reservation);
            o.time("expires_at", reservation.expires_at);
        }
        Reply::HoldsExpired { key, reservations, seats, refunds, asked } => {
            key::write(o, key);
            o.plains("reservations", reservations).seats("seats", seats).bare("refunds", refunds).bare("asked", asked);
        }
        Reply::TicketChecked { key, reservation_id, seat, admitted_at } => {
            key::write(o, key);
            o.plain("reservation_id", reservation_id).seat("seat", seat).time("admitted_at", *admitted_at);
        }
    }
}

fn write_reservation(o: &mut Object<'_>, reservation: &Reservation) {
    o.plain("reservation_id", reservation.id);
    key::write(o, &reservation.key);
    o.seats("seats", &reservation.seats);
    o.bare("amount", reservation.amount).plain("status", reservation.state.status());
}
