//! Every metric of the program. A name ends with its unit.

use std::sync::LazyLock;

use prometheus::{
    GaugeVec, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, register_gauge_vec, register_histogram_vec,
    register_int_counter_vec, register_int_gauge, register_int_gauge_vec,
};

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register_int_counter_vec!(name, help, labels).expect("metric names are unique")
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register_int_gauge_vec!(name, help, labels).expect("metric names are unique")
}

/// Without labels: reading one of a vector takes a lock and a hash each time.
fn plain_gauge(name: &str, help: &str) -> IntGauge {
    register_int_gauge!(name, help).expect("metric names are unique")
}

fn histogram(name: &str, help: &str, labels: &[&str], buckets: Vec<f64>) -> HistogramVec {
    register_histogram_vec!(name, help, labels, buckets).expect("metric names are unique")
}

/// 0.5 ms to 16 s, doubling.
fn seconds_buckets() -> Vec<f64> {
    (0..16).map(|i| 0.0005 * f64::from(1 << i)).collect()
}

/// Commands decided, by lane, type and status (`succeeded`, `rejected`, `pending`, `nothing`, `repeat`,
/// `reused`).
pub static COMMANDS_DECIDED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_commands_decided_total", "Commands decided", &["lane", "command", "status"]));
/// Requests that were refused, by lane and code.
pub static REFUSALS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_refusals_total", "Requests that were refused, by code", &["lane", "code"]));
/// Stray records forwarded to their partition.
pub static STRAYS_FORWARDED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_strays_forwarded_total", "Strays forwarded to their partition", &["lane"]));
/// Commands forwarded from the inbox, by type.
pub static INBOX_FORWARDED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_inbox_forwarded_total", "Commands forwarded from the inbox", &["command"]));
/// Records that could not be decoded or applied.
pub static DEAD_LETTERS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_dead_letters_total", "Records sent to the dead letters", &["lane"]));
/// Commits refused because the partition has a newer owner.
pub static COMMITS_FENCED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_commits_fenced_total", "Commits refused by the fence", &["lane"]));
/// From the append of a command to its outcome on the log, by the log's own times, as every process with a front door sees
/// it: its sum over processes counts an outcome once for each.
pub static DECISION_SECONDS: LazyLock<HistogramVec> =
    LazyLock::new(|| histogram("turnstile_decision_seconds", "From append to outcome", &["lane"], seconds_buckets()));
