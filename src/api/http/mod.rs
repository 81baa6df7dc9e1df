//! HTTP that knows no command: the caller ([`auth`]), their address ([`networks`]) and their rate ([`rate_limit`]), the
//! parts of a request ([`extract`], [`fields`], [`prefer`]), what goes wrong ([`problem`], [`codes`]) at which place of
//! the log ([`positions`]), and how an answer is sent ([`representation`], [`public_url`]).

pub mod auth;
pub mod codes;
pub mod extract;
pub mod fields;
pub mod networks;
pub mod pages;
pub mod positions;
pub mod prefer;
pub mod problem;
pub mod public_url;
pub mod rate_limit;
pub mod representation;
