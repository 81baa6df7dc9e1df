//! Keys that tokens are checked with, read from a PEM file or a JSON Web Key Set.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::verify;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::settings::{AuthError, JwtKeySource};

/// Shortest secret of HS256 (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// A key takes half a kilobyte, with its certificate chain some 5 KB.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// A token without `kid` is tried with every key of its algorithm, 50 µs each.
const KEYS_MAX: usize = 64;
/// Sizes of an RSA modulus in bytes: RFC 7518, 3.3 requires 2048 bits; above 4096 the library verifies nothing.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// A key and the one algorithm it may be used with, so that no token can make another of it.
pub struct Key {
    /// `kid`
    pub id: Option<String>,
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

/// The content of a key file, at most [`FILE_BYTES_MAX`]. Blocking.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0..=FILE_BYTES_MAX => Ok(bytes),
        _ => Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes"))),
    }
}

/// The keys of a source, whose file has this content.
pub fn parse(source: &JwtKeySource, content: &[u8]) -> Result<Vec<Key>, AuthError> {
    match source {
        JwtKeySource::Hs256Secret(secret) => Ok(vec![secret_key(secret)?]),
        JwtKeySource::PublicKeyFile(_) => Ok(vec![public_key(content)?]),
        JwtKeySource::JwksFile(_) => key_set(content),
    }
}

fn secret_key(secret: &str) -> Result<Key, AuthError> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(AuthError(format!("the HS256 secret must have at least {SECRET_BYTES_MIN} bytes")));
    }
    Ok(Key { id: None, algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret.as_bytes()) })
}

fn public_key(pem: &[u8]) -> Result<Key, AuthError> {
    let read = DecodingKey::from_rsa_pem(pem)
        .map(|key| (key, Algorithm::RS256))
        .or_else(|_| DecodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256)))
        .or_else(|_| DecodingKey::from_ed_pem(pem).map(|key| (key, Algorithm::EdDSA)));
    let (key, algorithm) = read.map_err(|_| {
        AuthError("the public key file is neither an RSA, a P-256 nor an Ed25519 public key in PEM".into())
    })?;
    check(&key, algorithm).map_err(|reason| AuthError(format!("the public key file: {reason}")))?;
    Ok(Key { id: None, algorithm, key })
}

#[derive(Deserialize)]
struct KeySet {
    /// Each is read on its own: a key of a kind that this version does not know must not hide the others (RFC 7517, 5).
    keys: Vec<Value>,
}

fn key_set(json: &[u8]) -> Result<Vec<Key>, AuthError> {
    let set: KeySet = serde_json::from_slice(json).map_err(|error| AuthError(format!("the JWKS file: {error}")))?;
    if set.keys.len() > KEYS_MAX {
        return Err(AuthError(format!("the JWKS file has more than {KEYS_MAX} keys")));
    }
    let keys: Vec<Key> = set.keys.into_iter().filter_map(member).collect();
    match keys.is_empty() {
        true => Err(AuthError("the JWKS file has no key for RS256, ES256 or EdDSA signatures".into())),
        false => Ok(keys),
    }
}

/// A member of a set, if signatures can be checked with it: not symmetric, not for encryption, not of another algorithm.
fn member(json: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(json).ok()?;
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let common = &jwk.common;
    let signs = common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
        && common.key_algorithm.is_none_or(|algorithm| algorithm == named);
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| signs)?;
    match check(&key, algorithm) {
        Ok(()) => Some(Key { id: jwk.common.key_id, algorithm, key }),
        Err(reason) => {
            let kid = jwk.common.key_id;
            tracing::warn!(kid, reason, "a key of the JWKS file is passed over");
            None
        }
    }
}

/// Whether a key can check signatures of the algorithm. The library finds out at the first token, and panics on an
/// Ed25519 key of fewer than 32 bytes.
fn check(key: &DecodingKey, algorithm: Algorithm) -> Result<(), &'static str> {
    let jwk = Jwk::from_decoding_key(key, None).map_err(|_| "it is not a public key")?;
    match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => {
            let modulus = URL_SAFE_NO_PAD.decode(&key.n).unwrap_or_default();
            let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
            if !RSA_BYTES.contains(&(modulus.len() - zeros)) {
                return Err("an RSA key must have 2048 to 4096 bits");
            }
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve != EllipticCurve::P256 => {
            return Err("an elliptic curve key must be on P-256");
        }
        _ => {}
    }
    verify("", &[], key, algorithm).map(drop).map_err(|_| "it is not a point of its curve")
}

#[cfg(test)]
mod tests;
