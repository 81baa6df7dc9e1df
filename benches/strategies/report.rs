//! The results: a table to read, JSON, and a plot for each pattern.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cpu::Usage;
use crate::load::Counts;
use crate::patterns::Pattern;
use crate::plot;
use crate::strategy::Strategy;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    Closed {
        clients: usize,
    },
    /// At this share of the best closed loop.
    Open {
        percent: u32,
    },
}

impl Loop {
    fn rank(self) -> (bool, usize) {
        match self {
            Loop::Closed { clients } => (false, clients),
            Loop::Open { percent } => (true, percent as usize),
        }
    }
}

/// One measurement. Times are in ms, CPU times in µs a decided command.
#[derive(Debug, Clone)]
pub struct Cell {
    pub strategy: Strategy,
    pub pattern: Pattern,
    pub of: Loop,
    /// Decided commands a second, refusals too.
    pub rate: f64,
    /// Of all repeats.
    pub lowest: f64,
    pub highest: f64,
    pub refused: u64,
    /// Overload, undecided, failed.
    pub missed: u64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub front_us: f64,
    pub worker_us: f64,
    pub broker_us: f64,
    pub database_us: f64,
    pub redis_us: f64,
    pub generator_us: f64,
    /// The CPU time of all parts, of all that the machine's cores have: near 1 the machine is what ends first.
    pub share: f64,
    /// Cores that other processes of the machine took meanwhile: a cell with many says little. NaN if not known.
    pub others_cores: f64,
    /// Bytes of PostgreSQL's write-ahead log a command.
    pub wal_bytes: f64,
}

impl Cell {
    pub fn new(strategy: Strategy, pattern: Pattern, of: Loop, counts: &Counts, took: Duration, usage: &Usage) -> Cell {
        let decided = counts.decided() as f64;
        let rate = decided / took.as_secs_f64();
        let ms = |percent| counts.latencies.percentile(percent).as_secs_f64() * 1000.0;
        let each = |micros: u64| micros as f64 / decided;
        Cell {
            strategy,
            pattern,
            of,
            rate,
            lowest: rate,
            highest: rate,
            refused: counts.refused,
            missed: counts.overload + counts.undecided + counts.failed,
            p50: ms(50.0),
            p99: ms(99.0),
            p999: ms(99.9),
            front_us: each(usage.front),
            worker_us: each(usage.worker),
            broker_us: each(usage.broker),
            database_us: each(usage.database),
            redis_us: each(usage.redis),
            generator_us: each(usage.generator),
            share: usage.known() as f64 / took.as_micros() as f64 / cores() as f64,
            others_cores: usage.others() as f64 / took.as_micros() as f64,
            wal_bytes: 0.0,
        }
    }

    /// As `json` writes it.
    fn of_json(json: &Value) -> Option<Cell> {
        let number = |name: &str| json[name].as_f64();
        let of = match json["clients"].as_u64() {
            Some(clients) => Loop::Closed { clients: clients as usize },
            None => Loop::Open { percent: json["percent_of_capacity"].as_u64()? as u32 },
        };
        Some(Cell {
            strategy: Strategy::from_str(json["strategy"].as_str()?, false).ok()?,
            pattern: Pattern::from_str(json["pattern"].as_str()?, false).ok()?,
            of,
            rate: number("rate")?,
            lowest: number("rate_lowest")?,
            highest: number("rate_highest")?,
            refused: json["refused"].as_u64()?,
            missed: json["missed"].as_u64()?,
            p50: number("p50_ms")?,
            p99: number("p99_ms")?,
            p999: number("p999_ms")?,
            front_us: number("front_us")?,
            worker_us: number("worker_us")?,
            broker_us: number("broker_us")?,
            database_us: number("database_us")?,
            redis_us: number("redis_us")?,
            generator_us: number("generator_us")?,
            share: number("share").unwrap_or(f64::NAN),
            others_cores: number("others_cores").unwrap_or(f64::NAN),
            wal_bytes: number("wal_bytes")?,
        })
    }

    fn loop_name(&self) -> String {
        match self.of {
            Loop::Closed { clients } => format!("{clients} clients"),
            Loop::Open { percent } => format!("{percent} % load"),
        }
    }

