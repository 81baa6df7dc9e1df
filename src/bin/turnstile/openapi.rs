//! `turnstile openapi`: prints the OpenAPI document.

use turnstile::api;

use crate::exit::Failure;
use crate::output::say;

pub fn run() -> Result<(), Failure> {
    say(api::documentation().text())
}
