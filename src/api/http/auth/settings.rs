//! What can be set about authentication.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How callers prove who they are.
#[derive(Debug, Clone)]
pub enum AuthSettings {
    /// `X-User-Id` and `X-User-Roles` are believed. For a loopback address only.
    Dev,
    Jwt(JwtSettings),
}

/// What a bearer token must be, and what its claims mean.
#[derive(Debug, Clone)]
pub struct JwtSettings {
    pub keys: JwtKeySource,
    /// The only `iss` accepted; `None`: any, and none.
    pub issuer: Option<String>,
    /// What `aud` must be or contain; `None`: anything, and nothing.
    pub audience: Option<String>,
    /// The claim that names the user; see [`JwtSettings::roles_claim`] for dots.
    pub user_claim: String,
    /// The claim with the roles: an array of strings, or a string with spaces between them. The claim of exactly this
    /// name, else the path that its dots make: `realm_access.roles`.
    pub roles_claim: String,
    /// The role that makes an admin.
    pub admin_role: String,
    /// How much the clock of the login server may differ.
    pub leeway: Duration,
}

impl JwtSettings {
    /// The defaults: `sub`, `roles`, `admin`, 30 s; any issuer and audience.
    pub fn new(keys: JwtKeySource) -> Self {
        JwtSettings {
            keys,
            issuer: None,
            audience: None,
            user_claim: "sub".to_owned(),
            roles_claim: "roles".to_owned(),
            admin_role: "admin".to_owned(),
            leeway: Duration::from_secs(30),
        }
    }
}

/// What tokens are checked with. Exactly one, so that no token can choose its own kind of key.
#[derive(Clone)]
pub enum JwtKeySource {
    /// At least 32 bytes (RFC 7518, 3.2).
    Hs256Secret(String),
    /// PEM file with an RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA) public key.
    PublicKeyFile(PathBuf),
    /// JSON file with such keys, chosen by `kid`.
    JwksFile(PathBuf),
}

impl JwtKeySource {
    /// The file that is read again when it changes.
    pub fn file(&self) -> Option<&Path> {
        match self {
            JwtKeySource::Hs256Secret(_) => None,
            JwtKeySource::PublicKeyFile(path) | JwtKeySource::JwksFile(path) => Some(path),
        }
    }
}

impl fmt::Debug for JwtKeySource {
    /// Never prints the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JwtKeySource::Hs256Secret(_) => f.write_str("Hs256Secret"),
            JwtKeySource::PublicKeyFile(path) => f.debug_tuple("PublicKeyFile").field(path).finish(),
            JwtKeySource::JwksFile(path) => f.debug_tuple("JwksFile").field(path).finish(),
        }
    }
}

/// Whether users charge their own wallets. If not, only a cashier or an admin charges, and names the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfCharge(pub bool);

/// The settings cannot be used; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("auth: {0}")]
pub struct AuthError(pub String);
