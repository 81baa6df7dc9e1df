//! Finds the caller of a request.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use super::caller::{Caller, Role, Roles};
use super::key_ring::KeyRing;
use super::settings::{AuthError, AuthSettings};
use super::token::{TokenCheck, Unproven};
use crate::api::http::problem::{Kind, Problem};
use crate::api::http::rate_limit::Budget;
use crate::domain::UserId;

const USER_HEADER: HeaderName = HeaderName::from_static("x-user-id");
const ROLES_HEADER: HeaderName = HeaderName::from_static("x-user-roles");

/// Finds the caller of a request.
pub enum Authenticator {
    Dev,
    Jwt(Box<Jwt>),
}

pub struct Jwt {
    check: TokenCheck,
    ring: KeyRing,
}

/// A caller who is an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin(pub UserId);

/// Whether the key file that the settings name can be used. Blocking: for the start of the program.
///
/// # Errors
/// Why it cannot.
pub fn check_keys(settings: &AuthSettings) -> Result<(), AuthError> {
    Authenticator::new(settings).map(drop)
}

impl Authenticator {
    /// Reads the keys. Blocking: for the start of the program.
    pub fn new(settings: &AuthSettings) -> Result<Self, AuthError> {
        Ok(match settings {
            AuthSettings::Dev => Authenticator::Dev,
            AuthSettings::Jwt(jwt) => {
                Authenticator::Jwt(Box::new(Jwt { check: TokenCheck::new(jwt), ring: KeyRing::open(&jwt.keys)? }))
            }
        })
    }

    /// The caller these headers prove.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        match self {
            Authenticator::Dev => believed(headers),
            Authenticator::Jwt(jwt) => jwt.caller(bearer_token(headers)?).await,
        }
    }

    /// Reads the key file again, if there is one.
    pub async fn read_keys_again(&self) {
        if let Authenticator::Jwt(jwt) = self {
            jwt.ring.read_again().await;
        }
    }

    /// Keeps the keys those of their file.
    pub async fn follow_keys(&self) -> Infallible {
        match self {
            Authenticator::Dev => pending().await,
            Authenticator::Jwt(jwt) => jwt.ring.follow().await,
        }
    }
}

impl Jwt {
    async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        let keys = self.ring.keys();
        let mut proven = self.check.verify(&keys, token);
        if let Err(Unproven::KeyUnknown) = proven
            && let Some(keys) = self.ring.other_than(&keys).await
        {
            proven = self.check.verify(&keys, token);
        }
        proven.map_err(|why| match why {
            Unproven::KeyUnknown => unauthenticated("no key fits the token"),
            Unproven::Invalid(problem) => problem,
        })
    }
}

/// The user that the header names, with the roles that the other one gives; the user `admin` is an admin.
fn believed(headers: &HeaderMap) -> Result<Caller, Problem> {
    let name = single(headers, &USER_HEADER)?.ok_or_else(|| unauthenticated("X-User-Id is missing"))?;
    let user: UserId = name.parse().map_err(|_| unauthenticated("X-User-Id is not a user id"))?;
    let admin = Role::Admin.as_str();
    let names = single(headers, &ROLES_HEADER)?.unwrap_or_default();
    let roles = Roles::named(names.split([' ', ',']), admin);
    let roles = if user.as_str() == admin { roles.with(Role::Admin) } else { roles };
    Ok(Caller { user, roles })
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let header = single(headers, &AUTHORIZATION)?.ok_or_else(|| unauthenticated("Authorization is missing"))?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(token.trim()),
        false => Err(unauthenticated("Authorization must be a bearer token")),
    }
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

/// Draws from the caller's budget, whatever is asked.
impl<S> FromRequestParts<S> for Caller
where
    Arc<Authenticator>: FromRef<S>,
    Arc<Budget>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Arc::<Authenticator>::from_ref(state).caller(&parts.headers).await?;
        Arc::<Budget>::from_ref(state).take(&caller.user)?;
        Ok(caller)
    }
}

impl<S> FromRequestParts<S> for Admin
where
    Arc<Authenticator>: FromRef<S>,
    Arc<Budget>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.needs(Role::Admin, "this")?;
        Ok(Admin(caller.user))
    }
}
