//! A date and one of its blocks, as two fields.

use super::fields::{DecodeError, Fields};
use super::json::Object;
use crate::domain::{BlockKey, BlockName};

/// A record that names no block means `main`.
pub(super) fn read(f: &Fields<'_>) -> Result<BlockKey, DecodeError> {
    Ok(BlockKey {
        schedule_id: f.required("schedule_id")?,
        block: f.optional("block")?.unwrap_or_else(BlockName::main),
    })
}

pub(super) fn write(o: &mut Object<'_>, key: &BlockKey) {
    o.plain("schedule_id", key.schedule_id).plain("block", &key.block);
}
