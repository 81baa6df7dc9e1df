//! What the front door and operators read.

use std::sync::Arc;

use turnstile::domain::block::{self, PaymentState, ReservationState};
use turnstile::domain::queue::{self, Ending, TokenState, Turn};
use turnstile::domain::{BlockKey, ConcertId, LanePartition, LogTime, PaymentId, RequestId, wallet};
use turnstile::store::{
    BlockSeats, BlockView, DeadLetter, DeadLetterView, Page, PlanRow, PlanSummary, RequestRow, ScheduleView, Store,
    UNSENT_OFFSET,
};

use super::rows::*;

/// Reads a list page by page, two rows each, which must give what one large page gives.
macro_rules! paged {
    ($all:expr, $read:expr, $id:expr) => {{
        let all = $all;
        let mut seen = all.clone();
        seen.clear();
        loop {
            let page = Page { after: seen.last().map($id), limit: 2 };
            let rows = $read(page).await.unwrap();
            assert!(rows.len() <= 2);
            if rows.is_empty() {
                break;
            }
            seen.extend(rows);
        }
        assert_eq!(seen, all);
        assert_eq!($read(Page { after: None, limit: 100 }).await, Ok(all));
    }};
}

pub async fn a_request_of_several_partitions_is_the_one_decided_first(store: Arc<dyn Store>) {
    assert_eq!(store.request(RequestId(id(1))).await, Ok(None));
    let mut late = request(1, SEATS, 0);
    late.at = LogTime(20);
    let mut early = request(1, WALLETS, 5);
    early.at = LogTime(10);
    // The program's own request is nobody's to ask for.
    let own = RequestRow { key: internal(1), at: LogTime(1), ..late.clone() };
    commit(&*store, SEATS, |batch| batch.requests = vec![own]).await;
    assert_eq!(store.request(RequestId(id(1))).await, Ok(None));
    commit(&*store, SEATS, |batch| batch.requests = vec![late]).await;
    commit(&*store, WALLETS, |batch| batch.requests = vec![early.clone()]).await;
    assert_eq!(store.request(RequestId(id(1))).await, Ok(Some(early)));
}

pub async fn progress_is_listed_with_the_rows_to_publish(store: Arc<dyn Store>) {
    assert_eq!(store.progress_views().await, Ok(vec![]));
    let first = commit(&*store, SEATS, |batch| {
        (batch.outbox, batch.after.next_outbox_seq) = ((0..5).map(outbox_row).collect(), 5);
    })
    .await;
    published(&*store, SEATS, 2).await;
    store.acquire(QUEUES, "worker-9").await.unwrap();
    let views = store.progress_views().await.unwrap();
    let of = |partition: LanePartition| views.iter().find(|view| view.partition == partition).unwrap();
    assert_eq!(views.len(), 2);
    let seats = of(SEATS);
    assert_eq!((seats.epoch, seats.next_offset, seats.outbox_pending), (first.epoch, first.next_offset, 3));
    assert_eq!((seats.owner.as_str(), seats.last_time), ("worker-1", first.last_time));
    assert_eq!((of(QUEUES).owner.as_str(), of(QUEUES).outbox_pending), ("worker-9", 0));
    let mut offsets = store.next_offsets().await.unwrap();
    offsets.sort_unstable();
    assert_eq!(offsets, [(SEATS, first.next_offset), (QUEUES, 0)]);
    assert_eq!(store.ping().await, Ok(()));
}

pub async fn concerts_are_listed_newest_first(store: Arc<dyn Store>) {
    for number in [3, 1, 5, 2, 4] {
        store.insert_concert(&concert(number)).await.unwrap();
    }
    let mut renamed = concert(2);
    renamed.title = "does not matter: the id is there".into();
    renamed.description = Some("x".into());
    store.insert_concert(&renamed).await.unwrap();
    let all: Vec<_> = [5, 4, 3, 2, 1].map(concert).into();
    paged!(all, |page| store.concerts(page), |row| row.id);
    assert_eq!(store.concert(ConcertId(id(2))).await, Ok(Some(concert(2))));
    assert_eq!(store.concert(ConcertId(id(9))).await, Ok(None));
}

