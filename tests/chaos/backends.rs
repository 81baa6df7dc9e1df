//! Kafka and PostgreSQL: the environment's, or ones that a test starts and may stop and kill.

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::harness::services::Services;

/// The services with the shell commands that restart them; each returns when the service answers again.
pub struct Backends {
    pub brokers: String,
    pub database_url: String,
    kafka: Restarts,
    postgres: Restarts,
    own: Option<Own>,
}

/// Services that a test started.
struct Own {
    directory: PathBuf,
    brokers: u16,
    /// How far the clock of each broker is ahead.
    clocks: String,
}

/// Brokers of a cluster. One that is killed counts as dead after this time.
pub const CLUSTER: u16 = 3;
const CLUSTER_SESSION_MS: u32 = 3_000;
/// Its last broker's clock, where they differ.
pub const AHEAD: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Restarts {
    /// By kill and by shutdown; an operator gives at most one.
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

impl Backends {
    /// `None`: the environment names no services.
    pub fn of_environment(test: &str) -> Option<Backends> {
        let services = Services::from_environment(test)?;
        Some(Backends {
            brokers: services.brokers,
            database_url: services.database_url,
            kafka: Restarts::from_environment("TURNSTILE_CHAOS_RESTART_KAFKA"),
            postgres: Restarts::from_environment("TURNSTILE_CHAOS_RESTART_POSTGRES"),
            own: None,
        })
    }

    /// The environment's Kafka, with another database.
    pub fn with_database(test: &str, database_url: String) -> Option<Backends> {
        let backends = Backends::of_environment(test)?;
        Some(Backends { database_url, postgres: Restarts::default(), ..backends })
    }

    /// Services that may be restarted: the environment's, if it says how, or new ones.
    pub async fn restartable(test: &str) -> Option<Backends> {
        let backends = Backends::of_environment(test)?;
        if !backends.kafka.commands.is_empty() && !backends.postgres.commands.is_empty() {
            return Some(backends);
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos-services");
        std::fs::create_dir_all(&directory).expect("a directory for the services");
        share_jars(&directory);
        let mut backends = Backends {
            brokers: format!("127.0.0.1:{}", port(&directory, "kafka")),
            database_url: String::new(),
            kafka: Restarts::own("kafka"),
            postgres: Restarts::own("postgres"),
            own: Some(Own { directory: directory.clone(), brokers: 1, clocks: String::new() }),
        };
        let at = port(&directory, "postgres");
        backends.database_url = format!("postgres://turnstile:turnstile@127.0.0.1:{at}/turnstile");
        backends.sh("scripts/services up").await;
        Some(backends)
    }

    /// Three brokers and a controller of the test's own, with the environment's database.
    pub async fn cluster(test: &str, clocks_differ: bool) -> Option<Backends> {
        let environment = Backends::of_environment(test)?;
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos-cluster");
        std::fs::create_dir_all(&directory).expect("a directory for the services");
        share_jars(&directory);
        let first = port(&directory, "kafka");
        let brokers: Vec<String> = (0..CLUSTER).map(|number| format!("127.0.0.1:{}", first + 2 * number)).collect();
        let clocks = if clocks_differ { format!("0,0,{}", AHEAD.as_secs()) } else { String::new() };
        let own = Some(Own { directory, brokers: CLUSTER, clocks });
        let backends = Backends { brokers: brokers.join(","), own, ..environment };
        backends.sh("scripts/services up kafka").await;
        Some(backends)
    }

    /// `how`: kill or down. Brokers are numbered from 1.
    pub async fn end_broker(&self, number: u16, how: &str) {
        self.sh(&format!("scripts/services {how} kafka-{number}")).await;
    }

    pub async fn start_broker(&self, number: u16) {
        self.sh(&format!("scripts/services up kafka-{number}")).await;
    }

    pub async fn restart_kafka(&self, turn: u64) {
        self.restart(&self.kafka, turn).await;
    }

    pub async fn restart_postgres(&self, turn: u64) {
        self.restart(&self.postgres, turn).await;
    }

    /// Kills log and store that this test started.
    pub async fn kill_all(&self) {
        assert!(self.own.is_some(), "without commands that restart the environment's services the test has its own");
        self.sh("scripts/services kill kafka postgres").await;
    }

    pub async fn start_all(&self) {
        self.sh("scripts/services up").await;
    }

    async fn restart(&self, restarts: &Restarts, turn: u64) {
        let commands = &restarts.commands;
        let number = usize::try_from(turn).expect("a few") % commands.len();
        self.sh(&commands[number]).await;
    }

    /// Stops the services if this test started them.
    pub async fn end(&self) {
        if self.own.is_some() {
            self.sh("scripts/services down").await;
        }
    }

    async fn sh(&self, line: &str) {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        if let Some(Own { directory, brokers, clocks }) = &self.own {
            let cluster = *brokers > 1;
            if cluster {
                command.env("TURNSTILE_KAFKA_SESSION_MS", CLUSTER_SESSION_MS.to_string());
            }
            command
                .env("TURNSTILE_SERVICES_DIR", directory)
                .env("TURNSTILE_KAFKA_PORT", port(directory, "kafka").to_string())
                .env("TURNSTILE_POSTGRES_PORT", port(directory, "postgres").to_string())
                .env("TURNSTILE_KAFKA_BROKERS", brokers.to_string())
                .env("TURNSTILE_KAFKA_CLOCKS", clocks)
                .env("TURNSTILE_KAFKA_HEAP", if cluster { "256m" } else { "320m" });
        }
        // Not piped: the services it starts would keep the pipe open.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await.expect("sh starts");
        assert!(status.success(), "{line} ended with {status}");
    }
}

/// Reuses the jars of the services that run already.
fn share_jars(directory: &Path) {
    let main = variable("TURNSTILE_SERVICES_DIR").unwrap_or_else(|| ".services".to_owned());
    let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join(main).join("kafka-lib");
    let here = directory.join("kafka-lib");
    if jars.join(".complete").exists() && !here.exists() {
        let _ = std::os::unix::fs::symlink(jars, here);
    }
}

/// Ports for the services, below the ephemeral range: while a service is down, a client that tries to reach it could be
/// given its port.
const KAFKA_PORTS: Range<u16> = 20_000..25_000;
const POSTGRES_PORTS: Range<u16> = 25_000..30_000;

/// A port that was free when this directory was made, and those after it that brokers and controller use. Stored, so that services left behind by a
/// killed test are found again.
fn port(directory: &Path, service: &str) -> u16 {
    let path = directory.join(format!("{service}-port"));
    let ports = if service == "kafka" { KAFKA_PORTS } else { POSTGRES_PORTS };
    let kept = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    if let Some(kept) = kept.filter(|port| ports.contains(port)) {
        return kept;
    }
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let from = ports.start + u16::try_from(std::process::id() % 4_000).unwrap_or(0);
    let found = (from..ports.end).step_by(2).find(|port| (0..2 * CLUSTER).all(|next| free(port + next)));
    let found = found.expect("free ports in a row");
    std::fs::write(path, found.to_string()).expect("the port can be stored");
    found
}
