//! Creates missing topics and checks existing ones: partition counts, and `settings`.

mod settings;

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use self::settings::{Copies, judge, wanted};
use super::client::{KafkaSettings, REQUEST_MAX, Telling};
use super::error::ConnectError;
use super::failover::Failover;
use super::trust::explained;
use crate::log::Topic;

/// Result of creating and checking the topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicsReport {
    pub created: Vec<String>,
    pub existing: Vec<String>,
    /// Settings an operator should correct.
    pub warnings: Vec<String>,
}

/// Drops the client on a thread for blocking calls: its destructor joins threads.
struct Admin(Option<AdminClient<Telling>>);

impl Admin {
    fn connect(settings: &KafkaSettings) -> Result<Self, ConnectError> {
        let admin = settings.admin().create_with_context(Telling::new("admin", settings, &Failover::default()));
        admin.map(|admin| Admin(Some(admin))).map_err(|error| ConnectError::Settings(error.to_string()))
    }
}

impl std::ops::Deref for Admin {
    type Target = AdminClient<Telling>;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().expect("taken only when it is dropped")
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let admin = self.0.take();
        drop(tokio::task::spawn_blocking(move || drop(admin)));
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_MAX)).operation_timeout(Some(REQUEST_MAX))
}

fn names(settings: &KafkaSettings) -> [(Topic, String); Topic::ALL.len()] {
    Topic::ALL.map(|topic| (topic, settings.topic_name(topic)))
}

/// Creates missing topics and checks the others. Changes no existing topic.
///
/// # Errors
/// If a topic cannot be created, or a lane must not be used as it is.
pub async fn ensure(settings: &KafkaSettings) -> Result<TopicsReport, ConnectError> {
    let admin = Admin::connect(settings)?;
    let (admin, copies) = blocking(settings, admin, |admin, settings| copies(admin.inner(), settings)).await?;
    let mut report = TopicsReport::default();
    create(&admin, settings, copies, &mut report).await?;
    let attempts = if report.created.is_empty() { 1 } else { 50 };
    let check = move |admin: &Admin, settings: &KafkaSettings| check_when_known(admin.inner(), settings, attempts);
    let (admin, ()) = blocking(settings, admin, check).await?;
    report.warnings = check_settings(&admin, settings, copies).await?;
    Ok(report)
}

async fn create(
    admin: &Admin,
    settings: &KafkaSettings,
    copies: Copies,
    report: &mut TopicsReport,
) -> Result<(), ConnectError> {
    let names = names(settings);
    let configs: Vec<_> = names.iter().map(|(topic, _)| wanted(*topic, copies)).collect();
    let new = names.iter().zip(&configs).map(|((topic, name), config)| {
        let count = i32::try_from(settings.partitions.of(*topic)).unwrap_or(i32::MAX);
        let topic = NewTopic::new(name, count, TopicReplication::Fixed(copies.count));
        config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
    });
    let new: Vec<_> = new.collect();
    let results = admin.create_topics(&new, &options()).await.map_err(|error| unreachable(settings, &error))?;
    for result in results {
        match result {
            Ok(name) => report.created.push(name),
            Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => report.existing.push(name),
            Err((topic, code)) => return Err(ConnectError::Create { topic, reason: code.to_string() }),
        }
    }
    Ok(())
}

/// Checks the topics that a process starts on; returns what an operator should correct.
pub(super) async fn check_for_start(settings: &KafkaSettings) -> Result<Vec<String>, ConnectError> {
    let admin = Admin::connect(settings)?;
    let (admin, copies) = blocking(settings, admin, |admin, settings| copies(admin.inner(), settings)).await?;
    check_settings(&admin, settings, copies).await
}

