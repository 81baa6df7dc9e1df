//! The free seats of a block by section and category.

use std::ops::Index;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Free seats of one category of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// AVAILABLE ones, for sale or not.
    pub free: u32,
    /// Those of `free` that are not for sale.
    pub blocked: u32,
    /// Those of `free` that are companion seats and for sale.
    pub companions: u32,
}

impl Counts {
    /// Hash of these counts where they stand, over their canonical bytes.
    fn hash(self, rank: usize, category: usize) -> u64 {
        let Counts { free, blocked, companions } = self;
        let mut bytes = [0; 20];
        for (to, value) in bytes.chunks_exact_mut(4).zip([rank as u32, category as u32, free, blocked, companions]) {
            to.copy_from_slice(&value.to_le_bytes());
        }
        xxh3_64(&bytes)
    }
}

/// [`Counts`] by section in order of rank, then by category in the section's order.
///
/// A clone is cheap, a change copies one flat list, and the hash follows each change: as lists in lists that were hashed
/// whole, the counts of 500 sections took nine tenths of a hold's time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CountTable {
    /// Where each section ends in `counts`.
    ends: Arc<Vec<usize>>,
    counts: Arc<Vec<Counts>>,
    /// XOR over the hashes of all counts.
    hash: u64,
}

impl CountTable {
    /// Sections.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The sections' counts, in order of rank.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[Counts]> {
        (0..self.len()).map(|rank| &self[rank])
    }

    /// The counts of all sections.
    pub fn all(&self) -> &[Counts] {
        &self.counts
    }

    /// What stands for the table in the digest of the block's row.
    pub(in crate::domain) fn hash(&self) -> u64 {
        self.hash
    }

    /// Panics on a category that the section has not, or a section that the block has not.
    pub(super) fn change(&mut self, rank: u32, category: usize, change: impl FnOnce(&mut Counts)) {
        let rank = rank as usize;
        let index = self.start(rank) + category;
        let counts = &mut Arc::make_mut(&mut self.counts)[index];
        self.hash ^= counts.hash(rank, category);
        change(counts);
        self.hash ^= counts.hash(rank, category);
    }

    /// From now on companion seats are counted as ordinary ones.
    pub(super) fn free_companions(&mut self) {
        let free = |counts: &Counts| Counts { companions: 0, ..*counts };
        *self = self.iter().map(|section| section.iter().map(free).collect()).collect();
    }

    /// Replaces a section's counts, or appends those of the next one.
    pub(super) fn put(&mut self, rank: u32, counts: Vec<Counts>) {
        let mut sections: Vec<Vec<Counts>> = self.iter().map(<[Counts]>::to_vec).collect();
        match sections.get_mut(rank as usize) {
            Some(slot) => *slot = counts,
            None => sections.push(counts),
        }
        *self = sections.into();
    }

    fn start(&self, rank: usize) -> usize {
        if rank == 0 { 0 } else { self.ends[rank - 1] }
    }
}

impl Index<usize> for CountTable {
    type Output = [Counts];

    fn index(&self, rank: usize) -> &[Counts] {
        &self.counts[self.start(rank)..self.ends[rank]]
    }
}

impl From<Vec<Vec<Counts>>> for CountTable {
    fn from(sections: Vec<Vec<Counts>>) -> CountTable {
        let mut end = 0;
        let ends = sections.iter().map(|section| {
            end += section.len();
            end
        });
        let of_section = |(rank, counts): (usize, &Vec<Counts>)| {
            let hashes = counts.iter().enumerate().map(|(category, counts)| counts.hash(rank, category));
            hashes.fold(0, |hash, of_category| hash ^ of_category)
        };
        CountTable {
            ends: Arc::new(ends.collect()),
            hash: sections.iter().enumerate().map(of_section).fold(0, |hash, of_section| hash ^ of_section),
            counts: Arc::new(sections.concat()),
        }
    }
}

impl FromIterator<Vec<Counts>> for CountTable {
    fn from_iter<T: IntoIterator<Item = Vec<Counts>>>(sections: T) -> CountTable {
        sections.into_iter().collect::<Vec<_>>().into()
    }
}
