//! Apache Kafka and PostgreSQL for the real pair: names of its own for each test, removed after it.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use turnstile::log::Topic;

/// What one test uses of the shared services.
pub struct Services {
    pub brokers: String,
    /// Topic prefix and consumer group.
    pub prefix: String,
    pub database_url: String,
    /// PostgreSQL schema; `turnstile migrate` makes it.
    pub schema: String,
}

/// Whether a test that lacks a service or a program must fail instead of being skipped.
pub fn required() -> bool {
    std::env::var("TURNSTILE_TEST_REQUIRE_SERVICES").is_ok_and(|value| value == "1")
}

impl Services {
    /// `None` if the environment names no services; whether that is a failure the environment says too.
    pub fn from_environment(test: &str) -> Option<Services> {
        let brokers = std::env::var("TURNSTILE_TEST_BROKERS").unwrap_or_default();
        let database_url = std::env::var("TURNSTILE_TEST_DATABASE_URL").unwrap_or_default();
        if brokers.is_empty() || database_url.is_empty() {
            assert!(!required(), "TURNSTILE_TEST_BROKERS and TURNSTILE_TEST_DATABASE_URL must name the services");
            println!("skipped {test}::real: TURNSTILE_TEST_BROKERS or TURNSTILE_TEST_DATABASE_URL is not set");
            return None;
        }
        Some(Services::at(brokers, database_url, test))
    }

    /// Names of a test's own on services at these addresses.
    pub fn at(brokers: String, database_url: String, test: &str) -> Services {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let short = test.split('_').next().unwrap_or(test);
        Services {
            brokers,
            prefix: format!("it-{short}-{}", &unique[..12]),
            database_url,
            schema: format!("it_{short}_{}", &unique[..12]),
        }
    }

    /// Drops what the test made. A failure here only leaves rubbish behind.
    pub async fn remove(&self) {
        if let Err(error) = self.drop_schema().await {
            println!("schema {} is left behind: {error}", self.schema);
        }
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create().expect("an admin client");
        let topics: Vec<String> = Topic::ALL.iter().map(|topic| format!("{}.{topic}", self.prefix)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        if let Err(error) = admin.delete_topics(&topics, &options).await {
            println!("topics {} are left behind: {error}", self.prefix);
        }
        let _ = admin.delete_groups(&[&self.prefix], &options).await;
    }

    async fn drop_schema(&self) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect(&self.database_url).await?;
        // The name is made above of letters, digits and underscores.
        let statement = AssertSqlSafe(format!("drop schema if exists {} cascade", self.schema));
        sqlx::raw_sql(statement).execute(&mut connection).await?;
        connection.close().await
    }
}
