//! What an endpoint gets: in order, whole, again and again until it is taken.

use std::collections::BTreeSet;
use std::time::Duration;

use super::receiver::{Received, Receiver, Reply};
use super::{World, charged_about};
use crate::domain::{ConcertId, LogTime, ScheduleId};
use crate::log::{Log, Topic};
use crate::notifier::{rotated, signature, start_of};
use crate::runtime::clock::Clock;
use crate::store::{Catalog, Concert, OnFailure, Schedule, Webhooks};

fn numbers(received: &[Received]) -> Vec<u64> {
    received.iter().map(Received::number).collect()
}

/// Verifies what it says of itself with this secret.
fn is_signed(received: &Received, secret: &str) -> bool {
    let timestamp: i64 = received.headers["webhook-timestamp"].parse().unwrap();
    let expected = signature::header([secret].into_iter(), received.id(), timestamp, &received.body);
    received.headers["webhook-signature"].split(' ').any(|signed| signed == expected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_in_order_signed_and_once() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    let webhook = world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..30).await;
    world.charge(1, "bob", 100..130).await;
    let notifier = world.start("a");
    receiver.until_taken(60).await;
    world.charge(0, "alice", 30..40).await;
    let taken = receiver.until_taken(70).await;
    notifier.stop().await;
    assert_eq!(receiver.all().len(), 70, "nothing comes twice");
    let of = |user: &str| taken.iter().filter(|r| r.json()["data"]["user_id"] == user).cloned().collect::<Vec<_>>();
    assert_eq!(numbers(&of("alice")), (0..40).collect::<Vec<_>>());
    assert_eq!(numbers(&of("bob")), (100..130).collect::<Vec<_>>());
    let secret = &webhook.content.secrets[0].text;
    assert!(taken.iter().all(|received| is_signed(received, secret)));
    assert!(taken.iter().all(|received| received.path == "/hook?a=1"));
    let first = taken[0].json();
    assert_eq!((&first["type"], &first["timestamp"]), (&"wallet.charged".into(), &"2026-11-21T07:00:00.123Z".into()));
    let progress = world.store.webhook_progress().await.unwrap().remove(0).state;
    assert_eq!((progress.cursors[&0].next_offset, progress.cursors[&1].next_offset), (40, 30));
    assert_eq!(progress.cursors[&0].delivered, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_receiver_gets_everything_in_order_however_often_the_notifier_is_killed() {
    let world = World::new();
    let answers = [Reply::Status(200), Reply::Status(500), Reply::Reset, Reply::Status(200), Reply::Status(302)];
    let receiver = Receiver::start(move |number, _| answers[number * 7 % 11 % 5]).await;
    world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..100).await;
    world.charge(1, "bob", 0..100).await;
    for round in 1..6 {
        let notifier = world.start("a");
        receiver.until_asked(round * 30).await;
        notifier.kill().await;
    }
    let notifier = world.start("b");
    receiver.until_different(200).await;
    notifier.stop().await;
    for user in ["alice", "bob"] {
        let mut seen = BTreeSet::new();
        let of_user = receiver.taken().into_iter().filter(|r| r.json()["data"]["user_id"] == user);
        let first: Vec<u64> = of_user.filter(|r| seen.insert(r.id().to_owned())).map(|r| r.number()).collect();
        assert_eq!(first, (0..100).collect::<Vec<_>>(), "{user}: in order, without a gap, repeats under the same ids");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_never_taken_is_listed_and_those_behind_it_come() {
    let mut world = World::new();
    world.retry = vec![Duration::from_millis(1); 2];
    let receiver = Receiver::start(|_, r| Reply::Status(if r.number() == 3 { 500 } else { 200 })).await;
    let webhook = world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..6).await;
    let notifier = world.start("a");
    let taken = receiver.until_taken(5).await;
    notifier.stop().await;
    assert_eq!(numbers(&taken), [0, 1, 2, 4, 5]);
    let failed = world.store.failed_events(webhook.id, 10).await.unwrap();
    assert_eq!((failed.len(), failed[0].attempts, failed[0].offset), (1, 3, 3));
    assert_eq!((failed[0].event_type.as_str(), failed[0].reason.as_str()), ("wallet.charged", "it answered 500: ok"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_disabled_by_410_and_where_it_must_stop_by_its_last_attempt() {
    for (status, on_failure, attempts) in [(410, OnFailure::Skip, 1), (500, OnFailure::Stop, 3)] {
        let mut world = World::new();
        world.retry = vec![Duration::from_millis(1); 2];
        let receiver = Receiver::always(status).await;
        world.add(&receiver, |wanted| wanted.on_failure = on_failure).await;
        world.charge(0, "alice", 0..6).await;
        let notifier = world.start("a");
        let mut disabled = world.until("it to be disabled", |webhook| webhook.content.disabled.is_some()).await;
        assert!(disabled.content.disabled.as_ref().unwrap().why.to_string().contains(&status.to_string()));
        assert_eq!(receiver.all().len(), attempts);
        // Enabled again it goes on where it was.
        disabled.content.disabled = None;
        assert!(world.store.change_webhook(&disabled).await.unwrap());
        let received = receiver.until_asked(attempts + 1).await;
        assert!(received.iter().all(|received| received.number() == 0), "nothing is passed over");
        notifier.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_to_which_nothing_was_delivered_for_too_long_is_disabled() {
    let mut world = World::new();
    world.disable_after = Duration::from_millis(50);
    world.retry = vec![Duration::from_millis(10); 50];
    let receiver = Receiver::always(503).await;
    world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..1).await;
    let notifier = world.start("a");
    let disabled = world.until("it to be disabled", |webhook| webhook.content.disabled.is_some()).await;
    assert!(disabled.content.disabled.unwrap().why.to_string().starts_with("nothing was delivered for "));
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_obeyed() {
    let (world, began) = (World::new(), tokio::time::Instant::now());
    let receiver = Receiver::start(|n, _| if n == 0 { Reply::Later(429, 1) } else { Reply::Status(200) }).await;
    world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..1).await;
    let notifier = world.start("a");
    receiver.until_taken(1).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_secret_signs_beside_the_new_one() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    let mut webhook = world.add(&receiver, |_| {}).await;
    let former = webhook.content.secrets[0].text.clone();
    let notifier = world.start("a");
    webhook.content.secrets = rotated(&webhook.content.secrets, Clock::System.now(), Duration::from_secs(60));
    let new = webhook.content.secrets[0].text.clone();
    assert!(world.store.change_webhook(&webhook).await.unwrap());
    world.charge(0, "alice", 0..1).await;
    let mut number = 1;
    let both = loop {
        let last = receiver.until_taken(number).await.pop().unwrap();
        if is_signed(&last, &new) {
            break last;
        }
        // Until it has seen the change.
        world.charge(0, "alice", number as u64..number as u64 + 1).await;
        number += 1;
    };
    assert!(is_signed(&both, &former) && former != new);
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_repeats_events_under_the_same_ids() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..5).await;
    let notifier = world.start("a");
    let first = receiver.until_taken(5).await;
    let mut webhook = world.store.webhooks().await.unwrap().remove(0);
    webhook.content.start = start_of("outcomes.0.2").unwrap();
    assert!(world.store.change_webhook(&webhook).await.unwrap());
    let again = receiver.until_taken(8).await.split_off(5);
    assert_eq!(numbers(&again), [2, 3, 4]);
    let ids = |received: &[Received]| received.iter().map(|r| r.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&first[2..]));
    webhook.version += 1;
    webhook.content.start = start_of("2000-01-01T00:00:00Z").unwrap();
    assert!(world.store.change_webhook(&webhook).await.unwrap());
    let again = receiver.until_taken(13).await.split_off(8);
    assert_eq!(numbers(&again), [0, 1, 2, 3, 4], "from a time before all of it");
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_that_are_gone_are_named_by_a_gap() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    let mut webhook = world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..10).await;
    world.log.trim((crate::log::Topic::Outcomes, 0), 4);
    webhook.content.start = start_of("outcomes.0.1").unwrap();
    assert!(world.store.change_webhook(&webhook).await.unwrap());
    let notifier = world.start("a");
    let taken = receiver.until_taken(7).await;
    notifier.stop().await;
    let gap = taken[0].json();
    let data = &gap["data"];
    assert_eq!(gap["type"], "turnstile.gap");
    assert_eq!((&data["partition"], &data["from"], &data["to"]), (&0.into(), &1.into(), &4.into()));
    assert_eq!(numbers(&taken[1..]), (4..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_gets_only_what_it_wants_and_no_users_unless_it_asks() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    world.add(&receiver, |wanted| wanted.include_user = false).await;
    world.add(&receiver, |wanted| (wanted.name, wanted.types) = ("b".into(), vec!["payment.*".into()])).await;
    world.add(&receiver, |wanted| (wanted.name, wanted.schedule) = ("c".into(), Some(uuid::Uuid::nil()))).await;
    world.charge(0, "alice", 0..3).await;
    let notifier = world.start("a");
    receiver.until_taken(3).await;
    notifier.stop().await;
    let bodies: Vec<String> = receiver.all().iter().map(|r| String::from_utf8(r.body.clone()).unwrap()).collect();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| !body.contains("alice")), "{bodies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_far_behind_reads_the_log_and_catches_up() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..600).await;
    let notifier = world.start("a");
    let taken = receiver.until_taken(600).await;
    assert_eq!(numbers(&taken), (0..600).collect::<Vec<_>>());
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_of_one_concert_hears_of_its_dates_only() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    let id = uuid::Uuid::from_u128;
    for (concert, schedule) in [(1, 10), (1, 11), (2, 20)] {
        let (concert, schedule) = (ConcertId(id(concert)), ScheduleId(id(schedule)));
        let row = Concert {
            id: concert,
            title: "t".to_owned(),
            description: None,
            currency: None,
            time_zone: None,
            created_at: LogTime(0),
        };
        world.store.insert_concert(&row).await.unwrap();
        let row = Schedule {
            id: schedule,
            concert_id: concert,
            starts_at: LogTime(1),
            duration_ms: None,
            hold_ttl_ms: 1,
            max_seats_per_user: 1,
            sales_open_at: None,
            sales_close_at: None,
            queue: false,
            plan: None,
            larger_plan: None,
            created_at: LogTime(0),
        };
        world.store.insert_schedule(&row).await.unwrap();
    }
    world.add(&receiver, |wanted| wanted.concert = Some(id(1))).await;
    // The last two: of a date that the catalog does not know, and of none.
    let about = [Some(10), Some(20), Some(11), Some(10), Some(99), None];
    for (number, schedule) in (0..).zip(about) {
        let record = charged_about("alice", number, schedule.map(|schedule| ScheduleId(id(schedule))));
        world.log.append(Topic::Outcomes, 0, record).await.unwrap();
    }
    world.log.append(Topic::Outcomes, 0, charged_about("alice", 6, Some(ScheduleId(id(11))))).await.unwrap();
    let notifier = world.start("a");
    let taken = receiver.until_taken(4).await;
    notifier.stop().await;
    assert_eq!(numbers(&taken), [0, 2, 3, 6]);
}
