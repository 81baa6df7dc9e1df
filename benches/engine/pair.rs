//! A log and a store with new topics and tables.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use turnstile::assembly::{backends, identity};
use turnstile::config::{self, Config};
use turnstile::log::Log;
use turnstile::log::embedded::EmbeddedLog;
use turnstile::runtime::clock::Clock;
use turnstile::store::Store;
use uuid::Uuid;

use crate::Kind;
use crate::cpu::Processes;
use crate::services::{delete_topics, env, pid, run_sql};

pub struct Pair {
    pub kind: Kind,
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Store>,
    embedded: Option<EmbeddedLog>,
    settings: Vec<(String, String)>,
    schemas: std::sync::Mutex<Vec<String>>,
    data_dir: TempDir,
}

impl Pair {
    pub async fn open(kind: Kind) -> anyhow::Result<Pair> {
        let data_dir = tempfile::tempdir()?;
        let name = format!("engine_{}", &Uuid::new_v4().simple().to_string()[..10]);
        let mut settings = vec![("TURNSTILE__DATA_DIR".to_owned(), data_dir.path().display().to_string())];
        if kind == Kind::Kafka {
            for (key, value) in [
                ("LOG__BROKERS", env("TURNSTILE_TEST_BROKERS")?),
                ("LOG__TOPIC_PREFIX", name.clone()),
                ("LOG__GROUP", name.clone()),
                ("DATABASE__URL", env("TURNSTILE_TEST_DATABASE_URL")?),
                ("DATABASE__SCHEMA", name.clone()),
            ] {
                settings.push((format!("TURNSTILE__{key}"), value));
            }
        }
        let config = read(&settings)?;
        backends::migrate(&config).await?;
        if kind == Kind::Kafka {
            backends::make_topics(&config).await?;
        }
        let (log, embedded) = backends::open_log(&config, &Clock::System).await?;
        let store = backends::open_store(&config).await?;
        let prefix = config.log.brokers.as_ref().map(|_| name.as_str());
        identity::check(&*log, &*store, prefix, Some(7 * 24 * 3_600 * 1_000)).await?;
        Ok(Pair { kind, log, store, embedded, settings, schemas: std::sync::Mutex::new(vec![name]), data_dir })
    }

    /// One more store of the same kind, empty.
    pub async fn another_store(&self) -> anyhow::Result<(Arc<dyn Store>, StoreSettings)> {
        let mut settings = self.settings.clone();
        let name = format!("engine_{}", &Uuid::new_v4().simple().to_string()[..10]);
        for (key, value) in &mut settings {
            match key.as_str() {
                "TURNSTILE__DATABASE__SCHEMA" => *value = name.clone(),
                "TURNSTILE__DATA_DIR" => *value = self.data_dir.path().join(&name).display().to_string(),
                _ => {}
            }
        }
        if self.kind == Kind::Kafka {
            self.schemas.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(name);
        }
        let settings = StoreSettings(read(&settings)?);
        backends::migrate(&settings.0).await?;
        Ok((settings.open_again().await?, settings))
    }

    pub fn processes(&self) -> Processes {
        match self.kind {
            Kind::Kafka => Processes { broker: pid("kafka"), database: pid("postgres"), ..Processes::default() },
            Kind::Embedded => Processes::default(),
        }
    }

    pub async fn remove(self) -> anyhow::Result<()> {
        self.log.flush(Duration::from_secs(10)).await;
        if let Some(embedded) = self.embedded {
            embedded.close().await;
        }
        if self.kind == Kind::Kafka {
            let schemas = self.schemas.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            // The topics have the name of the first.
            delete_topics(&schemas[0]).await?;
            for schema in schemas {
                run_sql(&format!("set client_min_messages = warning; drop schema {schema} cascade")).await?;
            }
        }
        Ok(())
    }
}

/// Of one store.
pub struct StoreSettings(Config);

impl StoreSettings {
    /// With connections of its own.
    pub async fn open_again(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(backends::open_store(&self.0).await?)
    }
}

fn read(settings: &[(String, String)]) -> anyhow::Result<Config> {
    let layers = config::layers(None, settings.iter().cloned())?;
    Ok(Config::read(&layers)?)
}
