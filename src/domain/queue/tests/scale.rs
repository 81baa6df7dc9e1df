//! Size: a million joins in a release build, fewer where every instruction is slow.

use super::*;
use crate::domain;
use crate::domain::queue::{Reply, WaitingOrder};

fn crowd() -> Limits {
    Limits { max_active: 10, max_waiting: 1_000_000, active_ttl_ms: 300_000, abandon_after_ms: 1_000_000, ..limits() }
}

#[test]
fn f05_f09_q3_positions_are_the_order_of_the_log() {
    let joins: u32 = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    let mut queue = None;
    let arrival = |offset: u64| Arrival {
        position: Position::new(Lane::Queues, 0, offset),
        time: LogTime(1_000 + i64::try_from(offset / 17).expect("small")),
    };
    let mut run = |offset: u64, command: Command| {
        let decision = QueueState::decide(queue.as_ref(), &command, &asking(), &arrival(offset));
        for row in &decision.changes {
            QueueState::apply(&mut queue, row);
        }
        decision
    };
    run(0, open(crowd()));
    let mut rank = 0;
    for index in 1..=u64::from(joins) {
        // Users come in no order of theirs: a full-period walk over the numbers below `joins`.
        rank = (rank + 7_919) % joins;
        let decision = run(index, join(rank));
        assert_eq!(decision.changes.len(), 2, "the queue's row and the token's");
        let Verdict::Decided(Ok(domain::Reply::Queues(Reply::Joined { token, ahead }))) = decision.verdict else {
            panic!()
        };
        assert_eq!((token.sequence, token.user_id, ahead), (index, user(rank), index.saturating_sub(11)));
        assert_eq!(matches!(token.state, TokenState::Active(_)), index <= 10);
    }
    let queue = queue.expect("open");
    assert_eq!((queue.row.next_sequence, queue.row.active), (u64::from(joins) + 1, 10));
    assert_eq!(queue.ahead(u64::from(joins)), Some(u64::from(joins) - 11));
}

#[test]
fn f09_a_queue_of_110000_waiting_and_6000_active_loads_and_counts() {
    let at = Arrival { position: Position::new(Lane::Queues, 0, 9), time: LogTime(50_000) };
    let row = {
        let mut fixture = Fixture::opened(Limits { max_active: 6_000, ..crowd() });
        let row = &mut fixture.queue.as_mut().expect("open").row;
        (row.waiting, row.active, row.next_sequence) = (110_000, 6_000, 116_001);
        row.clone()
    };
    let turn = Turn { admitted_at: LogTime(2), until: LogTime(60_000), from: PresenceMs(2), used: false };
    let live = (1..=116_000).map(|sequence| Token {
        schedule_id: SCHEDULE,
        sequence,
        user_id: user(u32::try_from(sequence).expect("small")),
        state: if sequence <= 6_000 { TokenState::Active(turn) } else { TokenState::Waiting },
        joined_at: LogTime(1),
        last_seen: PresenceMs(49_000),
        sighted: true,
        follows: None,
        changed: at,
    });
    let state = QueueState::load(row, live.collect());
    assert_eq!(state.ahead(116_000), Some(109_999));
    assert_eq!(state.ahead(6_000), None);
    assert_eq!(state.token_of(&user(77_777)).map(|token| token.sequence), Some(77_777));
    assert_eq!(state.turn_ends().next(), Some((LogTime(60_000), 1)));
    assert_eq!(state.sightings().next(), Some((PresenceMs(49_000), 6_001)));
    assert_eq!(state.unclaimed().next(), Some((PresenceMs(2), 1)));
    assert_eq!(state.rows(), 116_001);
}

#[test]
fn the_order_is_bounded_by_what_waits_not_by_what_ever_waited() {
    let mut order = WaitingOrder::default();
    order.insert(1);
    for sequence in 2..200_000u64 {
        order.insert(sequence);
        if sequence > 1_000 {
            order.remove(sequence - 500);
        }
    }
    assert!(order.blocks() < 100, "{} blocks for {} numbers", order.blocks(), order.len());
    assert_eq!((order.before(199_999), order.at_or_after(2)), (order.len() - 1, Some(2)));
}