    fn json(&self) -> Value {
        let rounded = |number: f64| (number * 100.0).round() / 100.0;
        let (clients, percent) = match self.of {
            Loop::Closed { clients } => (Some(clients), None),
            Loop::Open { percent } => (None, Some(percent)),
        };
        json!({
            "strategy": self.strategy.name(), "pattern": self.pattern.name(),
            "clients": clients, "percent_of_capacity": percent,
            "rate": rounded(self.rate), "rate_lowest": rounded(self.lowest), "rate_highest": rounded(self.highest),
            "refused": self.refused, "missed": self.missed,
            "p50_ms": rounded(self.p50), "p99_ms": rounded(self.p99), "p999_ms": rounded(self.p999),
            "front_us": rounded(self.front_us), "worker_us": rounded(self.worker_us), "broker_us": rounded(self.broker_us),
            "database_us": rounded(self.database_us), "redis_us": rounded(self.redis_us),
            "generator_us": rounded(self.generator_us),
            "share": rounded(self.share), "others_cores": rounded(self.others_cores), "wal_bytes": rounded(self.wal_bytes),
        })
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[derive(Default)]
pub struct Report {
    pub cells: Vec<Cell>,
}

impl Report {
    /// What an earlier run wrote; nothing if there was none.
    pub fn read(directory: &Path) -> anyhow::Result<Report> {
        let Ok(text) = std::fs::read_to_string(directory.join("strategies.json")) else { return Ok(Report::default()) };
        let cells: Vec<Value> = serde_json::from_str(&text)?;
        let cells = cells.iter().map(|cell| Cell::of_json(cell).with_context(|| format!("not a result: {cell}")));
        Ok(Report { cells: cells.collect::<anyhow::Result<_>>()? })
    }

    /// Takes in cells, in place of those of the same name; kept in the order of the tables.
    pub fn put(&mut self, cells: Vec<Cell>) {
        for cell in cells {
            self.cells.retain(|old| (old.strategy, old.pattern, old.of) != (cell.strategy, cell.pattern, cell.of));
            self.cells.push(cell);
        }
        self.cells.sort_by_key(|cell| (cell.pattern as u8, cell.strategy as u8, cell.of.rank()));
    }

    /// A table in Markdown for each pattern.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for pattern in Pattern::ALL {
            let cells: Vec<&Cell> = self.cells.iter().filter(|cell| cell.pattern == pattern).collect();
            if cells.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n### {pattern}\n");
            text.push_str(
                "| strategy | load | a second | lowest–highest | p50 ms | p99 ms | p99.9 ms | front µs | worker µs | broker µs | database µs | Redis µs | generator µs | of the machine | WAL bytes | missed | others, cores |\n\
                 |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            );
            for cell in cells {
                let _ = writeln!(
                    text,
                    "| {} | {} | {:.0} | {:.0}–{:.0} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} % | {:.0} | {} | {:.1} |",
                    cell.strategy,
                    cell.loop_name(),
                    cell.rate,
                    cell.lowest,
                    cell.highest,
                    cell.p50,
                    cell.p99,
                    cell.p999,
                    cell.front_us,
                    cell.worker_us,
                    cell.broker_us,
                    cell.database_us,
                    cell.redis_us,
                    cell.generator_us,
                    cell.share * 100.0,
                    cell.wal_bytes,
                    cell.missed,
                    cell.others_cores
                );
            }
        }
        text
    }

    /// Writes `strategies.md`, `strategies.json` and `{pattern}.svg`.
    pub fn write(&self, directory: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
        let cells: Vec<Value> = self.cells.iter().map(Cell::json).collect();
        let save = |name: &str, text: String| {
            std::fs::write(directory.join(name), text).with_context(|| format!("{name} cannot be written"))
        };
        save("strategies.json", serde_json::to_string_pretty(&cells)? + "\n")?;
        save("strategies.md", self.table())?;
        for pattern in Pattern::ALL {
            let cells: Vec<&Cell> = self.cells.iter().filter(|cell| cell.pattern == pattern).collect();
            if cells.iter().any(|cell| matches!(cell.of, Loop::Closed { .. })) {
                save(&format!("{pattern}.svg"), plot::rates(&format!("{pattern}: decided commands a second"), &cells))?;
            }
        }
        Ok(())
    }
}