pub async fn plans_are_kept_as_they_came_and_listed_newest_first(store: Arc<dyn Store>) {
    let plan = |number: u32, at| PlanRow {
        summary: PlanSummary {
            id: format!("{number:064x}"),
            name: format!("Hall {number}"),
            sections: number,
            seats: 10 * number,
            created_at: LogTime(at),
        },
        content: vec![0, 255, number as u8],
    };
    let plans = [plan(3, 10), plan(1, 20), plan(2, 20), plan(4, 5)];
    for plan in &plans {
        store.insert_plan(plan).await.unwrap();
    }
    let mut again = plan(3, 99);
    again.content = Vec::new();
    store.insert_plan(&again).await.unwrap();
    assert_eq!(store.plan(&plans[0].summary.id).await, Ok(Some(plans[0].clone())));
    assert_eq!(store.plan("nothing").await, Ok(None));
    let all: Vec<_> = [2, 1, 0, 3].map(|at: usize| plans[at].summary.clone()).into();
    paged!(all, |page| store.plans(page), |row| row.id.clone());
    assert_eq!(store.plans(Page { after: Some("nothing".into()), limit: 9 }).await, Ok(vec![]));
}

pub async fn a_larger_plan_takes_the_place_of_the_one_that_is_known_and_of_no_other(store: Arc<dyn Store>) {
    store.insert_concert(&concert(1)).await.unwrap();
    let mut drawn = schedule(11, 1, 300);
    drawn.plan = Some("a".repeat(64));
    store.insert_schedule(&drawn).await.unwrap();
    store.insert_schedule(&schedule(12, 1, 300)).await.unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|letter| letter.repeat(64));
    let (drawn_id, bare) = (drawn.id, schedule_id(12));
    assert_eq!(store.replace_plan(drawn_id, &b, &c).await, Ok(false), "another draws it");
    assert_eq!(store.replace_plan(drawn_id, &a, &b).await, Ok(true));
    assert_eq!(store.replace_plan(drawn_id, &a, &c).await, Ok(false), "it was replaced");
    assert_eq!(store.replace_plan(drawn_id, &b, &c).await, Ok(true));
    assert_eq!(store.replace_plan(bare, &a, &b).await, Ok(false), "nothing draws it");
    assert_eq!(store.replace_plan(schedule_id(99), &a, &b).await, Ok(false));
    let shown = store.schedule(drawn_id).await.unwrap().unwrap().schedule;
    assert_eq!((shown.drawn_by(), shown.plan.as_deref()), (Some(c.as_str()), Some(a.as_str())), "made of the first");
    assert_eq!(store.schedule(bare).await.unwrap().unwrap().schedule.drawn_by(), None);
}

pub async fn schedules_come_with_their_blocks_by_start_time(store: Arc<dyn Store>) {
    store.insert_concert(&concert(1)).await.unwrap();
    store.insert_concert(&concert(2)).await.unwrap();
    for (number, of, starts_at) in [(11, 1, 300), (12, 1, 100), (13, 1, 300), (14, 2, 50)] {
        store.insert_schedule(&schedule(number, of, starts_at)).await.unwrap();
    }
    let mut repeated = schedule(11, 1, 1);
    repeated.queue = false;
    store.insert_schedule(&repeated).await.unwrap();
    let mut closing = schedule(15, 2, 60);
    closing.plan = Some("a".repeat(64));
    (closing.sales_open_at, closing.sales_close_at) = (None, Some(LogTime(59)));
    store.insert_schedule(&closing).await.unwrap();
    let rows = [opened(&key(12), &["b", "B", "C-1"], 2), opened(&key_of(12, "North"), &["a"], 1)].concat();
    commit_seats(&*store, rows).await;
    commit_seats(&*store, opened(&key(14), &["Z"], 1)).await;

    let view = |schedule, blocks: &[_]| ScheduleView { schedule, blocks: blocks.to_vec() };
    let sections = |key: &_, names: &[&str]| names.iter().zip(0..).map(|(name, n)| section(key, name, n)).collect();
    let of = |key: &_, names: &[&str]| BlockView { row: block(key), sections: sections(key, names) };
    // Bytes decide the order of blocks, not a language's rules; sections are in order of rank.
    let blocks = [of(&key_of(12, "North"), &["a"]), of(&key(12), &["b", "B", "C-1"])];
    let second = view(schedule(12, 1, 100), &blocks);
    let expected = vec![second.clone(), view(schedule(11, 1, 300), &[]), view(schedule(13, 1, 300), &[])];
    let page = async |concert, after: Option<u128>, limit| {
        store.schedules(ConcertId(id(concert)), None, Page { after: after.map(schedule_id), limit }).await
    };
    assert_eq!(page(1, None, 10).await, Ok(expected.clone()));
    assert_eq!(page(1, None, 2).await, Ok(expected[..2].to_vec()));
    assert_eq!(page(1, Some(12), 2).await, Ok(expected[1..].to_vec()));
    assert_eq!(page(1, Some(11), 2).await, Ok(expected[2..].to_vec()), "of two at the same time the ids decide");
    assert_eq!(page(1, Some(13), 2).await, Ok(vec![]));
    assert_eq!(page(1, Some(99), 2).await, Ok(vec![]), "after a date that is not there");
    assert_eq!(store.schedule(schedule_id(12)).await, Ok(Some(second)));
    assert_eq!(store.schedule(schedule_id(15)).await, Ok(Some(view(closing, &[]))));
    assert_eq!(store.schedule(schedule_id(99)).await, Ok(None));
    assert_eq!(page(99, None, 10).await, Ok(vec![]));
}

