//! The engine without HTTP: `cargo bench --bench engine`.
//!
//! One million prepared charges are taken from the log, decided and committed by a worker in this process (*drain*).
//! Beside it, in the same run: the same batches given to the store without a log (*commit-only*, the store's limit), the
//! same records decided without a store (*decide-only*), and the rules alone. After it, what the size of a block costs
//! through each store. docs/performance.md has the results.

mod blocks;
mod commit_only;
#[path = "../strategies/cpu.rs"]
mod cpu;
mod drain;
mod pair;
mod prepare;
mod rules;
#[path = "../strategies/services.rs"]
mod services;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use self::cpu::{Processes, Usage};
use self::pair::Pair;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the engine without HTTP
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Log and store
    #[arg(long, value_delimiter = ',', default_values_t = [Kind::Kafka, Kind::Embedded])]
    pub pair: Vec<Kind>,
    /// Charges on the log
    #[arg(long, default_value_t = 1_000_000)]
    pub commands: usize,
    /// Wallets that they charge, in turn
    #[arg(long, default_value_t = 100_000)]
    pub wallets: usize,
    /// Of them so many for commit-only, whose batches are kept in memory
    #[arg(long, default_value_t = 200_000)]
    pub commits: usize,
    /// What to measure
    #[arg(long, value_delimiter = ',', default_values_t = [Part::Commands, Part::Blocks])]
    pub part: Vec<Part>,
    /// Seats of a large block
    #[arg(long, default_value_t = 100_000)]
    pub seats: u32,
    /// Measurements of each figure of a block
    #[arg(long, default_value_t = 25)]
    pub rounds: usize,
    /// Small, for correctness
    #[arg(long)]
    pub quick: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    pub bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Kafka,
    Embedded,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Kind::Kafka { "kafka" } else { "embedded" })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Charges through log and store, and the rules alone
    Commands,
    /// Blocks of many seats through the store
    Blocks,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Part::Commands { "commands" } else { "blocks" })
    }
}

/// One line of the result.
pub struct Line {
    pub what: String,
    pub commands: usize,
    pub took: Duration,
    /// CPU time; of this process it is `generator`.
    pub usage: Usage,
}

impl Line {
    fn show(&self) {
        let each = |micros: u64| micros as f64 / self.commands as f64;
        println!(
            "| {} | {} | {:.0} | {:.2} | {:.2} | {:.2} |",
            self.what,
            self.commands,
            self.commands as f64 / self.took.as_secs_f64(),
            each(self.usage.generator),
            each(self.usage.broker),
            each(self.usage.database)
        );
    }
}

/// Measures `work`.
pub async fn measured<T>(
    what: &str,
    commands: usize,
    processes: &Processes,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let (before, began) = (processes.usage(), std::time::Instant::now());
    let done = work.await?;
    let took = began.elapsed();
    Line { what: what.to_owned(), commands, took, usage: processes.usage().since(&before) }.show();
    Ok(done)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = Args::parse();
    if !args.bench && !args.quick {
        println!("engine: nothing to test; measure with `cargo bench --bench engine`");
        return Ok(());
    }
    if args.quick {
        (args.commands, args.wallets, args.commits) = (5_000, 500, 2_000);
        (args.seats, args.rounds) = (2_000, 2);
    }
    if args.part.contains(&Part::Commands) {
        println!(
            "| what | commands | a second | this process µs | broker µs | database µs |\n|---|---:|---:|---:|---:|---:|"
        );
        rules::charges(args.commands).await?;
        rules::holds(args.commands.min(100_000)).await?;
    }
    for &kind in &args.pair {
        let pair = Pair::open(kind).await?;
        if args.part.contains(&Part::Commands) {
            prepare::append(&pair, &args).await?;
            commit_only::run(&pair, &args).await?;
            drain::run(&pair, &args).await?;
        }
        if args.part.contains(&Part::Blocks) {
            blocks::run(&pair, &args).await?;
        }
        pair.remove().await?;
    }
    Ok(())
}
