//! What makes a bearer token a login: signature, issuer, audience, time, and the claims with the user and the roles.

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::caller::{Caller, Roles};
use super::keys::Key;
use super::settings::JwtSettings;
use crate::api::http::problem::{Kind, Problem};

/// Algorithms that keys are read for.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// What is checked of a token.
pub struct TokenCheck {
    validations: [Validation; ALGORITHMS.len()],
    user_claim: String,
    roles_claim: String,
    admin_role: String,
}

/// Why a token proves nothing.
pub enum Unproven {
    /// No key fits it, so other keys may.
    KeyUnknown,
    Invalid(Problem),
}

impl TokenCheck {
    pub fn new(settings: &JwtSettings) -> Self {
        TokenCheck {
            validations: ALGORITHMS.map(|algorithm| validation(settings, algorithm)),
            user_claim: settings.user_claim.clone(),
            roles_claim: settings.roles_claim.clone(),
            admin_role: settings.admin_role.clone(),
        }
    }

    /// The caller a token proves. Tries every key that fits it.
    pub fn verify(&self, keys: &[Key], token: &str) -> Result<Caller, Unproven> {
        let header = decode_header(token).map_err(|_| invalid("the token is not a JWT"))?;
        check_header(&header)?;
        let named = |key: &&Key| header.kid.is_none() || key.id.is_none() || key.id == header.kid;
        let mut unknown = true;
        for key in keys.iter().filter(|key| key.algorithm == header.alg).filter(named) {
            match decode::<Map<String, Value>>(token, &key.key, self.validation(key.algorithm)?) {
                Ok(token) => return self.caller(&token.claims),
                // Another key may fit, unless this is the one that the token names.
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {
                    unknown &= key.id.is_none() || header.kid.is_none();
                }
                Err(error) => return Err(invalid(reason(&error))),
            }
        }
        Err(if unknown { Unproven::KeyUnknown } else { invalid("the token's signature is wrong") })
    }

    fn validation(&self, algorithm: Algorithm) -> Result<&Validation, Unproven> {
        let found = self.validations.iter().find(|validation| validation.algorithms.contains(&algorithm));
        found.ok_or(Unproven::KeyUnknown)
    }

    fn caller(&self, claims: &Map<String, Value>) -> Result<Caller, Unproven> {
        let user = match claim(claims, &self.user_claim) {
            Some(Value::String(name)) => name.parse().ok(),
            // Some login servers number their users.
            Some(Value::Number(number)) if !number.is_f64() => number.to_string().parse().ok(),
            _ => None,
        };
        let user = user.ok_or_else(|| invalid(format!("the token's {} is not a user id", self.user_claim)))?;
        let roles = match claim(claims, &self.roles_claim) {
            Some(Value::String(names)) => Roles::named(names.split_whitespace(), &self.admin_role),
            Some(Value::Array(names)) => Roles::named(names.iter().filter_map(Value::as_str), &self.admin_role),
            _ => Roles::default(),
        };
        Ok(Caller { user, roles })
    }
}

/// The claim of this name, else at the path that its dots make.
fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, member| value.get(member))
    })
}

fn validation(settings: &JwtSettings, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = settings.leeway.as_secs();
    validation.validate_nbf = true;
    validation.validate_aud = settings.audience.is_some();
    // The library compares an issuer or an audience that is there; that it is there must be required.
    let mut required = vec!["exp"];
    if let Some(issuer) = &settings.issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    if let Some(audience) = &settings.audience {
        validation.set_audience(&[audience]);
        required.push("aud");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// Tokens that are signed with the same keys but are no login (RFC 8725, 3.11), such as `logout+jwt`.
fn check_header(header: &Header) -> Result<(), Unproven> {
    if header.crit.is_some() {
        return Err(invalid("the token has critical header parameters, which are not supported"));
    }
    let Some(kind) = &header.typ else { return Ok(()) };
    let kind = kind.to_ascii_lowercase();
    match kind.strip_prefix("application/").unwrap_or(&kind) {
        "jwt" | "at+jwt" => Ok(()),
        _ => Err(invalid("the token's typ is neither JWT nor at+jwt")),
    }
}

fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired".to_owned(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".to_owned(),
        ErrorKind::InvalidIssuer => "the token is of another issuer".to_owned(),
        ErrorKind::InvalidAudience => "the token is for another audience".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("the token has no valid {claim}"),
        _ => "the token is not valid".to_owned(),
    }
}

fn invalid(detail: impl Into<String>) -> Unproven {
    Unproven::Invalid(Problem::new(Kind::Unauthenticated, detail))
}
