//! One rule, one test.

use super::*;
use crate::domain;
use crate::domain::queue::{DURATION_MS_MAX, Reply, TOKENS_MAX};

fn code(decision: &Decision<QueueState>) -> Code {
    match &decision.verdict {
        Verdict::Decided(Err(refusal)) => {
            assert!(decision.changes.is_empty(), "a refusal changes nothing");
            refusal.code
        }
        other => panic!("{other:?}"),
    }
}

fn ticked(decision: &Decision<QueueState>) -> (String, String) {
    match &decision.verdict {
        Verdict::Decided(Ok(domain::Reply::Queues(Reply::Ticked { .. }))) => {
            (text(&decision.effects.admitted), text(&decision.effects.ended))
        }
        other => panic!("{other:?}"),
    }
}

fn tokens_changed(decision: &Decision<QueueState>) -> String {
    text(decision.changes.iter().filter_map(|row| match row {
        Row::Token(token) => Some(token),
        _ => None,
    }))
}

fn filled(limits: Limits, users: u32) -> Fixture {
    let mut fixture = Fixture::opened(limits);
    for number in 1..=users {
        fixture.run(join(number));
    }
    fixture
}

#[test]
fn a_queue_that_was_never_opened_is_not_found() {
    let configure = configure(LimitsPatch::default(), None, None);
    let noted = note("main", 1, SaleState::Open);
    for command in [join(1), leave(1), complete(1), seen(&[1]), tick(), noted, configure] {
        let mut fixture = Fixture::default();
        let decision = fixture.run(command);
        assert_eq!(code(&decision), Code::QueueNotFound);
        let Verdict::Decided(Err(refusal)) = decision.verdict else { panic!() };
        assert_eq!(refusal.detail, "this date has no waiting queue");
        assert!(fixture.queue.is_none());
    }
}

#[test]
fn opening_again_shows_the_queue_as_it_stands() {
    let mut fixture = filled(limits(), 3);
    let row = fixture.row().clone();
    for repeat in [limits(), Limits { max_active: 50, ..limits() }] {
        let decision = fixture.run(open(repeat));
        assert_eq!(decision, Decision::succeeded(Reply::QueueOpened(row.clone()), vec![]));
    }
}

#[test]
fn limits_out_of_bounds_are_taken_as_the_bounds() {
    let wild = Limits { max_active: u32::MAX, active_ttl_ms: -5, max_waiting: u32::MAX, ..limits() };
    let mut fixture = Fixture::opened(Limits { abandon_after_ms: i64::MAX, ..wild });
    let taken = &fixture.row().limits;
    assert_eq!((taken.max_active, taken.max_waiting), (TOKENS_MAX, TOKENS_MAX));
    assert_eq!((taken.active_ttl_ms, taken.abandon_after_ms), (1, DURATION_MS_MAX));
    fixture.run(configure(LimitsPatch { abandon_after_ms: Some(0), ..LimitsPatch::default() }, None, None));
    assert_eq!(fixture.row().limits.abandon_after_ms, 1);
}

#[test]
fn f04_q1_joins_get_sequence_numbers_in_log_order() {
    let mut fixture = Fixture::opened(limits());
    let joined: Vec<(u64, u64)> = (1..=10).map(|n| fixture.joined(n)).map(|(t, ahead)| (t.sequence, ahead)).collect();
    let ahead = [0, 0, 0, 1, 2, 3, 4, 5, 6, 7];
    assert_eq!(joined, (1..=10).zip(ahead).collect::<Vec<_>>());
    assert_eq!(fixture.live(), "1A 2A 3W 4W 5W 6W 7W 8W 9W 10W");
    let row = fixture.row();
    assert_eq!((row.waiting, row.active, row.admitted, row.next_sequence), (8, 2, 2, 11));
}

