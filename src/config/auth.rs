//! Who may do what: `auth.*` and `wallet.*`.

use std::path::PathBuf;
use std::time::Duration;

use super::layers::{ConfigError, Layers};
use super::read::Secret;

/// Shorter secrets can be guessed; RFC 7518 requires the size of the hash.
const SECRET_BYTES_MIN: usize = 32;
/// Roles with a meaning of their own, which an admin's cannot have.
const ROLES: [&str; 3] = ["cashier", "box_office", "door"];
const ISSUER: &str = "auth.issuer";
const AUDIENCE: &str = "auth.audience";

/// Source of the key that verifies bearer tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    Hs256(Secret),
    /// PEM: RSA, P-256 or Ed25519.
    PublicKeyFile(PathBuf),
    JwksFile(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMode {
    Dev,
    Jwt(KeySource),
}

/// What a bearer token must be, and what its claims mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub user_claim: String,
    pub roles_claim: String,
    pub admin_role: String,
    pub leeway: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    pub mode: AuthMode,
    /// For [`AuthMode::Jwt`].
    pub tokens: Tokens,
    pub queue_token_secret: Option<Secret>,
}

impl Auth {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let jwt = layers.choice("auth.mode", &[("dev", false), ("jwt", true)])?;
        let keys = key_sources(layers)?;
        let tokens = Tokens::read(layers)?;
        let mode = match (jwt, keys.as_slice()) {
            (false, sources) => match sources.first().map(|(key, _)| *key).or(tokens.checked().next()) {
                None => AuthMode::Dev,
                Some(key) => {
                    return Err(layers.refuse(key, "is of no use with auth.mode \"dev\"; set auth.mode to \"jwt\""));
                }
            },
            (true, [(_, source)]) => AuthMode::Jwt(source.clone()),
            (true, []) => {
                let why = "is \"jwt\", which needs one of auth.hs256_secret, auth.public_key_file, auth.jwks_file";
                return Err(layers.refuse("auth.mode", why));
            }
            (true, [(first, _), (second, _), ..]) => {
                return Err(layers.refuse(second, format_args!("contradicts {first}: give exactly one key source")));
            }
        };
        Ok(Self { mode, tokens, queue_token_secret: long_secret(layers, "auth.queue_token_secret")? })
    }

    /// Keys without which any token of the login server is a login here, also one for another application. A secret is
    /// no login server's: whoever signs with it knows what for.
    pub fn unchecked(&self) -> Vec<&'static str> {
        match &self.mode {
            AuthMode::Dev | AuthMode::Jwt(KeySource::Hs256(_)) => Vec::new(),
            AuthMode::Jwt(KeySource::PublicKeyFile(_) | KeySource::JwksFile(_)) => {
                let checked: Vec<_> = self.tokens.checked().collect();
                [ISSUER, AUDIENCE].into_iter().filter(|key| !checked.contains(key)).collect()
            }
        }
    }
}

impl Tokens {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let word = |key| match layers.text_opt(key)? {
            Some(text) => Ok(text.to_owned()),
            None => Err(layers.refuse(key, "must not be empty")),
        };
        let admin_role = word("auth.admin_role")?;
        if ROLES.contains(&admin_role.as_str()) {
            return Err(layers.refuse("auth.admin_role", format_args!("is {admin_role:?}, which is another role")));
        }
        Ok(Self {
            issuer: layers.text_opt(ISSUER)?.map(str::to_owned),
            audience: layers.text_opt(AUDIENCE)?.map(str::to_owned),
            user_claim: word("auth.user_claim")?,
            roles_claim: word("auth.roles_claim")?,
            admin_role,
            leeway: layers.seconds("auth.leeway_seconds", 0..=300)?,
        })
    }

    /// The keys of what is checked beyond the signature.
    fn checked(&self) -> impl Iterator<Item = &'static str> {
        let checked = [(ISSUER, &self.issuer), (AUDIENCE, &self.audience)];
        checked.map(|(key, value)| value.is_some().then_some(key)).into_iter().flatten()
    }
}

/// Whose wallet a user may charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wallet {
    /// Users charge their own.
    pub self_charge: bool,
}

impl Wallet {
    pub(super) fn read(layers: &Layers, mode: &AuthMode) -> Result<Self, ConfigError> {
        let choices = [("auto", *mode == AuthMode::Dev), ("on", true), ("off", false)];
        Ok(Self { self_charge: layers.choice("wallet.self_charge", &choices)? })
    }
}

fn key_sources(layers: &Layers) -> Result<Vec<(&'static str, KeySource)>, ConfigError> {
    let mut sources = Vec::new();
    if let Some(secret) = long_secret(layers, "auth.hs256_secret")? {
        sources.push(("auth.hs256_secret", KeySource::Hs256(secret)));
    }
    if let Some(path) = layers.text_opt("auth.public_key_file")? {
        sources.push(("auth.public_key_file", KeySource::PublicKeyFile(path.into())));
    }
    if let Some(path) = layers.text_opt("auth.jwks_file")? {
        sources.push(("auth.jwks_file", KeySource::JwksFile(path.into())));
    }
    Ok(sources)
}

fn long_secret(layers: &Layers, key: &str) -> Result<Option<Secret>, ConfigError> {
    let secret = layers.secret_opt(key)?;
    match &secret {
        Some(secret) if secret.reveal().len() < SECRET_BYTES_MIN => {
            Err(layers.refuse(key, format_args!("is shorter than {SECRET_BYTES_MIN} bytes")))
        }
        _ => Ok(secret),
    }
}
