//! One of three brokers is lost, on librdkafka's mock cluster: killed, which closes its connections, or vanished with its
//! machine, which leaves them open. `scripts/failover` and `scripts/chaos` do it to Apache Kafka.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use tokio::time::timeout;
use turnstile::domain::Lane;
use turnstile::log::kafka::{KafkaLog, KafkaSettings};
use turnstile::log::{GroupEvent, LanePartition, Log, Topic};

use super::suite::{record, settle};
use super::{SEATS, counts};

type Mock = MockCluster<'static, DefaultProducerContext>;

/// The one that is lost.
const LOST: i32 = 1;
/// What a new leader may cost beyond its election, on a machine with other work.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);

/// Longest time that the group takes to form.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Three brokers, of which the first leads all seats and coordinates the group.
fn cluster() -> (Mock, KafkaSettings) {
    let cluster = MockCluster::new(3).unwrap();
    let mut settings = KafkaSettings::new(cluster.bootstrap_servers(), "t", "t", counts());
    // It does not answer this question.
    settings.settings_timeout = Duration::from_millis(50);
    for topic in Topic::ALL {
        cluster.create_topic(&settings.topic_name(topic), counts().of(topic) as i32, 3).unwrap();
    }
    lead_seats(&cluster, &settings, LOST);
    cluster.coordinator(MockCoordinator::Group("t".to_owned()), LOST).unwrap();
    (cluster, settings)
}

fn lead_seats(cluster: &Mock, settings: &KafkaSettings, leader: i32) {
    for partition in 0..counts().of(SEATS) as i32 {
        cluster.partition_leader(&settings.topic_name(SEATS), partition, Some(leader)).unwrap();
    }
}

/// Loses the first broker for so long, then has its partitions led by another one: what was appended meanwhile is on the
/// log and read, and offsets are known, soon.
async fn goes_on(lose: impl FnOnce(&Mock), for_so_long: Duration) {
    let (cluster, settings) = cluster();
    let log: Arc<dyn Log> = Arc::new(KafkaLog::connect(settings.clone()).await.unwrap());
    let mut reader = log.read(SEATS, 0, 0).await.unwrap();
    log.append(SEATS, 0, record("before")).await.unwrap();
    assert_eq!(reader.next(10, 1000).await.unwrap().len(), 1);
    lose(&cluster);
    let mut appending = log.append(SEATS, 0, record("meanwhile"));
    let (asking, mut asked) = (Arc::clone(&log), tokio::task::JoinSet::new());
    asked.spawn(async move { while asking.end_offset(SEATS, 1).await != Ok(0) {} });
    let without_leader = timeout(for_so_long, &mut appending).await;
    assert!(without_leader.is_err(), "{without_leader:?}");
    lead_seats(&cluster, &settings, 2);
    timeout(NOTICED_WITHIN, async {
        // The mock keeps what it was sent twice.
        assert!(appending.await.unwrap().offset >= 1);
        assert_eq!(reader.next(10, 1000).await.unwrap()[0].offset, 1);
    })
    .await
    .expect("the new leader is noticed");
    let end = timeout(2 * NOTICED_WITHIN, asked.join_next()).await.expect("the new leader is asked");
    end.expect("it was asked").expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_killed_broker_go_on_with_their_new_leader() {
    goes_on(|cluster| cluster.broker_down(LOST).unwrap(), Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_vanished_broker_go_on_with_their_new_leader() {
    let vanish = |cluster: &Mock| cluster.broker_round_trip_time(LOST, Duration::from_secs(600)).unwrap();
    goes_on(vanish, Duration::from_secs(7)).await;
}

/// It may be the one that was lost: nobody has been given the partitions, and all users would wait until the group has
/// formed again.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_coordinator_takes_no_partition_away() {
    let (cluster, mut settings) = cluster();
    // The mock takes 3 s to form a group.
    settings.session_timeout = Duration::from_secs(5);
    let group = MockCoordinator::Group(settings.group.clone());
    let log = KafkaLog::connect(settings).await.unwrap();
    let member = log.join("member").await.unwrap();
    let owned = settle(&[&*member], 11).await.remove(0);
    cluster.broker_down(LOST).unwrap();
    let event = timeout(Duration::from_secs(11), member.event()).await;
    assert!(event.is_err(), "the session is over twice, and nothing is lost: {event:?}");
    let [first, second] = [0, 1].map(|partition| LanePartition { lane: Lane::Seats, partition });
    assert!(owned.contains(&first));
    member.open(first, 0).await.expect("it is still ours");
    // In the store another owner turns out to have one.
    member.fenced(second);
    let event = timeout(ANSWERED_WITHIN, member.event()).await.expect("it was in doubt");
    assert!(matches!(&event, GroupEvent::Lost(lost) if *lost == [second]), "{event:?}");
    assert!(member.open(second, 0).await.is_err());
    cluster.coordinator(group, 2).unwrap();
    let event = timeout(ANSWERED_WITHIN, member.event()).await.expect("the group forms again");
    assert!(matches!(&event, GroupEvent::Assigned(anew) if *anew == [second]), "all the others were kept: {event:?}");
    member.fenced(first);
    let event = timeout(Duration::from_secs(1), member.event()).await;
    assert!(event.is_err(), "now the group says whose it is: {event:?}");
}
