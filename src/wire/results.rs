//! What an outcome says: the reply as its `result`, the effects, or the refusal as its `problem`.

use super::command::write_limits;
use super::fields::{DecodeError, Fields};
use super::json::Object;
use super::key;
use crate::domain::block::Reservation;
use crate::domain::queue::{Queue, Token, TokenState};
use crate::domain::wallet::{Entry, PaymentAnswer};
use crate::domain::{Arrival, Effects, More, Position, Refusal, Reply};

pub(super) fn write_result(o: &mut Object<'_>, reply: &Reply) {
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
        Reply::WalletChanged(entry) => write_entry(o, entry),
        Reply::Answered(answer) => write_answer(o, answer),
        Reply::QueueOpened(queue) | Reply::QueueConfigured(queue) => write_queue(o, queue),
        Reply::Joined { token, ahead } => {
            write_place(o, token);
            o.bare("position", token.sequence).bare("ahead", ahead);
        }
        Reply::Left(token) | Reply::TokenCompleted(token) => write_place(o, token),
        Reply::SeenNoted { schedule_id, tokens } => {
            o.plain("schedule_id", schedule_id).bare("tokens", tokens);
        }
        Reply::SaleNoted { schedule_id } | Reply::Ticked { schedule_id } => {
            o.plain("schedule_id", schedule_id);
        }
    }
}

fn write_reservation(o: &mut Object<'_>, reservation: &Reservation) {
    o.plain("reservation_id", reservation.id);
    key::write(o, &reservation.key);
    o.seats("seats", &reservation.seats);
    o.bare("amount", reservation.amount).plain("status", reservation.state.status());
}

fn write_entry(o: &mut Object<'_>, entry: &Entry) {
    o.plain("entry_id", entry.id).bare("balance", entry.balance_after);
    o.bare("amount", entry.amount).plain("kind", entry.kind);
}

fn write_answer(o: &mut Object<'_>, answer: &PaymentAnswer) {
    o.plain("payment_id", answer.payment_id).plain("what", answer.kind).bare("amount", answer.amount);
    match answer.answer {
        Ok(balance) => o.bare("balance", balance),
        Err(code) => o.plain("code", code),
    };
}

fn write_queue(o: &mut Object<'_>, queue: &Queue) {
    o.plain("schedule_id", queue.schedule_id);
    write_limits(o, &queue.limits);
    o.bare("paused", queue.paused).bare("waiting", queue.waiting).bare("active", queue.active);
}

fn write_place(o: &mut Object<'_>, token: &Token) {
    o.plain("schedule_id", token.schedule_id).bare("sequence", token.sequence);
    write_status(o, token);
}

fn write_status(o: &mut Object<'_>, token: &Token) {
    o.plain("status", token.state.status());
    if let TokenState::Active(turn) = token.state {
        o.time("active_until", turn.until);
    }
}

/// Only what there is.
pub(super) fn write_effects(o: &mut Object<'_>, effects: &Effects) {
    if !effects.expired.is_empty() {
        o.plains("expired", &effects.expired);
    }
    for (name, tokens) in [("admitted", &effects.admitted), ("ended", &effects.ended), ("requeued", &effects.requeued)]
    {
        if !tokens.is_empty() {
            o.objects(name, tokens, |o, token| {
                o.bare("sequence", token.sequence).text("user_id", token.user_id.as_str());
                write_status(o, token);
            });
        }
    }
}

pub(super) fn write_problem(o: &mut Object<'_>, refusal: &Refusal) {
    o.plain("code", refusal.code).text("detail", &refusal.detail);
    match &refusal.more {
        More::Nothing => {}
        More::Taken { seat, by } => {
            o.object("taken", |o| {
                o.seat("seat", seat);
                write_place_in_log(o, by);
            });
        }
        More::AgainAt(time) => {
            o.time("again_at", *time);
        }
        More::Used(first) => {
            o.object("used", |o| write_place_in_log(o, first));
        }
    }
}

fn write_place_in_log(o: &mut Object<'_>, arrival: &Arrival) {
    o.object("position", |o| write_position(o, arrival.position)).time("at", arrival.time);
}

pub(super) fn read_problem(f: &Fields<'_>) -> Result<Refusal, DecodeError> {
    let taken = |f: &Fields<'_>| Ok(More::Taken { seat: f.required("seat")?, by: read_place_in_log(f)? });
    let more = match f.optional_object("taken", taken)? {
        Some(taken) => taken,
        None => match f.optional("again_at")? {
            Some(time) => More::AgainAt(time),
            None => f.optional_object("used", read_place_in_log)?.map_or(More::Nothing, More::Used),
        },
    };
    Ok(Refusal { code: f.required("code")?, detail: f.required("detail")?, more })
}

fn read_place_in_log(f: &Fields<'_>) -> Result<Arrival, DecodeError> {
    Ok(Arrival { position: f.object("position", read_position)?, time: f.required("at")? })
}

pub(super) fn write_decided(o: &mut Object<'_>, decided: &Arrival) {
    write_position(o, decided.position);
    o.time("at", decided.time);
}

pub(super) fn read_decided(f: &Fields<'_>) -> Result<Arrival, DecodeError> {
    Ok(Arrival { position: read_position(f)?, time: f.required("at")? })
}

fn write_position(o: &mut Object<'_>, position: Position) {
    let partition = position.partition;
    o.plain("lane", partition.lane).bare("partition", partition.partition).bare("offset", position.offset);
}

fn read_position(f: &Fields<'_>) -> Result<Position, DecodeError> {
    Ok(Position::new(f.required("lane")?, f.required("partition")?, f.required("offset")?))
}
