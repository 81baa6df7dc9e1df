//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::patterns::Pattern;
use crate::rivals::Planted;
use crate::strategy::Strategy;

/// Decides a crowd's commands by each strategy and compares rate, latency and CPU time
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Strategies to run; all if none is named
    #[arg(long, value_delimiter = ',')]
    pub strategy: Vec<Strategy>,
    /// Patterns to run; all if none is named
    #[arg(long, value_delimiter = ',')]
    pub pattern: Vec<Pattern>,
    /// Clients of the closed loop, each with one request in flight
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256, 1024])]
    pub clients: Vec<usize>,
    /// Open loops at these percentages of the best rate of the closed loops
    #[arg(long, value_delimiter = ',', default_values_t = [25, 50, 75])]
    pub open: Vec<u32>,
    /// Closed loops only
    #[arg(long)]
    pub closed: bool,
    /// Seconds of a measurement
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Seconds before each measurement
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Measurements of each closed loop; the one with the median rate is reported
    #[arg(long, default_value_t = 1)]
    pub repeats: usize,
    /// Small and short, for correctness: a few minutes, whatever the machine does beside
    #[arg(long)]
    pub quick: bool,
    /// Connections of a rival to PostgreSQL; the best that was measured if not given
    #[arg(long)]
    pub pool: Option<usize>,
    /// Partitions of Turnstile's lanes; its defaults if not given
    #[arg(long)]
    pub partitions: Option<u32>,
    /// Turnstile's front door and worker as two processes
    #[arg(long)]
    pub split: bool,
    /// Directory for tables, JSON and plots
    #[arg(long, value_name = "DIR", default_value = "target/strategies")]
    pub out: PathBuf,
    /// Keep the results of earlier runs in that directory, but for the cells measured now
    #[arg(long)]
    pub keep: bool,
    /// Measure nothing: write tables and plots of the results in that directory
    #[arg(long)]
    pub report: bool,
    /// Serve as this rival (what the benchmark starts as a process)
    #[arg(long, hide = true)]
    pub serve: Option<Strategy>,
    /// With `--serve`: with this error
    #[arg(long, hide = true)]
    pub planted: Option<Planted>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    pub bench: bool,
}

impl Args {
    pub fn strategies(&self) -> Vec<Strategy> {
        if self.strategy.is_empty() { Strategy::ALL.to_vec() } else { self.strategy.clone() }
    }

    pub fn patterns(&self) -> Vec<Pattern> {
        if self.pattern.is_empty() { Pattern::ALL.to_vec() } else { self.pattern.clone() }
    }

    /// The same, cut down for `--quick`.
    pub fn effective(&self) -> Args {
        let mut args = self.clone();
        if args.quick {
            (args.clients, args.closed) = (vec![16], true);
            (args.seconds, args.warmup, args.repeats) = (1.0, 0.2, 1);
        }
        args
    }
}
