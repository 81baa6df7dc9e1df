//! Queue tokens: opaque to the client, checked without a read. They carry schedule, user and sequence.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::api::http::extract::header;
use crate::api::http::problem::Problem;
use crate::domain::{ScheduleId, UserId};

const HEADER: HeaderName = HeaderName::from_static("queue-token");
/// What is signed starts with this, so that no other use of the secret makes a valid token.
const PURPOSE: &[u8] = b"turnstile queue token 1\0";
const SCHEDULE_BYTES: usize = 16;
const SEQUENCE_BYTES: usize = 8;
/// HMAC-SHA256.
const TAG_BYTES: usize = 32;
/// Longer texts are no tokens: a user id of 128 characters of 4 bytes makes 568 bytes, in base64 758.
const TEXT_CHARS_MAX: usize = 758;
/// In dev mode every user id is believed, so a secret could protect nothing; one that all processes know lets them accept
/// each other's tokens.
const DEV_SECRET: &[u8] = b"turnstile dev mode, no secret at all";

/// The request's `Queue-Token`, if it has one; not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueToken(pub Option<String>);

impl QueueToken {
    /// The same, or the token given elsewhere.
    pub fn or(self, other: Option<&str>) -> Self {
        QueueToken(self.0.or_else(|| other.map(str::to_owned)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueueToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(QueueToken(header(&parts.headers, &HEADER)?.map(str::to_owned)))
    }
}

/// Signs and checks.
pub struct Signer(Hmac<Sha256>);

/// Whose place a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
    pub sequence: u64,
}

impl Signer {
    /// Any length will do, 32 bytes or more are meant.
    pub fn new(secret: &[u8]) -> Self {
        Signer(<Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    pub fn for_dev() -> Self {
        Signer::new(DEV_SECRET)
    }

    /// Tokens do not outlive the process.
    pub fn random() -> Self {
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        Signer::new(&[a.into_bytes(), b.into_bytes()].concat())
    }

    /// The same claim always gives the same text.
    pub fn sign(&self, claim: &Claim) -> String {
        let mut bytes = Vec::with_capacity(SCHEDULE_BYTES + SEQUENCE_BYTES + 64 + TAG_BYTES);
        bytes.extend_from_slice(claim.schedule_id.0.as_bytes());
        bytes.extend_from_slice(&claim.sequence.to_be_bytes());
        bytes.extend_from_slice(claim.user_id.as_str().as_bytes());
        let tag = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The claim of a token that this secret signed. Compares in constant time.
    pub fn verify(&self, text: &str) -> Option<Claim> {
        if text.len() > TEXT_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (content, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        self.mac(content).verify_slice(tag).ok()?;
        let (schedule, rest) = content.split_first_chunk::<SCHEDULE_BYTES>()?;
        let (sequence, user) = rest.split_first_chunk::<SEQUENCE_BYTES>()?;
        Some(Claim {
            schedule_id: ScheduleId(Uuid::from_bytes(*schedule)),
            user_id: std::str::from_utf8(user).ok()?.parse().ok()?,
            sequence: u64::from_be_bytes(*sequence),
        })
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(PURPOSE);
        mac.update(content);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(user: &str, sequence: u64) -> Claim {
        Claim { schedule_id: ScheduleId(Uuid::from_u128(7)), user_id: user.parse().unwrap(), sequence }
    }

    #[test]
    fn f01_a_token_gives_back_what_was_signed() {
        let signer = Signer::new(b"0123456789abcdef0123456789abcdef");
        for claim in [claim("a", 1), claim(&"\u{1f3ad}".repeat(128), u64::MAX)] {
            let text = signer.sign(&claim);
            assert!(text.len() <= TEXT_CHARS_MAX, "{}", text.len());
            assert_eq!(signer.verify(&text), Some(claim.clone()));
            assert_eq!(signer.sign(&claim), text);
        }
    }

    #[test]
    fn q6_every_changed_byte_makes_a_token_invalid() {
        let signer = Signer::new(b"0123456789abcdef0123456789abcdef");
        let text = signer.sign(&claim("alice", 12));
        for at in 0..text.len() {
            for other in ['A', 'B', 'z', '_', '=', ' '] {
                let mut forged = text.clone();
                forged.replace_range(at..=at, &other.to_string());
                assert!(forged == text || signer.verify(&forged).is_none(), "{forged}");
            }
        }
        for wrong in ["", "x", "AAAA", &text[1..], &text[..text.len() - 1], &format!("{text}A"), &"A".repeat(760)] {
            assert_eq!(signer.verify(wrong), None, "{wrong}");
        }
        assert_eq!(Signer::random().verify(&text), None);
        assert_eq!(Signer::for_dev().verify(&text), None);
    }
}
