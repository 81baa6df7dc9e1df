//! HTTP that knows no command: the caller ([`auth`]) and their rate ([`rate_limit`]), the parts of a request ([`extract`],
//! [`fields`], [`prefer`]), and what goes wrong ([`problem`], [`codes`]) at which place of the log ([`positions`]).

pub mod auth;
pub mod codes;
pub mod extract;
pub mod fields;
pub mod pages;
pub mod positions;
pub mod prefer;
pub mod problem;
pub mod rate_limit;
