//! One Turnstile of a scenario: its settings, its processes, its client.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;
use turnstile::assembly::backends;
use turnstile::config::{self, Config};
use turnstile::log::Log;
use turnstile::log::embedded::EmbeddedLog;
use turnstile::runtime::clock::Clock;
use turnstile::store::Store;

use super::client::Client;
use super::server::{self, Server};
use super::services::Services;
use super::{Pair, feed, invariants};

pub struct System {
    pub pair: Pair,
    pub name: String,
    pub client: Client,
    /// Removed with the system.
    data_dir: TempDir,
    env: Vec<(String, String)>,
    pub services: Option<Services>,
    servers: Mutex<Vec<Server>>,
}

impl System {
    /// Names, directory, database and topics; nothing runs yet. `None`: the environment has no real services.
    pub async fn prepare(pair: Pair, name: &str, further: Vec<(String, String)>) -> Option<System> {
        let services = match pair {
            Pair::Embedded => None,
            Pair::Real => Some(Services::from_environment(name)?),
        };
        Some(System::prepare_on(services, name, further))
    }

    /// The same on services that were chosen already, with further settings.
    pub fn prepare_on(services: Option<Services>, name: &str, further: Vec<(String, String)>) -> System {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut env = settings(directory.path(), services.as_ref());
        env.extend(further);
        if services.is_some() {
            server::run_to_end(&["migrate"], &env);
            server::run_to_end(&["topics"], &env);
        }
        System {
            pair: if services.is_some() { Pair::Real } else { Pair::Embedded },
            name: name.to_owned(),
            client: Client::new(),
            data_dir: directory,
            env,
            services,
            servers: Mutex::default(),
        }
    }

    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// The configuration as the program reads it.
    fn config(&self) -> Config {
        let layers = config::layers(None, self.env().iter().cloned()).expect("settings the program knows");
        Config::read(&layers).expect("settings that are right")
    }

    /// The store itself, beside the program.
    pub async fn open_store(&self) -> Arc<dyn Store> {
        backends::open_store(&self.config()).await.unwrap_or_else(|failure| panic!("the store: {failure}"))
    }

    /// The log itself. The embedded one only while no process has it open; it comes twice, the second time to close it.
    pub async fn open_log(&self) -> (Arc<dyn Log>, Option<EmbeddedLog>) {
        let opened = backends::open_log(&self.config(), &Clock::System).await;
        opened.unwrap_or_else(|failure| panic!("the log: {failure}"))
    }

    /// Starts the program with all its roles in one process and waits until it is ready.
    pub async fn start(&self) {
        self.started(Server::start(&[], self.env())).await;
    }

    /// The same with at most so many open files.
    pub async fn start_with_descriptors(&self, descriptors: u32) {
        self.started(Server::start_with_descriptors(descriptors, &[], self.env())).await;
    }

    async fn started(&self, server: Server) {
        server.until_ready(self.client.http()).await;
        self.client.point_at(vec![server.base.clone()]);
        self.servers().push(server);
    }

    /// Starts one more process with one role (`api` or `worker`) and waits until it is ready.
    pub async fn start_role(&self, role: &str) -> String {
        let server = Server::start(&[role], self.env());
        server.until_ready(self.client.http()).await;
        let base = server.base.clone();
        self.servers().push(server);
        base
    }

    /// Starts one more process and does not wait for it.
    pub fn start_without_waiting(&self, role: &str) {
        let server = Server::start(&[role], self.env());
        self.servers().push(server);
    }

    /// Starts the program and kills it so long after it said where it listens, in the middle of its recovery.
    pub fn start_and_kill(&self, after: Duration) {
        let mut server = Server::start(&[], self.env());
        std::thread::sleep(after);
        server.kill();
    }

    pub fn servers(&self) -> MutexGuard<'_, Vec<Server>> {
        self.servers.lock().unwrap()
    }

    /// SIGTERM to all; each must exit with 0 in time.
    pub async fn stop(&self) {
        let servers: Vec<Server> = self.servers().drain(..).collect();
        for mut server in servers {
            server.stop().await;
        }
    }

    /// `kill -9` to all.
    pub fn kill(&self) {
        for mut server in self.servers().drain(..) {
            server.kill();
        }
    }

    /// What every scenario ends with: the invariants, seen from outside and from the store, and a clean stop.
    pub async fn finish(&self) {
        invariants::check(self).await;
        self.stop().await;
        feed::check(self).await;
    }

    pub fn print_logs(&self) {
        for (number, server) in self.servers().iter().enumerate() {
            println!("--- log of process {number} of {} ({:?}) ---\n{}", self.name, self.pair, server.tail(80));
        }
    }

    /// Ends what still runs and removes what the services keep of it.
    pub async fn remove(&self) {
        self.servers().clear();
        if let Some(services) = &self.services {
            services.remove().await;
        }
    }
}

/// Small, quiet and away from other systems.
fn settings(directory: &Path, services: Option<&Services>) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| env.push((format!("TURNSTILE__{name}"), value));
    set("HTTP__LISTEN", "127.0.0.1:0".into());
    set("DATA_DIR", directory.display().to_string());
    set("DEMO__ON_FIRST_START", "false".into());
    for (lane, partitions) in [("SEATS", 3), ("WALLETS", 3), ("QUEUES", 2), ("INBOX", 2), ("OUTCOMES", 3)] {
        set(&format!("LOG__PARTITIONS__{lane}"), partitions.to_string());
    }
    if let Some(services) = services {
        set("LOG__BROKERS", services.brokers.clone());
        set("LOG__TOPIC_PREFIX", services.prefix.clone());
        set("LOG__GROUP", services.prefix.clone());
        set("DATABASE__URL", services.database_url.clone());
        set("DATABASE__SCHEMA", services.schema.clone());
        // Several systems of several processes share one server and its hundred connections.
        set("DATABASE__CONNECTIONS_MAX", "9".into());
    }
    env
}
