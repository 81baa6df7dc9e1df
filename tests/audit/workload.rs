//! Any number of commands of every kind that users send: what the audit's rate and memory are measured with.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use turnstile::domain::block::{self, CancelReservation, PayReservation, Reservation, ReservationStatus};
use turnstile::domain::queue::{self, Limits, OfUser, OnTimeout, OpenQueue};
use turnstile::domain::wallet::{self, Movement};
use turnstile::domain::{BlockName, Body, Row, ScheduleId, UserId};
use turnstile::log::AppendFuture;
use turnstile::runtime::clock::Clock;
use turnstile::store::{AuditReads, StateTable};
use uuid::Uuid;

use super::{System, hold, open_block_named};

const HOUR_MS: i64 = 3_600_000;
const SEATS: u32 = 500;
/// Enough for a million commands in a debug build.
const DECIDED_WITHIN: Duration = Duration::from_secs(3600);
/// Appends in flight.
const IN_FLIGHT: usize = 2_000;

/// About `total` commands, follow-ups included: 40 of 100 charge, 10 debit, 8 join a queue, 25 ask for seats, of which
/// there are too few; then three of four holds are paid, the others cancelled.
pub async fn run(system: &System, total: u32) {
    let workload = Workload::new(total);
    let mut appends = Appends::new(system);
    for body in workload.openings() {
        appends.send(body).await;
    }
    for number in 0..total / 100 {
        for step in 0..83 {
            appends.send(workload.command(number, step)).await;
        }
    }
    appends.wait_for_all().await;
    appends.decide().await;
    pay_or_cancel(system, &mut appends).await;
    appends.wait_for_all().await;
    appends.decide().await;
}

async fn pay_or_cancel(system: &System, appends: &mut Appends<'_>) {
    let mut after = None;
    let mut number = 0u32;
    loop {
        let rows = system.store.state_page(StateTable::Reservation, after.as_ref(), 5_000).await.unwrap();
        let Some(last) = rows.last() else { return };
        after = Some(last.clone());
        for row in rows {
            let Row::Seats(block::Row::Reservation(row)) = row else { panic!("a page of another table") };
            if row.state.status() != ReservationStatus::Held {
                continue;
            }
            number += 1;
            let Reservation { id: reservation_id, key, user_id, .. } = row;
            let amount = None;
            appends
                .send(Body::Seats(match number % 4 {
                    0 => block::Command::CancelReservation(CancelReservation { key, user_id, reservation_id }),
                    _ => block::Command::PayReservation(PayReservation { key, user_id, reservation_id, amount }),
                }))
                .await;
        }
    }
}

struct Workload {
    schedules: Vec<ScheduleId>,
    blocks: u32,
    users: u32,
}

impl Workload {
    fn new(total: u32) -> Workload {
        let schedules = (0..(total / 50_000).max(1)).map(|_| ScheduleId(Uuid::now_v7())).collect();
        Workload { schedules, blocks: (total / 5_000).max(1), users: (total / 25).max(1) }
    }

    /// Block `number`: at least ten to a date.
    fn block(&self, number: u32) -> (ScheduleId, String) {
        let number = number % self.blocks;
        (self.schedules[number as usize % self.schedules.len()], format!("block-{number}"))
    }

    fn user(&self, number: u32) -> UserId {
        format!("user-{}", number % self.users).parse().unwrap()
    }

    fn openings(&self) -> Vec<Body> {
        let starts_at = Clock::System.now().plus_ms(24 * HOUR_MS);
        let block = |number| {
            let (schedule_id, name) = self.block(number);
            open_block_named(schedule_id, &name, SEATS, starts_at, false)
        };
        let queue = |schedule_id: &ScheduleId| {
            let limits = Limits {
                max_active: 100,
                active_ttl_ms: 12 * HOUR_MS,
                max_waiting: 100_000,
                admit_per_minute: None,
                on_timeout: OnTimeout::Requeue,
                abandon_after_ms: 12 * HOUR_MS,
                claim_after_ms: 12 * HOUR_MS,
                absent_max_ms: 12 * HOUR_MS,
            };
            Body::Queues(queue::Command::OpenQueue(OpenQueue {
                schedule_id: *schedule_id,
                user_id: "admin".parse().unwrap(),
                limits,
                sales_open_at: None,
                starts_at,
                blocks: vec![BlockName::main()],
            }))
        };
        (0..self.blocks).map(block).chain(self.schedules.iter().map(queue)).collect()
    }

    fn command(&self, number: u32, step: u32) -> Body {
        let user_id = self.user(number * 83 + step);
        match step {
            0..40 => {
                let reason = step.is_multiple_of(4).then(|| "for the concert".parse().unwrap());
                Body::Wallets(wallet::Command::ChargeWallet(Movement { user_id, amount: 500, reason }))
            }
            40..50 => Body::Wallets(wallet::Command::DebitWallet(Movement { user_id, amount: 150, reason: None })),
            50..58 => {
                let schedule_id = self.schedules[number as usize % self.schedules.len()];
                Body::Queues(queue::Command::JoinQueue(OfUser { schedule_id, user_id }))
            }
            _ => {
                let (schedule_id, block) = self.block(number.wrapping_mul(31) + step);
                hold(schedule_id, &block, user_id.as_str(), 1 + step % 2)
            }
        }
    }
}

/// Appends that are not acknowledged yet, oldest first.
struct Appends<'a> {
    system: &'a System,
    under_way: VecDeque<AppendFuture>,
    sent: u64,
    began: Instant,
}

impl<'a> Appends<'a> {
    fn new(system: &'a System) -> Appends<'a> {
        Appends { system, under_way: VecDeque::new(), sent: 0, began: Instant::now() }
    }

    async fn send(&mut self, body: Body) {
        if self.under_way.len() == IN_FLIGHT {
            self.under_way.pop_front().expect("some").await.unwrap();
        }
        self.under_way.push_back(self.system.append_command(body));
        self.sent += 1;
    }

    async fn wait_for_all(&mut self) {
        for append in self.under_way.drain(..) {
            append.await.unwrap();
        }
        println!("{} commands sent after {:.0} s", self.sent, self.began.elapsed().as_secs_f64());
    }

    async fn decide(&self) {
        self.system.decide(DECIDED_WITHIN).await;
        println!("decided after {:.0} s", self.began.elapsed().as_secs_f64());
    }
}
