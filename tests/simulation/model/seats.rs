//! The blocks of all dates: follows each command of the seats lane and compares the end with the store.

use std::collections::{BTreeMap, BTreeSet};

use turnstile::domain::block::{
    AmendBlock, CancelReservation, CheckTicket, Command, OpenBlock, PayReservation, SettlePayment, Settlement,
};
use turnstile::domain::{Body, RequestId};

use super::bookings::{Block, Booking, Stage};
use super::holds::texts;
use super::{Case, FollowUp};
use crate::oracle::{Checked, must};

/// What a decision sends to other lanes.
type Followed = Result<Vec<FollowUp>, String>;

pub struct SeatModel {
    pub blocks: BTreeMap<String, Block>,
    /// Payments by the request that asked for them.
    pub payments: BTreeMap<RequestId, String>,
    /// Payments and refunds that were settled.
    settled: BTreeSet<(String, bool)>,
}

impl SeatModel {
    /// `payments`: their ids as the store has them, by the request that asked for each: the model does not choose ids.
    pub fn new(payments: BTreeMap<RequestId, String>) -> SeatModel {
        SeatModel { blocks: BTreeMap::new(), payments, settled: BTreeSet::new() }
    }

    /// Follows one command of the seats lane.
    pub fn follow(&mut self, case: &Case) -> Followed {
        let Body::Seats(command) = &case.command.body else { return Err("not a command of this lane".to_owned()) };
        let key = command.key().to_string();
        let mut block = match self.blocks.remove(&key) {
            Some(block) => block,
            None => return self.follow_without_block(key, case, command),
        };
        let followed = self.decide(&mut block, case, command);
        self.blocks.insert(key, block);
        followed
    }

    fn follow_without_block(&mut self, key: String, case: &Case, command: &Command) -> Followed {
        let Command::OpenBlock(open) = command else {
            must!(case.code() == "block_not_found", "there is no block yet: {}", case.answer);
            return Ok(Vec::new());
        };
        let mut block = Block::new(open);
        must!(case.result()["seats"] == block.hall.seats(), "it has {} seats", block.hall.seats());
        let note = block.note(&case.at);
        self.blocks.insert(key, block);
        Ok(note.into_iter().collect())
    }

    fn decide(&mut self, block: &mut Block, case: &Case, command: &Command) -> Followed {
        let done = case.succeeded();
        let mut follow_ups = match command {
            Command::OpenBlock(c) => return opened_again(block, case, c),
            Command::AmendBlock(c) => match amended(block, case, c)? {
                true => Vec::new(),
                false => return Ok(Vec::new()),
            },
            Command::HoldSeats(c) if done => block.held(case, c).map(|()| Vec::new())?,
            Command::HoldSeats(c) => return block.not_held(case, c).map(|()| Vec::new()),
            Command::PayReservation(c) if !case.at_once => vec![self.pay(block, case, c)?],
            Command::PayReservation(c) if done => confirm_free(block, case, c)?,
            Command::PayReservation(c) => return not_paid(block, case, c).map(|()| Vec::new()),
            Command::CancelReservation(c) if !case.at_once || done => cancel(block, case, c)?,
            Command::CancelReservation(c) => return not_cancelled(block, case, c).map(|()| Vec::new()),
            Command::SettlePayment(c) if done => self.settle(block, case, c)?,
            Command::SettlePayment(c) => return self.settled_before(block, c),
            Command::ExpireHolds(_) => match expire(block, case)? {
                Some(follow_ups) => follow_ups,
                None => return Ok(Vec::new()),
            },
            Command::CheckTicket(c) => match check_ticket(block, case, c)? {
                true => Vec::new(),
                false => return Ok(Vec::new()),
            },
        };
        follow_ups.extend(block.note(&case.at));
        Ok(follow_ups)
    }

    fn pay(&self, block: &mut Block, case: &Case, command: &PayReservation) -> Result<FollowUp, String> {
        let id = command.reservation_id.to_string();
        let booking = block.booking(&id)?.clone();
        must!(is_payable(block, case, command, &booking), "booking {id} cannot be paid");
        must!(booking.amount > 0, "booking {id} costs nothing");
        block.advance(&id, Stage::Held, Stage::Paying)?;
        let request = case.command.request_id;
        let payment = self.payments.get(&request).ok_or("the store has no such payment")?.clone();
        let ask = block.first_ask(case.time());
        let paying = block.bookings.get_mut(&id).expect("it was found");
        (paying.payment, paying.ask) = (Some(payment), Some(ask));
        Ok(FollowUp::Debit { request, reservation: id, user: booking.user, amount: booking.amount })
    }