pub async fn schedules_from_a_time_on_are_those_that_start_then_as_amended(store: Arc<dyn Store>) {
    store.insert_concert(&concert(1)).await.unwrap();
    // Opened for 100, 200, 300 and 400; the blocks say that the first was moved behind all others, the third to the front.
    for (number, opened_for, amended) in
        [(11, 100, Some(500)), (12, 200, None), (13, 300, Some(50)), (14, 400, Some(400))]
    {
        store.insert_schedule(&schedule(number, 1, opened_for)).await.unwrap();
        let mut rows = amended.map(|_| opened(&key(number), &["A"], 1)).unwrap_or_default();
        for row in &mut rows {
            if let block::Row::Block(block) = row {
                block.terms.starts_at = LogTime(amended.unwrap_or_default());
            }
        }
        if !rows.is_empty() {
            commit_seats(&*store, rows).await;
        }
    }
    let page = async |from, after: Option<u128>, limit| {
        let page = Page { after: after.map(schedule_id), limit };
        let views = store.schedules(ConcertId(id(1)), Some(LogTime(from)), page).await.unwrap();
        views.iter().map(|view| view.schedule.id).collect::<Vec<_>>()
    };
    let ids = |numbers: &[u128]| numbers.iter().map(|number| schedule_id(*number)).collect::<Vec<_>>();
    assert_eq!(page(0, None, 10).await, ids(&[11, 12, 13, 14]));
    assert_eq!(page(200, None, 10).await, ids(&[11, 12, 14]), "at the time itself counts");
    assert_eq!(page(201, None, 10).await, ids(&[11, 14]));
    assert_eq!(page(201, None, 1).await, ids(&[11]), "what is passed over takes no room of the page");
    assert_eq!(page(201, Some(11), 1).await, ids(&[14]));
    assert_eq!(page(501, None, 10).await, ids(&[]));
}

pub async fn blocks_may_be_opened_without_a_schedule(store: Arc<dyn Store>) {
    commit_seats(&*store, opened(&key(77), &["A"], 2)).await;
    commit_queues(&*store, vec![queue::Row::Queue(queue(77))]).await;
    assert_eq!(store.schedule(schedule_id(77)).await, Ok(None));
    assert_eq!(store.seats(schedule_id(77)).await.unwrap()[0].seats.len(), 2);
}

pub async fn touched_seats_are_in_order_of_section_and_number(store: Arc<dyn Store>) {
    let mut rows = opened(&key(1), &["b", "B"], 12);
    rows.extend(opened(&key_of(1, "north"), &["A"], 0));
    rows.extend(opened(&key(2), &["A"], 1));
    rows.reverse();
    commit_seats(&*store, rows).await;
    let seats = ["B", "b"].iter().flat_map(|name| (1..=12).map(|number| seat(&key(1), name, number)));
    let main = BlockSeats {
        block: key(1).block,
        sections: vec![section(&key(1), "b", 0), section(&key(1), "B", 1)],
        seats: seats.collect(),
    };
    let north = key_of(1, "north");
    let untouched = BlockSeats { block: north.block.clone(), sections: vec![section(&north, "A", 0)], seats: vec![] };
    assert_eq!(store.seats(schedule_id(1)).await, Ok(vec![main, untouched]));
    assert_eq!(store.seats(schedule_id(3)).await, Ok(vec![]));
}

