//! How far along the log a seat map is: the id of a seat event.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// For each partition of the seats lane how far its changes are part of a map. Text: `partition:offset,…`, ascending, or
/// `partition:offset-offset` where outcomes told of more than was read.
///
/// A partition commits in order and a snapshot is one read, so a snapshot that has a change has all changes of its
/// partition before it: "everything after these offsets" misses nothing, however many blocks a date has. Outcomes do not
/// tell of everything (a paid reservation that is cancelled frees its seats before there is an outcome), so what they
/// tell moves only the second offset: whoever goes on after it gets everything after the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offsets(BTreeMap<u32, Reach>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reach {
    /// Every change up to here.
    whole: u64,
    /// Every change up to here that an outcome tells of; never less than `whole`.
    told: u64,
}

impl Offsets {
    /// Whether everything that `seen` was told of is part of `self`.
    pub fn cover(&self, seen: &Offsets) -> bool {
        seen.0.iter().all(|(partition, reach)| self.0.get(partition).is_some_and(|own| own.told >= reach.told))
    }

    /// The later offsets of each partition.
    pub fn merge(&mut self, other: &Offsets) {
        for (partition, reach) in &other.0 {
            let own = self.0.entry(*partition).or_insert(*reach);
            *own = Reach { whole: own.whole.max(reach.whole), told: own.told.max(reach.told) };
        }
    }

    /// A change that was read.
    pub(super) fn note(&mut self, partition: u32, offset: u64) {
        let own = self.0.entry(partition).or_insert(Reach { whole: offset, told: offset });
        *own = Reach { whole: own.whole.max(offset), told: own.told.max(offset) };
    }

    /// A change that an outcome told of.
    pub(super) fn note_told(&mut self, partition: u32, offset: u64) {
        let own = self.0.entry(partition).or_insert(Reach { whole: 0, told: offset });
        own.told = own.told.max(offset);
    }

    /// Whether a change at this offset may be missing.
    pub(super) fn is_before(&self, partition: u32, offset: u64) -> bool {
        self.0.get(&partition).is_none_or(|own| own.whole < offset)
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (partition, Reach { whole, told })) in self.0.iter().enumerate() {
            write!(f, "{}{partition}:{whole}", if i > 0 { "," } else { "" })?;
            if told > whole {
                write!(f, "-{told}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Offsets {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ERROR: &str = "event ids are {partition}:{offset},… or {partition}:{offset}-{offset},…";
        let mut offsets = Offsets::default();
        for part in text.split(',') {
            let (partition, reach) = part.split_once(':').ok_or(ERROR)?;
            let (whole, told) = reach.split_once('-').unwrap_or((reach, reach));
            let partition = partition.parse().map_err(|_| ERROR)?;
            offsets.note(partition, whole.parse().map_err(|_| ERROR)?);
            offsets.note_told(partition, told.parse().map_err(|_| ERROR)?);
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_cover_what_is_not_after_them() {
        let offsets = |text: &str| text.parse::<Offsets>().unwrap();
        let own = offsets("3:12,5:7");
        for seen in ["3:12,5:7", "3:1", "5:0"] {
            assert!(own.cover(&offsets(seen)), "{seen}");
        }
        for seen in ["3:13", "3:12,5:8", "4:0"] {
            assert!(!own.cover(&offsets(seen)), "{seen}");
        }
        assert_eq!(offsets("5:7,3:12").to_string(), "3:12,5:7");
        for bad in ["", "3", "3:", ":1", "3:-1", "3:1-", "3:1-2-3", "a:b", "3:1,", "3:1;5:7", "4294967296:1"] {
            assert!(bad.parse::<Offsets>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_outcomes_told_is_covered_but_what_was_not_read_may_be_missing() {
        let offsets = |text: &str| text.parse::<Offsets>().unwrap();
        let own = offsets("3:12-15,5:7");
        assert_eq!(own.to_string(), "3:12-15,5:7");
        assert_eq!(offsets("3:12-12").to_string(), "3:12");
        assert!(own.cover(&offsets("3:15")) && own.cover(&offsets("3:13-14")), "told is enough to go on");
        assert!(!own.cover(&offsets("3:16")) && !own.cover(&offsets("3:1-16")));
        assert!(own.is_before(3, 13) && !own.is_before(3, 12));
        let mut merged = own.clone();
        merged.note_told(3, 14);
        merged.merge(&offsets("3:13,5:1-9"));
        assert_eq!(merged.to_string(), "3:13-15,5:7-9");
        merged.note(3, 20);
        assert_eq!(merged.to_string(), "3:20,5:7-9");
    }
}
