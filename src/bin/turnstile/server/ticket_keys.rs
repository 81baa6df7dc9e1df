//! The seeds of the keys that sign tickets: configured, or generated once and kept in `data_dir`.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use turnstile::api::TicketSeeds;
use turnstile::config::{AuthMode, Config, seed};
use uuid::Uuid;

use super::token_secret::write_private;

/// The kept ones, in `data_dir`: one a line, the first signs.
pub const FILE: &str = "ticket-signing.keys";

/// `None` in dev mode without configured seeds: the API server then uses a well-known one.
pub fn of(config: &Config) -> anyhow::Result<Option<TicketSeeds>> {
    match (&config.tickets.seeds, &config.auth.mode) {
        (Some(seeds), _) => Ok(listed(&seeds.0)),
        (None, AuthMode::Dev) => Ok(None),
        (None, AuthMode::Jwt(_)) => kept_in(&config.data_dir).map(|seeds| listed(&seeds)),
    }
}

fn listed(seeds: &[[u8; 32]]) -> Option<TicketSeeds> {
    let (signing, former) = seeds.split_first()?;
    Some(TicketSeeds { signing: *signing, former: former.to_vec() })
}

/// The seeds in this directory; creates both if missing.
fn kept_in(data_dir: &Path) -> anyhow::Result<Vec<[u8; 32]>> {
    let path = data_dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let seeds: Option<Vec<_>> = lines.map(seed).collect();
            let wrong = || format!("{} must have a seed of 32 bytes in base64 on each line", path.display());
            return seeds.filter(|seeds| !seeds.is_empty()).with_context(wrong);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
    std::fs::create_dir_all(data_dir).with_context(|| format!("{} cannot be created", data_dir.display()))?;
    let mut made = [0; 32];
    // Two random UUIDs: 244 random bits.
    made[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    made[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    let line = format!("{}\n", STANDARD.encode(made));
    write_private(&path, line.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(vec![made])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_made_once_for_a_directory_and_rotated_by_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("made");
        let seeds = kept_in(&inside).unwrap();
        assert_eq!(seeds.len(), 1);
        assert_eq!(kept_in(&inside).unwrap(), seeds);
        let path = inside.join(FILE);
        let old = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{}\n{old}", STANDARD.encode([7; 32]))).unwrap();
        assert_eq!(kept_in(&inside).unwrap(), [[7; 32], seeds[0]]);
        for damaged in ["", "short\n", "\n"] {
            std::fs::write(&path, damaged).unwrap();
            assert!(kept_in(&inside).is_err(), "a damaged file is not replaced: it signed the tickets in use");
        }
    }
}
