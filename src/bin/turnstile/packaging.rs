//! `turnstile completions` and `turnstile man`: what packages install beside the program.

use std::path::Path;

use anyhow::Context as _;
use clap_complete::Shell;

use crate::exit::Failure;
use crate::output::say;

pub fn completions(shell: Shell, mut command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "turnstile", &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// One page for the program, one for each command and each command below it.
pub fn man(directory: &Path, command: clap::Command) -> Result<(), Failure> {
    let written = || format!("manual pages cannot be written to {}", directory.display());
    std::fs::create_dir_all(directory).with_context(written)?;
    clap_mangen::generate_to(command, directory).with_context(written)?;
    Ok(())
}
