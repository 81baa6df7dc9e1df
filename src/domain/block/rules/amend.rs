//! `amend_block`: absolute values, so a repeat changes nothing. What is held or sold keeps its seats and its price.

use std::collections::BTreeMap;

use super::open::{conflict, too_large};
use crate::domain::block::draft::Draft;
use crate::domain::block::layout::{Category, Layout, LayoutParts};
use crate::domain::block::{AmendBlock, AmendSection, Block, NewSection, Reply, SectionRow};
use crate::domain::{Arrival, Code, Decision, Refusal, SectionName};

pub(super) fn decide(block: &Block, command: &AmendBlock, at: &Arrival) -> Decision<Block> {
    let amended = match Amended::of(block, command, at) {
        Ok(amended) => amended,
        Err(refusal) => return Decision::rejected(refusal),
    };
    let mut draft = Draft::new(block, at);
    let terms = &mut draft.row.terms;
    terms.sales_open_at = command.sales_open_at.unwrap_or(terms.sales_open_at);
    terms.sales_close_at = command.sales_close_at.unwrap_or(terms.sales_close_at);
    terms.starts_at = command.starts_at.unwrap_or(terms.starts_at);
    let reply = amended.reply(block, command);
    let rows = amended.rows(block, at);
    let cancelled = block.row.cancelled.is_some();
    let same = rows.is_empty() && draft.row.terms == block.row.terms && (cancelled || !command.cancelled);
    if same {
        return Decision::succeeded(reply, Vec::new());
    }
    if cancelled {
        return Decision::rejected(Refusal::new(Code::ShowCancelled, "the show is cancelled"));
    }
    for row in rows {
        draft.section(row);
    }
    draft.row.cancelled = command.cancelled.then_some(*at);
    draft.succeeded(reply)
}

/// The sections that will differ, by rank.
struct Amended(BTreeMap<u32, (SectionName, Layout)>);

impl Amended {
    fn of(block: &Block, command: &AmendBlock, at: &Arrival) -> Result<Amended, Refusal> {
        let starts_at = command.starts_at.filter(|starts_at| *starts_at != block.row.terms.starts_at);
        if starts_at.is_some_and(|starts_at| starts_at <= at.time) {
            return Err(conflict("starts_at must lie after the time of the command"));
        }
        let mut amended = Amended(BTreeMap::new());
        for section in &command.sections {
            amended.amend(block, section)?;
        }
        for section in &command.new_sections {
            amended.append(block, section)?;
        }
        let seats = amended.layouts(block).map(|layout| u64::from(layout.seats())).sum();
        too_large(amended.layouts(block).count(), seats).map_or(Ok(amended), Err)
    }

    fn amend(&mut self, block: &Block, section: &AmendSection) -> Result<(), Refusal> {
        let Some(rank) = block.rank_of(&section.name) else {
            return Err(Refusal::new(Code::SectionNotFound, format!("there is no section {}", section.name)));
        };
        let so_far = self.0.get(&rank).map_or(block.section(rank).layout(), |(_, layout)| layout).clone();
        let mut parts = match &section.layout {
            Some(layout) => {
                keeps(so_far.parts(), layout.parts())
                    .map_err(|what| conflict(format!("section {}: {what}", section.name)))?;
                layout.parts().clone()
            }
            None => so_far.parts().clone(),
        };
        for (name, price) in &section.prices {
            let Some(category) = parts.categories.iter_mut().find(|category| category.name == *name) else {
                return Err(conflict(format!("section {} has no category {name}", section.name)));
            };
            category.price = *price;
        }
        if let Some(not_for_sale) = &section.not_for_sale {
            parts.not_for_sale = not_for_sale.clone();
        }
        let layout = Layout::new(parts).map_err(|error| conflict(format!("section {}: {error}", section.name)))?;
        if layout != *block.section(rank).layout() || self.0.contains_key(&rank) {
            self.0.insert(rank, (section.name.clone(), layout));
        }
        Ok(())
    }