pub async fn reservations_of_a_user_are_paged_newest_first(store: Arc<dyn Store>) {
    let store = &*store;
    let expired = |number| reservation(number, &key(1), ReservationState::Expired);
    let mut all: Vec<_> = [13, 11, 15, 12, 14].map(expired).into();
    let others = block::Reservation { user_id: user("bob"), ..expired(16) };
    commit_seats(store, all.iter().chain([&others]).cloned().map(block::Row::Reservation).collect()).await;
    all.sort_by_key(|row| std::cmp::Reverse(row.id));
    paged!(all, |page| async move { store.reservations(&user("alice"), page).await }, |row| row.id);
}

pub async fn unfinished_reservations_of_a_user_are_those_of_the_blocks_asked_for(store: Arc<dyn Store>) {
    let north = key_of(1, "north");
    let held = |number, key: &_| reservation(number, key, ReservationState::Held);
    let refund = |refund| ReservationState::Cancelled { refund };
    let own = [
        held(11, &key(1)),
        reservation(12, &key(1), ReservationState::Confirmed { payment: None, serial: 7 }),
        reservation(13, &key(1), refund(Some(PaymentId(id(99))))),
        held(14, &north),
    ];
    let others = [
        reservation(21, &key(1), ReservationState::Expired),
        reservation(22, &key(1), refund(None)),
        held(23, &key(2)),
        block::Reservation { user_id: user("bob"), ..held(24, &key(1)) },
    ];
    commit_seats(&*store, own.iter().chain(&others).cloned().map(block::Row::Reservation).collect()).await;
    let of = async |blocks: &[&BlockKey]| {
        let blocks: Vec<_> = blocks.iter().map(|key| key.block.clone()).collect();
        store.unfinished_of(&user("alice"), schedule_id(1), &blocks).await.unwrap()
    };
    let newest_first = |numbers: &[usize]| numbers.iter().map(|n| own[*n].clone()).collect::<Vec<_>>();
    assert_eq!(of(&[&key(1), &north]).await, newest_first(&[3, 2, 1, 0]));
    assert_eq!(of(&[&key(1)]).await, newest_first(&[2, 1, 0]));
    assert_eq!(of(&[]).await, []);
}

pub async fn payments_of_a_user_are_paged_newest_first(store: Arc<dyn Store>) {
    let store = &*store;
    let mut all: Vec<_> = [21, 25, 22, 24, 23].map(|n| payment(n, &key(1), 10, PaymentState::Refunded)).into();
    commit_seats(store, all.iter().cloned().map(block::Row::Payment).collect()).await;
    all.sort_by_key(|row| std::cmp::Reverse(row.id));
    paged!(all, |page| async move { store.payments(&user("alice"), page).await }, |row| row.id);
    assert_eq!(store.payments(&user("bob"), Page { after: None, limit: 5 }).await, Ok(vec![]));
}

pub async fn wallet_entries_are_paged_newest_first(store: Arc<dyn Store>) {
    let store = &*store;
    let mut rows: Vec<_> = (1..=12).map(|number| wallet::Row::Entry(entry("alice", number))).collect();
    rows.push(wallet::Row::Entry(entry("bob", 1)));
    commit_wallets(store, rows).await;
    let all: Vec<_> = (1..=12).rev().map(|number| entry("alice", number)).collect();
    paged!(all, |page| async move { store.wallet_entries(&user("alice"), page).await }, |row| row.number);
}

pub async fn tokens_are_listed_by_their_last_change(store: Arc<dyn Store>) {
    let turn = Turn { admitted_at: LogTime(1), until: LogTime(2), from: queue::PresenceMs(3), used: true };
    let tokens = [
        token(1, 1, "a", TokenState::Ended { how: Ending::Completed, turn: Some(turn) }, 9),
        token(1, 2, "b", TokenState::Active(turn), 9),
        token(1, 3, "c", TokenState::Waiting, 4),
        token(1, 4, "d", TokenState::Waiting, 5),
        token(1, 5, "e", TokenState::Ended { how: Ending::Left, turn: None }, 6),
        token(2, 1, "a", TokenState::Waiting, 7),
    ];
    commit_queues(&*store, tokens.into_iter().map(queue::Row::Token).collect()).await;
    let sequences = |from, live_only, limit| {
        let store = Arc::clone(&store);
        async move {
            let tokens = store.tokens_changed(schedule_id(1), from, live_only, limit).await.unwrap();
            tokens.iter().map(|token| token.sequence).collect::<Vec<_>>()
        }
    };
    assert_eq!(sequences(0, false, 100).await, [3, 4, 5, 1, 2]);
    assert_eq!(sequences(0, true, 100).await, [3, 4, 2]);
    assert_eq!(sequences(5, false, 100).await, [4, 5, 1, 2]);
    assert_eq!(sequences(5, false, 2).await, [4, 5]);
    assert_eq!(sequences(10, false, 100).await, [0u64; 0]);
}

