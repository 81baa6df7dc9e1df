//! Settings of the Kafka clients, and their log lines, errors and statistics.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

use super::ends::AllEnds;
use super::failover::Failover;
use crate::log::{APPEND_BYTES_MAX, PartitionCounts, Topic};
use crate::telemetry::metrics;

/// Timeout of a request to the brokers.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(10);

/// How to connect to the log on Kafka.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// Bootstrap servers, `host:port` separated by commas.
    pub brokers: String,
    /// Topics are named `{topic_prefix}.seats` and so on.
    pub topic_prefix: String,
    /// The workers' consumer group.
    pub group: String,
    /// The counts the topics must have.
    pub partitions: PartitionCounts,
    /// For topics this program creates; `None`: three, as far as there are brokers.
    pub replication_factor: Option<i32>,
    /// Time without a heartbeat after which a member's partitions go to the others.
    pub session_timeout: Duration,
    /// Time an owner has to release a partition: below half the session timeout, so that it ends before the group could
    /// declare this member dead.
    pub drain: Duration,
    /// Static membership: a member that returns under this name within the session timeout keeps its partitions. After
    /// leaving, they move only when that time has passed.
    pub instance_id: Option<String>,
    /// Time after which an unacknowledged append fails; within the time an HTTP request may take.
    pub delivery_timeout: Duration,
    /// Longest wait for the topics' settings at start; without an answer they are not checked, which is logged.
    pub settings_timeout: Duration,
    /// Most appends waiting for acknowledgment, in records and bytes; more are refused with `Backlog`.
    pub queue_records_max: u32,
    pub queue_bytes_max: u32,
    /// Further settings for every client, by librdkafka's names: `security.protocol`, `sasl.*`, `ssl.*`.
    pub extra: BTreeMap<String, String>,
}

impl KafkaSettings {
    pub fn new(
        brokers: impl Into<String>,
        topic_prefix: impl Into<String>,
        group: impl Into<String>,
        partitions: PartitionCounts,
    ) -> Self {
        KafkaSettings {
            brokers: brokers.into(),
            topic_prefix: topic_prefix.into(),
            group: group.into(),
            partitions,
            replication_factor: None,
            session_timeout: Duration::from_secs(8),
            drain: Duration::from_secs(3),
            instance_id: None,
            delivery_timeout: Duration::from_secs(13),
            settings_timeout: REQUEST_MAX,
            queue_records_max: 50_000,
            queue_bytes_max: 32 << 20,
            extra: BTreeMap::new(),
        }
    }

    pub fn topic_name(&self, topic: Topic) -> String {
        format!("{}.{topic}", self.topic_prefix)
    }

    /// Settings common to all clients.
    pub(super) fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "turnstile")
            // What the client says of its connections counts (`Telling::log`), whatever level is shown.
            .set_log_level(RDKafkaLogLevel::Info)
            .set("socket.keepalive.enable", "true")
            // A broker whose machine vanished closes no connection: what is not answered by then does. The default is 60 s.
            .set("socket.timeout.ms", "4000")
            // A broker that returns is noticed while clients still wait for their answer.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            // A partition that has moved takes what was retried at once, not after the default of up to 1 s.
            .set("retry.backoff.max.ms", "200")
            // A position counts when it was said twice: a standstill behind an open transaction shows within 30 s.
            .set("statistics.interval.ms", "5000");
        config
    }

    /// The operator's settings go last, so they win; `config` refuses those that order and fencing depend on.
    fn with_extra(&self, mut config: ClientConfig) -> ClientConfig {
        for (name, value) in &self.extra {
            config.set(name, value);
        }
        config
    }

    pub(super) fn admin(&self) -> ClientConfig {
        self.with_extra(self.base())
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        config
            // Implies acks=all and at most 5 requests in flight: retries keep the order and duplicate nothing.
            .set("enable.idempotence", "true")
            // As Java clients do. Every append names its partition; this is for readers of the settings.
            .set("partitioner", "murmur2_random")
            // Of a crowd; `super::lines` has figures.
            .set("linger.ms", "1")
            // Costs a third of the rate at 4096 small records at once and nothing measurable below; commands are JSON,
            // which it shrinks to about a third, for the disk and the network a real cluster has in between.
            .set("compression.type", "lz4")
            .set("delivery.timeout.ms", self.delivery_timeout.as_millis().to_string())
            // A leader that waits for the copy of a lost broker goes on waiting: it answers when the broker counts as dead,
            // and what had to be sent again would come later.
            .set("request.timeout.ms", self.delivery_timeout.as_millis().to_string())
            // Longer than others: answers behind such a wait are late too. With 4 s the connections to the other brokers
            // were closed a second time just before the end of a session of 9 s.
            .set("socket.timeout.ms", "6000")
            .set("message.max.bytes", (APPEND_BYTES_MAX + 4096).to_string())
            // `super::lines` refuses what is too much, so the client's own bounds are wider: it counts a record that it has
            // told of a moment longer, and what it adds to one.
            .set("queue.buffering.max.messages", (u64::from(self.queue_records_max) * 2).min(10_000_000).to_string())
            .set(
                "queue.buffering.max.kbytes",
                (u64::from(self.queue_bytes_max) / 512 + 1024).min(2_097_151).to_string(),
            )
            // This client is asked for end offsets, and a log ends after an open transaction, not before.
            .set("isolation.level", "read_uncommitted");
        self.with_extra(config)
    }

    /// For whoever is alone, unless the operator wants everybody to wait for so long.
    pub(super) fn prompt_producer(&self) -> ClientConfig {
        let mut config = self.producer();
        if !["linger.ms", "queue.buffering.max.ms"].iter().any(|name| self.extra.contains_key(*name)) {
            config.set("linger.ms", "0");
        }
        config
    }

    /// The fetching consumer; its partitions are assigned manually. Needs a group id but never joins the group.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // The owner judges a missing offset; the client must not skip it.
            .set("auto.offset.reset", "error")
            // What a producer has aborted was never sent.
            .set("isolation.level", "read_committed")
            // The default of 1000 ms causes a sawtooth in latency after a queue was full.
            .set("fetch.queue.backoff.ms", "5")
            // As long as a partition that moved is not read; the default is 500.
            .set("fetch.error.backoff.ms", "50")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.message.max.bytes", "1048576")
            // Per partition: 40 lagging partitions take 80 MiB at most, and 2 MiB last a reader until the next fetch.
            .set("queued.max.messages.kbytes", "2048")
            .set("queued.min.messages", "10000");
        self.with_extra(config)
    }

    /// The member of the group, which fetches nothing: see `super::member`.
    pub(super) fn member(&self, name: &str) -> ClientConfig {
        let mut config = self.base();
        let session_ms = self.session_timeout.as_millis();
        config
            .set("client.id", name)
            .set("group.id", &self.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session_ms.to_string())
            // Members learn of a rebalance from a heartbeat response, and moving partitions have no owner meanwhile.
            .set("heartbeat.interval.ms", (session_ms / 12).clamp(1, 500).to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        if let Some(instance_id) = &self.instance_id {
            config.set("group.instance.id", instance_id);
        }
        self.with_extra(config)
    }
}

