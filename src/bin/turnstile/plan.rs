//! `turnstile plan`: seating plans as files, without a server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use turnstile::plan::demo::Hall;
use turnstile::plan::{self, FILE_BYTES_MAX, Format, Plan, PlanError, Read};

use crate::exit::Failure;
use crate::output::say;

#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// List sections, categories, counts and what is odd in the file
    Check {
        #[command(flatten)]
        source: Source,
    },
    /// Convert a plan to Turnstile's format; nothing is sent to a server
    Import {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        target: Target,
    },
    /// Write a plan in another format
    Export {
        #[command(flatten)]
        source: Source,
        /// turnstile, pretix, csv, or sections: what a date's body takes, which needs --price
        #[arg(long, value_name = "FORMAT", value_parser = Wanted::parse)]
        format: Wanted,
        /// For --format sections: what a seat of a category costs, once for each category
        #[arg(long = "price", value_name = "CATEGORY=AMOUNT", value_parser = parse_price)]
        prices: Vec<(String, i64)>,
        /// For --format sections: guid of a seat that is not for sale
        #[arg(long, value_name = "GUID")]
        blocked: Vec<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Draw a plan as SVG
    Draw {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        target: Target,
    },
}

/// Where a plan comes from.
#[derive(Debug, Args)]
pub struct Source {
    /// A plan of any format; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "demo", conflicts_with = "demo")]
    file: Option<PathBuf>,
    /// A hall that is made, not read: theater (600 seats), arena (1,200) or stadium (50,000)
    #[arg(long, value_name = "HALL")]
    demo: Option<Hall>,
    /// The format of the file, if it is not to be told by its content: turnstile, pretix or csv
    #[arg(long = "from", value_name = "FORMAT")]
    from: Option<Format>,
    /// The name of a plan whose file has none [default: the file's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Target {
    /// Instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What a plan is written as.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    File(Format),
    Sections,
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "sections" => Ok(Wanted::Sections),
            format => format.parse().map(Wanted::File).map_err(|_| "turnstile, pretix, csv or sections".to_owned()),
        }
    }
}

fn parse_price(text: &str) -> Result<(String, i64), String> {
    let (category, price) = text.rsplit_once('=').ok_or("CATEGORY=AMOUNT, like R=110000")?;
    Ok((category.to_owned(), price.parse().map_err(|_| format!("{price:?} is no amount"))?))
}

impl From<PlanError> for Failure {
    /// A file that is no plan stays none.
    fn from(error: PlanError) -> Self {
        Failure::Usage(error.to_string())
    }
}

pub fn run(command: PlanCommand) -> Result<(), Failure> {
    match command {
        PlanCommand::Check { source } => say(&report(&source.read()?)),
        PlanCommand::Import { source, target } => {
            let plan = source.read_and_warn()?;
            target.write(&plan::write(&plan, Format::Turnstile))
        }
        PlanCommand::Export { source, format, prices, blocked, target } => {
            let plan = source.read_and_warn()?;
            target.write(&match format {
                Wanted::File(format) => plan::write(&plan, format),
                Wanted::Sections => sections(&plan, prices, &blocked)?,
            })
        }
        PlanCommand::Draw { source, target } => target.write(&plan::draw(&source.read_and_warn()?)),
    }
}

impl Source {
    fn read(&self) -> Result<Read, Failure> {
        if let Some(hall) = self.demo {
            return Ok(Read { plan: hall.plan(), format: Format::Turnstile, warnings: Vec::new() });
        }
        let path = self.file.as_deref().unwrap_or(Path::new("-"));
        let file = read_file(path)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| *stem != "-");
        let name = self.name.as_deref().or(stem).unwrap_or("Plan");
        let shown = path.display();
        plan::read(&file, self.from, name).map_err(|error| Failure::Usage(format!("{shown}: {error}")))
    }

    /// Warnings go to standard error, so that standard output is the file.
    fn read_and_warn(&self) -> Result<Plan, Failure> {
        let read = self.read()?;
        for warning in &read.warnings {
            eprintln!("warning: {warning}");
        }
        Ok(read.plan)
    }
}

/// At most one byte more than a plan may have.
fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut file = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().take(limit).read_to_end(&mut file),
        false => std::fs::File::open(path).and_then(|opened| opened.take(limit).read_to_end(&mut file)),
    };
    read.map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
    Ok(file)
}

impl Target {
    fn write(&self, text: &str) -> Result<(), Failure> {
        let Some(path) = &self.output else { return say(text) };
        let failed = |error| anyhow::anyhow!("{} cannot be written: {error}", path.display());
        Ok(std::fs::write(path, text).map_err(failed)?)
    }
}

fn sections(plan: &Plan, prices: Vec<(String, i64)>, blocked: &[String]) -> Result<String, Failure> {
    let prices: BTreeMap<String, i64> = prices.into_iter().collect();
    let bodies = plan::sections(plan, &prices, blocked)?;
    let mut text = serde_json::to_string(&serde_json::json!({"sections": bodies})).map_err(anyhow::Error::new)?;
    text.push('\n');
    Ok(text)
}

fn report(read: &Read) -> String {
    let plan = &read.plan;
    let (size, sections) = (plan.parts().size, plan.sections());
    let mut text = format!("plan      {}\nid        {}\nformat    {}\n", plan.name(), plan.id(), read.format);
    let runs: usize = sections.iter().map(|section| section.runs.len()).sum();
    let rows: usize = sections.iter().map(|section| section.rows.len()).sum();
    let _ = writeln!(text, "size      {} × {}", size.width, size.height);
    let _ = writeln!(text, "seats     {} ({rows} rows, {runs} runs)", plan.seats());
    let tagged = |of: fn(&plan::Tags) -> usize| sections.iter().map(|section| of(&section.tags)).sum::<usize>();
    let wheelchair = tagged(|tags| tags.wheelchair.len());
    let companion = tagged(|tags| tags.companion.len());
    let restricted = tagged(|tags| tags.restricted_view.len());
    let _ = writeln!(text, "tags      {wheelchair} wheelchair, {companion} companion, {restricted} restricted view");
    let _ = writeln!(text, "\n{:>8}  category", "seats");
    for (index, category) in plan.categories().iter().enumerate() {
        let of = |seat: &&plan::Seat| usize::from(seat.category) == index;
        let count = sections.iter().flat_map(|section| &section.seats).filter(of).count();
        let _ = writeln!(text, "{count:>8}  {}", category.name);
    }
    let _ = writeln!(text, "\n{:>8} {:>6} {:>6}  section", "seats", "rows", "runs");
    for section in sections {
        let (seats, rows, runs) = (section.seats.len(), section.rows.len(), section.runs.len());
        let first = section.label_of(1).unwrap_or_default();
        let _ = writeln!(text, "{seats:>8} {rows:>6} {runs:>6}  {}, best seat: {first}", section.name);
    }
    let _ = writeln!(text, "\nwarnings  {}", read.warnings.len());
    for warning in &read.warnings {
        let _ = writeln!(text, "  {warning}");
    }
    text
}
