//! The cells of the table: each strategy with each pattern, by number of clients and by rate.

use std::io::{IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::args::Args;
use crate::check::{self, Answers};
use crate::load::{self, Pace};
use crate::patterns::{Pattern, Plan};
use crate::report::{Cell, Loop, Report};
use crate::rivals::Planted;
use crate::strategy::Strategy;
use crate::system::{Options, System};

pub async fn run(args: &Args) -> anyhow::Result<()> {
    let args = args.effective();
    if args.report {
        let report = Report::read(&args.out)?;
        report.write(&args.out)?;
        print!("{}", report.table());
        return Ok(());
    }
    let mut report = if args.keep { Report::read(&args.out)? } else { Report::default() };
    let mut progress = Progress::new(&args);
    for pattern in args.patterns() {
        for strategy in args.strategies() {
            let measured = measure(&args, strategy, pattern, &mut progress).await;
            report.put(measured.with_context(|| format!("{strategy}, {pattern}"))?);
            // What is measured is kept, also if the next one fails.
            report.write(&args.out)?;
        }
    }
    if args.quick && args.strategies().contains(&Strategy::ForUpdate) {
        for planted in Planted::ALL {
            find(&args, planted, &mut progress).await?;
        }
    }
    progress.end();
    print!("{}", report.table());
    Ok(())
}

/// All cells of a strategy with a pattern, in one system, which is checked afterwards.
async fn measure(
    args: &Args,
    strategy: Strategy,
    pattern: Pattern,
    progress: &mut Progress,
) -> anyhow::Result<Vec<Cell>> {
    progress.show(&format!("{strategy} {pattern}: starting"));
    let mut system = System::start(strategy, &Options::of(args, strategy, pattern, None)).await?;
    let cells = cells(args, &mut system, pattern, progress).await;
    system.remove().await?;
    cells
}

/// An error that was planted in a rival must be found.
async fn find(args: &Args, planted: Planted, progress: &mut Progress) -> anyhow::Result<()> {
    progress.show(&format!("an error that must be found: {planted:?}"));
    let options = Options::of(args, Strategy::ForUpdate, planted.pattern(), Some(planted));
    let mut system = System::start(Strategy::ForUpdate, &options).await?;
    let cells = cells(args, &mut system, planted.pattern(), progress).await;
    system.remove().await?;
    let complaint = cells.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(complaint.contains(planted.complaint()), "{planted:?} was not found: {complaint:?}");
    Ok(())
}

async fn cells(
    args: &Args,
    system: &mut System,
    pattern: Pattern,
    progress: &mut Progress,
) -> anyhow::Result<Vec<Cell>> {
    let strategy = system.strategy;
    system.prepare(pattern).await?;
    let mut bench = Bench { args, system, pattern, answers: Answers::default(), schedule: String::new() };
    let mut cells = Vec::new();
    for &clients in &args.clients {
        let mut repeats = Vec::new();
        for number in 0..args.repeats {
            progress.show(&format!("{strategy} {pattern}: {clients} clients, {}/{}", number + 1, args.repeats));
            repeats.push(bench.cell(Loop::Closed { clients }, Pace::Closed(clients)).await?);
            progress.step();
        }
        repeats.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        let (lowest, highest) = (repeats[0].rate, repeats[repeats.len() - 1].rate);
        let mut median = repeats.swap_remove(repeats.len() / 2);
        (median.lowest, median.highest) = (lowest, highest);
        cells.push(median);
    }
    let capacity = cells.iter().map(|cell| cell.rate).fold(0.0, f64::max);
    for &percent in args.open.iter().filter(|_| !args.closed) {
        let rate = capacity * f64::from(percent) / 100.0;
        progress.show(&format!("{strategy} {pattern}: {rate:.0} requests/s"));
        cells.push(bench.cell(Loop::Open { percent }, Pace::Open(rate)).await?);
        progress.step();
    }
    let mut answers = bench.answers;
    if !bench.schedule.is_empty() || !pattern.is_of_seats() {
        let repeated = check::repeats(system, pattern, &bench.schedule).await?;
        // A payment is what counts there, and the repeater does not pay.
        answers.succeeded += if pattern == Pattern::HoldAndPay { 0 } else { repeated };
    }
    system.stop().await?;
    check::stored(system, pattern, answers, pattern.prepared(args.quick)).await?;
    Ok(cells)
}

struct Bench<'a> {
    args: &'a Args,
    system: &'a System,
    pattern: Pattern,
    answers: Answers,
    /// The newest hall.
    schedule: String,
}

impl Bench<'_> {
    async fn cell(&mut self, of: Loop, pace: Pace) -> anyhow::Result<Cell> {
        let one_hall_is_enough = self.pattern == Pattern::HotSeat && !self.schedule.is_empty();
        if self.pattern.is_of_seats() && !one_hall_is_enough {
            self.schedule = self.system.open_hall().await?;
            if self.pattern == Pattern::HotSeat {
                self.system.take_hot_seat(&self.schedule).await?;
                self.answers.succeeded += 1;
            }
        }
        let plan = Rc::new(Plan::new(self.pattern, self.args.quick, &self.schedule));
        let (warmup, _) = load::run(self.system.address, &plan, pace, Duration::from_secs_f64(self.args.warmup)).await;
        let processes = self.system.processes();
        let wal = self.system.wal().await?;
        let before = processes.usage();
        let (counts, took) =
            load::run(self.system.address, &plan, pace, Duration::from_secs_f64(self.args.seconds)).await;
        let usage = processes.usage().since(&before);
        let wal = self.system.wal().await? - wal;
        self.answers.add(&warmup);
        self.answers.add(&counts);
        anyhow::ensure!(counts.decided() > 0, "nothing was decided: {} failed", counts.failed);
        let mut cell = Cell::new(self.system.strategy, self.pattern, of, &counts, took, &usage);
        cell.wal_bytes = wal as f64 / counts.decided() as f64;
        Ok(cell)
    }
}

/// A bar on the terminal, a line for each step elsewhere.
struct Progress {
    total: usize,
    done: usize,
    began: Instant,
}

impl Progress {
    fn new(args: &Args) -> Progress {
        let open = if args.closed { 0 } else { args.open.len() };
        let cells = args.clients.len() * args.repeats + open;
        Progress { total: cells * args.patterns().len() * args.strategies().len(), done: 0, began: Instant::now() }
    }

    fn step(&mut self) {
        self.done += 1;
    }

    fn show(&self, what: &str) {
        let filled = (self.done * 30 / self.total.max(1)).min(30);
        let bar = "#".repeat(filled) + &"-".repeat(30 - filled);
        let line = format!("[{bar}] {}/{} {:4.0} s  {what}", self.done, self.total, self.began.elapsed().as_secs_f64());
        let mut out = std::io::stderr().lock();
        // A failed progress line does not stop the run.
        let _ = match std::io::stderr().is_terminal() {
            true => write!(out, "\r{line}\x1b[K"),
            false => writeln!(out, "{line}"),
        };
    }

    fn end(&self) {
        self.show("done");
        eprintln!();
    }
}
