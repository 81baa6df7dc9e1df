//! HTTP without any command: who asks ([`auth`]) and how often ([`rate_limit`]), the parts of a request ([`extract`],
//! [`fields`], [`prefer`]), what goes wrong ([`problem`]), and shapes for the documentation ([`schema`]).

pub mod auth;
pub mod extract;
pub mod fields;
pub mod prefer;
pub mod problem;
pub mod rate_limit;
pub mod schema;
