//! What a success hands back, as the `result` object of an outcome.

use super::command::write_limits;
use super::json::Object;
use crate::domain::queue::{Queue, Token, TokenStatus};
use crate::domain::section::Reservation;
use crate::domain::{SectionName, Success};

/// `A-12`: how seats are named everywhere outside of the rules.
pub fn seat_name(section: &SectionName, number: u32) -> String {
    format!("{section}-{number}")
}

pub(super) fn write_result(o: &mut Object<'_>, success: &Success) {
    match success {
        Success::SectionOpened { schedule_id, section, seats, price } => {
            o.plain("schedule_id", schedule_id).plain("section", section).bare("seats", seats).bare("price", price);
        }
        Success::Held { reservation, expired } => {
            write_reservation(o, reservation);
            o.time("expires_at", reservation.expires_at);
            if !expired.is_empty() {
                o.plains("expired", expired);
            }
        }
        Success::Cancelled(reservation) => write_reservation(o, reservation),
        Success::Refunded { reservation, balance } => {
            write_reservation(o, reservation);
            o.bare("balance", balance);
        }
        Success::PaymentCompleted { payment, balance } => {
            o.plain("payment_id", payment.id).plain("reservation_id", payment.reservation_id);
            o.bare("amount", payment.amount).plain("status", payment.status.as_str()).bare("balance", balance);
        }
        Success::Settled(reservation) => {
            write_reservation(o, reservation);
            o.time("expires_at", reservation.expires_at);
        }
        Success::HoldsExpired { schedule_id, section, reservations, seats } => {
            o.plain("schedule_id", schedule_id).plains("reservations", reservations);
            o.plains("seats", seats.iter().map(|number| seat_name(section, *number)));
        }
        Success::WalletChanged(entry) => {
            o.plain("entry_id", entry.id).bare("balance", entry.balance_after);
            o.bare("amount", entry.amount).plain("kind", entry.kind.as_str());
        }
        Success::QueueOpened(queue) => write_queue(o, queue),
        Success::QueueConfigured { queue, admitted } => {
            write_queue(o, queue);
            write_tokens(o, "admitted", admitted);
        }
        Success::Joined { token, ahead, admitted, ended } => {
            write_place(o, token);
            o.bare("position", token.sequence).bare("ahead", ahead);
            write_tokens(o, "admitted", admitted);
            write_tokens(o, "ended", ended);
        }
        Success::Left { token, admitted } => {
            write_place(o, token);
            write_tokens(o, "admitted", admitted);
        }
        Success::SeenNoted { schedule_id, tokens } => {
            o.plain("schedule_id", schedule_id).bare("tokens", tokens);
        }
        Success::TokenCompleted { token, admitted } => {
            write_place(o, token);
            write_tokens(o, "admitted", admitted);
        }
        Success::Ticked { schedule_id, admitted, ended, requeued } => {
            o.plain("schedule_id", schedule_id);
            write_tokens(o, "admitted", admitted);
            write_tokens(o, "ended", ended);
            write_tokens(o, "requeued", requeued);
        }
    }
}

fn write_reservation(o: &mut Object<'_>, reservation: &Reservation) {
    o.plain("reservation_id", reservation.id).plain("schedule_id", reservation.schedule_id);
    o.plains("seats", reservation.seats.iter().map(|number| seat_name(&reservation.section, *number)));
    o.bare("amount", reservation.amount).plain("status", reservation.status.as_str());
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
    o.plain("status", token.status.as_str());
    if let Some(until) = token.active_until.filter(|_| token.status == TokenStatus::Active) {
        o.time("active_until", until);
    }
}

fn write_tokens(o: &mut Object<'_>, name: &str, tokens: &[Token]) {
    o.list(name, tokens, |out, token| {
        Object::write(out, |o| {
            o.bare("sequence", token.sequence).plain("user_id", &token.user_id);
            write_status(o, token);
        });
    });
}
