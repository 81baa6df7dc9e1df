//! Seats and money over the whole store: nothing sold twice, nothing lost, whatever the log says.

use std::collections::{BTreeMap, HashMap};

use crate::domain::queue::TokenStatus;
use crate::domain::section::{PaymentStatus, ReservationStatus, SeatStatus};
use crate::domain::wallet::EntryKind;
use crate::domain::{Change, RequestId, ReservationId, ScheduleId, SectionName, UserId};

#[derive(Default)]
struct SectionCount {
    seats: u32,
    available: u32,
    numbered: u32,
    free: u32,
}

#[derive(Default)]
struct Money {
    balance: i128,
    entries: u64,
    summed: i128,
    counted: u64,
}

#[derive(Default)]
struct QueueCount {
    said: (u64, u64),
    counted: (u64, u64),
}

/// Adds up rows as they are read, in any order; says at the end what does not add up.
#[derive(Default)]
pub struct Conservation {
    sections: BTreeMap<(ScheduleId, SectionName), SectionCount>,
    /// Seats by the reservation they name: how many, and in which state.
    taken: HashMap<ReservationId, (u32, SeatStatus)>,
    /// Live reservations: how many seats each has, and in which state they must be.
    live: HashMap<ReservationId, (u32, SeatStatus)>,
    wallets: BTreeMap<UserId, Money>,
    /// By the request that asked to pay.
    payments: BTreeMap<RequestId, (PaymentStatus, i64)>,
    /// PAYMENT entries by the same: how many, and of how much.
    paid: BTreeMap<RequestId, (u32, i64)>,
    queues: BTreeMap<ScheduleId, QueueCount>,
    complaints: Vec<String>,
}

impl Conservation {
    pub fn row(&mut self, change: &Change) {
        match change {
            Change::Section(row) => {
                let count = self.sections.entry((row.schedule_id, row.name.clone())).or_default();
                (count.seats, count.available) = (row.seats, row.available);
            }
            Change::Seat(seat) => {
                let count = self.sections.entry((seat.schedule_id, seat.section.clone())).or_default();
                count.numbered += 1;
                count.free += u32::from(seat.status == SeatStatus::Available);
                match seat.reservation {
                    Some(id) => {
                        let taken = self.taken.entry(id).or_insert((0, seat.status));
                        taken.0 += 1;
                        if taken.1 != seat.status {
                            self.complaints.push(format!("the seats of reservation {id} are in different states"));
                        }
                    }
                    None if seat.status == SeatStatus::Available => {}
                    None => self.complaints.push(format!(
                        "seat {}/{}-{} is {} of nobody",
                        seat.schedule_id,
                        seat.section,
                        seat.number,
                        seat.status.as_str()
                    )),
                }
            }
            Change::Reservation(row) => {
                if let Some(status) = seats_of(row.status) {
                    self.live.insert(row.id, (row.seats.len() as u32, status));
                }
            }
            Change::Payment(row) => {
                self.payments.insert(row.request_id, (row.status, row.amount));
            }
            Change::Wallet(row) => {
                let money = self.wallets.entry(row.user_id.clone()).or_default();
                (money.balance, money.entries) = (row.balance.into(), row.entries);
                if row.balance < 0 {
                    self.complaints.push(format!("the balance of {} is {}", row.user_id, row.balance));
                }
            }
            Change::WalletEntry(entry) => {
                let money = self.wallets.entry(entry.user_id.clone()).or_default();
                money.counted += 1;
                if entry.kind == EntryKind::Payment {
                    let paid = self.paid.entry(entry.request_id).or_default();
                    *paid = (paid.0 + 1, paid.1 + entry.amount);
                }
                money.summed += match entry.kind {
                    EntryKind::Charge | EntryKind::Refund => i128::from(entry.amount),
                    EntryKind::Payment | EntryKind::Debit => -i128::from(entry.amount),
                };
            }
            Change::Queue(row) => {
                self.queues.entry(row.schedule_id).or_default().said = (row.waiting, row.active);
            }
            Change::Token(token) => {
                let counted = &mut self.queues.entry(token.schedule_id).or_default().counted;
                counted.0 += u64::from(token.status == TokenStatus::Waiting);
                counted.1 += u64::from(token.status == TokenStatus::Active);
            }
        }
    }

    /// What does not add up, a sentence each.
    pub fn complaints(mut self) -> Vec<String> {
        let mut complaints = std::mem::take(&mut self.complaints);
        for ((schedule, name), count) in &self.sections {
            if count.numbered != count.seats {
                complaints
                    .push(format!("section {schedule}/{name} has {} of its {} seats", count.numbered, count.seats));
            }
            if count.free != count.available {
                let (said, free) = (count.available, count.free);
                complaints.push(format!("section {schedule}/{name} says {said} seats are free, {free} are"));
            }
        }
        let mut seats: Vec<_> = self.taken.iter().filter(|(id, taken)| self.live.get(id) != Some(taken)).collect();
        seats.sort_unstable_by_key(|(id, _)| **id);
        for (id, (count, status)) in seats {
            let status = status.as_str();
            complaints.push(format!("{count} seats are {status} of reservation {id}, which does not say so"));
        }
        let mut without: Vec<_> = self.live.keys().filter(|id| !self.taken.contains_key(id)).collect();
        without.sort_unstable();
        complaints.extend(without.into_iter().map(|id| format!("reservation {id} has no seats")));
        for (user, money) in &self.wallets {
            if money.balance != money.summed || money.entries != money.counted {
                complaints.push(format!(
                    "{user} has {} in {} entries, the entries give {} in {}",
                    money.balance, money.entries, money.summed, money.counted
                ));
            }
        }
        for (request, (status, amount)) in &self.payments {
            let paid = self.paid.get(request).copied().unwrap_or_default();
            let right = match status {
                PaymentStatus::Completed | PaymentStatus::Refunded => paid == (1, *amount),
                PaymentStatus::Failed => paid.0 == 0,
                PaymentStatus::Pending => paid.0 == 0 || paid == (1, *amount),
            };
            if !right {
                let status = status.as_str();
                complaints.push(format!("request {request} pays {amount} and is {status}, the wallet gave {paid:?}"));
            }
        }
        let unasked = self.paid.keys().filter(|request| !self.payments.contains_key(request));
        complaints.extend(unasked.map(|request| format!("a wallet paid for request {request}, which is no payment")));
        for (schedule, count) in &self.queues {
            if count.said != count.counted {
                complaints.push(format!(
                    "the queue of {schedule} says {:?} wait and are active, {:?} are",
                    count.said, count.counted
                ));
            }
        }
        complaints
    }
}

/// In which state the seats of a live reservation are.
fn seats_of(status: ReservationStatus) -> Option<SeatStatus> {
    match status {
        ReservationStatus::Held => Some(SeatStatus::Held),
        ReservationStatus::Paying => Some(SeatStatus::Paying),
        ReservationStatus::Confirmed => Some(SeatStatus::Sold),
        _ => None,
    }
}
