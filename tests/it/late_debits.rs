//! P9 (a, b): the debit of a payment never comes, or late: an operator skips it with the record that stops its partition, or
//! lets it pass after the wallet was asked again.

use serde_json::json;
use turnstile::domain::{Lane, LanePartition};
use turnstile::store::Store;

use crate::harness::producer::new_id;
use crate::harness::{System, User, one_section, scenarios, text, until};
use crate::stepped_over::{Charge, act, name_on, stands_still, stop_partitions};

scenarios!(p9_a_debit_that_is_lost_or_late_moves_money_once);

async fn p9_a_debit_that_is_lost_or_late_moves_money_once(system: &System) {
    let client = &system.client;
    let sale = one_section(client, 50).await;
    let (loses, late) = (client.user(name_on(1)), client.user(name_on(2)));
    let mut held = Vec::new();
    for (user, seat) in [(&loses, "A-1"), (&late, "A-30")] {
        user.start_with(5_000).await;
        held.push(user.held(&sale, &[seat]).await);
    }
    system.stop().await;
    let charges = [&loses, &late].map(|user| Charge::new(&user.name, &new_id()));
    stop_partitions(system, &charges).await;
    system.start().await;
    let opened = system.open_store().await;
    let store = &*opened;
    // The late one first: its wallet is asked again first.
    for (user, reservation) in [(&late, &held[1]), (&loses, &held[0])] {
        assert_eq!(user.pay(reservation).send().await.status, 202);
        user.until_reservation(reservation, "PAYING").await;
    }
    published(store).await;
    stands_still(system, 1).await;
    let stopped_at = next_offset(store, 1).await;
    let (from, through) = (stopped_at.to_string(), (stopped_at + 1).to_string());
    let (code, said) = act(system, &["skip", "wallets.1", "--offset", &from, "--through", &through]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(loses.reservation_status(&held[0]).await, "PAYING", "its debit was skipped");
    // After a minute the wallet is asked, and pays.
    loses.until_reservation(&held[0], "CONFIRMED").await;
    published(store).await;
    assert_eq!(late.reservation_status(&held[1]).await, "PAYING");
    let from = next_offset(store, 2).await.to_string();
    let (code, said) = act(system, &["skip", "wallets.2", "--offset", &from]);
    assert_eq!(code, Some(0), "{said}");
    late.until_reservation(&held[1], "CONFIRMED").await;
    for user in [&loses, &late] {
        paid_once(user).await;
    }
}

/// Everything that was decided is on the log.
async fn published(store: &dyn Store) {
    until("all to be published", async || {
        let views = store.progress_views().await.map_err(|error| error.to_string())?;
        match views.iter().find(|view| view.outbox_pending > 0) {
            None => Ok(()),
            Some(view) => Err(format!("{view:?}")),
        }
    })
    .await;
}

async fn next_offset(store: &dyn Store, partition: u32) -> u64 {
    let of = LanePartition { lane: Lane::Wallets, partition };
    let progress = store.progress(of).await.expect("the store answers");
    progress.expect("it is owned").next_offset
}

async fn paid_once(user: &User) {
    assert_eq!(user.balance().await, 4_000);
    let kinds: Vec<String> = user.entries().await.iter().rev().map(|entry| text(entry, "kind")).collect();
    assert_eq!(kinds, ["CHARGE", "PAYMENT"], "{}", user.name);
    let payments = user.payments().await;
    assert_eq!((payments.len(), &payments[0]["status"]), (1, &json!("COMPLETED")), "{payments:?}");
}
