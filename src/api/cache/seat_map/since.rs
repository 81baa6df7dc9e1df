//! What a reader of a seat map has seen.

use crate::api::cache::seat_offsets::Offsets;

/// From when on something is a change.
#[derive(Clone, Copy)]
pub enum Since<'a> {
    /// For who comes back, perhaps to another process.
    Id(&'a Offsets),
    /// For who has seen this version here.
    Version(u64),
}

impl Since<'_> {
    pub(super) fn is_before(&self, partition: u32, offset: u64, version: u64) -> bool {
        match self {
            Since::Id(seen) => seen.is_before(partition, offset),
            Since::Version(seen) => *seen < version,
        }
    }
}
