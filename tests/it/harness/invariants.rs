//! The invariants of the design, checked after each scenario: once as users see them, once in the store itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use turnstile::domain::queue::{Queue, Token};
use turnstile::domain::section::{Payment, PaymentStatus, Reservation, ReservationStatus, Seat, SeatStatus};
use turnstile::domain::wallet::{Entry, EntryKind, Wallet};
use turnstile::domain::{Change, ConcertId, RequestId, ReservationId, RoutingKey, UserId};
use turnstile::log::{LanePartition, PartitionCounts, Topic};
use turnstile::runtime::clock::Clock;
use turnstile::store::reads::{Page, ScheduleView};
use turnstile::store::{RequestStatus, Store, lane_partitions};
use turnstile::wire::routing::partition_for;

use super::System;
use super::client::{Client, User};

/// Users whose rows are also compared with what HTTP shows; the others are checked in the store alone.
const USERS_OVER_HTTP_MAX: usize = 40;
/// Rows of a queue read at once: more than any scenario has.
const TOKENS_MAX: u32 = 1_000_000;
const PAGE: u32 = 200;
/// Holds that run out so soon are waited for, so that nothing moves during the checks.
const RUNS_OUT_SOON_MS: i64 = 15_000;

pub async fn check(system: &System) {
    let store = system.open_store().await;
    let (users, requests) = {
        let seen = system.client.seen.lock().unwrap();
        let users: Vec<UserId> = seen.users.iter().filter_map(|user| user.parse().ok()).collect();
        (users, seen.requests.clone())
    };
    let store = store.as_ref();
    let state = at_rest(store, &users, &requests).await;
    state.seats_match_reservations();
    state.money_is_conserved();
    state.payments_match_entries();
    every_request_is_decided(store, &requests).await;
    state.hashes_are_those_of_the_rows();
    for user in users.iter().take(USERS_OVER_HTTP_MAX) {
        state.http_shows_the_same(&system.client.user(user.as_str())).await;
    }
    state.http_counts_the_same(&system.client).await;
}

