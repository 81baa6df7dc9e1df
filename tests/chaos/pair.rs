//! Kafka and PostgreSQL: those of the environment, or a pair of a test's own that it may stop and kill.

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::services::Services;

/// How to do to the services what no client can: commands for `sh -c` that return when the service answers again.
pub struct Pair {
    pub brokers: String,
    pub database_url: String,
    kafka: Restarts,
    postgres: Restarts,
    own: Option<PathBuf>,
}

#[derive(Default)]
struct Restarts {
    /// Hard and soft; an operator gives one of them, or none.
    commands: Vec<String>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Restarts {
    fn from_environment(name: &str) -> Restarts {
        Restarts { commands: variable(name).into_iter().collect() }
    }

    fn own(service: &str) -> Restarts {
        let again = |how: &str| format!("scripts/services {how} {service} && scripts/services up {service}");
        Restarts { commands: vec![again("kill"), again("down")] }
    }
}

impl Pair {
    /// `None`: the environment names no services.
    pub fn of_environment(test: &str) -> Option<Pair> {
        let services = Services::from_environment(test)?;
        Some(Pair {
            brokers: services.brokers,
            database_url: services.database_url,
            kafka: Restarts::from_environment("TURNSTILE_CHAOS_RESTART_KAFKA"),
            postgres: Restarts::from_environment("TURNSTILE_CHAOS_RESTART_POSTGRES"),
            own: None,
        })
    }

    /// A pair that may be restarted: the environment's, if that says how, or one started for the purpose.
    pub async fn restartable(test: &str) -> Option<Pair> {
        let pair = Pair::of_environment(test)?;
        if !pair.kafka.commands.is_empty() && !pair.postgres.commands.is_empty() {
            return Some(pair);
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos-services");
        std::fs::create_dir_all(&directory).expect("a directory for the services");
        share_jars(&directory);
        let mut pair = Pair {
            brokers: format!("127.0.0.1:{}", port(&directory, "kafka")),
            database_url: String::new(),
            kafka: Restarts::own("kafka"),
            postgres: Restarts::own("postgres"),
            own: Some(directory.clone()),
        };
        let at = port(&directory, "postgres");
        pair.database_url = format!("postgres://turnstile:turnstile@127.0.0.1:{at}/turnstile");
        pair.sh("scripts/services up").await;
        Some(pair)
    }

    pub async fn restart_kafka(&self, turn: u64) {
        self.restart(&self.kafka, turn).await;
    }

    pub async fn restart_postgres(&self, turn: u64) {
        self.restart(&self.postgres, turn).await;
    }

    async fn restart(&self, restarts: &Restarts, turn: u64) {
        let commands = &restarts.commands;
        let number = usize::try_from(turn).expect("a few") % commands.len();
        self.sh(&commands[number]).await;
    }

    /// Ends the services if they are this test's own.
    pub async fn end(&self) {
        if self.own.is_some() {
            self.sh("scripts/services down").await;
        }
    }

    async fn sh(&self, line: &str) {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        if let Some(directory) = &self.own {
            command
                .env("TURNSTILE_SERVICES_DIR", directory)
                .env("TURNSTILE_KAFKA_PORT", port(directory, "kafka").to_string())
                .env("TURNSTILE_POSTGRES_PORT", port(directory, "postgres").to_string())
                .env("TURNSTILE_KAFKA_HEAP", "320m");
        }
        // Not piped: what it starts goes on and would hold the pipe open.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await.expect("sh starts");
        assert!(status.success(), "{line} ended with {status}");
    }
}

/// The jars are fetched once, for the services that run already.
fn share_jars(directory: &Path) {
    let main = variable("TURNSTILE_SERVICES_DIR").unwrap_or_else(|| ".services".to_owned());
    let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join(main).join("kafka-lib");
    let here = directory.join("kafka-lib");
    if jars.join(".complete").exists() && !here.exists() {
        let _ = std::os::unix::fs::symlink(jars, here);
    }
}

/// Ports for the services, below those that the system gives to outgoing connections: while a service is down, one of
/// these would sooner or later be a client's that tries to reach it.
const KAFKA_PORTS: Range<u16> = 20_000..25_000;
const POSTGRES_PORTS: Range<u16> = 25_000..30_000;

/// A port that was free when this directory was made, and the one after it. Kept, so that a pair that a killed test
/// left behind is found again.
fn port(directory: &Path, service: &str) -> u16 {
    let path = directory.join(format!("{service}-port"));
    let ports = if service == "kafka" { KAFKA_PORTS } else { POSTGRES_PORTS };
    let kept = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    if let Some(kept) = kept.filter(|port| ports.contains(port)) {
        return kept;
    }
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let from = ports.start + u16::try_from(std::process::id() % 4_000).unwrap_or(0);
    let found = (from..ports.end).step_by(2).find(|port| free(*port) && free(port + 1));
    let found = found.expect("two free ports in a row");
    std::fs::write(path, found.to_string()).expect("the port can be written down");
    found
}
