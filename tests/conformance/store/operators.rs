//! What operators look at, and what they did about dead letters.

use std::sync::Arc;
use std::time::Duration;

use turnstile::domain::block::{self, ReservationState, SeatState};
use turnstile::domain::{LogTime, RequestId, ReservationId};
use turnstile::store::{AuditRun, DoneBy, Process, ProcessCheck, ProcessFigures, ProcessStatus, SaleCounts, Store};

use super::rows::*;

fn done(at: i64) -> DoneBy {
    DoneBy { by: user("Ünal"), at: LogTime(at) }
}

pub async fn a_replayed_dead_letter_says_who_and_when(store: Arc<dyn Store>) {
    commit(&*store, SEATS, |batch| batch.dead_letters = vec![dead_letter(SEATS, 0)]).await;
    let read = store.dead_letter(SEATS.at(0)).await.unwrap().unwrap();
    assert_eq!((read.letter, read.replayed), (dead_letter(SEATS, 0), None));
    store.mark_replayed(SEATS.at(0), &done(5)).await.unwrap();
    store.mark_replayed(SEATS.at(1), &done(5)).await.unwrap();
    assert_eq!(store.dead_letter(SEATS.at(0)).await.unwrap().unwrap().replayed, Some(done(5)));
    assert_eq!(store.dead_letter(SEATS.at(1)).await, Ok(None));
    assert_eq!(store.dead_letter(WALLETS.at(0)).await, Ok(None));
}

pub async fn a_dismissed_dead_letter_says_who_and_when(store: Arc<dyn Store>) {
    commit(&*store, SEATS, |batch| batch.dead_letters = vec![dead_letter(SEATS, 0)]).await;
    assert_eq!(store.dismiss(SEATS.at(0), &done(5)).await, Ok(true));
    assert_eq!(store.dismiss(SEATS.at(1), &done(5)).await, Ok(false));
    let view = store.dead_letter(SEATS.at(0)).await.unwrap().unwrap();
    assert_eq!((view.replayed, view.dismissed), (None, Some(done(5))));
}

pub async fn open_dead_letters_are_those_nobody_has_dealt_with(store: Arc<dyn Store>) {
    commit(&*store, SEATS, |batch| batch.dead_letters = (0..5).map(|offset| dead_letter(SEATS, offset)).collect())
        .await;
    store.mark_replayed(SEATS.at(0), &done(5)).await.unwrap();
    store.dismiss(SEATS.at(1), &done(5)).await.unwrap();
    assert_eq!(store.open_dead_letters(100).await, Ok(3));
    assert_eq!(store.open_dead_letters(2).await, Ok(2), "counted so far");
}

fn process(name: &str) -> Process {
    let check = |name: &str, reason: Option<&str>, critical| ProcessCheck {
        name: name.to_owned(),
        reason: reason.map(str::to_owned),
        critical,
    };
    Process {
        name: name.to_owned(),
        role: "api and worker".to_owned(),
        host: "höst".to_owned(),
        pid: 4_000_000_000,
        version: "0.2.0".to_owned(),
        address: "[::1]:8080".to_owned(),
        started_at: LogTime(1_700_000_000_000),
        status: ProcessStatus {
            checks: vec![
                check("partition seats.3", None, false),
                check("partition seats.4", Some("parked: a \"corrupt\" row"), false),
                check("clock", Some("behind"), true),
            ],
            figures: ProcessFigures {
                connections: 1,
                requests: 2,
                waiters: 3,
                streams: 4,
                memory_bytes: 1 << 40,
                cpu_permille: 1_999,
            },
        },
    }
}

async fn names(store: &dyn Store) -> Vec<String> {
    store.processes().await.unwrap().into_iter().map(|view| view.process.name).collect()
}

pub async fn a_process_says_itself_until_it_leaves(store: Arc<dyn Store>) {
    let (one, two) = (process("b"), process("a"));
    for process in [&one, &two] {
        store.heartbeat(process).await.unwrap();
    }
    let again = Process { pid: 7, status: ProcessStatus::default(), ..two };
    store.heartbeat(&again).await.unwrap();
    let views = store.processes().await.unwrap();
    assert!(views.iter().all(|view| view.silent_for < Duration::from_secs(60)), "{views:?}");
    assert!(views.into_iter().map(|view| view.process).eq([again, one]));
    store.leave("a").await.unwrap();
    store.leave("nobody").await.unwrap();
    assert_eq!(names(&*store).await, ["b"]);
}

