//! The processes of one test: API servers and workers, started, stopped, killed.

use std::time::Duration;

use crate::harness::server::Server;
use crate::harness::{Client, System};

pub struct Fleet {
    env: Vec<(String, String)>,
    client: Client,
    pub apis: Vec<Server>,
    pub workers: Vec<Server>,
    /// Fenced commits counted by processes that were stopped since.
    fenced: u64,
}

impl Fleet {
    pub fn of(system: &System) -> Fleet {
        let (env, client) = (system.env().to_vec(), system.client.clone());
        Fleet { env, client, apis: Vec::new(), workers: Vec::new(), fenced: 0 }
    }

    async fn start(&self, role: &'static str, database_url: Option<&str>) -> Server {
        let mut env = self.env.clone();
        env.extend(database_url.map(|url| ("TURNSTILE__DATABASE__URL".to_owned(), url.to_owned())));
        let started = tokio::task::spawn_blocking(move || Server::start(&[role], &env));
        started.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
    }

    pub async fn start_api(&mut self) {
        let api = self.start("api", None).await;
        api.until_ready(self.client.http()).await;
        self.apis.push(api);
        self.point_clients();
    }

    fn point_clients(&self) {
        self.client.point_at(self.apis.iter().map(|api| api.base.clone()).collect());
    }

    pub async fn start_worker(&mut self) {
        let worker = self.start("worker", None).await;
        worker.until_ready(self.client.http()).await;
        self.workers.push(worker);
    }

    /// Returns as soon as it listens, ready or not; `database_url` replaces the others'.
    pub async fn start_worker_at_once(&mut self, database_url: Option<&str>) {
        let worker = self.start("worker", database_url).await;
        self.workers.push(worker);
    }

    /// Clients keep its address until another server starts, as behind a slow load balancer.
    pub fn kill_api(&mut self, number: usize) {
        self.apis.remove(number).kill();
    }

    pub fn kill_worker(&mut self, number: usize) {
        self.workers.remove(number).kill();
    }

    /// Sends SIGTERM; returns the time until its exit, which must be clean.
    pub async fn stop_worker(&mut self, number: usize) -> Duration {
        self.fenced += self.fenced_by(&self.workers[number]).await;
        let mut worker = self.workers.remove(number);
        let took = worker.stop().await;
        if std::env::var_os("TURNSTILE_CHAOS_LOGS").is_some() {
            println!("--- log of stopped worker {} ---\n{}", worker.pid(), worker.tail(300));
        }
        took
    }

    pub async fn stop(&mut self) {
        for mut api in self.apis.drain(..) {
            api.stop().await;
        }
        for mut worker in self.workers.drain(..) {
            worker.stop().await;
        }
    }

    /// Commits that were fenced, of all workers that were not killed.
    pub async fn fenced(&self) -> u64 {
        let mut fenced = self.fenced;
        for worker in &self.workers {
            fenced += self.fenced_by(worker).await;
        }
        fenced
    }

    async fn fenced_by(&self, worker: &Server) -> u64 {
        let answer = self.client.http().get(format!("{}/metrics", worker.base)).send().await;
        let text = answer.expect("a worker serves its metrics").text().await.expect("metrics are text");
        let lines = text.lines().filter(|line| line.starts_with("turnstile_commits_fenced_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    pub fn print_logs(&self) {
        for (role, servers) in [("api", &self.apis), ("worker", &self.workers)] {
            for server in servers {
                println!("--- log of {role} {} ({}) ---\n{}", server.pid(), server.base, server.tail(60));
            }
        }
    }
}
