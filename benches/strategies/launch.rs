//! Starting the processes of a strategy.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use tempfile::TempDir;

use crate::rivals;
use crate::services::{env, run_sql};
use crate::strategy::Strategy;
use crate::system::Options;

const LISTENS_WITHIN: Duration = Duration::from_secs(60);

pub async fn rival(strategy: Strategy, schema: &str, options: &Options) -> anyhow::Result<Command> {
    run_sql(&format!("create schema {schema}; set search_path = {schema}; {}", rivals::SCHEMA)).await?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--serve", strategy.name(), "--pool", &options.pool.to_string()]);
    if let Some(planted) = options.planted.and_then(|planted| planted.to_possible_value()) {
        command.args(["--planted", planted.get_name()]);
    }
    command.env("RIVAL_SCHEMA", schema);
    Ok(command)
}

/// Turnstile with its defaults, but for limits that one generator with few users would meet.
pub fn turnstile(strategy: Strategy, schema: &str, data_dir: &TempDir, options: &Options) -> anyhow::Result<Command> {
    let program = env!("CARGO_BIN_EXE_turnstile");
    let mut settings = vec![
        ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ("DATA_DIR", data_dir.path().display().to_string()),
        ("DEMO__ON_FIRST_START", "false".to_owned()),
        ("HTTP__USER_RATE_PER_SECOND", "1000000".to_owned()),
        ("HTTP__USER_BURST", "1000000".to_owned()),
        ("HTTP__USER_REQUESTS_PER_SECOND", "1000000".to_owned()),
        ("HTTP__USER_REQUESTS_BURST", "1000000".to_owned()),
    ];
    if let Some(partitions) = options.partitions {
        settings.push(("LOG__PARTITIONS__SEATS", partitions.to_string()));
        settings.push(("LOG__PARTITIONS__WALLETS", partitions.to_string()));
    }
    if strategy == Strategy::Turnstile {
        settings.push(("LOG__BROKERS", env("TURNSTILE_TEST_BROKERS")?));
        settings.push(("LOG__TOPIC_PREFIX", schema.to_owned()));
        settings.push(("LOG__GROUP", schema.to_owned()));
        settings.push(("DATABASE__URL", env("TURNSTILE_TEST_DATABASE_URL")?));
        settings.push(("DATABASE__SCHEMA", schema.to_owned()));
    }
    let set = |command: &mut Command| {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TURNSTILE__")) {
            command.env_remove(name);
        }
        command.envs(settings.iter().map(|(name, value)| (format!("TURNSTILE__{name}"), value)));
    };
    if strategy == Strategy::Turnstile {
        for step in ["migrate", "topics"] {
            let mut command = Command::new(program);
            set(command.arg(step));
            let output = command.output()?;
            if !output.status.success() {
                bail!("turnstile {step}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    let mut command = Command::new(program);
    set(&mut command);
    Ok(command)
}

/// The same program and settings in the role of a worker.
pub fn worker(program: &Command, data_dir: &TempDir) -> anyhow::Result<Child> {
    let mut command = Command::new(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let said = std::fs::File::create(data_dir.path().join("worker"))?;
    Ok(command.arg("worker").stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn()?)
}

/// The address in the line that says it; all that is said goes into the file too.
pub fn listening(child: &mut Child, said: &Path) -> anyhow::Result<SocketAddr> {
    let lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    let mut file = File::create(said)?;
    let (found, address) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = writeln!(file, "{line}");
            if let Some(address) = address_in(&line) {
                // Only the first is waited for.
                let _ = found.send(address);
            }
        }
    });
    address.recv_timeout(LISTENS_WITHIN).context("it never said where it listens")
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let said = &line[line.find("listening on")?..];
    let from = said.find("127.0.0.1:")?;
    let end = said[from + 10..].find(|c: char| !c.is_ascii_digit()).map_or(said.len(), |at| from + 10 + at);
    said[from..end].parse().ok()
}
