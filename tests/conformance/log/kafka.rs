//! Against librdkafka's mock cluster, which needs no services, and with `TURNSTILE_TEST_BROKERS` set (`scripts/services
//! env`) against those brokers, each test on topics of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use turnstile::domain::Lane;
use turnstile::log::kafka::{ConnectError, KafkaLog, KafkaSettings, topics};
use turnstile::log::{
    AppendError, GroupEvent, LanePartition, Log, Membership, PartitionCounts, ReadError, Timestamp, Topic,
};
use uuid::Uuid;

use super::altered::alter;
use super::suite::{a_full_queue_refuses_at_once, read_n, record, settle, settle_from};
use super::{SEATS, Subject, counts};

type Mock = MockCluster<'static, DefaultProducerContext>;

fn settings(brokers: String) -> KafkaSettings {
    let prefix = format!("test-{}", Uuid::new_v4().simple());
    let mut settings = KafkaSettings::new(brokers, &prefix, &prefix, counts());
    settings.session_timeout = Duration::from_secs(6);
    settings.replication_factor = Some(1);
    settings
}

fn mock() -> (Mock, KafkaSettings) {
    let cluster = MockCluster::new(1).unwrap();
    let mut settings = settings(cluster.bootstrap_servers());
    // It does not answer this question.
    settings.settings_timeout = Duration::from_millis(50);
    for topic in Topic::ALL {
        cluster.create_topic(&settings.topic_name(topic), counts().of(topic) as i32, 1).unwrap();
    }
    (cluster, settings)
}

mod on_mock {
    use super::*;
    use crate::log::conforms;

    async fn open() -> Subject {
        let (cluster, settings) = mock();
        Subject { log: Arc::new(KafkaLog::connect(settings).await.unwrap()), _keep: Box::new(cluster) }
    }

    conforms!(open());
}

mod on_brokers {
    use super::*;
    use crate::log::conforms;

    async fn open() -> Option<Subject> {
        let topics = OwnTopics::create().await?;
        let log = Arc::new(KafkaLog::connect(topics.0.clone()).await.unwrap());
        Some(Subject { log, _keep: Box::new(topics) })
    }

    conforms!(open());