#[test]
fn f04_q2_joining_again_gives_the_same_token() {
    let mut fixture = filled(limits(), 4);
    for (number, sequence, ahead) in [(1, 1, 0), (4, 4, 1)] {
        let (token, counted) = fixture.joined(number);
        assert_eq!((token.sequence, counted), (sequence, ahead));
    }
    let same_instant = fixture.run(join(4));
    assert!(same_instant.changes.is_empty());
    let later = fixture.after(5).run(join(4));
    assert_eq!(tokens_changed(&later), "4W", "a sighting");
    assert_eq!(later.changes.len(), 1, "and nothing else");
    assert_eq!(fixture.state().token(4).map(|token| (token.last_seen, token.sighted)), Some((PresenceMs(5), true)));
    assert!(fixture.run(join(1)).changes.is_empty(), "a turn that is used needs none");
}

#[test]
fn q7_a_full_queue_refuses_new_users_only() {
    let mut fixture = filled(Limits { max_waiting: 2, ..limits() }, 4);
    assert_eq!(code(&fixture.run(join(5))), Code::QueueFull);
    assert_eq!(fixture.joined(4).0.sequence, 4);
    fixture.run(leave(3));
    assert_eq!(fixture.joined(5).0.sequence, 5);
}

#[test]
fn with_nowhere_to_wait_a_free_place_is_still_given() {
    let mut fixture = Fixture::opened(Limits { max_waiting: 0, max_active: 1, ..limits() });
    assert_eq!(fixture.joined(1).0.state.status(), TokenStatus::Active);
    assert_eq!(code(&fixture.run(join(2))), Code::QueueFull);
}

#[test]
fn q4_completing_a_token_admits_the_next_one() {
    let mut fixture = filled(limits(), 4);
    let decision = fixture.after(10).run(complete(2));
    let Verdict::Decided(Ok(domain::Reply::Queues(Reply::TokenCompleted(token)))) = &decision.verdict else { panic!() };
    let admitted = &decision.effects.admitted;
    assert_eq!((text([token]), text(admitted)), ("2C".into(), "3A".into()));
    let (admitted_at, until) = (LogTime(fixture.now), LogTime(fixture.now + 1_000));
    let turn = Turn { admitted_at, until, from: PresenceMs(10), used: false };
    assert_eq!(admitted[0].state, TokenState::Active(turn));
    assert_eq!(token.state.turn().map(|turn| turn.admitted_at.0), Some(fixture.now - 10), "it keeps its turn");
    assert_eq!(tokens_changed(&decision), "2C 3A", "nobody behind is rewritten");
    assert_eq!(fixture.live(), "1A 3A 4W");
    assert_eq!(code(&fixture.run(complete(2))), Code::TokenNotFound);
}

#[test]
fn a_requeued_user_who_pays_by_the_hold_is_done_waiting() {
    let mut fixture = filled(limits(), 4);
    fixture.run(seen(&[1, 2]));
    fixture.after(1_000).run(tick());
    assert_eq!(fixture.live(), "3A 4A 5W 6W");
    let decision = fixture.run(complete(1));
    assert_eq!(tokens_changed(&decision), "5C");
    assert_eq!(fixture.row().completed, 1);
}

#[test]
fn a_token_that_joined_after_the_payment_is_another_turn() {
    for (paid_at, ends) in [(-1, false), (0, true), (1, true)] {
        let mut fixture = filled(limits(), 4);
        fixture.run(leave(1));
        fixture.after(50).run(join(1));
        let joined_at = fixture.now;
        let decision = fixture.after(50).run(paid(1, joined_at + paid_at));
        if ends {
            assert_eq!(tokens_changed(&decision), "5C");
        } else {
            assert_eq!(code(&decision), Code::TokenNotFound);
            assert_eq!(fixture.live(), "2A 3A 4W 5W");
        }
    }
}

#[test]
fn q8_leaving_frees_a_place_or_closes_the_gap() {
    let mut fixture = filled(limits(), 100);
    for number in 21..=70 {
        fixture.run(leave(number));
    }
    assert_eq!(fixture.state().ahead(100), Some(97 - 50));
    assert_eq!(fixture.state().ahead(20), Some(17));
    assert_eq!(fixture.state().ahead(50), None);
    assert_eq!(tokens_changed(&fixture.run(leave(1))), "1L 3A");
    assert_eq!(code(&fixture.run(leave(1))), Code::TokenNotFound);
    assert_eq!(fixture.row().left, 51);
}