    fn settle(&mut self, block: &mut Block, case: &Case, command: &SettlePayment) -> Followed {
        let (id, payment) = (command.origin.reservation_id.to_string(), command.origin.payment_id.to_string());
        let booking = block.booking(&id)?.clone();
        let is_refund = matches!(command.settlement, Settlement::Refunded { .. } | Settlement::RefundDeclined { .. });
        must!(self.settled.insert((payment.clone(), is_refund)), "payment {payment} was settled before");
        must!(booking.payment.as_ref() == Some(&payment), "booking {id} waits for {:?}", booking.payment);
        must!(booking.amount == command.amount.get(), "booking {id} costs {}", booking.amount);
        block.bookings.get_mut(&id).expect("it was found").ask = None;
        match command.settlement {
            Settlement::Debited { .. } if block.cancelled => {
                must!(booking.stage == Stage::Paying, "booking {id} is {:?}", booking.stage);
                Ok(vec![block.refund(&id, case.time(), None)?])
            }
            Settlement::Debited { .. } => {
                block.advance(&id, Stage::Paying, Stage::Confirmed)?;
                Ok(sold(block, case, &id).into_iter().collect())
            }
            Settlement::DebitDeclined { .. } => {
                block.advance(&id, Stage::Paying, Stage::Held)?;
                let held = block.bookings.get_mut(&id).expect("it was found");
                held.payment = None;
                let over = block.end_of(&booking) <= case.time();
                match () {
                    () if block.cancelled => block.end(&id, Stage::Cancelled, false)?,
                    () if over => block.end(&id, Stage::Expired, true)?,
                    () => {}
                }
                Ok(Vec::new())
            }
            Settlement::Refunded { .. } => {
                block.advance(&id, Stage::Refunding, Stage::Refunded)?;
                block.refunds_done += u32::from(booking.refund_for.is_none());
                Ok(Vec::new())
            }
            Settlement::RefundDeclined { .. } => Err("no refund is ever declined here".to_owned()),
        }
    }

    /// A later answer to the same question: nothing changes. Money that nobody waits for is paid back.
    fn settled_before(&self, block: &Block, command: &SettlePayment) -> Followed {
        let (id, payment) = (command.origin.reservation_id.to_string(), command.origin.payment_id.to_string());
        let is_refund = matches!(command.settlement, Settlement::Refunded { .. } | Settlement::RefundDeclined { .. });
        must!(self.settled.contains(&(payment.clone(), is_refund)), "payment {payment} was not settled before");
        let stage = block.booking(&id)?.stage;
        let is_debit = matches!(command.settlement, Settlement::Debited { .. });
        if !is_debit || !matches!(stage, Stage::Refunding | Stage::Refunded) {
            return Ok(Vec::new());
        }
        let (user, amount) = (command.user_id.to_string(), command.amount.get());
        Ok(vec![FollowUp::Credit { payment, reservation: id, user, amount, asked_by: None }])
    }
}

fn opened_again(block: &Block, case: &Case, command: &OpenBlock) -> Followed {
    let same = block.opened == *command;
    must!(same == case.succeeded(), "the block is open, with {} content", if same { "equal" } else { "other" });
    must!(same || case.code() == "block_conflict", "refused with {}", case.code());
    Ok(Vec::new())
}

/// Returns whether it changed anything.
fn amended(block: &mut Block, case: &Case, command: &AmendBlock) -> Result<bool, String> {
    let hall = match block.hall.amended(command, case.time()) {
        Ok(hall) => hall,
        Err(why) => {
            must!(case.code() == "block_conflict", "{why}, and the answer is {}", case.answer);
            return Ok(false);
        }
    };
    let cancels = command.cancelled && !block.cancelled;
    let changes = hall != block.hall || cancels;
    if changes && block.cancelled {
        must!(case.code() == "show_cancelled", "the show is cancelled, and the answer is {}", case.answer);
        return Ok(false);
    }
    let (result, seats) = (case.result(), hall.seats());
    must!(case.succeeded() && result["seats"] == seats, "it has {seats} seats, and the answer is {}", case.answer);
    (block.hall, block.cancelled) = (hall, block.cancelled || cancels);
    must!(result["cancelled"] == block.cancelled, "cancelled is {}, and the answer is {result}", block.cancelled);
    Ok(changes)
}

