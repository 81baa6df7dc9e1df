//! Kinds of requests and their shares.

use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Hold,
    Charge,
    Pay,
    /// Joins a waiting queue, each time as another user.
    Join,
    /// Polls the position of a waiting user.
    Poll,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Hold, Kind::Charge, Kind::Pay, Kind::Join, Kind::Poll];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Hold => "hold",
            Kind::Charge => "charge",
            Kind::Pay => "pay",
            Kind::Join => "join",
            Kind::Poll => "poll",
        }
    }
}

/// Shares of the kinds, e.g. `hold=60,charge=20,pay=20`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix(Vec<(Kind, u32)>);

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').ok_or_else(|| format!("{part:?} is not KIND=SHARE"))?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == name.trim());
            let kind = kind.ok_or_else(|| format!("{name:?} is not hold, charge, pay, join or poll"))?;
            let share: u32 = share.trim().parse().map_err(|_| format!("{share:?} is not a share"))?;
            if share > 1000 || shares.iter().any(|(known, _)| *known == kind) {
                return Err(format!("{part:?}: each kind once, shares up to 1000"));
            }
            shares.push((kind, share));
        }
        if shares.iter().all(|(_, share)| *share == 0) {
            return Err("all shares are 0".to_owned());
        }
        Ok(Mix(shares))
    }
}

impl Mix {
    fn has(&self, kinds: &[Kind]) -> bool {
        self.0.iter().any(|(kind, share)| *share > 0 && kinds.contains(kind))
    }

    pub fn is_of_a_queue(&self) -> bool {
        self.has(&[Kind::Join, Kind::Poll])
    }

    pub fn is_of_seats(&self) -> bool {
        self.has(&[Kind::Hold, Kind::Charge, Kind::Pay])
    }

    /// Kind of request number `turn`: keeps the shares and mixes the kinds.
    pub fn kind(&self, turn: u64) -> Kind {
        let total: u64 = self.0.iter().map(|(_, share)| u64::from(*share)).sum();
        // An odd multiplier spreads neighboring turns over the shares.
        let mut at = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) % total;
        for (kind, share) in &self.0 {
            match at.checked_sub(u64::from(*share)) {
                Some(rest) => at = rest,
                None => return *kind,
            }
        }
        Kind::Hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_kept() {
        let mix: Mix = "hold=60, charge=30,pay=10".parse().unwrap();
        let count = |wanted| (0..10_000).filter(|turn| mix.kind(*turn) == wanted).count();
        for (kind, share) in [(Kind::Hold, 6000), (Kind::Charge, 3000), (Kind::Pay, 1000)] {
            assert!(count(kind).abs_diff(share) < 300, "{kind:?}: {}", count(kind));
        }
    }

    #[test]
    fn a_mix_that_makes_no_sense_is_refused() {
        for text in ["", "hold", "hold=x", "sing=3", "hold=0,pay=0", "pay=1,pay=2", "hold=1001"] {
            assert!(text.parse::<Mix>().is_err(), "{text:?}");
        }
    }
}