#[test]
fn q5_time_that_runs_out_requeues_or_expires() {
    for (on_timeout, live) in [(OnTimeout::Requeue, "3A 4W 5W"), (OnTimeout::Expire, "3A 4W")] {
        let mut fixture = filled(Limits { max_active: 1, on_timeout, ..limits() }, 0);
        fixture.run(join(1));
        for number in 2..=4 {
            fixture.run(join(number));
        }
        fixture.run(leave(2));
        fixture.run(seen(&[1]));
        assert_eq!(fixture.state().next_due(), Some(LogTime(fixture.now + 1_000)));
        assert!(fixture.after(999).run(tick()).changes.is_empty(), "not yet");
        let decision = fixture.after(1).run(tick());
        assert_eq!(ticked(&decision), ("3A".into(), "1E".into()));
        assert_eq!(fixture.live(), live);
        assert_eq!(fixture.row().expired, 1);
    }
}

#[test]
fn a_lone_user_whose_time_ran_out_is_admitted_again() {
    let mut fixture = filled(limits(), 1);
    fixture.run(seen(&[1]));
    assert_eq!(ticked(&fixture.after(1_000).run(tick())), ("2A".into(), "1E".into()));
}

#[test]
fn requeueing_ignores_the_waiting_cap() {
    let mut fixture = filled(Limits { max_waiting: 1, max_active: 1, ..limits() }, 2);
    fixture.run(seen(&[1]));
    fixture.run(configure(LimitsPatch::default(), Some(true), None));
    fixture.after(1_000).run(tick());
    assert_eq!(fixture.live(), "2W 3W");
}

#[test]
fn joining_after_the_own_time_ran_out_does_not_wait_for_a_tick() {
    let mut fixture = filled(Limits { max_active: 1, ..limits() }, 3);
    fixture.run(seen(&[1]));
    let (token, ahead) = fixture.after(1_000).joined(1);
    assert_eq!((token.sequence, token.state, ahead), (4, TokenState::Waiting, 1));
    assert_eq!(fixture.live(), "2A 3W 4W");

    let expire = Limits { max_active: 1, max_waiting: 1, on_timeout: OnTimeout::Expire, ..limits() };
    let mut fixture = filled(expire, 2);
    fixture.run(seen(&[1]));
    let (token, _) = fixture.after(1_000).joined(1);
    assert_eq!((token.sequence, fixture.live().as_str()), (3, "2A 3W"));

    let mut full = filled(Limits { max_active: 1, max_waiting: 1, on_timeout: OnTimeout::Expire, ..limits() }, 2);
    full.run(seen(&[1]));
    full.run(configure(LimitsPatch::default(), Some(true), None));
    assert_eq!(code(&full.after(1_000).run(join(1))), Code::QueueFull);
}

#[test]
fn f06_pause_stops_admission_and_resume_goes_on() {
    let mut fixture = filled(limits(), 5);
    fixture.run(configure(LimitsPatch::default(), Some(true), None));
    fixture.run(leave(1));
    fixture.run(complete(2));
    assert_eq!((fixture.live().as_str(), fixture.row().active), ("3W 4W 5W", 0));
    assert_eq!(fixture.joined(6).0.state, TokenState::Waiting);
    let decision = fixture.run(configure(LimitsPatch::default(), Some(false), None));
    let Verdict::Decided(Ok(domain::Reply::Queues(Reply::QueueConfigured(queue)))) = &decision.verdict else {
        panic!()
    };
    assert_eq!((queue, text(&decision.effects.admitted).as_str()), (fixture.row(), "3A 4A"));
}

#[test]
fn f06_a_pause_says_since_when() {
    let mut fixture = filled(limits(), 3);
    let since = |fixture: &mut Fixture, paused: Option<bool>| {
        fixture.after(60_000).run(configure(LimitsPatch::default(), paused, None));
        (fixture.row().paused_since.map(|at| at.0), fixture.now)
    };
    assert_eq!(since(&mut fixture, None).0, None);
    let (paused, now) = since(&mut fixture, Some(true));
    assert_eq!(paused, Some(now));
    for repeated in [Some(true), None] {
        assert_eq!(since(&mut fixture, repeated).0, paused, "it goes on: {repeated:?}");
    }
    fixture.run(leave(1));
    assert_eq!(fixture.row().paused_since.map(|at| at.0), paused);
    assert_eq!(since(&mut fixture, Some(false)).0, None);
    let (again, now) = since(&mut fixture, Some(true));
    assert_eq!(again, Some(now), "another pause");
}