fn is_payable(block: &Block, case: &Case, command: &PayReservation, booking: &Booking) -> bool {
    let owner = booking.user == command.user_id.as_str();
    let amount = command.amount.is_none_or(|amount| amount == booking.amount);
    let held = booking.stage == Stage::Held && !block.has_run_out(booking, case.time());
    owner && amount && held && !block.cancelled
}

fn confirm_free(block: &mut Block, case: &Case, command: &PayReservation) -> Followed {
    let id = command.reservation_id.to_string();
    let booking = block.booking(&id)?.clone();
    must!(is_payable(block, case, command, &booking), "booking {id} cannot be paid");
    must!(booking.amount == 0, "booking {id} was confirmed without a payment of {}", booking.amount);
    block.advance(&id, Stage::Held, Stage::Confirmed)?;
    Ok(sold(block, case, &id).into_iter().collect())
}

/// The seats of a booking are sold: they forget who held them, and the user's turn in the queue is done.
fn sold(block: &mut Block, case: &Case, id: &str) -> Option<FollowUp> {
    let booking = block.bookings.get_mut(id)?;
    booking.serial = Some(case.offset());
    let (user, seats) = (booking.user.clone(), booking.seats.clone());
    for seat in seats {
        block.seats.entry(seat).or_default().remembered = None;
    }
    let schedule = block.opened.key.schedule_id.to_string();
    block.opened.queue.then(|| FollowUp::Complete { schedule, user, paid_at: case.time() })
}

fn not_paid(block: &Block, case: &Case, command: &PayReservation) -> Checked {
    let Some(booking) = block.bookings.get(&command.reservation_id.to_string()) else {
        must!(["reservation_not_found", "show_cancelled"].contains(&case.code()), "there is no such booking");
        return Ok(());
    };
    let (stage, over) = (booking.stage, block.has_run_out(booking, case.time()));
    let is_true = match case.code() {
        "show_cancelled" => block.cancelled,
        "not_reservation_owner" => booking.user != command.user_id.as_str(),
        "hold_expired" => over || !stage.has_seats(),
        "payment_in_progress" => stage == Stage::Paying,
        "already_paid" => stage == Stage::Confirmed,
        "amount_mismatch" => {
            stage == Stage::Held && !over && command.amount.is_some_and(|given| given != booking.amount)
        }
        _ => false,
    };
    must!(is_true, "the booking is {stage:?}, run out: {over}, and the answer is {}", case.answer);
    Ok(())
}

fn is_checked(block: &Block, booking: &Booking) -> bool {
    booking.seats.iter().any(|seat| block.seat(seat).checked.is_some())
}

fn cancel(block: &mut Block, case: &Case, command: &CancelReservation) -> Followed {
    let id = command.reservation_id.to_string();
    let booking = block.booking(&id)?.clone();
    must!(booking.user == command.user_id.as_str(), "booking {id} is another user's");
    let started = case.time() >= block.hall.terms.starts_at;
    match booking.stage {
        Stage::Held => {
            must!(!block.cancelled && !block.has_run_out(&booking, case.time()), "booking {id} cannot be cancelled");
            block.end(&id, Stage::Cancelled, true)?;
        }
        Stage::Confirmed => {
            must!(!started || block.cancelled, "booking {id} was cancelled after the show had started");
            must!(!is_checked(block, &booking), "booking {id} was cancelled after a ticket was used");
            if booking.amount > 0 {
                must!(!case.at_once, "booking {id} was cancelled before the money was back");
                return Ok(vec![block.refund(&id, case.time(), Some(case.command.request_id))?]);
            }
            block.end(&id, Stage::Refunded, false)?;
        }
        stage => return Err(format!("booking {id} is {stage:?} and was cancelled")),
    }
    must!(case.at_once, "nothing had to be paid back");
    Ok(Vec::new())
}

