//! The caller of a request: headers that are believed (dev) or a signed token (jwt).
//!
//! [`Authenticator`] finds the [`Caller`] of a request. In jwt mode it takes the keys from a `key_ring`, which reads
//! their file (`keys`) again as it changes, and checks tokens and claims in `token`.

mod authenticator;
mod caller;
mod key_ring;
mod keys;
mod settings;
mod token;

pub use authenticator::{Admin, Authenticator, check_keys};
pub use caller::{Caller, Role};
pub use settings::{AuthError, AuthSettings, JwtKeySource, JwtSettings, SelfCharge};
