//! F57: Kafka over TLS, on a broker of its own with a certificate of a private authority. The build feature `kafka-tls`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::{TempDir, tempdir};

use crate::harness::System;
use crate::harness::server::command;
use crate::harness::services::Services;
use crate::webhooks::private_ca::certificates;

/// Below the ephemeral range, and away from those of scripts and other tests.
const PORTS: std::ops::Range<u16> = 30_000..32_000;

/// Stops with this.
struct Broker {
    directory: TempDir,
    port: u16,
}

impl Broker {
    /// One that speaks plain text on a port, for the one who cleans up, and TLS as `localhost` on the second behind it.
    fn start() -> Broker {
        let directory = tempdir().expect("a directory");
        assert!(certificates(directory.path()), "openssl must be installed");
        let read = |file: &str| std::fs::read_to_string(directory.path().join(file)).expect("readable");
        let pem = ["leaf.key", "leaf.pem"].map(read);
        std::fs::write(directory.path().join("broker.pem"), pem.concat()).expect("written");
        share_jars(directory.path());
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        let from = PORTS.start + u16::try_from(std::process::id() % 1_900).unwrap_or(0);
        let port = (from..PORTS.end).find(|port| (0..3).all(|next| free(port + next))).expect("free ports in a row");
        let broker = Broker { directory, port };
        broker.script("up");
        broker
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn script(&self, what: &str) {
        let status = Command::new("scripts/services")
            .args([what, "kafka"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("TURNSTILE_SERVICES_DIR", self.directory.path())
            .env("TURNSTILE_KAFKA_PORT", self.port.to_string())
            .env("TURNSTILE_KAFKA_TLS", self.file("broker.pem"))
            .env("TURNSTILE_KAFKA_HEAP", "256m")
            // Not piped: the broker would keep the pipe open.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "scripts/services {what} kafka");
    }

    /// The settings of whoever calls it so, and trusts this authority.
    fn settings(&self, host: &str, authority: &str) -> Vec<(String, String)> {
        let settings = [
            ("BROKERS", format!("{host}:{}", self.port + 2)),
            ("KAFKA__SECURITY_PROTOCOL", "SSL".to_owned()),
            ("KAFKA__SSL_CA_LOCATION", authority.to_owned()),
        ];
        settings.map(|(name, value)| (format!("TURNSTILE__LOG__{name}"), value)).into()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.script("down");
    }
}

/// Reuses the jars of the services that run already.
fn share_jars(directory: &Path) {
    let main = std::env::var_os("TURNSTILE_SERVICES_DIR").map_or_else(|| ".services".into(), PathBuf::from);
    let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join(main).join("kafka-lib");
    if jars.join(".complete").exists() {
        std::os::unix::fs::symlink(jars, directory.join("kafka-lib")).expect("a link");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f57_commands_are_decided_over_tls_and_a_broker_that_is_not_trusted_is_refused() {
    let Some(services) = Services::from_environment("f57") else { return };
    let broker = Broker::start();
    let services = Services::at(format!("127.0.0.1:{}", broker.port), services.database_url, "f57");
    let right = broker.settings("localhost", &broker.file("ca.pem"));
    let system = System::prepare_on(Some(services), "f57_kafka_tls", right);
    let door = system.start_role("api").await;
    system.client.point_at(vec![door]);
    system.start_role("worker").await;
    let charged = system.client.user("alice").charge(500).decide().await.result();
    assert_eq!(charged["balance"], 500);
    system.finish().await;

    let elsewhere = tempdir().expect("a directory");
    assert!(certificates(elsewhere.path()), "another authority");
    let other = elsewhere.path().join("ca.pem").display().to_string();
    // The one asks for topics first, the other connects as every role does.
    for (command_line, host, authority) in
        [("topics", "localhost", &other), ("worker", "127.0.0.1", &broker.file("ca.pem"))]
    {
        let mut env = system.env().to_vec();
        env.extend(broker.settings(host, authority));
        let refused = command(&[command_line], &env).output().expect("it starts");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(64), "{command_line} {host}: {said}");
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("is not trusted")).collect();
        let [line] = lines[..] else { panic!("one line says it: {said}") };
        let begins = format!("turnstile: log.brokers: Kafka at {host}:{} is not trusted: ", broker.port + 2);
        assert!(line.starts_with(&begins) && line.contains("certificate verify failed"), "{line}");
        assert!(line.contains("log.kafka.ssl.ca.location"), "{line}");
    }
    system.remove().await;
}
