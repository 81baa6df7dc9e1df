//! The report of all rounds: `TURNSTILE_CHAOS_REPORT` names its path. Each test adds its row and rewrites the document, so
//! that it is correct whichever tests ran.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::workload::{Completed, Failures};

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// Position in the table.
    pub order: u32,
    pub fault: String,
    pub seed: u64,
    pub rounds: u64,
    pub faults: u64,
    pub commands: u64,
    pub succeeded: u64,
    pub refused: u64,
    /// Responses 5xx and broken connections; each command was retried under its key.
    pub unavailable: u64,
    pub unanswered: u64,
    /// Of all commands, in milliseconds.
    pub median_ms: u64,
    /// The longest latency of each round.
    pub longest_ms: Vec<u64>,
    pub fenced: u64,
    pub seconds: u64,
    /// Why the checks failed; `None`: nothing was lost or duplicated.
    pub failure: Option<String>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

impl Row {
    pub fn add_round(&mut self, faults: u64, longest: Duration) {
        self.rounds += 1;
        self.faults += faults;
        self.longest_ms.push(millis(longest));
    }

    pub fn add_commands(&mut self, completed: &[Completed], failures: &Failures) {
        self.commands = completed.len() as u64;
        self.median_ms = median(completed.iter().map(|one| millis(one.latency())).collect());
        self.unavailable = failures.refusals();
        self.unanswered = failures.unanswered;
    }

    fn cells(&self) -> String {
        let verdict = if self.failure.is_some() { "**failed**" } else { "0" };
        let seconds = |ms: u64| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10);
        format!(
            "| {} | {} | {} | {} ({} refused) | {verdict} | {verdict} | {} | {} | {} | {} ms | {} | {} |",
            self.fault,
            self.rounds,
            self.faults,
            self.commands,
            self.refused,
            self.unavailable,
            self.unanswered,
            self.fenced,
            self.median_ms,
            seconds(median(self.longest_ms.clone())),
            seconds(self.longest_ms.iter().copied().max().unwrap_or(0)),
        )
    }

    /// Prints the row, and rewrites the document if one is wanted.
    pub fn publish(&self) {
        println!("{self:?}");
        let Some(path) = std::env::var_os("TURNSTILE_CHAOS_REPORT").map(PathBuf::from) else { return };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos-rows");
        std::fs::create_dir_all(&directory).expect("a directory for the rows");
        let row = serde_json::to_vec(self).expect("a row is JSON");
        std::fs::write(directory.join(format!("{:02}.json", self.order)), row).expect("the row can be written");
        std::fs::write(path, document(&rows(&directory))).expect("the report can be written");
    }
}

fn rows(directory: &Path) -> Vec<Row> {
    let files = std::fs::read_dir(directory).expect("the rows' directory");
    let texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    let mut rows: Vec<Row> = texts.filter_map(|text| serde_json::from_str(&text).ok()).collect();
    rows.sort_by_key(|row| row.order);
    rows
}

const ABOUT: &str = "\
# Faults on real processes

Written by `scripts/chaos`; do not edit by hand. Two API servers and two or three workers run as separate processes on
Apache Kafka (one broker, unless three are named: then with three copies, of which two must have a record, and a session
timeout of 3 s) and PostgreSQL. Twelve clients charge, spend, hold, pay and cancel, each command under its own key, while
faults are injected. A client that gets no answer or a 503 retries with the same key. After the rounds every command is
checked: it has exactly one outcome, a late retry returns the same outcome, balances and seats equal the sum of the
outcomes, each partition's hash equals the hash of its rows, the outbox is empty, and the outcomes topic has each outcome
in one version.

Latency is the time from a command's first attempt to its known outcome. The table has the median over all commands, and
the median and maximum of the longest latency of each round. *Fenced* counts commits of former owners that the store
refused.

";

fn document(rows: &[Row]) -> String {
    let mut text = ABOUT.to_owned();
    let build = if cfg!(debug_assertions) { "a debug build" } else { "a release build" };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let faults: u64 = rows.iter().map(|row| row.faults).sum();
    let commands: u64 = rows.iter().map(|row| row.commands).sum();
    let seconds: u64 = rows.iter().map(|row| row.seconds).sum();
    let failed = rows.iter().filter(|row| row.failure.is_some()).count();
    let _ = writeln!(
        text,
        "{faults} faults under {commands} commands in {} min, {build}, {cores} cores; {}.\n",
        seconds / 60,
        if failed == 0 { "nothing lost, nothing duplicated".to_owned() } else { format!("**{failed} checks failed**") }
    );
    text += "| fault | rounds | faults | commands | lost | duplicated | 503 | no answer | fenced | median | longest, median | \
             longest, max |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for row in rows {
        text += &row.cells();
        text.push('\n');
    }
    for row in rows {
        if let Some(failure) = &row.failure {
            let _ = write!(text, "\n**{} failed** (seed {}):\n\n```\n{failure}\n```\n", row.fault, row.seed);
        }
    }
    text
}
