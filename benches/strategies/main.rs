//! How a crowd's commands are decided, side by side: locks, versions, conditional statements, batches, Redis, Turnstile.
//!
//! `cargo bench --bench strategies -- --quick` checks that each is correct; without `--quick` it measures. The rivals
//! run as processes of this program (`--serve`), Turnstile as its own, so that CPU time is told apart by process. All
//! answer the same requests over HTTP, from the same load generator. docs/performance.md has the results.

mod args;
mod cells;
mod check;
mod connection;
mod cpu;
#[path = "../../src/bin/turnstile/load/histogram.rs"]
#[allow(dead_code, unused_imports)]
mod histogram;
mod launch;
mod load;
mod patterns;
mod plot;
mod report;
mod rivals;
mod services;
mod strategy;
mod system;

use clap::Parser;

use self::args::Args;

/// The program's allocator, so that the rivals have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if !args.bench && !args.quick && args.serve.is_none() {
        println!("strategies: nothing to test; measure with `cargo bench --bench strategies`");
        return Ok(());
    }
    if let Some(strategy) = args.serve {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(rivals::serve(strategy, args.pool.unwrap_or(1), args.planted));
    }
    // The generator's clients share one thread: cheaper than many, and never the bottleneck (its CPU time is reported).
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(cells::run(&args))
}
