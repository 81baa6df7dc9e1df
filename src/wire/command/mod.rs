//! Commands as JSON records: `{"type":…,"version":1,"request_id":…,…}`, one flat object each.

mod queues;
mod seats;
mod wallets;

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::fields::{DecodeError, Field, Fields, quoted};
use super::json::Object;
use crate::domain::{Body, Command};

pub use queues::SEEN_MAX;
pub(super) use queues::write_limits;
pub use wallets::check_reason;

/// Longest record value of a command, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// The one version of every command's fields.
pub const VERSION: u32 = 1;

/// The record value of a command. Never longer than [`RECORD_BYTES_MAX`] for a command that keeps the domain's limits,
/// except a [`crate::domain::command::Seen`] of many long sequence numbers.
pub fn encode(command: &Command) -> Vec<u8> {
    let mut out = String::with_capacity(320);
    Object::write(&mut out, |o| {
        o.plain("type", command.body.name()).bare("version", VERSION).plain("request_id", command.request_id);
        write_fields(o, &command.body);
    });
    out.into_bytes()
}

/// Reads a record value. The error says what is wrong in words for whoever sent it.
pub fn decode(value: &[u8]) -> Result<Command, DecodeError> {
    if value.len() > RECORD_BYTES_MAX {
        return Err(DecodeError(format!("{} bytes, at most {RECORD_BYTES_MAX} are allowed", value.len()).into()));
    }
    let fields = Fields::parse(value)?;
    let kind: Name = fields.required("type")?;
    let read = reader(&kind.0).ok_or_else(|| DecodeError(format!("unknown type {}", quoted(&kind.0)).into()))?;
    let version: u32 = fields.required("version")?;
    if version != VERSION {
        return Err(DecodeError(format!("unknown version {version} of {}", kind.0).into()));
    }
    Ok(Command { request_id: fields.required("request_id")?, body: read(&fields)? })
}

/// Hash of what a command asks, without its request id: tells a repeat from another command under the same id. Stored,
/// so it must stay the same for the same content.
pub fn fingerprint(body: &Body) -> u64 {
    let mut out = String::with_capacity(320);
    Object::write(&mut out, |o| {
        o.plain("type", body.name());
        write_fields(o, body);
    });
    xxh3_64(out.as_bytes())
}

struct Name(String);

impl Field for Name {
    fn read(json: &str) -> Result<Self, Cow<'static, str>> {
        String::read(json).map(Name)
    }
}

type Reader = fn(&Fields<'_>) -> Result<Body, DecodeError>;

fn reader(kind: &str) -> Option<Reader> {
    Some(match kind {
        "open_section" => |f| seats::read_open_section(f).map(Body::OpenSection),
        "hold_seats" => |f| seats::read_hold_seats(f).map(Body::HoldSeats),
        "cancel_reservation" => |f| seats::read_cancel_reservation(f).map(Body::CancelReservation),
        "pay_reservation" => |f| seats::read_pay_reservation(f).map(Body::PayReservation),
        "settle_payment" => |f| seats::read_settle_payment(f).map(Body::SettlePayment),
        "expire_holds" => |f| seats::read_expire_holds(f).map(Body::ExpireHolds),
        "charge_wallet" => |f| wallets::read_charge_wallet(f).map(Body::ChargeWallet),
        "debit_wallet" => |f| wallets::read_debit_wallet(f).map(Body::DebitWallet),
        "credit_wallet" => |f| wallets::read_credit_wallet(f).map(Body::CreditWallet),
        "open_queue" => |f| queues::read_open_queue(f).map(Body::OpenQueue),
        "configure_queue" => |f| queues::read_configure_queue(f).map(Body::ConfigureQueue),
        "join_queue" => |f| queues::read_join_queue(f).map(Body::JoinQueue),
        "leave_queue" => |f| queues::read_leave_queue(f).map(Body::LeaveQueue),
        "seen" => |f| queues::read_seen(f).map(Body::Seen),
        "complete_token" => |f| queues::read_complete_token(f).map(Body::CompleteToken),
        "tick" => |f| queues::read_tick(f).map(Body::Tick),
        _ => return None,
    })
}

fn write_fields(o: &mut Object<'_>, body: &Body) {
    match body {
        Body::OpenSection(c) => seats::write_open_section(o, c),
        Body::HoldSeats(c) => seats::write_hold_seats(o, c),
        Body::CancelReservation(c) => seats::write_cancel_reservation(o, c),
        Body::PayReservation(c) => seats::write_pay_reservation(o, c),
        Body::SettlePayment(c) => seats::write_settle_payment(o, c),
        Body::ExpireHolds(c) => seats::write_expire_holds(o, c),
        Body::ChargeWallet(c) => wallets::write_charge_wallet(o, c),
        Body::DebitWallet(c) => wallets::write_debit_wallet(o, c),
        Body::CreditWallet(c) => wallets::write_credit_wallet(o, c),
        Body::OpenQueue(c) => queues::write_open_queue(o, c),
        Body::ConfigureQueue(c) => queues::write_configure_queue(o, c),
        Body::JoinQueue(c) => queues::write_user(o, c.schedule_id, &c.user_id),
        Body::LeaveQueue(c) => queues::write_user(o, c.schedule_id, &c.user_id),
        Body::Seen(c) => queues::write_seen(o, c),
        Body::CompleteToken(c) => queues::write_user(o, c.schedule_id, &c.user_id),
        Body::Tick(c) => {
            o.plain("schedule_id", c.schedule_id);
        }
    }
}

#[cfg(test)]
mod tests;
