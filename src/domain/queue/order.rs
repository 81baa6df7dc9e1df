//! Which sequence numbers wait, and how many of them are before a given one.

/// A set of sequence numbers that counts: insert, remove, rank and successor in O(log n).
///
/// Numbers are given without gaps, so they are kept as bitmaps of 64 neighbours with a Fenwick tree over the bitmaps'
/// counts: 110,000 waiting take about 35 KB. Bitmaps that ran empty are swept out once they are the majority, so memory
/// follows what waits now, not what ever waited. Rejected: a Fenwick tree over single numbers (64 times the nodes to
/// sweep), and counting in a B-tree (the standard one keeps no counts).
#[derive(Debug, Clone, Default)]
pub struct WaitingOrder {
    /// `sequence / 64` of each bitmap, ascending.
    blocks: Vec<u64>,
    /// The bitmap of each block.
    bits: Vec<u64>,
    /// Fenwick tree over the bitmaps' counts; node i (from 1) lies at i - 1.
    tree: Vec<u32>,
    len: u64,
    /// Blocks whose bitmap is empty.
    empty: usize,
}

/// So few empty blocks are not worth sweeping.
const EMPTY_BLOCKS_MIN: usize = 16;

fn split(sequence: u64) -> (u64, u64) {
    (sequence / 64, 1 << (sequence % 64))
}

fn low_bit(node: usize) -> usize {
    node & node.wrapping_neg()
}

impl WaitingOrder {
    /// How many wait.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn contains(&self, sequence: u64) -> bool {
        let (block, bit) = split(sequence);
        self.blocks.binary_search(&block).is_ok_and(|at| self.bits[at] & bit != 0)
    }

    /// Adds a number; says whether it was new. A number far below the newest may cost a rebuild, O(n / 64).
    pub fn insert(&mut self, sequence: u64) -> bool {
        let (block, bit) = split(sequence);
        match self.blocks.binary_search(&block) {
            Ok(at) if self.bits[at] & bit != 0 => return false,
            Ok(at) => {
                self.empty -= usize::from(self.bits[at] == 0);
                self.bits[at] |= bit;
                self.add(at, 1);
            }
            Err(at) if at == self.blocks.len() => self.append(block, bit),
            Err(at) => {
                self.blocks.insert(at, block);
                self.bits.insert(at, bit);
                self.rebuild();
            }
        }
        self.len += 1;
        true
    }

    /// Takes a number out; says whether it was there.
    pub fn remove(&mut self, sequence: u64) -> bool {
        let (block, bit) = split(sequence);
        let Ok(at) = self.blocks.binary_search(&block) else { return false };
        if self.bits[at] & bit == 0 {
            return false;
        }
        self.bits[at] &= !bit;
        self.add(at, -1);
        self.len -= 1;
        self.empty += usize::from(self.bits[at] == 0);
        if self.empty >= EMPTY_BLOCKS_MIN && self.empty * 2 > self.blocks.len() {
            self.rebuild();
        }
        true
    }

    /// How many are smaller than `sequence`, whether or not it waits itself.
    pub fn before(&self, sequence: u64) -> u64 {
        let (block, bit) = split(sequence);
        match self.blocks.binary_search(&block) {
            Ok(at) => self.prefix(at) + u64::from((self.bits[at] & (bit - 1)).count_ones()),
            Err(at) => self.prefix(at),
        }
    }

    /// The smallest that is at least `sequence`.
    pub fn at_or_after(&self, sequence: u64) -> Option<u64> {
        self.nth(self.before(sequence))
    }

    /// The one with `rank` smaller ones.
    fn nth(&self, rank: u64) -> Option<u64> {
        if rank >= self.len {
            return None;
        }
        // Walks down the tree to the last block whose prefix is at most `rank`.
        let (mut at, mut left) = (0, rank);
        let mut step = self.tree.len().checked_ilog2().map_or(0, |log| 1usize << log);
        while step > 0 {
            if let Some(count) = self.tree.get(at + step - 1).map(|count| u64::from(*count))
                && count <= left
            {
                at += step;
                left -= count;
            }
            step /= 2;
        }
        let mut bits = *self.bits.get(at)?;
        for _ in 0..left {
            bits &= bits - 1;
        }
        Some(self.blocks[at] * 64 + u64::from(bits.trailing_zeros()))
    }

    /// Sum of the first `blocks` bitmaps' counts.
    fn prefix(&self, blocks: usize) -> u64 {
        let (mut node, mut sum) = (blocks, 0);
        while node > 0 {
            sum += u64::from(self.tree[node - 1]);
            node -= low_bit(node);
        }
        sum
    }

    fn add(&mut self, at: usize, difference: i32) {
        let mut node = at + 1;
        while let Some(count) = self.tree.get_mut(node - 1) {
            *count = count.wrapping_add_signed(difference);
            node += low_bit(node);
        }
    }

    fn append(&mut self, block: u64, bits: u64) {
        self.blocks.push(block);
        self.bits.push(bits);
        let node = self.blocks.len();
        let mut count = bits.count_ones();
        let mut step = 1;
        while step < low_bit(node) {
            count += self.tree[node - step - 1];
            step *= 2;
        }
        self.tree.push(count);
    }

    /// Drops empty blocks and counts anew.
    fn rebuild(&mut self) {
        let (blocks, bits) = (std::mem::take(&mut self.blocks), std::mem::take(&mut self.bits));
        self.tree.clear();
        self.empty = 0;
        for (block, bits) in blocks.into_iter().zip(bits).filter(|(_, bits)| *bits != 0) {
            self.append(block, bits);
        }
        self.blocks.shrink_to(self.blocks.len() * 2);
        self.bits.shrink_to(self.bits.len() * 2);
        self.tree.shrink_to(self.tree.len() * 2);
    }

    #[cfg(test)]
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }
}
