//! Names of one answer, each made once: the 100,000 seats of a block have a few hundred sections.

use std::collections::HashMap;

use super::cells::{Cells, corrupt};
use crate::domain::{BlockKey, ScheduleId, SectionName};
use crate::store::StoreError;

/// What was read so far.
#[derive(Default)]
pub(in crate::store) struct Names {
    /// A date has few blocks.
    blocks: HashMap<ScheduleId, Vec<BlockKey>>,
    sections: HashMap<String, SectionName>,
}

impl Names {
    /// The block that columns `schedule_id` and `block` name.
    pub fn block(&mut self, row: &impl Cells) -> Result<BlockKey, StoreError> {
        let (schedule_id, text) = (row.schedule_id()?, row.text("block")?);
        let known = self.blocks.entry(schedule_id).or_default();
        if let Some(key) = known.iter().find(|key| key.block.as_str() == text) {
            return Ok(key.clone());
        }
        let block = text.parse().map_err(|error| corrupt("block", error))?;
        let key = BlockKey { schedule_id, block };
        known.push(key.clone());
        Ok(key)
    }

    pub fn section(&mut self, text: &str) -> Result<SectionName, StoreError> {
        if let Some(name) = self.sections.get(text) {
            return Ok(name.clone());
        }
        let name: SectionName = text.parse().map_err(|error| corrupt("section", error))?;
        self.sections.insert(text.to_owned(), name.clone());
        Ok(name)
    }
}