    #[tokio::test(flavor = "multi_thread")]
    async fn the_broker_stamps_commands() {
        let Some(subject) = open().await else { return };
        subject.log.append(SEATS, 0, record("x")).await.unwrap();
        let read = subject.log.read(SEATS, 0, 0).await.unwrap().next(1, 1).await.unwrap();
        assert!(matches!(read[0].timestamp, Timestamp::LogAppend(_)), "{:?}", read[0].timestamp);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn creating_topics_again_checks_them() {
        let Some(own) = OwnTopics::create().await else { return };
        let report = topics::ensure(&own.0).await.unwrap();
        assert_eq!((report.created.len(), report.existing.len()), (0, 6));
        assert_eq!(report.warnings, Vec::<String>::new());
        let mut other = own.0.clone();
        other.partitions = PartitionCounts { wallets: 4, ..counts() };
        let error = topics::ensure(&other).await.unwrap_err().to_string();
        assert!(error.contains("log.partitions.wallets = 3"), "{error}");
    }

    fn admin(own: &OwnTopics) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &own.0.brokers).create().unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lane_that_could_lose_commands_or_has_other_clocks_is_refused() {
        let Some(own) = OwnTopics::create().await else { return };
        for (key, value) in [
            ("message.timestamp.type", "CreateTime"),
            ("cleanup.policy", "compact"),
            ("retention.ms", "604800000"),
            ("retention.bytes", "1073741824"),
        ] {
            alter(&admin(&own), &own.0.topic_name(SEATS), key, value).await;
            let expected = format!("topic {} has {key}={value}, must have ", own.0.topic_name(SEATS));
            let Err(refused) = KafkaLog::connect(own.0.clone()).await else { panic!("{key}={value} is taken") };
            assert!(refused.to_string().starts_with(&expected), "{refused}");
            let refused = topics::ensure(&own.0).await.unwrap_err();
            assert!(refused.to_string().starts_with(&expected), "{refused}");
        }
        alter(&admin(&own), &own.0.topic_name(SEATS), "compression.type", "zstd").await;
        KafkaLog::connect(own.0.clone()).await.unwrap();
        let report = topics::ensure(&own.0).await.unwrap();
        assert!(report.warnings.iter().any(|warning| warning.contains("compression.type=producer")), "{report:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_topic_made_by_hand_is_refused_with_the_cure() {
        let Some(brokers) = brokers() else { return };
        let own = OwnTopics(settings(brokers));
        let name = own.0.topic_name(SEATS);
        let plain = rdkafka::admin::NewTopic::new(&name, 4, rdkafka::admin::TopicReplication::Fixed(1));
        admin(&own).create_topics([&plain], &AdminOptions::new()).await.unwrap();
        let refused = topics::ensure(&own.0).await.unwrap_err().to_string();
        assert!(refused.contains("--add-config message.timestamp.type=LogAppendTime"), "{refused}");
        assert!(refused.contains("--add-config retention.ms=-1"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_first_offset_moves_when_records_are_deleted() {
        let Some(own) = OwnTopics::create().await else { return };
        let log = KafkaLog::connect(own.0.clone()).await.unwrap();
        for i in 0..10 {
            log.append(SEATS, 1, record(&i.to_string())).await.unwrap();
        }
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &own.0.brokers).create().unwrap();
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(&own.0.topic_name(SEATS), 1, Offset::Offset(4)).unwrap();
        admin.delete_records(&before, &AdminOptions::new()).await.unwrap();
        assert_eq!(log.first_offset(SEATS, 1).await.unwrap(), 4);
        let gone = log.read(SEATS, 1, 2).await.unwrap().next(1, 1).await;
        assert!(matches!(gone, Err(ReadError::OutOfRange { offset: 2, .. })), "{gone:?}");
        assert_eq!(log.read(SEATS, 1, 4).await.unwrap().next(1, 1).await.unwrap()[0].offset, 4);
    }

    /// Figures for `src/log/kafka/client.rs`: run with `--ignored --nocapture figures`.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "measures, does not test"]
    async fn figures() {
        let Some(mut own) = OwnTopics::create().await else { return };
        for (linger_ms, compression) in [("0", "lz4"), ("1", "lz4"), ("2", "lz4"), ("5", "lz4"), ("1", "none")] {
            own.0.extra.insert("linger.ms".to_owned(), linger_ms.to_owned());
            own.0.extra.insert("compression.type".to_owned(), compression.to_owned());
            let log = KafkaLog::connect(own.0.clone()).await.unwrap();
            measure(&log, &format!("linger.ms={linger_ms} {compression}")).await;
        }
    }

    async fn measure(log: &KafkaLog, what: &str) {
        let value = "x".repeat(200);
        let end = log.end_offset(SEATS, 0).await.unwrap();
        let mut reader = log.read(SEATS, 0, end).await.unwrap();
        for at_once in [1usize, 16, 256, 4096] {
            let rounds = (40_000 / at_once).clamp(10, 300);
            let (mut appending, mut slowest, mut reading) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
            for _ in 0..rounds {
                let round = Instant::now();
                let appends: Vec<_> = (0..at_once).map(|i| log.append(SEATS, (i % 4) as u32, record(&value))).collect();
                for append in appends {
                    append.await.unwrap();
                }
                appending += round.elapsed();
                slowest = slowest.max(round.elapsed());
                read_n(&mut *reader, at_once.div_ceil(4)).await;
                reading += round.elapsed();
            }
            let rate = (at_once * rounds) as f64 / appending.as_secs_f64();
            let (mean, seen) = (appending / rounds as u32, reading / rounds as u32);
            println!(
                "{what} {at_once:5} at once: {rate:8.0}/s, mean {mean:?}, slowest {slowest:?}, read after {seen:?}"
            );
        }
    }
}

fn brokers() -> Option<String> {
    std::env::var("TURNSTILE_TEST_BROKERS").ok().filter(|brokers| !brokers.is_empty())
}

/// Topics of one test, deleted at its end.
struct OwnTopics(KafkaSettings);

impl OwnTopics {
    async fn create() -> Option<Self> {
        let own = OwnTopics(settings(brokers()?));
        topics::ensure(&own.0).await.unwrap();
        Some(own)
    }
}

impl Drop for OwnTopics {
    fn drop(&mut self) {
        let settings = self.0.clone();
        let delete = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let admin: AdminClient<DefaultClientContext> =
                    ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
                let names = Topic::ALL.map(|topic| settings.topic_name(topic));
                let _ = admin.delete_topics(&names.each_ref().map(String::as_str), &AdminOptions::new()).await;
            });
        };
        let _ = std::thread::spawn(delete).join();
    }
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let (_cluster, mut settings) = mock();
    settings.queue_records_max = 16;
    let log = KafkaLog::connect(settings).await.unwrap();
    a_full_queue_refuses_at_once(&log, 100_000, || ()).await;
}