async fn check_settings(admin: &Admin, settings: &KafkaSettings, copies: Copies) -> Result<Vec<String>, ConnectError> {
    let names = names(settings);
    let resources: Vec<_> = names.iter().map(|(_, name)| ResourceSpecifier::Topic(name)).collect();
    let options = options().request_timeout(Some(settings.settings_timeout));
    let described = match admin.describe_configs(&resources, &options).await {
        Ok(described) => described,
        Err(error) => return Ok(vec![format!("the topics' settings cannot be read: {error}")]),
    };
    let (mut warnings, mut refusals) = (Vec::new(), Vec::new());
    for ((topic, name), described) in names.iter().zip(described) {
        match described {
            Ok(config) => {
                let entries = config.entries.into_iter();
                let found: HashMap<String, String> =
                    entries.filter_map(|entry| Some((entry.name, entry.value?))).collect();
                let complaints = judge(*topic, name, copies, &found);
                warnings.extend(complaints.warnings);
                refusals.extend(complaints.refusals);
            }
            Err(code) => warnings.push(format!("the settings of topic {name} cannot be read: {code}")),
        }
    }
    if refusals.is_empty() { Ok(warnings) } else { Err(ConnectError::LaneSettings(refusals.join("; "))) }
}

/// On a thread for blocking calls.
async fn blocking<T: Send + 'static>(
    settings: &KafkaSettings,
    admin: Admin,
    ask: impl FnOnce(&Admin, &KafkaSettings) -> Result<T, ConnectError> + Send + 'static,
) -> Result<(Admin, T), ConnectError> {
    let settings = settings.clone();
    let asked = tokio::task::spawn_blocking(move || match ask(&admin, &settings) {
        Ok(answer) => Ok((admin, answer)),
        Err(error) => Err(explained(error, &settings)),
    });
    asked.await.unwrap_or_else(|error| Err(ConnectError::Settings(error.to_string())))
}

fn unreachable(settings: &KafkaSettings, error: &KafkaError) -> ConnectError {
    ConnectError::Unreachable { brokers: settings.brokers.clone(), reason: error.to_string() }
}

/// Asks for all topics: a broker with auto-creation would create a topic asked for by name. Blocks.
fn metadata(
    client: &Client<impl rdkafka::ClientContext + 'static>,
    settings: &KafkaSettings,
) -> Result<Metadata, ConnectError> {
    client.fetch_metadata(None, REQUEST_MAX).map_err(|error| unreachable(settings, &error))
}

fn copies(
    client: &Client<impl rdkafka::ClientContext + 'static>,
    settings: &KafkaSettings,
) -> Result<Copies, ConnectError> {
    Ok(Copies::of(settings.replication_factor, metadata(client, settings)?.brokers().len()))
}

/// Retries after creation: new topics take a moment to be known to every broker.
fn check_when_known(
    client: &Client<impl rdkafka::ClientContext + 'static>,
    settings: &KafkaSettings,
    mut attempts: u32,
) -> Result<(), ConnectError> {
    loop {
        attempts -= 1;
        match check(client, settings) {
            Err(ConnectError::MissingTopic { .. } | ConnectError::PartitionCount { .. }) if attempts > 0 => {
                #[allow(clippy::disallowed_methods, reason = "on a thread for blocking calls")]
                std::thread::sleep(Duration::from_millis(100));
            }
            result => return result,
        }
    }
}

/// Checks that all topics exist with the configured partition counts. Blocks.
pub(super) fn check(
    client: &Client<impl rdkafka::ClientContext + 'static>,
    settings: &KafkaSettings,
) -> Result<(), ConnectError> {
    let metadata = metadata(client, settings)?;
    for (topic, name) in names(settings) {
        let found = metadata.topics().iter().find(|found| found.name() == name && found.error().is_none());
        let Some(found) = found else { return Err(ConnectError::MissingTopic { topic: name }) };
        let (found, wanted) = (found.partitions().len(), settings.partitions.of(topic) as usize);
        if found != wanted {
            let setting = topic.as_str().replace('-', "_");
            return Err(ConnectError::PartitionCount { topic: name, setting, found, wanted });
        }
    }
    Ok(())
}
