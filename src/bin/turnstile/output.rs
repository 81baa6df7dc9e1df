//! Output of subcommands.

use crate::exit::Failure;

/// Prints to standard output, which may be closed at any time (`turnstile config | head`).
pub fn say(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(anyhow::Error::new(error).into()),
        _ => Ok(()),
    }
}