#[tokio::test]
async fn a_broker_that_is_away_fails_appends_in_time_and_recovers() {
    let (cluster, mut settings) = mock();
    settings.delivery_timeout = Duration::from_secs(1);
    let log = KafkaLog::connect(settings).await.unwrap();
    log.append(SEATS, 0, record("before")).await.unwrap();
    cluster.broker_down(1).unwrap();
    let began = Instant::now();
    let failed = log.append(SEATS, 0, record("lost")).await;
    assert!(matches!(failed, Err(AppendError::Unacknowledged(_))), "{failed:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    cluster.broker_up(1).unwrap();
    while log.append(SEATS, 0, record("after")).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "does not recover");
    }
}

#[tokio::test]
async fn topics_that_are_missing_or_differ_are_explained() {
    let (_cluster, settings) = mock();
    let mut other = settings.clone();
    other.partitions = PartitionCounts { outcomes: 9, ..counts() };
    let Err(error) = KafkaLog::connect(other).await else { panic!("connected to other partition counts") };
    assert!(
        error.to_string().contains("has 2 partitions") && error.to_string().contains("log.partitions.outcomes = 2")
    );
    let mut missing = settings.clone();
    missing.topic_prefix = "nobody".to_owned();
    assert!(matches!(KafkaLog::connect(missing).await, Err(ConnectError::MissingTopic { .. })));
    let mut wrong = settings;
    wrong.extra.insert("no.such.setting".to_owned(), "1".to_owned());
    assert!(matches!(KafkaLog::connect(wrong).await, Err(ConnectError::Settings(_))));
}

#[tokio::test]
async fn a_foreign_record_may_lack_key_and_value() {
    let (_cluster, settings) = mock();
    let log = KafkaLog::connect(settings.clone()).await.unwrap();
    let foreign: BaseProducer = ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    let topic = settings.topic_name(SEATS);
    let bare = BaseRecord::<(), ()>::to(&topic).partition(1).timestamp(7);
    foreign.send(bare).map_err(|(error, _)| error).unwrap();
    let empty = BaseRecord::<str, str>::to(&topic).partition(1).key("").payload("").timestamp(8);
    foreign.send(empty).map_err(|(error, _)| error).unwrap();
    foreign.flush(Duration::from_secs(10)).unwrap();
    let read = read_n(&mut *log.read(SEATS, 1, 0).await.unwrap(), 2).await;
    assert_eq!((&read[0].key, &read[0].value, read[0].timestamp), (&None, &None, Timestamp::Create(7)));
    assert_eq!((&read[1].key, &read[1].value), (&Some(Bytes::new()), &Some(Bytes::new())));
}

/// As in the moments after a broker has started: what the client heard then must not stay its last word.
#[tokio::test]
async fn a_partition_that_had_no_leader_is_asked_for_again() {
    let (cluster, settings) = mock();
    let topic = settings.topic_name(SEATS);
    cluster.partition_leader(&topic, 2, None).unwrap();
    let log = KafkaLog::connect(settings).await.unwrap();
    assert!(matches!(log.end_offset(SEATS, 2).await, Err(ReadError::Unavailable(_))));
    cluster.partition_leader(&topic, 2, Some(1)).unwrap();
    assert_eq!(log.end_offset(SEATS, 2).await, Ok(0));
}

