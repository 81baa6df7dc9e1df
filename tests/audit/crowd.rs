//! As many commands as wanted, of every kind that users send: what the audit's rate and memory are measured with.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use turnstile::domain::command::{
    Body, CancelReservation, ChargeWallet, Choice, DebitWallet, HoldSeats, JoinQueue, OpenQueue, OpenSection,
    PayReservation,
};
use turnstile::domain::queue::{Limits, OnTimeout};
use turnstile::domain::section::ReservationStatus;
use turnstile::domain::{Change, ScheduleId, SectionName, UserId};
use turnstile::log::AppendFuture;
use turnstile::runtime::clock::Clock;
use turnstile::store::{StateTable, Store as _};
use uuid::Uuid;

use super::House;

const HOUR_MS: i64 = 3_600_000;
const SEATS: u32 = 500;
/// Enough for a million commands in a debug build.
const DECIDED_WITHIN: Duration = Duration::from_secs(3600);
/// Appends under way at once.
const IN_FLIGHT: usize = 2_000;

/// About `total` commands, followed-up ones included: 40 of 100 charge, 10 debit, 8 join a queue, 25 ask for seats of
/// which there are too few; then what was got is paid, three of four, or cancelled.
pub async fn sell(house: &House, total: u32) {
    let crowd = Crowd::new(total);
    let mut appends = Appends::new(house);
    for body in crowd.openings() {
        appends.send(body).await;
    }
    for number in 0..total / 100 {
        for step in 0..83 {
            appends.send(crowd.command(number, step)).await;
        }
    }
    appends.wait_for_all().await;
    appends.decide().await;
    pay_or_cancel(house, &mut appends).await;
    appends.wait_for_all().await;
    appends.decide().await;
}

async fn pay_or_cancel(house: &House, appends: &mut Appends<'_>) {
    let mut after = None;
    let mut number = 0u32;
    loop {
        let rows = house.store.state_page(StateTable::Reservation, after.as_ref(), 5_000).await.unwrap();
        let Some(last) = rows.last() else { return };
        after = Some(last.clone());
        for row in rows {
            let Change::Reservation(row) = row else { panic!("a page of another table") };
            if row.status != ReservationStatus::Held {
                continue;
            }
            number += 1;
            let (schedule_id, section, user_id, reservation_id) = (row.schedule_id, row.section, row.user_id, row.id);
            appends
                .send(match number % 4 {
                    0 => Body::CancelReservation(CancelReservation { schedule_id, section, user_id, reservation_id }),
                    _ => {
                        let amount = None;
                        Body::PayReservation(PayReservation { schedule_id, section, user_id, reservation_id, amount })
                    }
                })
                .await;
        }
    }
}

struct Crowd {
    schedules: Vec<ScheduleId>,
    sections: u32,
    users: u32,
}

impl Crowd {
    fn new(total: u32) -> Crowd {
        let schedules = (0..(total / 50_000).max(1)).map(|_| ScheduleId(Uuid::now_v7())).collect();
        Crowd { schedules, sections: (total / 5_000).max(1), users: (total / 25).max(1) }
    }

    /// Section `number`: ten to a date at least.
    fn section(&self, number: u32) -> (ScheduleId, SectionName) {
        let number = number % self.sections;
        let schedule = self.schedules[number as usize % self.schedules.len()];
        (schedule, format!("S{number}").parse().unwrap())
    }

    fn user(&self, number: u32) -> UserId {
        format!("user-{}", number % self.users).parse().unwrap()
    }

    fn openings(&self) -> Vec<Body> {
        let starts_at = Clock::System.now().plus_ms(24 * HOUR_MS);
        let section = |number| {
            let (schedule_id, section) = self.section(number);
            Body::OpenSection(OpenSection {
                schedule_id,
                section,
                user_id: "admin".parse().unwrap(),
                seats: SEATS,
                price: 100,
                hold_ttl_ms: 12 * HOUR_MS,
                max_seats_per_user: 100,
                sales_open_at: None,
                starts_at,
                queue: false,
            })
        };
        let queue = |schedule_id: &ScheduleId| {
            let limits = Limits {
                max_active: 100,
                active_ttl_ms: 12 * HOUR_MS,
                max_waiting: 100_000,
                admit_per_minute: None,
                on_timeout: OnTimeout::Requeue,
                abandon_after_ms: 12 * HOUR_MS,
            };
            Body::OpenQueue(OpenQueue { schedule_id: *schedule_id, user_id: "admin".parse().unwrap(), limits })
        };
        (0..self.sections).map(section).chain(self.schedules.iter().map(queue)).collect()
    }

    fn command(&self, number: u32, step: u32) -> Body {
        let user_id = self.user(number * 83 + step);
        match step {
            0..40 => {
                let reason = step.is_multiple_of(4).then(|| "for the concert".to_owned());
                Body::ChargeWallet(ChargeWallet { user_id, amount: 500, reason })
            }
            40..50 => Body::DebitWallet(DebitWallet { user_id, amount: 150, reason: None, origin: None }),
            50..58 => {
                let schedule_id = self.schedules[number as usize % self.schedules.len()];
                Body::JoinQueue(JoinQueue { schedule_id, user_id })
            }
            _ => {
                let (schedule_id, section) = self.section(number.wrapping_mul(31) + step);
                Body::HoldSeats(HoldSeats {
                    schedule_id,
                    section,
                    user_id,
                    choice: Choice::BestAvailable(1 + step % 2),
                })
            }
        }
    }
}

/// Appends that are not acknowledged yet, oldest first.
struct Appends<'a> {
    house: &'a House,
    under_way: VecDeque<AppendFuture>,
    sent: u64,
    began: Instant,
}

impl<'a> Appends<'a> {
    fn new(house: &'a House) -> Appends<'a> {
        Appends { house, under_way: VecDeque::new(), sent: 0, began: Instant::now() }
    }

    async fn send(&mut self, body: Body) {
        if self.under_way.len() == IN_FLIGHT {
            self.under_way.pop_front().expect("some").await.unwrap();
        }
        self.under_way.push_back(self.house.append_command(body));
        self.sent += 1;
    }

    async fn wait_for_all(&mut self) {
        for append in self.under_way.drain(..) {
            append.await.unwrap();
        }
        println!("{} commands sent after {:.0} s", self.sent, self.began.elapsed().as_secs_f64());
    }

    async fn decide(&self) {
        self.house.decide(DECIDED_WITHIN).await;
        println!("decided after {:.0} s", self.began.elapsed().as_secs_f64());
    }
}
