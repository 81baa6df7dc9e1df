//! `open_block`: the sections come into being. Seats have no rows until they are touched.

use std::collections::BTreeSet;

use crate::domain::block::{
    Block, BlockRow, CountTable, HOLD_TTL_MS_MAX, NewSection, OpenBlock, PAYMENT_TIMEOUT_MS_MAX, Reply, Row, SEATS_MAX,
    SEATS_PER_HOLD_MAX, SECTIONS_MAX, SectionRow, Terms, draft, sale,
};
use crate::domain::names::SectionName;
use crate::domain::{Arrival, Code, Decision, Refusal, digest};

pub(super) fn decide(block: Option<&Block>, command: &OpenBlock, at: &Arrival) -> Decision<Block> {
    if let Some(refusal) = out_of_bounds(command) {
        return Decision::rejected(refusal);
    }
    let content = digest::content(command);
    let reply = Reply::BlockOpened {
        key: command.key.clone(),
        sections: command.sections.len() as u32,
        seats: command.sections.iter().map(|section| section.layout.seats()).sum(),
    };
    match block {
        None => opened(command, content, reply, at),
        Some(block) if block.row.content == content => Decision::succeeded(reply, Vec::new()),
        Some(_) => Decision::rejected(conflict("the block is open already, with other content")),
    }
}

fn opened(command: &OpenBlock, content: u64, reply: Reply, at: &Arrival) -> Decision<Block> {
    let section = |(rank, section): (usize, &NewSection)| SectionRow {
        key: command.key.clone(),
        name: section.name.clone(),
        rank: rank as u32,
        layout: section.layout.clone(),
        changed: *at,
    };
    let sections: Vec<SectionRow> = command.sections.iter().enumerate().map(section).collect();
    let mut row = BlockRow {
        key: command.key.clone(),
        terms: command.terms.clone(),
        queue: command.queue,
        content,
        cancelled: None,
        swept: None,
        sweep_done: false,
        refunds_due: 0,
        refunds_done: 0,
        counts: CountTable::default(),
        pending: 0,
        noted: None,
        due_at: command.terms.companions_free_at.filter(|free_at| *free_at > at.time),
        changed: *at,
    };
    let companions_free = row.companions_free();
    row.counts = sections.iter().map(|section| draft::count(section, None, companions_free)).collect();
    let note = sale::note(&mut row, at);
    let changes = std::iter::once(Row::Block(row)).chain(sections.into_iter().map(Row::Section)).collect();
    Decision { follow_ups: note.into_iter().collect(), ..Decision::succeeded(reply, changes) }
}

pub(super) fn conflict(detail: impl Into<String>) -> Refusal {
    Refusal::new(Code::BlockConflict, detail)
}

/// The front door checks these bounds too; here they keep a foreign producer from making a block without bound.
fn out_of_bounds(command: &OpenBlock) -> Option<Refusal> {
    let Terms { hold_ttl_ms, rehold_after_ms, payment_timeout_ms, max_seats_per_user, .. } = command.terms;
    let bounds = [
        ("hold_ttl_ms", hold_ttl_ms, 1, HOLD_TTL_MS_MAX),
        ("rehold_after_ms", rehold_after_ms, 0, HOLD_TTL_MS_MAX),
        ("payment_timeout_ms", payment_timeout_ms, 1, PAYMENT_TIMEOUT_MS_MAX),
        ("max_seats_per_user", i64::from(max_seats_per_user), 1, i64::from(SEATS_PER_HOLD_MAX)),
    ];
    if let Some((name, _, min, max)) = bounds.into_iter().find(|(_, value, min, max)| !(*min..=*max).contains(value)) {
        return Some(conflict(format!("{name} of a block is {min} to {max}")));
    }
    let names: BTreeSet<&SectionName> = command.sections.iter().map(|section| &section.name).collect();
    if names.len() < command.sections.len() {
        return Some(conflict("a section is there twice"));
    }
    let seats = command.sections.iter().map(|section| u64::from(section.layout.seats())).sum();
    too_large(command.sections.len(), seats)
}

pub(super) fn too_large(sections: usize, seats: u64) -> Option<Refusal> {
    if !(1..=SECTIONS_MAX).contains(&sections) {
        return Some(conflict(format!("a block has 1 to {SECTIONS_MAX} sections")));
    }
    (seats > u64::from(SEATS_MAX)).then(|| conflict(format!("a block has at most {SEATS_MAX} seats")))
}
