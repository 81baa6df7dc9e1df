//! The caller of a request: from a header that is believed (dev), or from a signed token (jwt).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::problem::{Kind, Problem};
use crate::domain::UserId;

/// Clocks of issuers may be wrong by this much, in seconds.
const LEEWAY_SECONDS: u64 = 5;
/// Shortest secret of HS256 (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;
const ADMIN: &str = "admin";
const USER_HEADER: HeaderName = HeaderName::from_static("x-user-id");

/// How callers prove who they are.
#[derive(Clone)]
pub enum AuthSettings {
    /// `X-User-Id` is believed. For a loopback address only.
    Dev,
    Jwt(JwtKeySource),
}

/// What tokens are checked with. Exactly one, so that no token can choose its own kind of key.
#[derive(Clone)]
pub enum JwtKeySource {
    /// At least 32 bytes (RFC 7518, 3.2).
    Hs256Secret(String),
    /// PEM file with an RSA (RS256) or Ed25519 (EdDSA) public key.
    PublicKeyFile(PathBuf),
    /// JSON file with RSA and Ed25519 keys, chosen by `kid`.
    JwksFile(PathBuf),
}

impl std::fmt::Debug for AuthSettings {
    /// Never prints the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AuthSettings::Dev => "Dev",
            AuthSettings::Jwt(JwtKeySource::Hs256Secret(_)) => "Jwt(Hs256Secret)",
            AuthSettings::Jwt(JwtKeySource::PublicKeyFile(_)) => "Jwt(PublicKeyFile)",
            AuthSettings::Jwt(JwtKeySource::JwksFile(_)) => "Jwt(JwksFile)",
        })
    }
}

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub user: UserId,
    pub admin: bool,
}

/// A caller who is an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin(pub UserId);

/// The settings cannot be used; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("auth: {0}")]
pub struct AuthError(pub String);

/// Finds the caller of a request.
pub enum Authenticator {
    Dev,
    Jwt(Vec<Key>),
}

/// A key and the one algorithm it may be used with, so that no token can make another of it.
pub struct Key {
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    roles: Value,
}

impl Authenticator {
    /// Reads the keys. Blocking: for the start of the program.
    pub fn new(settings: &AuthSettings) -> Result<Self, AuthError> {
        let source = match settings {
            AuthSettings::Dev => return Ok(Authenticator::Dev),
            AuthSettings::Jwt(source) => source,
        };
        let keys = match source {
            JwtKeySource::Hs256Secret(secret) if secret.len() < SECRET_BYTES_MIN => {
                return Err(AuthError(format!("the HS256 secret must have at least {SECRET_BYTES_MIN} bytes")));
            }
            JwtKeySource::Hs256Secret(secret) => {
                vec![Key::new(None, DecodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)]
            }
            JwtKeySource::PublicKeyFile(path) => vec![public_key(&read(path)?)?],
            JwtKeySource::JwksFile(path) => key_set(&read(path)?)?,
        };
        Ok(Authenticator::Jwt(keys))
    }

    /// The caller these headers prove.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        match self {
            Authenticator::Dev => {
                let name = single(headers, &USER_HEADER)?.ok_or_else(|| unauthenticated("X-User-Id is missing"))?;
                let user: UserId = name.parse().map_err(|_| unauthenticated("X-User-Id is not a user id"))?;
                let admin = user.as_str() == ADMIN;
                Ok(Caller { user, admin })
            }
            Authenticator::Jwt(keys) => {
                let header = single(headers, &AUTHORIZATION)?;
                let header = header.ok_or_else(|| unauthenticated("Authorization is missing"))?;
                let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
                if !scheme.eq_ignore_ascii_case("bearer") {
                    return Err(unauthenticated("Authorization must be a bearer token"));
                }
                verify(keys, token.trim())
            }
        }
    }
}

impl Key {
    fn new(id: Option<String>, key: DecodingKey, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        // Which audience this server is, is not configured; `sub` and the key decide.
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Key { id, key, validation }
    }
}

fn verify(keys: &[Key], token: &str) -> Result<Caller, Problem> {
    let header = decode_header(token).map_err(|_| unauthenticated("the token is not a JWT"))?;
    let named = |key: &&Key| header.kid.is_none() || key.id.is_none() || key.id == header.kid;
    let fits = |key: &&Key| key.validation.algorithms.contains(&header.alg);
    let key = keys.iter().filter(named).find(fits).ok_or_else(|| unauthenticated("no key fits the token"))?;
    let claims = match decode::<Claims>(token, &key.key, &key.validation) {
        Ok(token) => token.claims,
        Err(error) => {
            use jsonwebtoken::errors::ErrorKind;
            return Err(unauthenticated(match error.kind() {
                ErrorKind::ExpiredSignature => "the token has expired",
                ErrorKind::ImmatureSignature => "the token is not valid yet",
                _ => "the token is not valid",
            }));
        }
    };
    let user = claims.sub.parse().map_err(|_| unauthenticated("the token's sub is not a user id"))?;
    let admin = match &claims.roles {
        Value::String(roles) => roles.split([' ', ',']).any(|role| role == ADMIN),
        Value::Array(roles) => roles.iter().any(|role| role == ADMIN),
        _ => false,
    };
    Ok(Caller { user, admin })
}

fn read(path: &Path) -> Result<Vec<u8>, AuthError> {
    fs::read(path).map_err(|error| AuthError(format!("{} cannot be read: {error}", path.display())))
}

fn public_key(pem: &[u8]) -> Result<Key, AuthError> {
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        return Ok(Key::new(None, key, Algorithm::RS256));
    }
    match DecodingKey::from_ed_pem(pem) {
        Ok(key) => Ok(Key::new(None, key, Algorithm::EdDSA)),
        Err(_) => Err(AuthError("the public key file is neither an RSA nor an Ed25519 public key in PEM".into())),
    }
}

fn key_set(json: &[u8]) -> Result<Vec<Key>, AuthError> {
    let set: JwkSet = serde_json::from_slice(json).map_err(|error| AuthError(format!("the JWKS file: {error}")))?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        // Symmetric and elliptic-curve keys in a public set are not for us.
        let (algorithm, declared) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => continue,
        };
        if jwk.common.key_algorithm.is_some_and(|named| named != declared) {
            continue;
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|error| AuthError(format!("a key of the JWKS file: {error}")))?;
        keys.push(Key::new(jwk.common.key_id.clone(), key, algorithm));
    }
    if keys.is_empty() {
        return Err(AuthError("the JWKS file has no RS256 or EdDSA key".into()));
    }
    Ok(keys)
}

/// A header that may be there once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        // A user's name is UTF-8, as it is in a token.
        (Some(value), None) => match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(unauthenticated(format!("{name} is not UTF-8"))),
        },
        (Some(_), Some(_)) => Err(unauthenticated(format!("{name} is given twice"))),
    }
}

fn unauthenticated(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::Unauthenticated, detail)
}

impl<S> FromRequestParts<S> for Caller
where
    Arc<Authenticator>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Arc::<Authenticator>::from_ref(state).caller(&parts.headers)
    }
}

impl<S> FromRequestParts<S> for Admin
where
    Arc<Authenticator>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.admin {
            Ok(Admin(caller.user))
        } else {
            Err(Problem::new(Kind::Forbidden, "this needs the role admin"))
        }
    }
}
