//! What is on sale: two dates of the same hall, the first with a waiting queue.
//!
//! Block `main` has section A (two rows, two prices) and section B (free of charge, one wheelchair place with a companion
//! seat); block `side` has section C.

use turnstile::domain::block::{self, Category, Layout, LayoutParts, NewSection, OpenBlock, Span, Terms};
use turnstile::domain::queue::{self, Limits, OnTimeout, OpenQueue};
use turnstile::domain::{Amount, BlockKey, BlockName, Body, CategoryName, LogTime, ScheduleId, SectionName, UserId};

use crate::cluster::Cluster;
use crate::sim::{DAY_MS, START_MS, Sim};

/// Sections with their seats and their blocks.
pub const SECTIONS: [(&str, u64, &str); 3] = [("A", 10, "main"), ("B", 6, "main"), ("C", 8, "side")];
pub const BLOCKS: [&str; 2] = ["main", "side"];
pub const PRICE: i64 = 100;
/// No hold lasts longer.
pub const HOLD_TTL_MS_MAX: u64 = 21_000;

pub fn section(name: &str) -> SectionName {
    name.parse().expect("a section name")
}

pub fn category(name: &str) -> CategoryName {
    name.parse().expect("a category name")
}

pub fn user(name: &str) -> UserId {
    name.parse().expect("a user id")
}

pub fn block(name: &str) -> BlockName {
    name.parse().expect("a block name")
}

fn span(first: u32, last: u32) -> Span {
    Span { first, last }
}

fn priced(name: &str, price: i64) -> Category {
    Category { name: category(name), price: Amount::price(price).expect("a price") }
}

/// The layout of a section with this many seats; the seats beyond the first ones are a run of their own.
pub fn layout(name: &str, seats: u32) -> Layout {
    let mut parts = match name {
        "A" => LayoutParts {
            seats: 10,
            runs: vec![span(1, 6), span(7, 10)],
            categories: vec![priced("gold", PRICE), priced("blue", PRICE / 2)],
            category_runs: vec![(span(1, 4), 0), (span(5, 10), 1)],
            ..LayoutParts::default()
        },
        "B" => LayoutParts {
            seats: 6,
            runs: vec![span(1, 6)],
            categories: vec![priced("free", 0)],
            category_runs: vec![(span(1, 6), 0)],
            wheelchair: vec![span(3, 3)],
            companions: vec![(4, 3)],
            ..LayoutParts::default()
        },
        _ => LayoutParts {
            seats: 8,
            runs: vec![span(1, 8)],
            categories: vec![priced(name, PRICE)],
            category_runs: vec![(span(1, 8), 0)],
            not_for_sale: vec![span(8, 8)],
            ..LayoutParts::default()
        },
    };
    if seats > parts.seats {
        parts.runs.push(span(parts.seats + 1, seats));
        parts.category_runs.push((span(parts.seats + 1, seats), 0));
        parts.seats = seats;
    }
    Layout::new(parts).expect("a layout")
}

/// A time within the run, or `None`.
fn some_time(sim: &Sim, permille: u64, from_ms: u64, to_ms: u64) -> Option<LogTime> {
    let at = START_MS + (from_ms + sim.below(to_ms - from_ms)) as i64;
    sim.prng().permille(permille).then_some(LogTime(at))
}

fn terms(sim: &Sim) -> Terms {
    let windows = u64::from(sim.plan.windows);
    Terms {
        // Often short, so that holds end while their users are still active.
        hold_ttl_ms: 1_000 + sim.below(if sim.below(2) == 0 { 3_000 } else { HOLD_TTL_MS_MAX - 1_000 }) as i64,
        rehold_after_ms: sim.below(3) as i64 * 10_000,
        payment_timeout_ms: 500 + sim.below(8_000) as i64,
        max_seats_per_user: 4,
        sales_open_at: some_time(sim, 500 * windows, 1_000, 15_000),
        sales_close_at: some_time(sim, 300 * windows, 20_000, 90_000),
        starts_at: some_time(sim, 300 * windows, 30_000, 120_000).unwrap_or(LogTime(START_MS + DAY_MS)),
        companions_free_at: some_time(sim, 500, 5_000, 60_000),
    }
}

fn open_block(schedule_id: ScheduleId, name: &str, terms: &Terms, queue: bool) -> Body {
    let sections = SECTIONS.iter().filter(|(_, _, of)| *of == name);
    let sections = sections
        .map(|(name, seats, _)| NewSection { name: section(name), layout: layout(name, *seats as u32) })
        .collect();
    let key = BlockKey { schedule_id, block: block(name) };
    Body::Seats(block::Command::OpenBlock(OpenBlock {
        key,
        user_id: user("admin"),
        sections,
        terms: terms.clone(),
        queue,
    }))
}

fn limits(sim: &Sim) -> Limits {
    // A patient user is to wait for long.
    let patient = sim.plan.patient;
    Limits {
        max_active: if patient { 1 } else { 1 + sim.below(3) as u32 },
        active_ttl_ms: 8_000 + sim.below(60_000) as i64,
        max_waiting: if patient { 5 } else { 1 + sim.below(5) as u32 },
        admit_per_minute: if sim.below(2) == 0 { None } else { Some(30) },
        on_timeout: if sim.below(2) == 0 { OnTimeout::Requeue } else { OnTimeout::Expire },
        abandon_after_ms: if patient { 30_000 } else { sim.plan.abandon_after_ms },
        claim_after_ms: sim.plan.claim_after_ms,
        absent_max_ms: if patient { 3_600_000 } else { sim.plan.absent_max_ms },
    }
}

/// The admin's commands that open the dates.
pub fn openings(cluster: &Cluster) -> Vec<Body> {
    let sim = &cluster.sim;
    let mut bodies = Vec::new();
    for (number, schedule_id) in cluster.schedules.iter().copied().enumerate() {
        let (queue, terms) = (number == 0, terms(sim));
        if queue {
            bodies.push(Body::Queues(queue::Command::OpenQueue(OpenQueue {
                schedule_id,
                user_id: user("admin"),
                limits: limits(sim),
                sales_open_at: terms.sales_open_at,
                starts_at: terms.starts_at,
                blocks: BLOCKS.map(block).to_vec(),
            })));
        }
        bodies.extend(BLOCKS.map(|name| open_block(schedule_id, name, &terms, queue)));
    }
    bodies
}