#[test]
fn f06_the_operator_admits_beyond_pause_and_rate_but_not_beyond_max_active() {
    let mut fixture = Fixture::opened(Limits { max_active: 3, admit_per_minute: Some(0), ..limits() });
    for number in 1..=5 {
        fixture.run(join(number));
    }
    assert_eq!(fixture.row().active, 0);
    assert_eq!(fixture.state().next_due(), None, "a rate of 0 never admits");
    let decision = fixture.run(configure(LimitsPatch::default(), Some(true), Some(1)));
    assert_eq!(tokens_changed(&decision), "1A");
    fixture.run(configure(LimitsPatch::default(), None, Some(1_000)));
    assert_eq!(fixture.live(), "1A 2A 3A 4W 5W");
}

#[test]
fn a_lowered_limit_throws_nobody_out_and_admits_nobody_until_below() {
    let mut fixture = filled(Limits { max_active: 4, ..limits() }, 6);
    fixture.run(configure(LimitsPatch { max_active: Some(2), ..LimitsPatch::default() }, None, None));
    assert_eq!(fixture.row().active, 4);
    for (number, live) in [(1, "2A 3A 4A 5W 6W"), (2, "3A 4A 5W 6W"), (3, "4A 5A 6W")] {
        fixture.run(leave(number));
        assert_eq!(fixture.live(), live);
    }
}

#[test]
fn f06_rate_control_keeps_its_pace() {
    // 120 a minute: one each 500 ms, and credit for two.
    let paced = Limits { max_active: 100, admit_per_minute: Some(120), active_ttl_ms: 1_000_000, ..limits() };
    let mut fixture = filled(paced, 10);
    assert_eq!((fixture.row().active, fixture.live().as_str()), (2, "1A 2A 3W 4W 5W 6W 7W 8W 9W 10W"));
    assert_eq!(fixture.state().next_due(), Some(LogTime(fixture.now + 500)));
    assert!(fixture.after(499).run(tick()).changes.is_empty());
    assert_eq!(ticked(&fixture.after(1).run(tick())).0, "3A");
    assert_eq!(ticked(&fixture.after(1_000).run(tick())).0, "4A 5A", "a late tick catches up");
    assert_eq!(ticked(&fixture.after(5_000).run(tick())).0, "6A 7A", "but not without end");
    let slow = LimitsPatch { admit_per_minute: Some(Some(1)), ..LimitsPatch::default() };
    fixture.after(1_000).run(configure(slow, None, None));
    let fast = LimitsPatch { admit_per_minute: Some(Some(600)), ..LimitsPatch::default() };
    fixture.run(configure(fast, None, None));
    assert!(fixture.state().next_due() <= Some(LogTime(fixture.now + 100)), "nobody waits out the slower pace");
}

#[test]
fn rate_control_never_admits_more_than_the_limit_and_its_credit() {
    for per_minute in [1, 7, 59, 60, 61, 1_000, 6_000] {
        let wide = Limits { max_active: 50_000, max_waiting: 50_000, admit_per_minute: Some(per_minute), ..limits() };
        let mut fixture = Fixture::opened(Limits { active_ttl_ms: 1_000_000, abandon_after_ms: 1_000_000, ..wide });
        for number in 1..=2_000 {
            fixture.run(join(number));
        }
        let start = fixture.now;
        while fixture.now < start + 15_000 && fixture.row().waiting > 0 {
            fixture.after(37).run(tick());
        }
        let elapsed_ms = u64::try_from(fixture.now - start).expect("time goes on");
        let burst = u64::from((per_minute / 60).max(1));
        let most = elapsed_ms * u64::from(per_minute) / 60_000 + burst;
        let admitted = fixture.row().admitted;
        assert!(admitted <= most, "{per_minute}: {admitted} > {most}");
        assert!(admitted + 1 + burst >= most.min(2_000), "{per_minute}: {admitted} is far below {most}");
    }
}