#[tokio::test]
async fn a_member_the_group_has_forgotten_learns_of_its_loss_and_joins_again() {
    let (cluster, settings) = mock();
    let log = KafkaLog::connect(settings).await.unwrap();
    let member = log.join("member").await.unwrap();
    let owned = settle(&[&*member], 11).await;
    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    let GroupEvent::Lost(lost) = member.event().await else { panic!("not told of the loss") };
    assert_eq!(lost.into_iter().collect::<BTreeSet<_>>(), owned[0]);
    let partition = LanePartition { lane: Lane::Seats, partition: 0 };
    assert!(member.open(partition, 0).await.is_err());
    assert_eq!(settle(&[&*member], 11).await, owned);
}

#[tokio::test]
async fn an_owner_that_does_not_release_loses_the_partition_at_the_deadline() {
    let (_cluster, settings) = mock();
    let session_timeout = settings.session_timeout;
    let log = KafkaLog::connect(settings).await.unwrap();
    let first = log.join("first").await.unwrap();
    let all = settle(&[&*first], 11).await.remove(0);
    let second = log.join("second").await.unwrap();
    let GroupEvent::Revoked { partitions, deadline } = first.event().await else { panic!("nothing revoked") };
    assert!(deadline < session_timeout / 2);
    let GroupEvent::Lost(lost) = first.event().await else { panic!("not told that it took too long") };
    assert_eq!(lost, partitions);
    let kept = all.into_iter().filter(|partition| !lost.contains(partition)).collect();
    settle_from(&[&*first, &*second], vec![kept, BTreeSet::new()], 11).await;
}

/// The client takes a member that does not poll for dead. Ours polls whether or not anybody asks for events.
#[tokio::test]
async fn a_member_stays_while_nobody_asks() {
    let (_cluster, mut settings) = mock();
    settings.extra.insert("max.poll.interval.ms".to_owned(), "6000".to_owned());
    let log = KafkaLog::connect(settings).await.unwrap();
    let member = log.join("member").await.unwrap();
    settle(&[&*member], 11).await;
    let quiet = Duration::from_secs(8);
    let event = tokio::time::timeout(quiet, member.event()).await;
    assert!(event.is_err(), "{event:?}");
}

/// Dropping a member must not block the runtime, and a revocation that is open must not block the end.
#[tokio::test]
async fn a_dropped_member_leaves() {
    let (_cluster, settings) = mock();
    let log = KafkaLog::connect(settings).await.unwrap();
    let first: Box<dyn Membership> = log.join("first").await.unwrap();
    settle(&[&*first], 11).await;
    let second = log.join("second").await.unwrap();
    assert!(matches!(first.event().await, GroupEvent::Revoked { .. }));
    let began = Instant::now();
    drop(first);
    assert!(began.elapsed() < Duration::from_millis(100));
    settle(&[&*second], 11).await;
}

/// What `kafka-consumer-groups --describe` takes the lag from.
#[tokio::test(flavor = "multi_thread")]
async fn lag_is_true_from_the_moment_an_owner_opens() {
    let (cluster, settings) = mock();
    let log = KafkaLog::connect(settings.clone()).await.unwrap();
    let member = log.join("member").await.unwrap();
    settle(&[&*member], 11).await;
    for i in 0..10 {
        log.append(SEATS, 3, record(&i.to_string())).await.unwrap();
    }
    // As in a rebalance that begins now: the offset is refused, and nothing more will happen in this partition.
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS]);
    let partition = LanePartition { lane: Lane::Seats, partition: 3 };
    let _reader = member.open(partition, 4).await.unwrap();
    let asking: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.group)
        .create()
        .unwrap();
    let committed = |wanted: i64| {
        let began = Instant::now();
        loop {
            let mut list = TopicPartitionList::new();
            list.add_partition(&settings.topic_name(SEATS), 3);
            let found = asking.committed_offsets(list, Duration::from_secs(10)).unwrap();
            match found.elements()[0].offset() {
                Offset::Offset(found) if found == wanted => return,
                found => assert!(began.elapsed() < Duration::from_secs(20), "{found:?} instead of {wanted}"),
            }
        }
    };
    tokio::task::block_in_place(|| committed(4));
    member.report(partition, 10);
    tokio::task::block_in_place(|| committed(10));
    tokio::task::block_in_place(|| drop(asking));
}