    fn append(&mut self, block: &Block, section: &NewSection) -> Result<(), Refusal> {
        let appended = self.0.values().find(|(name, _)| *name == section.name).map(|(_, layout)| layout);
        let known = block.rank_of(&section.name).map(|rank| block.section(rank).layout());
        match appended.or(known) {
            Some(layout) if *layout == section.layout => Ok(()),
            Some(_) => Err(conflict(format!("section {} is there already, with other content", section.name))),
            None => {
                let appended = self.0.keys().filter(|rank| **rank as usize >= block.sections.len()).count();
                let rank = (block.sections.len() + appended) as u32;
                self.0.insert(rank, (section.name.clone(), section.layout.clone()));
                Ok(())
            }
        }
    }

    /// All layouts of the block as it will be.
    fn layouts<'a>(&'a self, block: &'a Block) -> impl Iterator<Item = &'a Layout> {
        let appended = self.0.range(block.sections.len() as u32..).map(|(_, (_, layout))| layout);
        let so_far = block
            .sections
            .iter()
            .map(|section| self.0.get(&section.row.rank).map_or(section.layout(), |(_, layout)| layout));
        so_far.chain(appended)
    }

    fn reply(&self, block: &Block, command: &AmendBlock) -> Reply {
        Reply::BlockAmended {
            key: block.row.key.clone(),
            sections: self.layouts(block).count() as u32,
            seats: self.layouts(block).map(Layout::seats).sum(),
            cancelled: command.cancelled || block.row.cancelled.is_some(),
        }
    }

    /// The rows that change, ascending by rank.
    fn rows(self, block: &Block, at: &Arrival) -> Vec<SectionRow> {
        let row = |(rank, (name, layout))| SectionRow { key: block.row.key.clone(), name, rank, layout, changed: *at };
        let differs =
            |row: &SectionRow| block.sections.get(row.rank as usize).is_none_or(|s| s.row.layout != row.layout);
        self.0.into_iter().map(row).filter(differs).collect()
    }
}

/// Seats are only appended, as new runs; those so far keep their runs, categories and places.
fn keeps(old: &LayoutParts, new: &LayoutParts) -> Result<(), &'static str> {
    let names = |categories: &[Category]| categories.iter().map(|category| category.name.clone()).collect::<Vec<_>>();
    if new.seats < old.seats || !new.runs.starts_with(&old.runs) {
        return Err("seats can only be appended, as new runs");
    }
    if !names(&new.categories).starts_with(&names(&old.categories)) || priced(new, old.seats) != priced(old, old.seats)
    {
        return Err("seats keep their categories");
    }
    if wheelchairs(new, old.seats) != wheelchairs(old, old.seats)
        || companions(new, old.seats) != companions(old, old.seats)
    {
        return Err("wheelchair places and companion seats stay what they are");
    }
    Ok(())
}

/// First and last seat up to `seats` of each category in a row.
fn priced(parts: &LayoutParts, seats: u32) -> Vec<(u32, u32, u16)> {
    let mut runs: Vec<(u32, u32, u16)> = Vec::new();
    for (span, category) in parts.category_runs.iter().filter(|(span, _)| span.first <= seats) {
        let last = span.last.min(seats);
        match runs.last_mut() {
            Some(run) if run.2 == *category => run.1 = last,
            _ => runs.push((span.first, last, *category)),
        }
    }
    runs
}

fn wheelchairs(parts: &LayoutParts, seats: u32) -> Vec<u32> {
    let spans = parts.wheelchair.iter();
    spans.flat_map(|span| span.first..=span.last).take_while(|number| *number <= seats).collect()
}

fn companions(parts: &LayoutParts, seats: u32) -> Vec<(u32, u32)> {
    parts.companions.iter().copied().take_while(|(seat, _)| *seat <= seats).collect()
}