/// Duration of a commit that holds a batch of this lane.
pub static COMMIT_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram("turnstile_commit_seconds", "Duration of one batch's commit", &["lane"], seconds_buckets())
});
/// Batches in one commit.
pub static COMMIT_BATCHES: LazyLock<HistogramVec> = LazyLock::new(|| {
    let buckets = (0..7).map(|i| f64::from(1 << i)).collect();
    histogram("turnstile_commit_batches", "Batches, one a partition, in one commit", &[], buckets)
});
/// Records in one batch.
pub static BATCH_RECORDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    let buckets = (0..13).map(|i| f64::from(1 << i)).collect();
    histogram("turnstile_batch_records", "Records in one batch", &["lane"], buckets)
});
/// How a partition stands in this process: no owner here (0), owned (1), parked (2), waiting (3).
pub static PARTITION_STATE: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_partition_state", "0 not here, 1 owned, 2 parked, 3 waiting", &["lane", "partition"])
});
/// How long a partition has been parked, waiting or without progress; 0 while it moves.
pub static PARTITION_STALLED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_partition_stalled_seconds", "How long a partition stands still", &["lane", "partition"])
});
/// Partitions of a lane; with `turnstile_partition_state` it tells how many have no owner.
pub static PARTITIONS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_partitions", "Partitions of a lane", &["lane"]));
/// 1, labeled with the version that runs, and the commit it was built from (`unknown` where the build did not say).
pub static BUILD_INFO: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_build_info", "1, with the version that runs", &["version", "commit"]));
/// 1 while a check of `/readyz` passes, but for those of single partitions, which `turnstile_partition_state` has.
pub static READY: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_ready", "Whether a check of this process passes", &["check"]));
/// Seats of the dates that are sold now or next, by date and status (`free`, `held`, `paying`, `sold`), as the store has
/// them: every process with a front door tells the same.
pub static SALE_SEATS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_sale_seats", "Seats of a date, by status", &["schedule", "status"]));
/// Everything before this offset is committed.
pub static NEXT_OFFSET: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_next_offset", "Everything before this offset is committed", &["lane", "partition"])
});
/// Outbox rows committed but not yet acknowledged by the log, however many the relay has taken.
pub static OUTBOX_PENDING: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_outbox_pending", "Outbox rows not yet acknowledged by the log", &["lane", "partition"])
});
/// Every outbox row before this one is acknowledged by the log.
pub static OUTBOX_PUBLISHED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_outbox_published", "Outbox rows before this one are published", &["lane", "partition"])
});
/// Duration of one commit of the embedded log, including retries on a failing disk.
pub static LOG_COMMIT_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram("turnstile_log_commit_seconds", "Duration of one commit of the log", &["log"], seconds_buckets())
});
/// Records in one commit of the embedded log.
pub static LOG_COMMIT_RECORDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    let buckets = (0..14).map(|i| f64::from(1 << i)).collect();
    histogram("turnstile_log_commit_records", "Records in one commit of the log", &["log"], buckets)
});
/// Requests answered, by route template, method and status.
pub static HTTP_REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter("turnstile_http_requests_total", "HTTP requests answered", &["route", "method", "status"])
});
/// Time to the head of the answer, by route template and method.
pub static HTTP_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram("turnstile_http_seconds", "Time to the head of the answer", &["route", "method"], seconds_buckets())
});
/// Requests in flight.
pub static HTTP_IN_FLIGHT: LazyLock<IntGauge> =
    LazyLock::new(|| plain_gauge("turnstile_http_in_flight", "HTTP requests in flight"));
/// Open connections, also those kept back for operators.
pub static HTTP_CONNECTIONS: LazyLock<IntGauge> =
    LazyLock::new(|| plain_gauge("turnstile_http_connections", "Open HTTP connections"));
/// Connections that the server ended, by reason: `gave_way` to a new one while it was idle, `slow_head`,
/// `slow_response`, `held_bytes` (the slowest, when unfinished responses held too much).
pub static HTTP_CONNECTIONS_ENDED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter("turnstile_http_connections_ended_total", "HTTP connections ended by the server", &["reason"])
});
/// Bytes of responses that clients have not taken yet, each shared buffer counted once.
pub static HTTP_HELD_BYTES: LazyLock<IntGauge> =
    LazyLock::new(|| plain_gauge("turnstile_http_held_bytes", "Bytes held by unfinished responses"));
/// Requests waiting for an outcome.
pub static WAITERS: LazyLock<IntGauge> =
    LazyLock::new(|| plain_gauge("turnstile_waiters", "Requests waiting for an outcome"));