fn not_cancelled(block: &Block, case: &Case, command: &CancelReservation) -> Checked {
    let Some(booking) = block.bookings.get(&command.reservation_id.to_string()) else {
        must!(case.code() == "reservation_not_found", "there is no such booking");
        return Ok(());
    };
    let (stage, over) = (booking.stage, block.has_run_out(booking, case.time()));
    let started = case.time() >= block.hall.terms.starts_at;
    let is_true = match case.code() {
        "not_reservation_owner" => booking.user != command.user_id.as_str(),
        "hold_expired" => over,
        "payment_in_progress" => stage == Stage::Paying,
        "not_cancellable" => match stage {
            Stage::Confirmed => is_checked(block, booking) || (started && !block.cancelled),
            _ => !stage.has_seats() || block.cancelled,
        },
        _ => false,
    };
    must!(is_true, "the booking is {stage:?}, run out: {over}, and the answer is {}", case.answer);
    Ok(())
}

/// What a timer's record finds due; `None`: nothing.
fn expire(block: &mut Block, case: &Case) -> Result<Option<Vec<FollowUp>>, String> {
    let time = case.time();
    let ids: Vec<String> = block.bookings.keys().cloned().collect();
    let mut ended = BTreeSet::new();
    for id in &ids {
        if block.has_run_out(&block.bookings[id], time) {
            block.end(id, Stage::Expired, true)?;
            ended.insert(id.clone());
        }
    }
    let mut follow_ups = Vec::new();
    for booking in block.bookings.values_mut() {
        let Some((ask_at, interval_ms)) = booking.ask.filter(|(ask_at, _)| *ask_at <= time) else { continue };
        must!(ask_at <= time, "asked too early");
        booking.ask = Some((time.plus_ms(interval_ms), (2 * interval_ms).min(3_600_000)));
        let kind = if booking.stage == Stage::Refunding { "refund" } else { "debit" };
        follow_ups.push(FollowUp::Ask { payment: booking.payment.clone().unwrap_or_default(), kind });
    }
    let (asked, mut refunds) = (follow_ups.len(), 0);
    let sweeps = block.cancelled && !block.swept;
    for id in ids.iter().filter(|_| sweeps) {
        let booking = &block.bookings[id];
        match (booking.stage, booking.amount) {
            (Stage::Confirmed, 1..) => {
                follow_ups.push(block.refund(id, time, None)?);
                refunds += 1;
            }
            (Stage::Confirmed, _) => block.end(id, Stage::Refunded, false)?,
            (Stage::Held, _) => block.end(id, Stage::Cancelled, false)?,
            _ => continue,
        }
        ended.insert(id.clone());
    }
    block.swept |= sweeps;
    let found = !ended.is_empty() || asked > 0 || sweeps;
    if case.is_nothing() {
        must!(!found, "{ended:?} had ended, {asked} wallets were to be asked, sweep: {sweeps}");
        return Ok(None);
    }
    let result = case.result();
    let said: BTreeSet<String> = texts(&result["reservations"]).into_iter().collect();
    must!(said == ended, "{ended:?} have ended, it says {said:?}");
    must!(result["asked"] == asked, "{asked} wallets are asked, it says {}", result["asked"]);
    must!(result["refunds"] == refunds, "{refunds} are paid back, it says {}", result["refunds"]);
    Ok(Some(follow_ups))
}

/// Returns whether the ticket was admitted.
fn check_ticket(block: &mut Block, case: &Case, command: &CheckTicket) -> Result<bool, String> {
    let id = command.reservation_id.to_string();
    let seat = block.seat(&command.seat);
    let booking = block.bookings.get(&id).filter(|_| seat.booking.as_ref() == Some(&id));
    let sold = booking.is_some_and(|b| b.stage == Stage::Confirmed && b.serial == Some(command.serial));
    let valid = sold && !block.cancelled;
    match (valid, seat.checked) {
        (true, None) => {
            must!(case.succeeded(), "the ticket is valid, and the answer is {}", case.answer);
            block.seats.entry(command.seat.clone()).or_default().checked = Some(case.at);
        }
        (true, Some(first)) => {
            let used = &case.answer["problem"]["used"]["position"]["offset"];
            must!(case.code() == "ticket_used" && *used == first.position.offset, "used at {first:?}: {}", case.answer);
        }
        (false, _) => {
            must!(case.code() == "ticket_invalid", "the ticket is invalid, and the answer is {}", case.answer)
        }
    }
    Ok(valid && seat.checked.is_none())
}
