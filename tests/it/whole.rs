//! E1 to E3: the whole way of one user, and of three thousand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Client, Offer, Pair, Sale, System, User, run_with, scenarios, text, until};
use crate::queue::Place;

scenarios!(e1_one_user_from_charge_to_ticket, e2_a_sale_of_a_thousand_seats_to_three_thousand_users);

async fn e1_one_user_from_charge_to_ticket(system: &System) {
    let client = &system.client;
    let limits = json!({"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 1000});
    let sale = Offer { queue: Some(limits), ..Offer::default() }.open(client).await;
    let user = client.user("alice");
    user.start_with(5000).await;
    let token = user.joined(&sale).await.token;
    user.until_active(&sale, &token).await;

    let concerts = user.read("/v1/concerts").await;
    assert!(concerts.to_string().contains(&sale.concert), "{concerts}");
    let dates = user.read(&format!("/v1/concerts/{}/schedules?available=true", sale.concert)).await;
    let date = &dates["schedules"][0];
    assert_eq!(date["id"], json!(sale.schedule), "{dates}");
    assert_eq!((&date["available_seats"], &date["total_seats"]), (&json!(50), &json!(50)));
    let seats = sale.seats(client).await;
    assert_eq!(seats.len(), 50);
    assert!(seats.iter().all(|seat| seat["status"] == "AVAILABLE" && seat["price"] == 1000));

    let hold = user.hold(&sale, &["A-7"]).header("Queue-Token", &token).decide().await.result();
    assert_eq!((&hold["status"], &hold["amount"]), (&json!("HELD"), &json!(1000)), "{hold}");
    assert_eq!((&hold["seats"], &hold["schedule_id"]), (&json!(["A-7"]), &json!(sale.schedule)));
    let reservation = text(&hold, "reservation_id");
    let paid = user.pay(&reservation).decide().await.result();
    assert_eq!((&paid["status"], &paid["balance"]), (&json!("COMPLETED"), &json!(4000)), "{paid}");

    assert_eq!(user.reservation_status(&reservation).await, "CONFIRMED");
    assert_eq!(user.balance().await, 4000);
    let entries = user.entries().await;
    let kinds: Vec<String> = entries.iter().map(|entry| text(entry, "kind")).collect();
    assert_eq!(kinds, ["PAYMENT", "CHARGE"], "newest first");
    assert_eq!((&entries[0]["balance_after"], &entries[1]["balance_after"]), (&json!(4000), &json!(5000)));
    sale.shows(client, "SOLD", 1).await;
    user.until_token(&sale, &token, "COMPLETED").await;
    until("the date to count one seat less", async || {
        let dates = user.read(&format!("/v1/concerts/{}/schedules", sale.concert)).await;
        if dates["schedules"][0]["available_seats"] == 49 { Ok(()) } else { Err(dates.to_string()) }
    })
    .await;
}

async fn e2_a_sale_of_a_thousand_seats_to_three_thousand_users(system: &System) {
    let sale = thousand_seats(&system.client).await;
    sell(&system.client, &sale, 3000, |_| {}).await;
}

/// Ten sections of a hundred seats behind a queue that lets a hundred in at once; holds of 4 s.
async fn thousand_seats(client: &Client) -> Sale {
    let names: Vec<String> = (0..10).map(|i| format!("S{i}")).collect();
    let sections: Vec<(&str, u32, i64)> = names.iter().map(|name| (name.as_str(), 100, 1000)).collect();
    let limits = json!({"max_active": 100, "active_ttl_seconds": 60, "max_waiting": 5000, "on_timeout": "expire"});
    Offer { sections: &sections, hold_ttl_seconds: 4, queue: Some(limits), ..Offer::default() }.open(client).await
}

/// So many users charge, queue, hold, pay, cancel or walk away; `at` is told how many are done. Afterwards every seat is sold
/// or free, and the sold ones are those that were paid and kept.
async fn sell(client: &Client, sale: &Sale, users: usize, at: impl Fn(usize)) {
    let at_work = Arc::new(Semaphore::new(250));
    let (done, kept) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..users {
        let permit = at_work.clone().acquire_owned().await.expect("never closed");
        at(done.load(Ordering::Relaxed));
        let (client, sale, done, kept) = (client.clone(), sale.clone(), done.clone(), kept.clone());
        tasks.spawn(async move {
            kept.fetch_add(one_buyer(&client, &sale, i).await, Ordering::Relaxed);
            done.fetch_add(1, Ordering::Relaxed);
            drop(permit);
        });
        while let Some(finished) = tasks.try_join_next() {
            finished.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
        }
    }
    while let Some(finished) = tasks.join_next().await {
        finished.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
    }
    let kept = kept.load(Ordering::Relaxed);
    until("every seat to be sold or free", async || {
        let (sold, free) = (sale.count(client, "SOLD").await, sale.count(client, "AVAILABLE").await);
        if sold + free == 1000 { Ok(()) } else { Err(format!("{sold} sold, {free} free")) }
    })
    .await;
    sale.shows(client, "SOLD", kept).await;
    until("everyone to be through the queue", async || {
        let stats = client.admin().read(&sale.path("/queue/stats")).await;
        if ["waiting", "absent", "active"].iter().all(|live| stats[live] == 0) {
            Ok(())
        } else {
            Err(stats.to_string())
        }
    })
    .await;
    println!("{users} users, {kept} seats sold");
}

/// One user's visit, decided by their number; how many seats they keep.
async fn one_buyer(client: &Client, sale: &Sale, i: usize) -> usize {
    let user = client.user(format!("buyer{i}"));
    let poor = i % 17 == 3;
    user.charge(if poor { 500 } else { 10_000 }).key("money").decide().await.result();
    let joined = user.join(sale).decide().await;
    if !joined.succeeded() {
        assert_eq!(joined.refused(), "sales_closed", "too late");
        return 0;
    }
    let place = Place::of(&joined.result());
    let is_told = |place: &Value| place["status"] == "ACTIVE" || place["sale"] == "sold_out";
    let told = user.until_placed(sale, &place.token, is_told).await;
    let active = told["status"] == "ACTIVE";
    let kept = if active { inside(&user, sale, i, &place.token, poor).await } else { 0 };
    if kept > 0 {
        user.until_streamed(sale, &place.token, "COMPLETED").await;
    } else {
        let left = user.leave(sale).decide().await;
        assert!(left.succeeded() || left.refused() == "token_not_found", "{left:?}");
    }
    kept
}

/// What a user does whom the queue let in.
async fn inside(user: &User, sale: &Sale, i: usize, token: &str, poor: bool) -> usize {
    let wanted = 1 + u32::try_from(i % 3).unwrap();
    let hold = user.hold_best(sale, &format!("S{}", i % 10), wanted).key("seats");
    let held = hold.header("Queue-Token", token).decide().await;
    if !held.succeeded() {
        assert_eq!(held.refused(), "not_enough_adjacent_seats");
        return 0;
    }
    let reservation = text(&held.result, "reservation_id");
    match (i / 10) % 10 {
        6 => {
            let cancelled = user.cancel(&reservation).decide().await;
            assert!(cancelled.succeeded() || cancelled.refused() == "not_cancellable", "{cancelled:?}");
            return 0;
        }
        // Walks away; the hold runs out.
        7 | 8 => return 0,
        _ => {}
    }
    let paid = user.pay(&reservation).key("pay").decide().await;
    let again = user.pay(&reservation).key("pay").decide().await;
    assert_eq!(paid, again, "a repeat under the same key is the same answer");
    match paid.code.as_deref() {
        Some("insufficient_balance") => assert!(poor, "{paid:?}"),
        Some(code) => assert_eq!(code, "hold_expired", "{paid:?}"),
        None if (i / 10) % 10 == 9 => {
            let refunded = user.cancel(&reservation).decide().await.result();
            assert_eq!((&refunded["status"], user.balance().await), (&json!("REFUNDED"), 10_000));
        }
        None => {
            assert!(!poor);
            return usize::try_from(wanted).unwrap();
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f42_e3_workers_come_and_go_during_a_sale() {
    let start = async |system: &System| {
        let apis = [system.start_role("api").await, system.start_role("api").await];
        for _ in 0..3 {
            system.start_role("worker").await;
        }
        system.client.point_at(apis.to_vec());
    };
    let scenario = async |system: &System| {
        let sale = thousand_seats(&system.client).await;
        let step = AtomicUsize::new(0);
        let change = |done: usize| {
            let due = [500, 1200];
            let now = step.load(Ordering::Relaxed);
            if due.get(now).is_none_or(|due| done < *due) {
                return;
            }
            step.store(now + 1, Ordering::Relaxed);
            match now {
                0 => system.start_without_waiting("worker"),
                // The first worker: the api processes are 0 and 1.
                _ => system.servers()[2].signal("TERM"),
            }
        };
        sell(&system.client, &sale, 3000, change).await;
        assert_eq!(step.load(Ordering::Relaxed), 2, "a worker was added and one was stopped");
    };
    run_with(Pair::Real, "f42_e3_workers_come_and_go_during_a_sale", start, scenario).await;
}