/// Everything before this offset is decided or is no record: transaction markers, aborted records.
pub static LOG_PASSED_OFFSET: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "Everything before this offset is decided or is no record";
    gauge("turnstile_log_passed_offset", help, &["topic", "partition"])
});
/// End offset of a partition as its reader last saw it; minus `turnstile_log_passed_offset` it is the lag.
pub static LOG_END_OFFSET: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_log_end_offset", "Offset of the next record of a partition", &["topic", "partition"])
});
/// Records in the queues of the Kafka clients, by client (`producer`, `reader`, `member`) and queue: `unacknowledged`,
/// `fetched` (not yet taken).
pub static KAFKA_MESSAGES: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_kafka_queue_messages", "Records in the queues of the Kafka clients", &["client", "queue"])
});
/// The same in bytes.
pub static KAFKA_BYTES: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_kafka_queue_bytes", "Bytes in the queues of the Kafka clients", &["client", "queue"])
});
/// The p99 of the slowest broker's round trips, by client.
pub static KAFKA_RTT: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!("turnstile_kafka_rtt_p99_seconds", "p99 of the slowest broker's round trips", &["client"])
        .expect("metric names are unique")
});
/// Brokers that a client is connected to.
pub static KAFKA_BROKERS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_kafka_brokers_up", "Brokers that a Kafka client is connected to", &["client"]));
/// Rebalances of the group that a client took part in, by client.
pub static KAFKA_REBALANCES: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_kafka_rebalances", "Rebalances of the group since the start", &["client"]));
/// Errors reported by the Kafka clients, by client and code.
pub static KAFKA_ERRORS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_kafka_errors_total", "Errors of the Kafka clients", &["client", "code"]));
/// Records found by polling, without a wake-up; more than 0 is a defect.
pub static KAFKA_WAKEUPS_LOST: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_kafka_wakeups_lost_total", "Records found without a wake-up", &["topic"]));
/// Live tokens of the queues with a replica in this process, by schedule and status (`waiting`, `absent`,
/// `active`).
pub static QUEUE_TOKENS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_queue_tokens", "Live tokens of a queue", &["schedule", "status"]));
/// Tokens admitted since the queue was opened, of the queues with a replica in this process, by schedule: every process
/// tells the same.
pub static QUEUE_ADMITTED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_queue_admitted_total", "Tokens of a queue that were admitted", &["schedule"]));
/// 1 while an operator has paused a queue with a replica in this process.
pub static QUEUE_PAUSED: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_queue_paused", "Whether a queue is paused", &["schedule"]));
/// Polls of a queue position, by the status in the answer.
pub static QUEUE_POLLS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_queue_polls_total", "Polls of a position in a queue", &["status"]));
/// Refreshes of queue replicas from the store; independent of the number of polls.
pub static QUEUE_REFRESHES: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_queue_refreshes_total", "Refreshes of queue replicas", &[]));
/// Open streams of queue positions: SSE and WebSocket.
pub static QUEUE_STREAMS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_queue_streams", "Open streams of queue positions", &[]));
/// Open streams of seats.
pub static SEAT_STREAMS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_seat_streams", "Open streams of seats", &[]));
/// Seat maps read from the store, by reason: `first` (not in memory), `untold` (outcomes do not keep it up: the feed is
/// interrupted, or they may overtake each other), `stale` (an outcome does not say enough, or may be missing), `anyway`.
pub static SEAT_MAP_READS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_seat_map_reads_total", "Seat maps read from the store", &["reason"]));
/// Replicas of queues that made way for another queue's.
pub static QUEUE_EVICTIONS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_queue_evictions_total", "Replicas that made way for another", &[]));
/// Tokens reported as seen.
pub static QUEUE_SEEN: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("turnstile_queue_seen_total", "Tokens reported as seen", &[]));
/// How long the oldest outcome has waited for an endpoint; only where the notifier leads and the endpoint is enabled.
pub static WEBHOOK_LAG: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("turnstile_webhook_lag_seconds", "Age of the oldest outcome not yet delivered", &["endpoint"])
});
/// 1 while an endpoint is disabled; only where the notifier leads.
pub static WEBHOOK_DISABLED: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("turnstile_webhook_disabled", "Whether a webhook is disabled", &["endpoint"]));
/// Attempts by the class of the answer's status (`2xx` to `5xx`), `none` where there was no answer.
pub static WEBHOOK_ANSWERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter("turnstile_webhook_answers_total", "Attempts to deliver, by class of status", &["endpoint", "status"])
});
/// Events by result: `delivered`, `given_up`; attempts that failed: `failed`.
pub static WEBHOOK_DELIVERIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "turnstile_webhook_deliveries_total",
        "Events delivered, given up; attempts failed",
        &["endpoint", "result"],
    )
});
