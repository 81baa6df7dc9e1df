//! Errors of connecting to the log on Kafka.

/// Why the log on Kafka cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("the Kafka client's settings are wrong: {0}")]
    Settings(String),
    #[error("Kafka at {brokers} does not answer: {reason}")]
    Unreachable { brokers: String, reason: String },
    /// No attempt later on would end otherwise.
    #[error(
        "Kafka at {brokers} is not trusted: {reason}. Its certificate must be of the name that log.brokers and its \
         advertised listeners call it by, and signed by an authority in log.kafka.ssl.ca.location, or of the system"
    )]
    Certificate { brokers: String, reason: String },
    #[error("topic {topic} does not exist; create the topics with `turnstile topics`")]
    MissingTopic { topic: String },
    /// With each wrong setting, its reason and its cure.
    #[error("{0}")]
    LaneSettings(String),
    #[error("topic {topic} cannot be created: {reason}")]
    Create { topic: String, reason: String },
    #[error(
        "topic {topic} has {found} partitions, the configuration says {wanted}; a partition count cannot change, for \
         keys would move: set log.partitions.{setting} = {found}, or start on new topics with another log.topic_prefix"
    )]
    PartitionCount { topic: String, setting: String, found: usize, wanted: usize },
}
