//! What operators did about records, and commits that apply it.

use std::sync::Arc;

use turnstile::domain::{LanePartition, LogTime};
use turnstile::store::{Act, Began, Committed, Intervention, Offsets, Store, StoreError};

use super::rows::*;

fn row(number: u128, partition: LanePartition, act: Act) -> Intervention {
    Intervention {
        id: id(number),
        partition,
        act,
        reason: "a batch that cannot be decompressed, ticket 1234".to_owned(),
        by: user("Ünal"),
        at: LogTime(1_700_000_000_000),
        applied_at: None,
    }
}

fn skip(number: u128, first: u64, last: u64) -> Intervention {
    row(number, SEATS, Act::Skip(Offsets { first, last }))
}

pub async fn a_row_comes_back_as_it_was_given(store: Arc<dyn Store>) {
    let offsets = Offsets { first: 7, last: i64::MAX as u64 };
    let rows = vec![
        skip(1, 7, 9),
        row(2, SEATS, Act::Time { offsets, time: LogTime(-3) }),
        row(3, SEATS, Act::Remember { ms: 604_800_000, began: None }),
        row(4, SEATS, Act::Remember { ms: 60_000, began: Some(Began { offset: 12, floor: LogTime(-7), epoch: 3 }) }),
        Intervention { applied_at: Some(LogTime(5)), ..skip(5, 8, 8) },
        row(6, SEATS, Act::Acquire),
    ];
    for row in &rows {
        store.intervene(row).await.unwrap();
    }
    assert_eq!(store.interventions(SEATS, 0).await, Ok(rows.clone()));
    assert!(matches!(store.intervene(&rows[0]).await, Err(StoreError::Failed(_))));
}

pub async fn rows_come_for_the_records_they_concern(store: Arc<dyn Store>) {
    let remember = row(4, SEATS, Act::Remember { ms: 60_000, began: None });
    let elsewhere = row(5, WALLETS, Act::Skip(Offsets { first: 7, last: 9 }));
    for row in [&skip(2, 7, 9), &skip(1, 3, 3), &remember, &elsewhere] {
        store.intervene(row).await.unwrap();
    }
    let of = |from| {
        let store = Arc::clone(&store);
        async move { store.interventions(SEATS, from).await.unwrap() }
    };
    assert_eq!(of(3).await, [skip(1, 3, 3), skip(2, 7, 9), remember.clone()]);
    assert_eq!(of(9).await, [skip(2, 7, 9), remember.clone()]);
    assert_eq!(of(10).await, std::slice::from_ref(&remember));
    let again = row(6, SEATS, Act::Acquire);
    store.intervene(&again).await.unwrap();
    assert_eq!(of(10).await, [remember, again]);
    assert_eq!(store.interventions(WALLETS, 0).await, Ok(vec![elsewhere]));
    assert_eq!(store.interventions(QUEUES, 0).await, Ok(vec![]));
}

pub async fn a_commit_applies_a_row_and_a_fenced_one_does_not(store: Arc<dyn Store>) {
    let given = skip(1, 0, 3);
    store.intervene(&given).await.unwrap();
    let progress = acquired(&*store, SEATS).await;
    let applied = Intervention { applied_at: Some(LogTime(6)), ..given.clone() };
    let mut fenced = batch(SEATS, &progress);
    fenced.before.next_offset = 1;
    fenced.interventions = vec![applied.clone()];
    assert_eq!(store.commit(&fenced).await, Ok(Committed::Fenced));
    assert_eq!(store.interventions(SEATS, 0).await, Ok(vec![given]));
    let mut fits = batch(SEATS, &progress);
    fits.interventions = vec![applied.clone()];
    assert_eq!(store.commit(&fits).await, Ok(Committed::Done));
    assert_eq!(store.interventions(SEATS, 0).await, Ok(vec![applied]));
}
