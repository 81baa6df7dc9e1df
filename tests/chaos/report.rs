//! What the rounds showed, as a document: `TURNSTILE_CHAOS_REPORT` names its path. Each test adds its row and writes
//! the document again, so that it is right whichever tests were run.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::crowd::{Done, Troubles};

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// Where it stands in the table.
    pub order: u32,
    pub fault: String,
    pub seed: u64,
    pub rounds: u64,
    pub faults: u64,
    pub commands: u64,
    pub succeeded: u64,
    pub refused: u64,
    /// Answers 5xx and connections that broke; each was repeated under its key.
    pub unavailable: u64,
    pub unanswered: u64,
    /// Of all commands, in milliseconds.
    pub usual_ms: u64,
    /// The longest wait of each round.
    pub waits_ms: Vec<u64>,
    pub fenced: u64,
    pub seconds: u64,
    /// Why the checks failed; `None`: nothing was lost and nothing doubled.
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
    pub fn add_round(&mut self, faults: u64, wait: Duration) {
        self.rounds += 1;
        self.faults += faults;
        self.waits_ms.push(millis(wait));
    }

    pub fn add_commands(&mut self, done: &[Done], troubles: &Troubles) {
        self.commands = done.len() as u64;
        self.usual_ms = median(done.iter().map(|done| millis(done.wait())).collect());
        self.unavailable = troubles.refusals();
        self.unanswered = troubles.unanswered;
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
            self.usual_ms,
            seconds(median(self.waits_ms.clone())),
            seconds(self.waits_ms.iter().copied().max().unwrap_or(0)),
        )
    }

    /// Prints it, and brings the document up to date if one is wanted.
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

Written by `scripts/chaos`; do not edit by hand. Two front doors and two or three workers run as processes of their own
on Apache Kafka and PostgreSQL, twelve users charge, spend, hold, pay and cancel under keys of their own, and faults
happen under them. Who gets no answer, or a 503, sends the command again with the same key. After the rounds every
command is looked at: it has exactly one outcome, the last ones give the same outcome when they are sent once more,
balances and seats are what the outcomes add up to, the hash of each partition is that of its rows, the outbox is empty,
and the feed of outcomes has each once in one version.

A command's wait is the time from its first sending to its known outcome. Of each round the longest wait counts: of
these, the table has the median and the worst. *Usual* is the median wait of all commands. *Fenced* are commits of
workers that were no longer the owner, refused by the store.

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
        if failed == 0 { "nothing lost, nothing doubled".to_owned() } else { format!("**{failed} checks failed**") }
    );
    text += "| fault | rounds | faults | commands | lost | doubled | 503 | no answer | fenced | usual | wait, median | \
             wait, worst |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
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
