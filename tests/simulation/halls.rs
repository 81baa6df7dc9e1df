//! Seats as a person with pen and paper would keep them: who has which, until when.

use std::collections::BTreeMap;

use serde_json::Value;
use turnstile::domain::LogTime;
use turnstile::domain::command::{Body, Settlement};
use turnstile::domain::section::SeatStatus;
use turnstile::store::RequestStatus;
use turnstile::wire::parse_rfc3339;

use crate::referee::{Case, must};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Held,
    Paying,
    Confirmed,
    Over,
}

struct Booking {
    seats: Vec<String>,
    stage: Stage,
    expires_at: LogTime,
    held_at: u64,
}

#[derive(Default)]
pub struct Halls {
    /// Which booking has a seat.
    seats: BTreeMap<String, String>,
    bookings: BTreeMap<String, Booking>,
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Halls {
    /// Who has the seat in the end.
    pub fn seat(&self, name: &str) -> Option<(String, SeatStatus)> {
        let id = self.seats.get(name)?;
        let status = match self.bookings[id].stage {
            Stage::Held => SeatStatus::Held,
            Stage::Paying => SeatStatus::Paying,
            Stage::Confirmed => SeatStatus::Sold,
            Stage::Over => SeatStatus::Available,
        };
        Some((id.clone(), status))
    }

    fn has_run_out(&self, id: &str, time: LogTime) -> bool {
        let booking = &self.bookings[id];
        booking.stage == Stage::Held && booking.expires_at <= time
    }

    fn end(&mut self, id: &str) {
        if let Some(booking) = self.bookings.get_mut(id) {
            booking.stage = Stage::Over;
        }
        self.seats.retain(|_, of| of != id);
    }

    fn stage(&mut self, id: &str, from: Stage, to: Stage) -> Result<(), String> {
        let booking = self.bookings.get_mut(id).ok_or_else(|| format!("there is no booking {id}"))?;
        must!(booking.stage == from, "booking {id} is {:?}, not {from:?}", booking.stage);
        booking.stage = to;
        Ok(())
    }

    /// Follows one command of the seats lane.
    pub fn follow(&mut self, case: &Case) -> Result<(), String> {
        let done = case.row.status == RequestStatus::Succeeded;
        let time = case.row.at;
        match &case.command.body {
            Body::HoldSeats(c) if done => self.held(case, &format!("{}/", c.schedule_id)),
            Body::HoldSeats(c) => self.not_held(case, &format!("{}/", c.schedule_id)),
            Body::PayReservation(c) => self.pay(case, &c.reservation_id.to_string()),
            Body::CancelReservation(c) => self.cancel(case, &c.reservation_id.to_string()),
            Body::SettlePayment(c) if done => {
                let id = c.origin.reservation_id.to_string();
                match c.settlement {
                    Settlement::Debited { .. } => self.stage(&id, Stage::Paying, Stage::Confirmed),
                    Settlement::Refunded { .. } => self.stage(&id, Stage::Over, Stage::Over),
                    Settlement::Declined { .. } => {
                        self.stage(&id, Stage::Paying, Stage::Held)?;
                        if self.has_run_out(&id, time) {
                            self.end(&id);
                        }
                        Ok(())
                    }
                }
            }
            Body::ExpireHolds(_) if done => {
                for id in texts(&case.outcome["result"]["reservations"]) {
                    must!(self.has_run_out(&id, time), "booking {id} has not run out");
                    self.end(&id);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn held(&mut self, case: &Case, prefix: &str) -> Result<(), String> {
        let result = &case.outcome["result"];
        for id in texts(&result["expired"]) {
            must!(self.has_run_out(&id, case.row.at), "booking {id} was taken over and has not run out");
            self.end(&id);
        }
        let id = result["reservation_id"].as_str().unwrap_or_default().to_owned();
        let seats: Vec<String> = texts(&result["seats"]).into_iter().map(|seat| format!("{prefix}{seat}")).collect();
        for seat in &seats {
            let before = self.seats.insert(seat.clone(), id.clone());
            must!(before.is_none(), "seat {seat} has {before:?} already");
        }
        let expires_at = result["expires_at"].as_str().and_then(parse_rfc3339).ok_or("a hold has no end")?;
        let held_at = case.row.position.offset;
        self.bookings.insert(id, Booking { seats, stage: Stage::Held, expires_at, held_at });
        Ok(())
    }

    fn not_held(&self, case: &Case, prefix: &str) -> Result<(), String> {
        let problem = &case.outcome["problem"];
        if problem["code"] != "seat_taken" {
            return Ok(());
        }
        let taken = &problem["taken"];
        let seat = format!("{prefix}{}", taken["seat"].as_str().unwrap_or_default());
        let id = self.seats.get(&seat).ok_or_else(|| format!("seat {seat} was free"))?;
        must!(!self.has_run_out(id, case.row.at), "the hold of seat {seat} had run out");
        let by = self.bookings[id].held_at;
        must!(taken["position"]["offset"] == by, "seat {seat} was taken at {by}, not at {}", taken["position"]);
        must!(by < case.row.position.offset, "seat {seat} was taken later");
        must!(!self.bookings[id].seats.is_empty(), "booking {id} has no seats");
        Ok(())
    }

    fn pay(&mut self, case: &Case, id: &str) -> Result<(), String> {
        let over = self.has_run_out(id, case.row.at);
        if !case.at_once {
            must!(!over, "booking {id} was paid after it had run out");
            return self.stage(id, Stage::Held, Stage::Paying);
        }
        let stage = self.bookings.get(id).map(|booking| booking.stage);
        let right = match case.outcome["problem"]["code"].as_str().unwrap_or_default() {
            "hold_expired" => over || stage == Some(Stage::Over),
            "payment_in_progress" => stage == Some(Stage::Paying),
            "already_paid" => stage == Some(Stage::Confirmed),
            "amount_mismatch" => stage == Some(Stage::Held) && !over,
            _ => false,
        };
        must!(right, "booking {id} is {stage:?}, run out: {over}, and was answered {}", case.outcome);
        Ok(())
    }

    fn cancel(&mut self, case: &Case, id: &str) -> Result<(), String> {
        let over = self.has_run_out(id, case.row.at);
        let stage = self.bookings.get(id).map(|booking| booking.stage);
        if !case.at_once {
            self.stage(id, Stage::Confirmed, Stage::Over)?;
            self.end(id);
            return Ok(());
        }
        if case.row.status == RequestStatus::Succeeded {
            must!(stage == Some(Stage::Held) && !over, "booking {id} is {stage:?} and was cancelled");
            self.end(id);
            return Ok(());
        }
        let right = match case.outcome["problem"]["code"].as_str().unwrap_or_default() {
            "hold_expired" => over,
            "payment_in_progress" => stage == Some(Stage::Paying),
            "not_cancellable" => stage == Some(Stage::Over),
            _ => false,
        };
        must!(right, "booking {id} is {stage:?}, run out: {over}, and was answered {}", case.outcome);
        Ok(())
    }
}