pub async fn tokens_of_a_user_are_newest_first_and_few(store: Arc<dyn Store>) {
    let expired = TokenState::Ended { how: Ending::Expired, turn: None };
    let mut rows: Vec<_> = (1..=12).map(|n| queue::Row::Token(token(1, n, "alice", expired, 20 - n))).collect();
    rows.push(queue::Row::Token(token(1, 13, "bob", TokenState::Waiting, 1)));
    rows.push(queue::Row::Token(token(2, 1, "alice", TokenState::Waiting, 1)));
    commit_queues(&*store, rows).await;
    let of_alice = store.tokens_of(schedule_id(1), &user("alice")).await.unwrap();
    assert!(of_alice.iter().map(|token| token.sequence).eq((3..=12).rev()));
    assert_eq!(store.tokens_of(schedule_id(1), &user("carol")).await, Ok(vec![]));
}

pub async fn dead_letters_are_paged_newest_first(store: Arc<dyn Store>) {
    let mut same_time = dead_letter(WALLETS, 2);
    same_time.at = arrival(SEATS, 2).time;
    same_time.key = None;
    same_time.value = None;
    same_time.headers = Vec::new();
    commit(&*store, SEATS, |batch| batch.dead_letters = [3, 1, 2].map(|n| dead_letter(SEATS, n)).into()).await;
    commit(&*store, WALLETS, |batch| batch.dead_letters = vec![same_time.clone(), dead_letter(WALLETS, 9)]).await;
    let letters =
        vec![dead_letter(WALLETS, 9), dead_letter(SEATS, 3), same_time, dead_letter(SEATS, 2), dead_letter(SEATS, 1)];
    let all: Vec<_> =
        letters.into_iter().map(|letter| DeadLetterView { letter, replayed: None, dismissed: None }).collect();
    paged!(all, |page| store.dead_letters(page), |view| view.letter.position);
    let nowhere = Page { after: Some(SEATS.at(1000)), limit: 5 };
    assert_eq!(store.dead_letters(nowhere).await, Ok(vec![]));
}

pub async fn a_row_that_cannot_be_sent_is_kept_once(store: Arc<dyn Store>) {
    commit(&*store, SEATS, |batch| batch.dead_letters = vec![dead_letter(SEATS, 7)]).await;
    let row = outbox_row(7);
    let letter = DeadLetter::unsent(SEATS, &row, "too large \0", LogTime(9));
    assert_eq!(letter.position, SEATS.at(UNSENT_OFFSET + 7));
    store.keep_unsent(&letter).await.unwrap();
    store.keep_unsent(&DeadLetter { reason: "another".into(), at: LogTime(10), ..letter.clone() }).await.unwrap();
    let stored = store.dead_letter(letter.position).await.unwrap().unwrap().letter;
    assert!(stored.reason.contains("too large"), "{}", stored.reason);
    assert_eq!(DeadLetter { reason: letter.reason.clone(), ..stored }, letter);
    assert_eq!((letter.unsent_to, letter.value), (Some(row.topic), Some(row.payload.to_vec())));
    assert_eq!(store.dead_letter(SEATS.at(7)).await.unwrap().unwrap().letter, dead_letter(SEATS, 7));
}

pub async fn a_snapshot_is_of_one_moment_and_only_read(store: Arc<dyn Store>) {
    commit(&*store, SEATS, |batch| batch.requests = vec![request(1, SEATS, 0)]).await;
    let before = store.snapshot().await.unwrap();
    let seen = before.progress(SEATS).await.unwrap().expect("acquired");
    commit(&*store, SEATS, |batch| batch.requests = vec![request(2, SEATS, 1)]).await;
    assert_eq!(before.progress(SEATS).await.unwrap(), Some(seen));
    assert_eq!(before.requests_page(None, 10).await.unwrap().len(), 1, "of the same moment");
    // Each keeps a connection.
    drop(before);
    let after = store.snapshot().await.unwrap();
    assert_ne!(after.progress(SEATS).await.unwrap(), Some(seen));
    assert_eq!(after.requests_page(None, 10).await.unwrap().len(), 2);
}
