//! Ed25519 keys that sign tickets: the first signs, all of them are believed, so that a new one can take over.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::code::{KeyId, PREFIX, Ticket};

const SIGNATURE_BYTES: usize = 64;
/// Longer texts are no tickets: a section's name of 64 characters of 4 bytes makes 369 bytes, in base64 492.
const CODE_CHARS_MAX: usize = 4 + 492;
/// In dev mode every user id is believed, so a secret key could protect nothing; one that all processes know lets them
/// accept each other's tickets.
const DEV_SEED: [u8; 32] = *b"turnstile dev mode, no secret!!!";

/// All keys, the one that signs first.
pub struct TicketKeys {
    signing: Key,
    /// Those that signed before.
    former: Vec<Key>,
}

struct Key {
    id: KeyId,
    key: SigningKey,
}

impl Key {
    fn of(seed: &[u8; 32]) -> Key {
        let key = SigningKey::from_bytes(seed);
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        Key { id: KeyId([digest[0], digest[1], digest[2], digest[3]]), key }
    }
}

/// A public key, as RFC 8037 has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicKey {
    #[schema(example = "OKP")]
    pub kty: &'static str,
    #[schema(example = "Ed25519")]
    pub crv: &'static str,
    #[schema(example = "EdDSA")]
    pub alg: &'static str,
    #[schema(example = "sig")]
    pub r#use: &'static str,
    /// Bytes 1 to 4 of what it signed, as hexadecimal digits.
    pub kid: String,
    /// The key, base64url.
    pub x: String,
}

impl TicketKeys {
    pub fn new(signing: &[u8; 32], former: &[[u8; 32]]) -> Self {
        TicketKeys { signing: Key::of(signing), former: former.iter().map(Key::of).collect() }
    }

    pub fn for_dev() -> Self {
        TicketKeys::new(&DEV_SEED, &[])
    }

    /// Tickets do not outlive the process.
    pub fn random() -> Self {
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        TicketKeys::new(&Sha256::digest([a.into_bytes(), b.into_bytes()].concat()).into(), &[])
    }

    /// The same ticket always gives the same code, as long as the same key signs.
    pub fn sign(&self, ticket: &Ticket) -> String {
        let mut bytes = ticket.payload(self.signing.id);
        let signature = self.signing.key.sign(&signed(&bytes));
        bytes.extend_from_slice(&signature.to_bytes());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The ticket of a code that one of the keys signed.
    pub fn verify(&self, code: &str) -> Option<Ticket> {
        if code.len() > CODE_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(code.strip_prefix(PREFIX)?).ok()?;
        let (payload, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>()?;
        let (id, ticket) = Ticket::parse(payload)?;
        let signature = Signature::from_bytes(signature);
        let mut keys = self.all().filter(|key| key.id == id);
        let is_theirs = |key: &Key| key.key.verifying_key().verify_strict(&signed(payload), &signature).is_ok();
        keys.any(is_theirs).then_some(ticket)
    }

    pub fn public(&self) -> Vec<PublicKey> {
        let public = |key: &Key| PublicKey {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            r#use: "sig",
            kid: key.id.to_string(),
            x: URL_SAFE_NO_PAD.encode(key.key.verifying_key().as_bytes()),
        };
        self.all().map(public).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        [&self.signing].into_iter().chain(&self.former)
    }
}

/// With the prefix, so that no other use of a key makes a valid ticket.
fn signed(payload: &[u8]) -> Vec<u8> {
    [PREFIX.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ReservationId, ScheduleId};

    fn ticket(seat: &str, serial: u64) -> Ticket {
        let (schedule, reservation) = (ScheduleId(Uuid::from_u128(7)), ReservationId(Uuid::from_u128(9)));
        Ticket { schedule, reservation, seat: seat.parse().unwrap(), serial }
    }

    #[test]
    fn a_code_gives_back_what_was_signed() {
        let keys = TicketKeys::for_dev();
        let long = format!("{}-100000", "\u{1f3ad}".repeat(64));
        for ticket in [ticket("A-1", 0), ticket("Rang, links-12", 1 << 40), ticket(&long, u64::MAX)] {
            let code = keys.sign(&ticket);
            assert!(code.len() <= CODE_CHARS_MAX, "{}", code.len());
            assert_eq!(keys.verify(&code), Some(ticket.clone()));
            assert_eq!(keys.sign(&ticket), code);
        }
        assert_eq!(keys.sign(&ticket("A-1", 0)).len(), 156);
    }

    #[test]
    fn every_changed_character_makes_a_code_invalid() {
        let keys = TicketKeys::for_dev();
        let code = keys.sign(&ticket("A-1", 12));
        for at in 0..code.len() {
            for other in ['A', 'B', 'z', '_', '=', ' '] {
                let mut forged = code.clone();
                forged.replace_range(at..=at, &other.to_string());
                assert!(forged == code || keys.verify(&forged).is_none(), "{forged}");
            }
        }
        let longer = format!("{code}A");
        for wrong in ["", "TS1.", "TS1.AAAA", &code[4..], &code[..code.len() - 1], &longer, &"TS1.A".repeat(99)] {
            assert_eq!(keys.verify(wrong), None, "{wrong}");
        }
        assert_eq!(TicketKeys::random().verify(&code), None);
    }

    #[test]
    fn former_keys_are_believed_and_the_first_signs() {
        let (old, new) = ([1; 32], [2; 32]);
        let code = TicketKeys::new(&old, &[]).sign(&ticket("A-1", 1));
        let rotated = TicketKeys::new(&new, &[old]);
        assert_eq!(rotated.verify(&code), Some(ticket("A-1", 1)));
        assert_eq!(TicketKeys::new(&new, &[]).verify(&code), None);
        assert_ne!(rotated.sign(&ticket("A-1", 1)), code);
        let listed: Vec<String> = rotated.public().into_iter().map(|key| key.kid).collect();
        assert_eq!(listed, [Key::of(&new).id.to_string(), Key::of(&old).id.to_string()]);
    }
}
