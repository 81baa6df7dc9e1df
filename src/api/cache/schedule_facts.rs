//! What commands have to know of a date: whether it has a queue, which block a section lies in, its plan. Amendments alone
//! change it, so it is remembered until one is heard of, and a hold costs no read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::snapshot_cache::{AGE_MAX, SnapshotCache};
use crate::domain::{BlockName, LogTime, ScheduleId, SectionName};
use crate::plan::PlanId;
use crate::store::{Catalog, ScheduleView, StoreError};

/// Dates remembered; beyond it the memory starts over.
const SCHEDULES_MAX: usize = 10_000;
/// Sections remembered of all dates.
const SECTIONS_MAX: usize = 1_000_000;

/// One date of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether holds need the token of a waiting queue.
    pub queue: bool,
    /// The seating plan that shows its seats.
    pub plan: Option<PlanId>,
    blocks: Vec<BlockFacts>,
    /// Index into `blocks`.
    block_of: HashMap<SectionName, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct BlockFacts {
    name: BlockName,
    /// As amended; the one fact that may change.
    starts_at: LogTime,
}

impl Facts {
    fn of(view: &ScheduleView) -> Facts {
        let facts = |block: &crate::store::BlockView| (block.row.key.block.clone(), block.row.terms.starts_at);
        let blocks = view.blocks.iter().map(facts).map(|(name, starts_at)| BlockFacts { name, starts_at }).collect();
        let sections = view
            .blocks
            .iter()
            .enumerate()
            .flat_map(|(index, block)| block.sections.iter().map(move |section| (section.name.clone(), index)));
        let plan = view.schedule.drawn_by().and_then(|id| id.parse().ok());
        Facts { queue: view.schedule.queue, plan, blocks, block_of: sections.collect() }
    }

    pub fn block_of(&self, section: &SectionName) -> Option<&BlockName> {
        self.block_of.get(section).map(|index| &self.blocks[*index].name)
    }

    /// In order of name.
    pub fn blocks(&self) -> impl Iterator<Item = &BlockName> {
        self.blocks.iter().map(|facts| &facts.name)
    }

    /// The block of a date that has no other.
    pub fn only_block(&self) -> Option<&BlockName> {
        match self.blocks.as_slice() {
            [block] => Some(&block.name),
            _ => None,
        }
    }

    /// When the show starts, by this block's terms.
    pub fn starts_at(&self, block: &BlockName) -> Option<LogTime> {
        self.blocks.iter().find(|facts| facts.name == *block).map(|facts| facts.starts_at)
    }
}

/// The facts of all dates that were asked for.
pub struct ScheduleFacts {
    store: Arc<dyn Catalog>,
    latest: SnapshotCache<ScheduleId, Option<Arc<Facts>>>,
    known: Mutex<HashMap<ScheduleId, Arc<Facts>>>,
}

impl ScheduleFacts {
    pub fn new(store: Arc<dyn Catalog>) -> Self {
        let latest = SnapshotCache::new(SCHEDULES_MAX, SECTIONS_MAX);
        ScheduleFacts { store, latest, known: Mutex::default() }
    }

    /// The facts of a date, as remembered; `None` for a date that the catalog does not know (yet), which is not
    /// remembered.
    pub async fn of(&self, id: ScheduleId) -> Result<Option<Arc<Facts>>, StoreError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        match known {
            Some(facts) => Ok(Some(facts)),
            None => self.latest(id).await,
        }
    }

    /// The facts of a date, at most 200 ms old.
    pub async fn latest(&self, id: ScheduleId) -> Result<Option<Arc<Facts>>, StoreError> {
        self.read(id, AGE_MAX).await
    }

    async fn read(&self, id: ScheduleId, age_max: Duration) -> Result<Option<Arc<Facts>>, StoreError> {
        let read = || async {
            let facts = self.store.schedule_for_command(id).await?.map(|view| Arc::new(Facts::of(&view)));
            let rows = facts.as_ref().map_or(1, |facts| 1 + facts.block_of.len());
            Ok((facts, rows))
        };
        let latest = self.latest.get(id, age_max, read).await?;
        if let Some(facts) = latest.as_ref() {
            self.remember(id, facts.clone());
        }
        Ok(latest.as_ref().clone())
    }

    /// The facts of a date that know these sections, if the date has them: an amendment may have added one. What is not
    /// known is read now: a snapshot may be older than a hold that another process took, whose repeat would be refused.
    pub async fn with_sections(
        &self,
        id: ScheduleId,
        sections: impl IntoIterator<Item = &SectionName>,
    ) -> Result<Option<Arc<Facts>>, StoreError> {
        let facts = self.of(id).await?;
        let knows = |facts: &Arc<Facts>| sections.into_iter().all(|section| facts.block_of(section).is_some());
        if facts.as_ref().is_some_and(knows) { Ok(facts) } else { self.read(id, Duration::ZERO).await }
    }

    /// A date was amended. What was read of its seating plan before is not to be relied on.
    pub fn amended(&self, id: ScheduleId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.latest.clear();
    }

    /// Outcomes may have been missed before now, and an amendment among them.
    pub fn outcomes_missed(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The catalog was changed here: the client that changed it must find the change.
    pub fn catalog_changed(&self) {
        self.latest.clear();
    }

    fn remember(&self, id: ScheduleId, facts: Arc<Facts>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SCHEDULES_MAX && !known.contains_key(&id) {
            known.clear();
        }
        known.insert(id, facts);
    }
}
