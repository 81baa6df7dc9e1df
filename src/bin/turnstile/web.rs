//! `turnstile web export`: writes the built-in pages out, to be changed and served by `web.dir`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use turnstile::web::EMBEDDED;

use crate::exit::Failure;
use crate::output::say;

#[derive(Debug, Subcommand)]
pub enum WebCommand {
    /// Write the pages to a directory, for web.dir
    Export {
        /// Directory to make; it must not exist or be empty
        directory: PathBuf,
    },
}

pub fn run(command: WebCommand) -> Result<(), Failure> {
    let WebCommand::Export { directory } = command;
    export(&directory)?;
    say(&format!("{} files are in {}; keep only those that you change\n", EMBEDDED.len(), directory.display()))
}

fn export(directory: &Path) -> anyhow::Result<()> {
    if directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        anyhow::bail!("{} is not empty", directory.display());
    }
    for file in EMBEDDED {
        let path = directory.join(file.path);
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
        std::fs::write(&path, file.bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
