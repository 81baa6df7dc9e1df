//! A real Prometheus over a system's processes, with the alerts of deploy/ in a hurry.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::services::required;
use super::until;

pub struct Prometheus {
    child: Child,
    base: String,
    _directory: TempDir,
}

/// An address that was free a moment ago.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

/// `deploy/prometheus/rules.yml` with every pause before an alert cut to a second.
fn hasty_rules() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/rules.yml");
    let rules = std::fs::read_to_string(path).expect("the rules");
    let hasty = |line: &str| {
        let indent = &line[..line.len() - line.trim_start().len()];
        if line.trim_start().starts_with("for: ") { format!("{indent}for: 1s") } else { line.to_owned() }
    };
    rules.lines().map(hasty).collect::<Vec<_>>().join("\n")
}

impl Prometheus {
    /// Scrapes these jobs twice a second: name and address (`127.0.0.1:port`) of each. `None`: it is not installed, and this
    /// run does not require it.
    pub async fn start(jobs: &[(&str, &str)]) -> Option<Prometheus> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str| directory.path().join(name);
        let mut config = "global: { scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }\n\
                          rule_files: [rules.yml]\nscrape_configs:\n"
            .to_owned();
        for (job, address) in jobs {
            // Writing to a String cannot fail.
            let _ = writeln!(config, "  - {{ job_name: {job}, static_configs: [{{ targets: ['{address}'] }}] }}");
        }
        std::fs::write(file("prometheus.yml"), config).expect("written");
        std::fs::write(file("rules.yml"), hasty_rules()).expect("written");
        let address = free_address();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", file("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--log.level=error", "--storage.tsdb.retention.time=1h"])
            .stdin(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                assert!(!required(), "prometheus: {error}");
                println!("skipped: prometheus is not installed");
                return None;
            }
        };
        Some(Prometheus { child, base: format!("http://{address}"), _directory: directory })
    }

    async fn firing(&self, alert: &str) -> Result<Vec<Value>, String> {
        let answer = reqwest::get(format!("{}/api/v1/alerts", self.base)).await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let alerts = answer["data"]["alerts"].as_array().cloned().ok_or_else(|| answer.to_string())?;
        let fires = |of: &Value| of["labels"]["alertname"] == alert && of["state"] == "firing";
        Ok(alerts.into_iter().filter(fires).collect())
    }

    /// The alert, once it fires.
    pub async fn fires(&self, alert: &str) -> Value {
        until(&format!("{alert} to fire"), async || {
            self.firing(alert).await?.into_iter().next().ok_or_else(|| "it does not".to_owned())
        })
        .await
    }

    /// Once it does not fire any more.
    pub async fn heals(&self, alert: &str) {
        until(&format!("{alert} to heal"), async || {
            let left = self.firing(alert).await?;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }

    /// Once all of these jobs were scraped, so that what is missing later was there before.
    pub async fn sees(&self, jobs: usize) {
        let query = format!("count(turnstile_partition_state>0) and count(up==1)=={jobs}").replace(' ', "%20");
        let url = format!("{}/api/v1/query?query={query}", self.base);
        until("Prometheus to see all processes", async || {
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
            let found = answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty());
            if found { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
