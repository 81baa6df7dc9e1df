//! Endpoints of webhooks, their progress, and who leads.

use std::collections::BTreeMap;
use std::sync::Arc;

use turnstile::domain::LogTime;
use turnstile::store::{
    Cursor, Disabled, FailedEvent, Failure, Lease, OnFailure, PARTITION_EVENTS_KEPT, PartitionChange, PartitionEvent,
    ProgressState, StartFrom, Store, WEBHOOK_NOTES_KEPT, Webhook, WebhookAct, WebhookContent, WebhookFormat,
    WebhookNote, WebhookProgress, WebhookSecret, WebhookStart, Why,
};

use super::rows::*;

fn webhook(number: u128, name: &str) -> Webhook {
    let secret = |text: &str, until_ms| WebhookSecret { text: text.to_owned(), until_ms };
    let content = WebhookContent {
        url: "https://shop.example/hook?a=\"1\"&b=ä".to_owned(),
        format: WebhookFormat::Slack,
        secrets: vec![secret("whsec_b", None), secret("whsec_a", Some(-1))],
        types: vec!["queue.*".to_owned(), "payment.failed".to_owned()],
        schedule: Some(id(9)),
        concert: Some(id(8)),
        include_user: true,
        on_failure: OnFailure::Stop,
        declared_in: Some("/etc/turnstile/\"turnstile\".toml".to_owned()),
        created_at_ms: 1_700_000_000_000,
        disabled: Some(Disabled { at_ms: 5, why: Why::Failed("it answered 410 Gone".to_owned()) }),
        start: WebhookStart { id: id(3), from: StartFrom::Position { partition: 3, offset: i64::MAX as u64 } },
    };
    Webhook { id: id(number), name: name.to_owned(), version: 1, content }
}

fn progress(of: &Webhook, next_offset: u64) -> WebhookProgress {
    let failure = Failure { attempts: 3, since_ms: 1, retry_at_ms: 2, last: "it answered 500".to_owned() };
    let cursors = BTreeMap::from([
        (0, Cursor { next_offset, delivered: 7, failure: Some(failure) }),
        (15, Cursor { next_offset: i64::MAX as u64, delivered: 0, failure: None }),
    ]);
    let state = ProgressState { started: id(3), cursors, failing_since_ms: Some(4) };
    WebhookProgress { webhook_id: of.id, state }
}

pub async fn endpoints_come_back_as_they_were_made(store: Arc<dyn Store>) {
    let (b, a) = (webhook(1, "b"), webhook(2, "a"));
    assert_eq!((store.insert_webhook(&b).await, store.insert_webhook(&a).await), (Ok(true), Ok(true)));
    assert_eq!(store.insert_webhook(&webhook(3, "a")).await, Ok(false), "the name is taken");
    assert_eq!(store.webhooks().await, Ok(vec![a.clone(), b.clone()]));
    let mut changed = a.clone();
    changed.content.disabled = Some(Disabled { at_ms: 6, why: Why::By("kim".to_owned()) });
    assert_eq!(store.change_webhook(&changed).await, Ok(true));
    assert_eq!(store.change_webhook(&changed).await, Ok(false), "it has another version now");
    changed.version = 2;
    assert_eq!(store.webhooks().await, Ok(vec![changed, b.clone()]));
    assert_eq!((store.remove_webhook(b.id).await, store.remove_webhook(b.id).await), (Ok(true), Ok(false)));
    assert_eq!(store.webhooks().await.unwrap().len(), 1);
}

pub async fn progress_is_written_by_the_newest_epoch_alone(store: Arc<dyn Store>) {
    let hook = webhook(1, "a");
    assert_eq!(store.save_webhook_progress(1, &progress(&hook, 5)).await, Ok(false), "there is no such endpoint");
    store.insert_webhook(&hook).await.unwrap();
    assert_eq!(store.save_webhook_progress(1, &progress(&hook, 5)).await, Ok(true));
    assert_eq!(store.save_webhook_progress(1, &progress(&hook, 6)).await, Ok(true));
    assert_eq!(store.webhook_progress().await, Ok(vec![progress(&hook, 6)]));
    assert_eq!(store.claim_webhook_progress(2).await, Ok(vec![progress(&hook, 6)]));
    assert_eq!(store.save_webhook_progress(1, &progress(&hook, 7)).await, Ok(false), "the older one is fenced");
    assert_eq!(store.claim_webhook_progress(1).await, Ok(vec![]));
    assert_eq!(store.save_webhook_progress(2, &progress(&hook, 8)).await, Ok(true));
    assert_eq!(store.webhook_progress().await, Ok(vec![progress(&hook, 8)]));
    store.remove_webhook(hook.id).await.unwrap();
    assert_eq!(store.webhook_progress().await, Ok(vec![]));
    assert_eq!(store.save_webhook_progress(2, &progress(&hook, 9)).await, Ok(false), "it is not made again");
}