/// Waits until nothing is under way (no request PENDING, nothing in the outbox) and reads all state, at one moment: no
/// partition moved meanwhile.
async fn at_rest(store: &dyn Store, users: &[UserId], requests: &BTreeSet<String>) -> State {
    for request in requests {
        super::until(&format!("request {request} to be decided"), async || {
            match store.request(RequestId(request.parse().expect("ids are UUIDs"))).await {
                Ok(Some(row)) if row.status != RequestStatus::Pending => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    super::until("the outbox to be empty and the partitions to rest", async || {
        let before = store.progress_views().await.map_err(|error| error.to_string())?;
        let pending: u64 = before.iter().map(|view| view.outbox_pending).sum();
        if pending > 0 {
            return Err(format!("{pending} rows to publish"));
        }
        let state = State::read(store, users).await;
        let soon = Clock::System.now().plus_ms(RUNS_OUT_SOON_MS);
        let mut held = state.reservations.values().filter(|row| row.status == ReservationStatus::Held);
        if let Some(row) = held.find(|row| row.expires_at < soon) {
            return Err(format!("a hold is about to run out: {row:?}"));
        }
        let after = store.progress_views().await.map_err(|error| error.to_string())?;
        if before == after { Ok(state) } else { Err(format!("moved from {before:?} to {after:?}")) }
    })
    .await
}

/// All state there is.
struct State {
    schedules: Vec<ScheduleView>,
    seats: Vec<Seat>,
    reservations: BTreeMap<ReservationId, Reservation>,
    payments: Vec<Payment>,
    wallets: BTreeMap<UserId, Wallet>,
    /// Oldest first.
    entries: BTreeMap<UserId, Vec<Entry>>,
    queues: Vec<(Queue, Vec<Token>)>,
    /// Of each partition, as committed.
    hashes: BTreeMap<LanePartition, u64>,
    counts: PartitionCounts,
}

impl State {
    async fn read(store: &dyn Store, users: &[UserId]) -> State {
        let mut state = State {
            schedules: schedules(store).await,
            seats: Vec::new(),
            reservations: BTreeMap::new(),
            payments: Vec::new(),
            wallets: BTreeMap::new(),
            entries: BTreeMap::new(),
            queues: Vec::new(),
            hashes: BTreeMap::new(),
            counts: store.recorded_log().await.expect("the store answers").expect("it knows its log").partitions,
        };
        for partition in lane_partitions(&state.counts) {
            let progress = store.progress(partition).await.expect("progress");
            state.hashes.insert(partition, progress.map_or(0, |progress| progress.state_hash));
        }
        for view in &state.schedules {
            let id = view.schedule.id;
            state.seats.extend(store.seats(id).await.expect("seats"));
            if let Some(queue) = store.queue(id).await.expect("a queue") {
                state.queues.push((queue, store.tokens_changed(id, 0, false, TOKENS_MAX).await.expect("tokens")));
            }
        }
        for user in users {
            let rows =
                all(async |after| store.reservations(user, Page { after, limit: PAGE }).await, |row| row.id).await;
            state.reservations.extend(rows.into_iter().map(|row| (row.id, row)));
            let rows = all(async |after| store.payments(user, Page { after, limit: PAGE }).await, |row| row.id).await;
            state.payments.extend(rows);
            let page = async |after| store.wallet_entries(user, Page { after, limit: PAGE }).await;
            let mut rows = all(page, |row: &Entry| row.number).await;
            rows.reverse();
            state.entries.insert(user.clone(), rows);
            if let Some(wallet) = store.wallet(user).await.expect("a wallet") {
                state.wallets.insert(user.clone(), wallet);
            }
        }
        state
    }

    /// Invariant 4: no seat twice, no seat lost, and a reservation has exactly its seats.
    fn seats_match_reservations(&self) {
        let mut of_reservation: BTreeMap<ReservationId, Vec<u32>> = BTreeMap::new();
        for section in self.schedules.iter().flat_map(|view| &view.sections) {
            let seats: Vec<&Seat> = self
                .seats
                .iter()
                .filter(|seat| seat.schedule_id == section.schedule_id && seat.section == section.name)
                .collect();
            let numbers: Vec<u32> = seats.iter().map(|seat| seat.number).collect();
            assert!(numbers.iter().copied().eq(1..=section.seats), "seats of {}: {numbers:?}", section.name);
            let free = seats.iter().filter(|seat| seat.status == SeatStatus::Available).count();
            assert_eq!(section.available as usize, free, "available seats of {}", section.name);
        }
        for seat in &self.seats {
            let Some(id) = seat.reservation else {
                assert_eq!(seat.status, SeatStatus::Available, "{seat:?}");
                continue;
            };
            let reservation = self.reservations.get(&id).unwrap_or_else(|| panic!("whose is {seat:?}?"));
            let expected = match seat.status {
                SeatStatus::Available => panic!("free and taken: {seat:?}"),
                SeatStatus::Held => ReservationStatus::Held,
                SeatStatus::Paying => ReservationStatus::Paying,
                SeatStatus::Sold => ReservationStatus::Confirmed,
            };
            assert_eq!(reservation.status, expected, "{seat:?} {reservation:?}");
            assert_eq!((&seat.section, seat.schedule_id), (&reservation.section, reservation.schedule_id));
            of_reservation.entry(id).or_default().push(seat.number);
        }
        for reservation in self.reservations.values() {
            let seats = of_reservation.remove(&reservation.id).unwrap_or_default();
            let expected = if reservation.status.is_live() { reservation.seats.clone() } else { Vec::new() };
            assert_eq!(seats, expected, "{reservation:?}");
            assert_ne!(reservation.status, ReservationStatus::Paying, "nothing is under way: {reservation:?}");
        }
    }

    /// Invariant 5: balances are what the entries add up to, step by step, and never negative.
    fn money_is_conserved(&self) {
        let mut sum = 0;
        for (user, entries) in &self.entries {
            let mut balance = 0;
            for (entry, number) in entries.iter().zip(1..) {
                balance += match entry.kind {
                    EntryKind::Charge | EntryKind::Refund => entry.amount,
                    EntryKind::Payment | EntryKind::Debit => -entry.amount,
                };
                assert!(entry.amount > 0 && balance >= 0, "{entry:?}");
                assert_eq!((entry.balance_after, entry.number), (balance, number), "{entry:?}");
            }
            sum += balance;
            let wallet = self.wallets.get(user).map_or((0, 0), |wallet| (wallet.balance, wallet.entries));
            assert_eq!(wallet, (balance, entries.len() as u64), "wallet of {user}");
        }
        assert_eq!(sum, self.wallets.values().map(|wallet| wallet.balance).sum::<i64>());
    }

    /// A payment that is COMPLETED was debited once, a REFUNDED one was also given back, a FAILED one moved nothing.
    fn payments_match_entries(&self) {
        let mut debits: BTreeMap<RequestId, Vec<&Entry>> = BTreeMap::new();
        let mut refunds = 0;
        for entry in self.entries.values().flatten() {
            match entry.kind {
                EntryKind::Payment => debits.entry(entry.request_id).or_default().push(entry),
                EntryKind::Refund => refunds += 1,
                EntryKind::Charge | EntryKind::Debit => {}
            }
        }
        let mut refunded = 0;
        for payment in &self.payments {
            let entries = debits.remove(&payment.request_id).unwrap_or_default();
            match payment.status {
                PaymentStatus::Pending => panic!("nothing is under way: {payment:?}"),
                PaymentStatus::Failed => assert!(entries.is_empty(), "{payment:?} {entries:?}"),
                PaymentStatus::Completed | PaymentStatus::Refunded => {
                    assert_eq!(entries.len(), 1, "{payment:?} {entries:?}");
                    assert_eq!((entries[0].amount, &entries[0].user_id), (payment.amount, &payment.user_id));
                }
            }
            let reservation = &self.reservations[&payment.reservation_id];
            let fits = match payment.status {
                PaymentStatus::Completed => reservation.status == ReservationStatus::Confirmed,
                PaymentStatus::Refunded => reservation.status == ReservationStatus::Refunded,
                PaymentStatus::Pending | PaymentStatus::Failed => true,
            };
            assert!(fits, "{payment:?} {reservation:?}");
            refunded += usize::from(payment.status == PaymentStatus::Refunded);
        }
        assert!(debits.is_empty(), "debits without a payment: {debits:?}");
        assert_eq!(refunds, refunded, "refund entries and refunded payments");
        for reservation in self.reservations.values().filter(|r| r.status == ReservationStatus::Confirmed) {
            let paid = |payment: &&Payment| payment.reservation_id == reservation.id;
            let completed = |payment: &&Payment| payment.status == PaymentStatus::Completed;
            assert_eq!(self.payments.iter().filter(paid).filter(completed).count(), 1, "{reservation:?}");
        }
    }

    /// The hash committed with the offset is that of the rows: none was changed behind the owner's back, none is lost,
    /// and none of another user or schedule than the scenario's exists.
    fn hashes_are_those_of_the_rows(&self) {
        let mut hashes: BTreeMap<LanePartition, u64> = self.hashes.keys().map(|key| (*key, 0)).collect();
        let mut add = |key: RoutingKey, change: Change| {
            let lane = key.lane();
            let partition = partition_for(&key.to_string(), self.counts.of(Topic::Lane(lane)));
            *hashes.entry(LanePartition { lane, partition }).or_default() ^= change.digest();
        };
        for row in self.schedules.iter().flat_map(|view| &view.sections) {
            add(RoutingKey::Section(row.schedule_id, row.name.clone()), Change::Section(row.clone()));
        }
        for (queue, tokens) in &self.queues {
            let key = RoutingKey::Queue(queue.schedule_id);
            add(key.clone(), Change::Queue(queue.clone()));
            for token in tokens {
                add(key.clone(), Change::Token(token.clone()));
            }
        }
        for seat in &self.seats {
            add(RoutingKey::Section(seat.schedule_id, seat.section.clone()), Change::Seat(seat.clone()));
        }
        let section = |row: &Reservation| RoutingKey::Section(row.schedule_id, row.section.clone());
        for reservation in self.reservations.values() {
            add(section(reservation), Change::Reservation(reservation.clone()));
        }
        for payment in &self.payments {
            add(section(&self.reservations[&payment.reservation_id]), Change::Payment(payment.clone()));
        }
        for wallet in self.wallets.values() {
            add(RoutingKey::Wallet(wallet.user_id.clone()), Change::Wallet(wallet.clone()));
        }
        for entry in self.entries.values().flatten() {
            add(RoutingKey::Wallet(entry.user_id.clone()), Change::WalletEntry(entry.clone()));
        }
        assert_eq!(self.hashes, hashes, "state hashes as committed, and of the rows");
    }

    async fn http_shows_the_same(&self, user: &User) {
        let id: UserId = user.name.parse().expect("a user id");
        let field = |rows: &[Value], name: &str| -> Vec<Value> { rows.iter().map(|row| row[name].clone()).collect() };
        if let Some(wallet) = self.wallets.get(&id) {
            assert_eq!(user.balance().await, wallet.balance, "balance of {id}");
            let shown = field(&user.entries().await, "balance_after");
            let stored: Vec<Value> = self.entries[&id].iter().rev().map(|entry| entry.balance_after.into()).collect();
            assert_eq!(shown, stored, "entries of {id}");
        }
        let shown = field(&user.reservations().await, "status");
        let mine = self.reservations.values().rev().filter(|row| row.user_id == id);
        let stored: Vec<Value> = mine.map(|row| row.status.as_str().into()).collect();
        assert_eq!(shown, stored, "reservations of {id}");
        let shown = user.payments().await.len();
        assert_eq!(shown, self.payments.iter().filter(|row| row.user_id == id).count(), "payments of {id}");
    }

    /// Seat maps and counts over HTTP, which may be a fraction of a second old.
    async fn http_counts_the_same(&self, client: &Client) {
        for view in &self.schedules {
            let id = view.schedule.id;
            let seats = self.seats.iter().filter(|seat| seat.schedule_id == id);
            let stored: Vec<(String, &str)> = seats
                .map(|seat| {
                    let shown = if seat.status == SeatStatus::Paying { SeatStatus::Held } else { seat.status };
                    (format!("{}-{}", seat.section, seat.number), shown.as_str())
                })
                .collect();
            let free = stored.iter().filter(|(_, status)| *status == "AVAILABLE").count();
            super::until(&format!("the seat map of {id} to be the store's"), async || {
                let map = client.admin().read(&format!("/v1/schedules/{id}/seats")).await;
                let rows = map["seats"].as_array().ok_or("no seats")?;
                let shown =
                    rows.iter().map(|row| (row["seat"].as_str().unwrap_or(""), row["status"].as_str().unwrap_or("")));
                if shown.eq(stored.iter().map(|(seat, status)| (seat.as_str(), *status))) {
                    Ok(())
                } else {
                    Err(map.to_string())
                }
            })
            .await;
            super::until(&format!("the counts of {id} to be the store's"), async || {
                let schedule = client.admin().read(&format!("/v1/schedules/{id}")).await;
                let fits = schedule["available_seats"] == free && schedule["total_seats"] == stored.len();
                if fits { Ok(()) } else { Err(format!("{schedule}, {free} free")) }
            })
            .await;
        }
    }
}

/// Invariant 6, the stored half: what was accepted has an outcome. That it has one only, the client saw to.
async fn every_request_is_decided(store: &dyn Store, requests: &BTreeSet<String>) {
    for request in requests {
        let row = store.request(RequestId(request.parse().expect("ids are UUIDs"))).await.expect("the store answers");
        let row = row.unwrap_or_else(|| panic!("request {request} is lost"));
        assert_ne!(row.status, RequestStatus::Pending, "{row:?}");
        let outcome: Value = serde_json::from_str(row.outcome.as_deref().expect("decided")).expect("JSON");
        assert_eq!(outcome["status"], row.status.as_str(), "{row:?}");
        assert_eq!(outcome["request_id"], request.as_str());
    }
}

async fn schedules(store: &dyn Store) -> Vec<ScheduleView> {
    let page = async |after: Option<ConcertId>| store.concerts(Page { after, limit: PAGE }).await;
    let mut schedules = Vec::new();
    for concert in all(page, |row| row.id).await {
        schedules.extend(store.schedules(concert.id).await.expect("schedules"));
    }
    schedules
}

/// All rows of a paged list.
async fn all<T, Id, E: std::fmt::Debug>(
    mut page: impl AsyncFnMut(Option<Id>) -> Result<Vec<T>, E>,
    id: impl Fn(&T) -> Id,
) -> Vec<T> {
    let mut rows: Vec<T> = Vec::new();
    loop {
        let next = page(rows.last().map(&id)).await.expect("a page");
        if next.is_empty() {
            return rows;
        }
        rows.extend(next);
    }
}
