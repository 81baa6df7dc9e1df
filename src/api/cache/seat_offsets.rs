//! How far along the log a seat map is: the id of a seat event.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// For each partition of the seats lane the offset of the last change. Text: `partition:offset,…`, ascending.
///
/// A partition commits in order and a snapshot is one read, so a snapshot that has a change has all changes of its
/// partition before it: "everything after these offsets" misses nothing, however many blocks a date has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offsets(BTreeMap<u32, u64>);

impl Offsets {
    /// Whether everything up to these offsets is part of `self`.
    pub fn cover(&self, seen: &Offsets) -> bool {
        seen.0.iter().all(|(partition, offset)| self.0.get(partition).is_some_and(|own| own >= offset))
    }

    /// The later offset of each partition.
    pub fn merge(&mut self, other: &Offsets) {
        for (partition, offset) in &other.0 {
            self.note(*partition, *offset);
        }
    }

    pub(super) fn note(&mut self, partition: u32, offset: u64) {
        let own = self.0.entry(partition).or_insert(offset);
        *own = (*own).max(offset);
    }

    pub(super) fn is_before(&self, partition: u32, offset: u64) -> bool {
        self.0.get(&partition).is_none_or(|own| *own < offset)
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (partition, offset)) in self.0.iter().enumerate() {
            write!(f, "{}{partition}:{offset}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Offsets {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ERROR: &str = "event ids are {partition}:{offset},…";
        let mut offsets = Offsets::default();
        for part in text.split(',') {
            let (partition, offset) = part.split_once(':').ok_or(ERROR)?;
            offsets.note(partition.parse().map_err(|_| ERROR)?, offset.parse().map_err(|_| ERROR)?);
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
        for bad in ["", "3", "3:", ":1", "3:-1", "a:b", "3:1,", "3:1;5:7", "4294967296:1"] {
            assert!(bad.parse::<Offsets>().is_err(), "{bad}");
        }
    }
}