pub async fn one_notifier_leads(store: Arc<dyn Store>) {
    assert_eq!(store.notifier_lease().await, Ok(None));
    assert_eq!(store.take_notifier_lease("a", None).await, Ok(Some(1)));
    assert_eq!(store.take_notifier_lease("b", None).await, Ok(None), "somebody leads already");
    let seen = store.notifier_lease().await.unwrap().unwrap();
    assert_eq!(seen, Lease { epoch: 1, owner: "a".to_owned(), beat: 0 });
    assert_eq!(store.keep_notifier_lease(1).await, Ok(true));
    assert_eq!(store.take_notifier_lease("b", Some(&seen)).await, Ok(None), "a has given a sign of life");
    let seen = store.notifier_lease().await.unwrap().unwrap();
    assert_eq!(store.take_notifier_lease("b", Some(&seen)).await, Ok(Some(2)));
    assert_eq!(store.take_notifier_lease("c", Some(&seen)).await, Ok(None), "b was first");
    assert_eq!(store.keep_notifier_lease(1).await, Ok(false));
    store.leave_notifier_lease(1).await.unwrap();
    assert_eq!(store.keep_notifier_lease(2).await, Ok(true), "an older one cannot leave for it");
    store.leave_notifier_lease(2).await.unwrap();
    let left = store.notifier_lease().await.unwrap().unwrap();
    assert_eq!(left, Lease { epoch: 2, owner: String::new(), beat: 1 });
    assert_eq!(store.keep_notifier_lease(2).await, Ok(false), "it has left");
    assert_eq!(store.take_notifier_lease("a", Some(&left)).await, Ok(Some(3)));
}

pub async fn failed_events_are_listed_once_newest_first(store: Arc<dyn Store>) {
    let hook = webhook(1, "a");
    store.insert_webhook(&hook).await.unwrap();
    let failed = |event: &str, at: i64| FailedEvent {
        webhook_id: hook.id,
        event_id: event.to_owned(),
        event_type: "payment.failed".to_owned(),
        partition: 3,
        offset: 1234,
        attempts: 13,
        reason: "it answered 500: \"ä\"".to_owned(),
        at: LogTime(at),
    };
    for event in [failed("x", 1), failed("y", 2), FailedEvent { attempts: 14, ..failed("x", 3) }] {
        store.keep_failed_event(&event).await.unwrap();
    }
    assert_eq!(store.failed_events(hook.id, 10).await, Ok(vec![failed("y", 2), failed("x", 1)]));
    assert_eq!(store.failed_events(hook.id, 1).await, Ok(vec![failed("y", 2)]));
    assert_eq!(store.failed_events(id(2), 10).await, Ok(vec![]));
    store.remove_webhook(hook.id).await.unwrap();
    assert_eq!(store.failed_events(hook.id, 10).await, Ok(vec![]));
}

pub async fn the_newest_notes_about_endpoints_stay(store: Arc<dyn Store>) {
    assert_eq!(store.webhook_notes(10).await, Ok(vec![]));
    let acts = WebhookAct::ALL;
    let note = |number: usize| WebhookNote {
        id: id(number as u128 + 1),
        name: "shop".to_owned(),
        act: acts[number % acts.len()],
        by: "kim \u{e4}".parse().unwrap(),
        at: LogTime(number as i64),
    };
    let kept = WEBHOOK_NOTES_KEPT as usize;
    for number in 0..kept + 3 {
        store.note_webhook(&note(number)).await.unwrap();
    }
    let all = store.webhook_notes(u32::MAX).await.unwrap();
    assert_eq!(all, (3..kept + 3).rev().map(note).collect::<Vec<_>>());
    assert_eq!(store.webhook_notes(1).await, Ok(vec![note(kept + 2)]));
}

pub async fn changes_of_partitions_come_in_order_each_once(store: Arc<dyn Store>) {
    let change = |partition, number: u64| PartitionEvent {
        partition,
        number,
        change: if number % 2 == 1 { PartitionChange::Parked } else { PartitionChange::Recovered },
        next_offset: i64::MAX as u64,
        owner: "worker-1".to_owned(),
        reason: "commit: a \"corrupt\" row \u{e4}".to_owned(),
        at: LogTime(number as i64),
    };
    assert_eq!((store.partition_events(0, 9).await, store.last_partition_events().await), (Ok(vec![]), Ok(vec![])));
    for (partition, number) in [(SEATS, 1), (WALLETS, 1), (SEATS, 2)] {
        assert_eq!(store.keep_partition_event(&change(partition, number)).await, Ok(true));
    }
    assert_eq!(store.keep_partition_event(&change(SEATS, 2)).await, Ok(false), "it is known");
    let all = vec![(0, change(SEATS, 1)), (1, change(WALLETS, 1)), (2, change(SEATS, 2))];
    assert_eq!(store.partition_events(0, 9).await, Ok(all.clone()));
    assert_eq!(store.partition_events(1, 1).await, Ok(vec![all[1].clone()]));
    assert_eq!(store.last_partition_events().await, Ok(all[1..].to_vec()));
    // Two at the same time: one after the other, or one of them not at all.
    let (one, two) = (change(QUEUES, 1), change(SEATS, 3));
    let both = tokio::join!(store.keep_partition_event(&one), store.keep_partition_event(&two));
    let kept = [both.0.unwrap(), both.1.unwrap()].into_iter().filter(|kept| *kept).count();
    let seqs: Vec<u64> = store.partition_events(0, 9).await.unwrap().into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(seqs, (0..3 + kept as u64).collect::<Vec<_>>());
}

pub async fn old_changes_of_partitions_go_but_for_the_last_of_each(store: Arc<dyn Store>) {
    let change = |partition, number| PartitionEvent {
        partition,
        number,
        change: PartitionChange::Parked,
        next_offset: 0,
        owner: String::new(),
        reason: String::new(),
        at: LogTime(0),
    };
    store.keep_partition_event(&change(WALLETS, 1)).await.unwrap();
    let kept = u64::from(PARTITION_EVENTS_KEPT);
    for number in 1..=kept + 2 {
        assert_eq!(store.keep_partition_event(&change(SEATS, number)).await, Ok(true));
    }
    let events = store.partition_events(0, u32::MAX).await.unwrap();
    assert_eq!((events.len() as u64, events[0].1.partition, events[1].1.number), (kept + 1, WALLETS, 3));
}
