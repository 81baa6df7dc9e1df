//! What signs tickets: `tickets.*`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::layers::{ConfigError, Layers};

const KEY: &str = "tickets.signing_secrets";

/// Seeds of Ed25519 keys, the one that signs first. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Seeds(pub Vec<[u8; 32]>);

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} seeds", self.0.len())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tickets {
    /// `None`: none are configured.
    pub seeds: Option<Seeds>,
}

impl Tickets {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let Some(list) = layers.secret_opt(KEY)? else { return Ok(Tickets { seeds: None }) };
        let seeds = list.reveal().split(',').map(|text| seed(text.trim())).collect::<Option<Vec<_>>>();
        let wrong = || layers.refuse(KEY, "must be seeds of 32 bytes in base64, separated by commas");
        Ok(Tickets { seeds: Some(Seeds(seeds.ok_or_else(wrong)?)) })
    }
}

/// A seed as text: 32 bytes in base64.
pub fn seed(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
