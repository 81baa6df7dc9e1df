//! The invariants of the design, checked after each scenario: once as users see them, once in the store itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use turnstile::domain::block::{
    self, BlockRow, Payment, PaymentState, Reservation, ReservationState, Seat, SeatState, SeatStatus, SectionRow, Span,
};
use turnstile::domain::wallet::{self, AnswerKind, Entry, EntryKind, PaymentAnswer, Wallet};
use turnstile::domain::{
    BlockKey, LanePartition, PaymentId, RequestId, ReservationId, RoutingKey, Row, ScheduleId, SeatId, UserId, queue,
};
use turnstile::log::{PartitionCounts, Topic};
use turnstile::runtime::clock::Clock;
use turnstile::store::{RequestState, StateTable, Store, lane_partitions};
use turnstile::wire::routing::partition_for;

use super::System;
use super::client::{Client, User};

/// Users whose rows are also compared with what HTTP shows; the others are checked in the store alone.
const USERS_OVER_HTTP_MAX: usize = 40;
const PAGE: u32 = 1_000;
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
    let state = at_rest(store, &requests).await;
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
async fn at_rest(store: &dyn Store, requests: &BTreeSet<String>) -> State {
    for request in requests {
        super::until(&format!("request {request} to be decided"), async || {
            match store.request(RequestId(request.parse().expect("ids are UUIDs"))).await {
                Ok(Some(row)) if row.state != RequestState::Pending => Ok(()),
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
        let state = State::read(store).await;
        let soon = Clock::System.now().plus_ms(RUNS_OUT_SOON_MS);
        let mut held = state.reservations.values().filter(|row| row.state == ReservationState::Held);
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
    blocks: BTreeMap<BlockKey, BlockRow>,
    /// In order of rank.
    sections: BTreeMap<BlockKey, Vec<SectionRow>>,
    /// Touched ones.
    seats: BTreeMap<(BlockKey, SeatId), Seat>,
    reservations: BTreeMap<ReservationId, Reservation>,
    payments: BTreeMap<PaymentId, Payment>,
    wallets: BTreeMap<UserId, Wallet>,
    /// Oldest first.
    entries: BTreeMap<UserId, Vec<Entry>>,
    answers: BTreeMap<(PaymentId, AnswerKind), PaymentAnswer>,
    /// Of each partition, as committed.
    hashes: BTreeMap<LanePartition, u64>,
    /// Of each partition, of the rows.
    hashes_of_rows: BTreeMap<LanePartition, u64>,
}

impl State {
    async fn read(store: &dyn Store) -> State {
        let counts = store.recorded_log().await.expect("the store answers").expect("it knows its log").partitions;
        let mut state = State {
            blocks: BTreeMap::new(),
            sections: BTreeMap::new(),
            seats: BTreeMap::new(),
            reservations: BTreeMap::new(),
            payments: BTreeMap::new(),
            wallets: BTreeMap::new(),
            entries: BTreeMap::new(),
            answers: BTreeMap::new(),
            hashes: BTreeMap::new(),
            hashes_of_rows: BTreeMap::new(),
        };
        for partition in lane_partitions(&counts) {
            let progress = store.progress(partition).await.expect("progress");
            state.hashes.insert(partition, progress.map_or(0, |progress| progress.state_hash));
            state.hashes_of_rows.insert(partition, 0);
        }
        for table in StateTable::ALL {
            let mut last: Option<Row> = None;
            loop {
                let page = store.state_page(table, last.as_ref(), PAGE).await.expect("a page of state");
                last = page.last().cloned();
                if page.is_empty() {
                    break;
                }
                page.into_iter().for_each(|row| state.take(row, &counts));
            }
        }
        state.sections.values_mut().for_each(|sections| sections.sort_by_key(|section| section.rank));
        state.entries.values_mut().for_each(|entries| entries.sort_by_key(|entry| entry.number));
        state
    }

    fn take(&mut self, row: Row, counts: &PartitionCounts) {
        let key = match &row {
            Row::Seats(block::Row::Block(row)) => RoutingKey::Block(row.key.clone()),
            Row::Seats(block::Row::Section(row)) => RoutingKey::Block(row.key.clone()),
            Row::Seats(block::Row::Seat(row)) => RoutingKey::Block(row.key.clone()),
            Row::Seats(block::Row::Reservation(row)) => RoutingKey::Block(row.key.clone()),
            Row::Seats(block::Row::Payment(row)) => RoutingKey::Block(row.key.clone()),
            Row::Wallets(wallet::Row::Wallet(row)) => RoutingKey::Wallet(row.user_id.clone()),
            Row::Wallets(wallet::Row::Entry(row)) => RoutingKey::Wallet(row.user_id.clone()),
            Row::Wallets(wallet::Row::Answer(row)) => RoutingKey::Wallet(row.user_id.clone()),
            Row::Queues(queue::Row::Queue(row)) => RoutingKey::Queue(row.schedule_id),
            Row::Queues(queue::Row::Token(row)) => RoutingKey::Queue(row.schedule_id),
        };
        let lane = key.lane();
        let partition = partition_for(&key.to_string(), counts.of(Topic::Lane(lane)));
        *self.hashes_of_rows.entry(LanePartition { lane, partition }).or_default() ^= row.digest();
        match row {
            Row::Seats(block::Row::Block(row)) => drop(self.blocks.insert(row.key.clone(), row)),
            Row::Seats(block::Row::Section(row)) => self.sections.entry(row.key.clone()).or_default().push(row),
            Row::Seats(block::Row::Seat(row)) => {
                self.seats.insert((row.key.clone(), row.id.clone()), row);
            }
            Row::Seats(block::Row::Reservation(row)) => drop(self.reservations.insert(row.id, row)),
            Row::Seats(block::Row::Payment(row)) => drop(self.payments.insert(row.id, row)),
            Row::Wallets(wallet::Row::Wallet(row)) => drop(self.wallets.insert(row.user_id.clone(), row)),
            Row::Wallets(wallet::Row::Entry(row)) => self.entries.entry(row.user_id.clone()).or_default().push(row),
            Row::Wallets(wallet::Row::Answer(row)) => {
                self.answers.insert((row.payment_id, row.kind), row);
            }
            Row::Queues(_) => {}
        }
    }

    /// Every seat of a block with its state, in order of rank and number.
    fn all_seats(&self, key: &BlockKey) -> Vec<(SeatId, SeatState, u16, bool)> {
        let mut all = Vec::new();
        for section in &self.sections[key] {
            for number in 1..=section.layout.seats() {
                let id = SeatId { section: section.name.clone(), number };
                let state = self.seats.get(&(key.clone(), id.clone())).map_or(SeatState::Available, |seat| seat.state);
                let of = |spans: &[Span]| spans.iter().any(|span| span.contains(number));
                let category = section.layout.category_runs().iter().find(|(span, _)| span.contains(number));
                let category = category.expect("every seat has a category").1;
                all.push((id, state, category, of(section.layout.not_for_sale())));
            }
        }
        all
    }

    /// Invariant 4: no seat twice, no seat lost, and a reservation has exactly its seats.
    fn seats_match_reservations(&self) {
        let mut of_reservation: BTreeMap<ReservationId, Vec<SeatId>> = BTreeMap::new();
        for (key, block) in &self.blocks {
            let seats = self.all_seats(key);
            for (section, counts) in self.sections[key].iter().zip(block.counts.iter()) {
                for (category, count) in (0..).zip(counts) {
                    let free = |blocked: bool| {
                        let free = seats.iter().filter(|(id, state, of, not_for_sale)| {
                            id.section == section.name
                                && *state == SeatState::Available
                                && *of == category
                                && (!blocked || *not_for_sale)
                        });
                        free.count()
                    };
                    assert_eq!(count.free as usize, free(false), "free seats of {key}, {}", section.name);
                    assert_eq!(
                        count.blocked as usize,
                        free(true),
                        "free seats not for sale of {key}, {}",
                        section.name
                    );
                }
            }
            let pending = seats.iter().filter(|seat| matches!(seat.1, SeatState::Held(_) | SeatState::Paying(_)));
            assert_eq!(block.pending as usize, pending.count(), "seats HELD or PAYING of {key}");
            for (id, state, _, _) in seats {
                let Some(of) = state.reservation() else { continue };
                let reservation = self.reservations.get(&of).unwrap_or_else(|| panic!("whose is {id} of {key}?"));
                let fits = matches!(
                    (state, reservation.state),
                    (SeatState::Held(_), ReservationState::Held)
                        | (SeatState::Paying(_), ReservationState::Paying(_))
                        | (SeatState::Sold(_), ReservationState::Confirmed { .. })
                );
                assert!(fits && reservation.key == *key, "{id} is {state:?}, {reservation:?}");
                of_reservation.entry(of).or_default().push(id);
            }
        }
        for reservation in self.reservations.values() {
            let mut seats = of_reservation.remove(&reservation.id).unwrap_or_default();
            seats.sort();
            let mut expected = if reservation.state.is_live() { reservation.seats.clone() } else { Vec::new() };
            expected.sort();
            assert_eq!(seats, expected, "{reservation:?}");
            let under_way = matches!(reservation.state, ReservationState::Paying(_));
            assert!(!under_way, "nothing is under way: {reservation:?}");
        }
    }

    /// Invariant 5: balances are what the entries add up to, step by step, and never negative.
    fn money_is_conserved(&self) {
        let mut sum = 0;
        for (user, entries) in &self.entries {
            let mut balance = 0;
            for (entry, number) in entries.iter().zip(1..) {
                balance += match entry.kind {
                    EntryKind::Charge | EntryKind::Refund => entry.amount.get(),
                    EntryKind::Payment | EntryKind::Debit => -entry.amount.get(),
                };
                assert!(!entry.amount.is_zero() && balance >= 0, "{entry:?}");
                assert_eq!((entry.balance_after.get(), entry.number), (balance, number), "{entry:?}");
            }
            sum += balance;
            let wallet = self.wallets.get(user).map_or((0, 0), |wallet| (wallet.balance.get(), wallet.entries));
            assert_eq!(wallet, (balance, entries.len() as u64), "wallet of {user}");
        }
        assert_eq!(sum, self.wallets.values().map(|wallet| wallet.balance.get()).sum::<i64>());
    }

    /// A payment that is COMPLETED was debited once, a REFUNDED one was also paid back, a FAILED one moved nothing.
    fn payments_match_entries(&self) {
        let mut moved: BTreeMap<(EntryKind, PaymentId), &Entry> = BTreeMap::new();
        for entry in self.entries.values().flatten() {
            if matches!(entry.kind, EntryKind::Payment | EntryKind::Refund) {
                let before = moved.insert((entry.kind, PaymentId(entry.cause)), entry);
                assert!(before.is_none(), "money moved twice for one payment: {before:?} {entry:?}");
            }
        }
        for payment in self.payments.values() {
            let debit = moved.remove(&(EntryKind::Payment, payment.id));
            let refund = moved.remove(&(EntryKind::Refund, payment.id));
            let reservation = &self.reservations[&payment.reservation_id].state;
            let fits = match &payment.state {
                PaymentState::Pending(_) | PaymentState::Refunding { .. } => {
                    panic!("nothing is under way: {payment:?}")
                }
                PaymentState::Failed(_) => debit.is_none() && refund.is_none(),
                PaymentState::Completed => {
                    debit.is_some() && refund.is_none() && matches!(reservation, ReservationState::Confirmed { .. })
                }
                PaymentState::Refunded => {
                    debit.is_some()
                        && refund.is_some()
                        && *reservation == ReservationState::Refunded { payment: Some(payment.id) }
                }
            };
            assert!(fits, "{payment:?} {reservation:?} {debit:?} {refund:?}");
            for entry in debit.into_iter().chain(refund) {
                assert_eq!((entry.amount, &entry.user_id), (payment.amount, &payment.user_id));
            }
        }
        // What was debited for no payment of ours was paid back.
        for ((kind, payment), entry) in &moved {
            let other = if *kind == EntryKind::Payment { EntryKind::Refund } else { EntryKind::Payment };
            assert!(moved.contains_key(&(other, *payment)), "money moved for no payment: {entry:?}");
        }
        for reservation in self.reservations.values() {
            if let ReservationState::Confirmed { payment, .. } = reservation.state {
                assert_eq!(payment.is_none(), reservation.amount.is_zero(), "{reservation:?}");
                let completed = payment.is_none_or(|id| self.payments[&id].state == PaymentState::Completed);
                assert!(completed, "{reservation:?}");
            }
        }
        for (id, kind) in self.answers.keys() {
            assert!(self.payments.contains_key(id), "a {kind} answer for no payment: {id}");
        }
    }

    /// The hash committed with the offset is that of the rows: none was changed behind the owner's back, none is lost.
    fn hashes_are_those_of_the_rows(&self) {
        assert_eq!(self.hashes, self.hashes_of_rows, "state hashes as committed, and of the rows");
    }

    async fn http_shows_the_same(&self, user: &User) {
        let id: UserId = user.name.parse().expect("a user id");
        let field = |rows: &[Value], name: &str| -> Vec<Value> { rows.iter().map(|row| row[name].clone()).collect() };
        if let Some(wallet) = self.wallets.get(&id) {
            assert_eq!(user.balance().await, wallet.balance.get(), "balance of {id}");
            let shown = field(&user.entries().await, "balance_after");
            let entries = self.entries[&id].iter().rev();
            let stored: Vec<Value> = entries.map(|entry| entry.balance_after.get().into()).collect();
            assert_eq!(shown, stored, "entries of {id}");
        }
        let shown = field(&user.reservations().await, "status");
        let mine = self.reservations.values().rev().filter(|row| row.user_id == id);
        let stored: Vec<Value> = mine.map(|row| row.state.status().as_str().into()).collect();
        assert_eq!(shown, stored, "reservations of {id}");
        let shown = user.payments().await.len();
        assert_eq!(shown, self.payments.values().filter(|row| row.user_id == id).count(), "payments of {id}");
    }

    /// Seat maps and counts over HTTP, which may be a fraction of a second old.
    async fn http_counts_the_same(&self, client: &Client) {
        let mut dates: BTreeMap<ScheduleId, Vec<&BlockKey>> = BTreeMap::new();
        for key in self.blocks.keys() {
            dates.entry(key.schedule_id).or_default().push(key);
        }
        for (id, blocks) in dates {
            let mut stored: BTreeMap<String, &str> = BTreeMap::new();
            for (seat, state, _, not_for_sale) in blocks.into_iter().flat_map(|key| self.all_seats(key)) {
                let shown = match state.status() {
                    SeatStatus::Available if not_for_sale => "NOT_FOR_SALE",
                    SeatStatus::Paying => "HELD",
                    status => status.as_str(),
                };
                stored.insert(seat.to_string(), shown);
            }
            let free = stored.values().filter(|status| **status == "AVAILABLE").count();
            super::until(&format!("the seat map of {id} to be the store's"), async || {
                let map = client.admin().read(&format!("/v1/schedules/{id}/seats")).await;
                let rows = map["seats"].as_array().ok_or("no seats")?;
                let field = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
                let shown: BTreeMap<String, String> =
                    rows.iter().map(|row| (field(row, "seat"), field(row, "status"))).collect();
                let same = shown.iter().map(|(seat, status)| (seat.as_str(), status.as_str()));
                if same.eq(stored.iter().map(|(seat, status)| (seat.as_str(), *status))) && shown.len() == rows.len() {
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
        let outcome: Value = serde_json::from_str(row.state.outcome().expect("decided")).expect("JSON");
        assert_eq!(outcome["status"], row.state.status().as_str(), "{row:?}");
        assert_eq!(outcome["request_id"], request.as_str());
    }
}
