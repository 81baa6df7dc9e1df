//! Creates missing topics and checks existing ones.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::{KafkaSettings, REQUEST_MAX, Telling};
use super::error::ConnectError;
use crate::log::{APPEND_BYTES_MAX, Topic};

/// The largest record with headers and framing.
const MESSAGE_BYTES_MAX: usize = APPEND_BYTES_MAX + 4096;
/// One week: as long as the store keeps requests.
const OUTCOMES_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// Result of creating and checking the topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicsReport {
    pub created: Vec<String>,
    pub existing: Vec<String>,
    /// Settings an operator should correct.
    pub warnings: Vec<String>,
}

/// The settings a topic is created with.
fn wanted(topic: Topic) -> Vec<(&'static str, String)> {
    let mut wanted =
        vec![("max.message.bytes", MESSAGE_BYTES_MAX.to_string()), ("cleanup.policy", "delete".to_owned())];
    match topic {
        Topic::Lane(_) => {
            // The broker decides order of arrival and time.
            wanted.push(("message.timestamp.type", "LogAppendTime".to_owned()));
            // The log is the proof of a sale; a shorter retention must be an explicit choice.
            wanted.push(("retention.ms", "-1".to_owned()));
        }
        Topic::Outcomes => wanted.push(("retention.ms", OUTCOMES_RETENTION.as_millis().to_string())),
        Topic::DeadLetters => wanted.push(("retention.ms", "-1".to_owned())),
    }
    wanted
}

/// Creates missing topics and checks the others. Changes no existing topic.
pub async fn ensure(settings: &KafkaSettings) -> Result<TopicsReport, ConnectError> {
    let admin: AdminClient<Telling> = settings
        .admin()
        .create_with_context(Telling::new("admin", settings))
        .map_err(|error| ConnectError::Settings(error.to_string()))?;
    let mut report = TopicsReport::default();
    let names: Vec<(Topic, String)> = Topic::ALL.map(|topic| (topic, settings.topic_name(topic))).to_vec();
    let configs: Vec<_> = names.iter().map(|(topic, _)| wanted(*topic)).collect();
    let copies = settings.replication_factor.unwrap_or(-1);
    let new_topics: Vec<_> = names
        .iter()
        .zip(&configs)
        .map(|((topic, name), config)| {
            let count = i32::try_from(settings.partitions.of(*topic)).unwrap_or(i32::MAX);
            let topic = NewTopic::new(name, count, TopicReplication::Fixed(copies));
            config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
    let options = AdminOptions::new().request_timeout(Some(REQUEST_MAX)).operation_timeout(Some(REQUEST_MAX));
    let unreachable =
        |error: KafkaError| ConnectError::Unreachable { brokers: settings.brokers.clone(), reason: error.to_string() };
    for result in admin.create_topics(&new_topics, &options).await.map_err(unreachable)? {
        match result {
            Ok(name) => report.created.push(name),
            Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => report.existing.push(name),
            Err((topic, code)) => return Err(ConnectError::Create { topic, reason: code.to_string() }),
        }
    }
    let settings = settings.clone();
    let created = !report.created.is_empty();
    let (admin, checked) = tokio::task::spawn_blocking(move || {
        let checked = check_when_known(admin.inner(), &settings, created);
        (admin, checked)
    })
    .await
    .map_err(|error| ConnectError::Settings(error.to_string()))?;
    checked?;
    let existing: Vec<_> = names.iter().filter(|(_, name)| report.existing.contains(name)).collect();
    let resources: Vec<_> = existing.iter().map(|(_, name)| ResourceSpecifier::Topic(name)).collect();
    if !resources.is_empty() {
        let found = admin.describe_configs(&resources, &options).await;
        match found {
            Ok(found) => {
                for ((topic, name), config) in existing.iter().zip(found) {
                    let Ok(config) = config else { continue };
                    for (key, wanted) in wanted(*topic) {
                        let value = config.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
                        report.warnings.extend(complaint(name, key, &wanted, &value));
                    }
                }
            }
            Err(error) => report.warnings.push(format!("the topics' settings cannot be read: {error}")),
        }
    }
    // Its destructor joins threads.
    drop(tokio::task::spawn_blocking(move || drop(admin)));
    Ok(report)
}

/// A warning about a harmful difference. Retention is the operator's choice.
fn complaint(topic: &str, key: &str, wanted: &str, found: &str) -> Option<String> {
    let harmful = match key {
        "message.timestamp.type" | "cleanup.policy" => found != wanted,
        "max.message.bytes" => found.parse::<usize>().is_ok_and(|bytes| bytes < MESSAGE_BYTES_MAX),
        _ => false,
    };
    harmful.then(|| {
        format!(
            "topic {topic} has {key}={found}, it should have {wanted}: kafka-configs --alter --entity-type topics \
             --entity-name {topic} --add-config {key}={wanted}"
        )
    })
}

/// Retries after creation: new topics take a moment to be known to every broker.
fn check_when_known(
    client: &Client<impl rdkafka::ClientContext + 'static>,
    settings: &KafkaSettings,
    created: bool,
) -> Result<(), ConnectError> {
    let mut attempts = if created { 50 } else { 1 };
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
    // Asks for all topics: a broker with auto-creation would create a topic asked for by name.
    let metadata = client
        .fetch_metadata(None, REQUEST_MAX)
        .map_err(|error| ConnectError::Unreachable { brokers: settings.brokers.clone(), reason: error.to_string() })?;
    for topic in Topic::ALL {
        let name = settings.topic_name(topic);
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
