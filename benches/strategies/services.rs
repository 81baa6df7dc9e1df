//! Kafka, PostgreSQL and Redis of `scripts/services`, and their processes.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use turnstile::log::Topic;

/// A variable that `scripts/services env` prints.
pub fn env(name: &str) -> anyhow::Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set: scripts/services up, eval \"$(scripts/services env)\""))
}

/// The main process of a service; 0 if it is not one that `scripts/services` knows.
pub fn pid(service: &str) -> u32 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");
    let output = Command::new(script).args(["pid", service]).stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Runs statements without parameters.
pub async fn run_sql(statements: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(&env("TURNSTILE_TEST_DATABASE_URL")?).await?;
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Deletes the topics of this prefix, and the group of the same name: those left behind cost the broker.
pub async fn delete_topics(prefix: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", env("TURNSTILE_TEST_BROKERS")?).create()?;
    let topics: Vec<String> = Topic::ALL.iter().map(|topic| format!("{prefix}.{topic}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    admin.delete_topics(&topics, &options).await?;
    // It may still have members that time out.
    let _ = admin.delete_groups(&[prefix], &options).await;
    Ok(())
}
