//! Staff, by records on the lanes: holds and cancellations for users, tickets checked at the door, amendments of a date, the
//! cancellation of a show.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use turnstile::domain::block::{
    self, AmendBlock, AmendSection, BestAvailable, CancelReservation, CheckTicket, Choice, HoldSeats, NewSection,
    PayReservation, Reservation, ReservationState, Span,
};
use turnstile::domain::{Amount, BlockKey, Body, Command, LogTime, Row, SeatId};
use turnstile::store::{AuditReads, StateTable};

use crate::cluster::Cluster;
use crate::foreign_producers::{some_key, some_user};
use crate::sale::{self, PRICE, SECTIONS};
use crate::sim::{DAY_MS, START_MS};

const CLERK: &str = "clerk";
/// When a show is cancelled, ms since the start.
const CANCELLED_MS: (u64, u64) = (4_000, 30_000);

/// Appends this many commands.
pub async fn work(cluster: Arc<Cluster>, commands: u64) {
    for _ in 0..commands {
        sleep(Duration::from_millis(cluster.sim.below(1_500))).await;
        let body = match cluster.sim.below(8) {
            0..=2 => Some(hold(&cluster)),
            3..=5 => of_reservation(&cluster).await,
            6 if cluster.sim.below(2) == 0 => {
                flicker(&cluster).await;
                None
            }
            6 => Some(amend(&cluster)),
            _ => {
                send(&cluster, amend(&cluster), false).await;
                None
            }
        };
        if let Some(body) = body {
            send(&cluster, body, true).await;
        }
    }
}

/// Cancels one of the two dates, block by block, sometimes twice.
pub async fn cancel_show(cluster: Arc<Cluster>) {
    let (from, to) = CANCELLED_MS;
    sleep(Duration::from_millis(from + cluster.sim.below(to - from))).await;
    let schedule_id = cluster.schedules[cluster.sim.below(2) as usize];
    for _ in 0..1 + cluster.sim.below(2) {
        for name in sale::BLOCKS {
            let key = BlockKey { schedule_id, block: sale::block(name) };
            let amend = AmendBlock { cancelled: true, ..nothing_amended(key) };
            send(&cluster, Body::Seats(block::Command::AmendBlock(amend)), false).await;
            sleep(Duration::from_millis(cluster.sim.below(2_000))).await;
        }
    }
}

async fn send(cluster: &Cluster, body: Body, by_clerk: bool) {
    let command = Command { by: by_clerk.then(|| sale::user(CLERK)), ..cluster.command(body) };
    cluster.send(&command).await;
    // A clerk's double click, and a retry.
    if cluster.sim.below(5) == 0 {
        cluster.send(&command).await;
    }
}

fn hold(cluster: &Cluster) -> Body {
    let sim = &cluster.sim;
    let key = some_key(cluster);
    let sections: Vec<_> = SECTIONS.iter().filter(|(_, _, of)| *of == key.block.as_str()).collect();
    let (name, seats, _) = sections[sim.below(sections.len() as u64) as usize];
    let choice = match sim.below(3) {
        0 => Choice::BestAvailable(BestAvailable {
            count: 1 + sim.below(4) as u32,
            section: (sim.below(2) == 0).then(|| sale::section(name)),
            category: None,
        }),
        _ => {
            let number = 1 + sim.below(seats + 1) as u32;
            Choice::Seats(vec![SeatId { section: sale::section(name), number }])
        }
    };
    let hold = HoldSeats { key, user_id: some_user(cluster), choice, admitted: false };
    Body::Seats(block::Command::HoldSeats(hold))
}

