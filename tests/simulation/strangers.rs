//! Other programs that write to the command topics: queue commands, repeats, strays, rubbish.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use turnstile::domain::command::{
    Body, ChargeWallet, ExpireHolds, JoinQueue, LeaveQueue, OpenQueue, OpenSection, Seen,
};
use turnstile::domain::queue::{Limits, OnTimeout};
use turnstile::domain::{Lane, LogTime, SectionName, UserId};
use turnstile::log::{Log, Topic};

use crate::sim::{BEGINNING_MS, DAY_MS};
use crate::users::{SEATS, USERS};
use crate::world::World;

pub const PRICE: i64 = 100;
/// How every piece of rubbish begins.
pub const RUBBISH: &str = "rubbish ";

fn user(at: usize) -> UserId {
    USERS[at].parse().expect("a user id")
}

pub fn section(name: &str) -> SectionName {
    name.parse().expect("a section name")
}

/// The admin's commands that begin a sale.
pub fn openings(world: &World) -> Vec<Body> {
    let sim = &world.sim;
    let hold_ttl_ms = 1_000 + sim.below(20_000) as i64;
    let mut bodies = Vec::new();
    for (at, schedule_id) in world.schedules.iter().copied().enumerate() {
        for name in ["A", "B"] {
            bodies.push(Body::OpenSection(OpenSection {
                schedule_id,
                section: section(name),
                user_id: "admin".parse().expect("a user id"),
                seats: SEATS as u32,
                price: PRICE,
                hold_ttl_ms,
                max_seats_per_user: 4,
                sales_open_at: None,
                starts_at: LogTime(BEGINNING_MS + DAY_MS),
                queue: at == 0,
            }));
        }
    }
    // Whoever is patient is to wait for long.
    let patient = sim.plan.patient;
    bodies.push(Body::OpenQueue(OpenQueue {
        schedule_id: world.schedules[0],
        user_id: "admin".parse().expect("a user id"),
        limits: Limits {
            max_active: if patient { 1 } else { 1 + sim.below(3) as u32 },
            active_ttl_ms: 8_000 + sim.below(60_000) as i64,
            max_waiting: if patient { 5 } else { 1 + sim.below(5) as u32 },
            admit_per_minute: if sim.below(2) == 0 { None } else { Some(30) },
            on_timeout: if sim.below(2) == 0 { OnTimeout::Requeue } else { OnTimeout::Expire },
            abandon_after_ms: if patient { 30_000 } else { sim.plan.abandon_after_ms },
        },
    }));
    bodies
}

/// Writes to the lanes for a while.
pub async fn meddle(world: Arc<World>, deeds: u64) {
    for _ in 0..deeds {
        sleep(Duration::from_millis(world.sim.below(1_200))).await;
        match world.sim.below(8) {
            0 => rubbish(&world),
            1 => stray(&world).await,
            2 => repeated(&world).await,
            _ => queue_command(&world).await,
        }
    }
}

async fn queue_command(world: &World) {
    let sim = &world.sim;
    let schedule_id = world.schedules[0];
    let user_id = user(sim.below(USERS.len() as u64) as usize);
    let body = match sim.below(6) {
        0..=1 => Body::JoinQueue(JoinQueue { schedule_id, user_id }),
        2 => Body::LeaveQueue(LeaveQueue { schedule_id, user_id }),
        3 => Body::Seen(Seen { schedule_id, sequences: (1..=1 + sim.below(8)).collect() }),
        _ => Body::ExpireHolds(ExpireHolds { schedule_id, section: section("A") }),
    };
    let command = world.command(body);
    world.send(world.place(&command.body), &command).await;
}

fn some_charge(world: &World) -> Body {
    let user_id = user(world.sim.below(USERS.len() as u64) as usize);
    Body::ChargeWallet(ChargeWallet { user_id, amount: 1 + world.sim.below(50) as i64, reason: None })
}

/// On any partition of any lane but its own.
async fn stray(world: &World) {
    let command = world.command(some_charge(world));
    let lane = Lane::ALL[world.sim.below(3) as usize];
    let topic = Topic::Lane(lane);
    let partition = world.sim.below(world.log.partitions().of(topic).into()) as u32;
    world.sim.note("stray", [lane as u64, partition.into(), 0]);
    world.send((topic, partition), &command).await;
}

/// The same command several times, here and there.
async fn repeated(world: &World) {
    let command = world.command(some_charge(world));
    for _ in 0..2 + world.sim.below(3) {
        world.send(world.place(&command.body), &command).await;
        sleep(Duration::from_millis(world.sim.below(400))).await;
    }
}

fn rubbish(world: &World) {
    let lane = Lane::ALL[world.sim.below(3) as usize];
    let topic = Topic::Lane(lane);
    let partition = world.sim.below(world.log.partitions().of(topic).into()) as u32;
    let value = match world.sim.below(4) {
        0 => None,
        1 => Some(format!("{RUBBISH}{}", world.sim.below(1_000)).into_bytes()),
        2 => Some(vec![0xff, 0xfe, 0x00]),
        _ => Some(br#"{"type":"sell_soul","version":1}"#.to_vec()),
    };
    world.log.put((topic, partition), None, value.map(Into::into), Vec::new());
}