/// Passes a client's log lines, errors and statistics to the program's log and metrics.
pub(super) struct Telling {
    client: &'static str,
    topic_prefix: String,
    /// Of a reading consumer.
    ends: Option<AllEnds>,
    failover: Failover,
}

impl Telling {
    pub(super) fn new(client: &'static str, settings: &KafkaSettings, failover: &Failover) -> Self {
        Telling { client, topic_prefix: settings.topic_prefix.clone(), ends: None, failover: failover.clone() }
    }

    pub(super) fn reader(settings: &KafkaSettings, ends: AllEnds, failover: &Failover) -> Self {
        Telling { ends: Some(ends), ..Telling::new("reader", settings, failover) }
    }

    /// Exports the end offsets of the partitions being read; minus the owner's offset this is the true lag.
    fn tell_ends(&self, statistics: &Statistics) {
        for (name, topic) in &statistics.topics {
            let Some(topic_name) = name.strip_prefix(&self.topic_prefix).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            for partition in topic.partitions.values().filter(|partition| partition.hi_offset >= 0) {
                let labels = [topic_name, &partition.partition.to_string()];
                metrics::LOG_END_OFFSET.with_label_values(&labels).set(partition.hi_offset);
            }
        }
    }
}

impl ClientContext for Telling {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A connection that broke, or was closed because nothing is answered on it. `error` hears of neither, only of the
        // failed attempts to connect again, and of those but once in 30 s.
        if facility == "FAIL" {
            self.failover.connection_lost(message);
        }
        let client = self.client;
        match level {
            // Offsets sent during a rebalance; the member resends them.
            _ if facility == "COMMITFAIL" => tracing::debug!(client, facility, "{message}"),
            // Settings of consumers that also say how a producer asks for offsets.
            _ if facility == "CONFWARN" && message.contains("isolation.level") => {
                tracing::debug!(client, facility, "{message}")
            }
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(client, facility, "{message}");
            }
            // librdkafka reports an unavailable broker as an error at every attempt; here it is a state.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::warn!(client, facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(client, facility, "{message}"),
            RDKafkaLogLevel::Debug => tracing::debug!(client, facility, "{message}"),
        }
    }

    /// Counts the error; `log` receives the same line.
    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().map_or_else(|| "unknown".to_owned(), |code| format!("{code:?}"));
        metrics::KAFKA_ERRORS.with_label_values(&[self.client, &code]).inc();
        tracing::debug!(client = self.client, %error, reason, "kafka client error");
    }

    fn stats(&self, statistics: Statistics) {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let queue = |queue: &str, messages: i64, bytes: u64| {
            metrics::KAFKA_MESSAGES.with_label_values(&[self.client, queue]).set(messages);
            metrics::KAFKA_BYTES.with_label_values(&[self.client, queue]).set(count(bytes));
        };
        queue("unacknowledged", count(statistics.msg_cnt), statistics.msg_size);
        let partitions = || statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let fetched = partitions().map(|partition| partition.fetchq_cnt).sum();
        queue("fetched", fetched, partitions().map(|partition| partition.fetchq_size).sum());
        let rtt_us = statistics.brokers.values().filter_map(|broker| broker.rtt.as_ref()).map(|rtt| rtt.p99).max();
        metrics::KAFKA_RTT.with_label_values(&[self.client]).set(rtt_us.unwrap_or(0) as f64 / 1e6);
        let up = statistics.brokers.values().filter(|broker| broker.nodeid >= 0 && broker.state == "UP").count();
        metrics::KAFKA_BROKERS.with_label_values(&[self.client]).set(count(up as u64));
        if let Some(ends) = &self.ends {
            ends.heard(&statistics);
            self.tell_ends(&statistics);
        }
        if let Some(group) = &statistics.cgrp {
            metrics::KAFKA_REBALANCES.with_label_values(&[self.client]).set(group.rebalance_cnt);
        }
    }
}

impl ConsumerContext for Telling {}
