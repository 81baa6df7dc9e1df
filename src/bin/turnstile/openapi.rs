//! `turnstile openapi`: prints the document that the front door serves.

use turnstile::api::openapi::document;

use crate::exit::Failure;
use crate::output::say;

pub fn run() -> Result<(), Failure> {
    say(document::text())
}
