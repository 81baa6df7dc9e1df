//! The formats a plan comes in, and which one a file is.

use std::fmt;
use std::str::FromStr;

use super::finding::{PlanError, Warning, Warnings};
use super::plan::Plan;
use super::{assemble, compact, pretix, sheet};

/// Largest file, in bytes: twice what 50,000 seats take in the longest format.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Turnstile,
    Pretix,
    Csv,
}

impl Format {
    pub const ALL: [Format; 3] = [Format::Turnstile, Format::Pretix, Format::Csv];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Turnstile => "turnstile",
            Format::Pretix => "pretix",
            Format::Csv => "csv",
        }
    }

    /// By the content: JSON begins with a brace, and ours says what it is.
    pub fn of(file: &[u8]) -> Format {
        let text = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
        match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') if compact::version_of(text).is_some() => Format::Turnstile,
            Some(b'{' | b'[') => Format::Pretix,
            _ => Format::Csv,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let known = Format::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| PlanError::new("", "a format is turnstile, pretix or csv"))
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file that was read.
#[derive(Debug, Clone)]
pub struct Read {
    pub plan: Plan,
    pub format: Format,
    /// What was odd in it.
    pub warnings: Vec<Warning>,
}

/// Reads a file of any of the formats. `name` is for a plan whose file has none.
///
/// # Errors
/// The first thing because of which it is no plan.
pub fn read(file: &[u8], format: Option<Format>, name: &str) -> Result<Read, PlanError> {
    if file.len() > FILE_BYTES_MAX {
        return Err(PlanError::new("", format!("the file is larger than {} MiB", FILE_BYTES_MAX / 1024 / 1024)));
    }
    let text = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let format = format.unwrap_or_else(|| Format::of(text));
    let mut warnings = Warnings::default();
    let plan = match format {
        Format::Turnstile => Plan::new(compact::read(text)?)?,
        Format::Pretix => assemble::assemble(pretix::read(text, name, &mut warnings)?, &mut warnings)?,
        Format::Csv => assemble::assemble(sheet::read(text, name, &mut warnings)?, &mut warnings)?,
    };
    Ok(Read { plan, format, warnings: warnings.into_list() })
}

/// The plan as a file that ends with a line feed.
pub fn write(plan: &Plan, format: Format) -> String {
    let mut text = match format {
        Format::Turnstile => compact::write(plan.parts()),
        Format::Pretix => pretix::write(plan),
        Format::Csv => sheet::write(plan),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