/// Something with a reservation that the store knows.
async fn of_reservation(cluster: &Cluster) -> Option<Body> {
    let sim = &cluster.sim;
    let rows = cluster.store.state_page(StateTable::Reservation, None, u32::MAX).await.ok()?;
    let known = rows.into_iter().filter_map(|row| match row {
        Row::Seats(block::Row::Reservation(reservation)) => Some(reservation),
        _ => None,
    });
    let mut known: Vec<Reservation> = known.collect();
    // Stores have orders of their own.
    known.sort_by_key(|reservation| reservation.held.position);
    let sold = |reservation: &Reservation| matches!(reservation.state, ReservationState::Confirmed { .. });
    if sim.below(2) == 0 && known.iter().any(sold) {
        known.retain(sold);
    }
    let Reservation { id, key, user_id, seats, state, .. } = sim.prng().pick(&known)?.clone();
    Some(Body::Seats(match (sim.below(6), state) {
        (0, _) => block::Command::CancelReservation(CancelReservation { key, user_id, reservation_id: id }),
        (1, _) => block::Command::PayReservation(PayReservation { key, user_id, reservation_id: id, amount: None }),
        (_, state) => {
            let serial = match state {
                ReservationState::Confirmed { serial, .. } => serial,
                _ => sim.below(40),
            };
            let serial = if sim.below(5) == 0 { serial + 1 } else { serial };
            let seat = sim.prng().pick(&seats)?.clone();
            block::Command::CheckTicket(CheckTicket {
                key,
                user_id: sale::user("door"),
                reservation_id: id,
                seat,
                serial,
            })
        }
    }))
}

/// Takes all seats of the smaller block off sale and puts them on again: each time the queue is told.
async fn flicker(cluster: &Cluster) {
    let key = BlockKey { schedule_id: cluster.schedules[0], block: sale::block("side") };
    let (name, seats, _) = SECTIONS[2];
    for turn in 0..2 + cluster.sim.below(4) {
        let all = Span { first: 1, last: seats as u32 };
        let not_for_sale = Some(if turn % 2 == 0 { vec![all] } else { Vec::new() });
        let section = AmendSection { name: sale::section(name), layout: None, prices: Vec::new(), not_for_sale };
        let amend = AmendBlock { sections: vec![section], ..nothing_amended(key.clone()) };
        send(cluster, Body::Seats(block::Command::AmendBlock(amend)), false).await;
        sleep(Duration::from_millis(cluster.sim.below(400))).await;
    }
}

fn nothing_amended(key: BlockKey) -> AmendBlock {
    AmendBlock {
        key,
        user_id: sale::user("admin"),
        sections: Vec::new(),
        new_sections: Vec::new(),
        sales_open_at: None,
        sales_close_at: None,
        starts_at: None,
        cancelled: false,
    }
}

fn amend(cluster: &Cluster) -> Body {
    let sim = &cluster.sim;
    let time = |max_ms: u64| LogTime(START_MS + sim.below(max_ms) as i64);
    let key = some_key(cluster);
    let name = if key.block.as_str() == "side" { "C" } else { "A" };
    let section = AmendSection { name: sale::section(name), layout: None, prices: Vec::new(), not_for_sale: None };
    let mut amend = nothing_amended(key);
    match sim.below(6) {
        0 => {
            let category = sale::category(if name == "C" { "C" } else { "blue" });
            let price = Amount::price(PRICE / 2 + sim.below(2) as i64 * PRICE).expect("a price");
            amend.sections.push(AmendSection { prices: vec![(category, price)], ..section });
        }
        1 => {
            let first = 1 + sim.below(6) as u32;
            let not_for_sale = if sim.below(3) == 0 { vec![] } else { vec![Span { first, last: first + 2 }] };
            amend.sections.push(AmendSection { not_for_sale: Some(not_for_sale), ..section });
        }
        // Absolute: a smaller total than before, in a late amendment, is refused.
        2 => {
            let seats = if name == "C" { 10 } else { 12 } + sim.below(2) as u32;
            amend.sections.push(AmendSection { layout: Some(sale::layout(name, seats)), ..section });
        }
        3 => {
            let name = if name == "C" { "D" } else { "E" };
            let new = NewSection { name: sale::section(name), layout: sale::layout(name, 8) };
            amend.new_sections.push(new);
        }
        4 if sim.plan.windows => amend.starts_at = Some(time(180_000)),
        4 => amend.starts_at = Some(LogTime(START_MS + DAY_MS + sim.below(1_000_000) as i64)),
        _ => {
            amend.sales_open_at = Some((sim.below(2) == 0).then(|| time(10_000)));
            amend.sales_close_at = Some((sim.below(4) == 0).then(|| time(240_000)));
        }
    }
    Body::Seats(block::Command::AmendBlock(amend))
}