pub async fn processes_that_are_silent_for_long_are_forgotten(store: Arc<dyn Store>) {
    store.heartbeat(&process("a")).await.unwrap();
    store.forget_processes(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(names(&*store).await, ["a"]);
    store.forget_processes(Duration::ZERO).await.unwrap();
    assert_eq!(names(&*store).await, Vec::<String>::new());
}

pub async fn requests_come_by_id_of_every_partition_and_side(store: Arc<dyn Store>) {
    let mut own = request(1, SEATS, 1);
    own.key.internal = true;
    commit(&*store, SEATS, |batch| batch.requests = vec![request(1, SEATS, 0), own, request(2, SEATS, 2)]).await;
    commit(&*store, WALLETS, |batch| batch.requests = vec![request(1, WALLETS, 0)]).await;
    let found = store.requests_under(&[RequestId(id(1)), RequestId(id(9))]).await.unwrap();
    let mut found: Vec<_> = found.iter().map(|row| (row.position, row.key.internal)).collect();
    found.sort_unstable();
    assert_eq!(found, [(SEATS.at(0), false), (SEATS.at(1), true), (WALLETS.at(0), false)]);
    assert_eq!(store.requests_under(&[]).await, Ok(vec![]));
}

pub async fn the_last_audit_is_kept(store: Arc<dyn Store>) {
    assert_eq!(store.last_audit().await, Ok(None));
    let clean = AuditRun { at: LogTime(5), took_ms: 1_234, records: 1 << 40, rows: 9, differences: 0, first: None };
    let other = AuditRun { differences: 2, first: Some("seat A-1".into()), at: LogTime(6), ..clean.clone() };
    for run in [clean, other] {
        store.note_audit(&run).await.unwrap();
        assert_eq!(store.last_audit().await, Ok(Some(run)));
    }
}

pub async fn dates_count_what_is_held_being_paid_and_sold(store: Arc<dyn Store>) {
    let by = ReservationId(id(1));
    let states = [
        SeatState::Available,
        SeatState::Held(by),
        SeatState::Held(by),
        SeatState::Held(by),
        SeatState::Paying(by),
        SeatState::Sold(by),
        SeatState::Sold(by),
    ];
    let mut rows = opened(&key(1), &["A"], 0);
    for (number, state) in (1..).zip(states) {
        rows.push(block::Row::Seat(block::Seat { state, ..seat(&key(1), "A", number) }));
    }
    rows.extend(opened(&key(2), &["A"], 2));
    rows.extend(opened(&key(3), &["A"], 0));
    for (number, state) in (10..).zip(reservation_states(7)) {
        rows.push(block::Row::Reservation(reservation(number, &key(1), state)));
    }
    commit_seats(&*store, rows).await;
    let confirmed = reservation_states(7).iter().filter(|of| matches!(of, ReservationState::Confirmed { .. })).count();
    let first = SaleCounts { schedule: schedule_id(1), held: 3, paying: 1, sold: 2, revenue: 2_000 * confirmed as i64 };
    let second = SaleCounts { schedule: schedule_id(2), held: 2, paying: 0, sold: 0, revenue: 0 };
    let asked = [9, 3, 2, 1].map(schedule_id);
    assert_eq!(store.sale_counts(&asked).await, Ok(vec![first, second]));
    assert_eq!(store.sale_counts(&[schedule_id(2)]).await, Ok(vec![second]));
    assert_eq!(store.sale_counts(&[]).await, Ok(vec![]));
}

pub async fn holds_of_a_date_are_counted_by_when_they_began(store: Arc<dyn Store>) {
    let mut rows = opened(&key(1), &["A"], 0);
    rows.extend(opened(&key(2), &["A"], 0));
    let held = |number: u128, of: u128, time: i64, state| {
        let mut row = reservation(number, &key(of), state);
        row.held.time = LogTime(time);
        block::Row::Reservation(row)
    };
    for (number, time) in (1..).zip([10, 20, 20, 30]) {
        rows.push(held(number, 1, time, ReservationState::Held));
    }
    rows.push(held(5, 2, 25, ReservationState::Held));
    for (number, state) in (10..).zip(reservation_states(7)) {
        if state != ReservationState::Held {
            rows.push(held(number, 1, 40, state));
        }
    }
    commit_seats(&*store, rows).await;
    let since = |of, times: [i64; 4]| store.holds_since(schedule_id(of), times.map(LogTime));
    assert_eq!(since(1, [31, 30, 20, i64::MIN]).await, Ok([0, 1, 3, 4]));
    assert_eq!(since(2, [26, 25, 0, i64::MIN]).await, Ok([0, 1, 1, 1]));
    assert_eq!(since(9, [0; 4]).await, Ok([0; 4]));
}
