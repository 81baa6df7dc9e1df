//! Who is there, by the presence clock: a table a rule. A round is 1,666 ms with these limits.

use super::*;

fn long_turns() -> Limits {
    Limits { max_active: 1, active_ttl_ms: 1_000_000, ..limits() }
}

fn filled(limits: Limits, users: u32) -> Fixture {
    let mut fixture = Fixture::opened(limits);
    (1..=users).for_each(|number| drop(fixture.run(join(number))));
    fixture
}

/// Reports of these, each second for so many seconds.
fn reported(fixture: &mut Fixture, seconds: u32, sequences: &[u64]) {
    for _ in 0..seconds {
        fixture.after(1_000).run(seen(sequences));
    }
}

#[test]
fn f53_q11_who_is_not_seen_is_passed_over_and_first_again_on_return() {
    let mut fixture = filled(long_turns(), 5);
    reported(&mut fixture, 9, &[1, 2, 4, 5]);
    assert_eq!(fixture.live(), "1A 2W 3W 4W 5W");
    let decision = fixture.after(1_000).run(seen(&[2, 4, 5]));
    assert_eq!((text(&decision.effects.absent).as_str(), fixture.live().as_str()), ("3-", "1A 2W 3- 4W 5W"));
    assert_eq!((fixture.state().ahead(4), fixture.state().ahead(3)), (Some(1), None));
    fixture.run(leave(1));
    fixture.run(leave(2));
    assert_eq!(fixture.live(), "3- 4A 5W", "passed over");
    let decision = fixture.after(500).run(seen_ago(&[(3, 200)]));
    assert_eq!((text(&decision.effects.returned).as_str(), fixture.state().ahead(5)), ("3W", Some(1)));
    assert_eq!(text(&fixture.run(leave(4)).effects.admitted), "3A");
    assert_eq!((fixture.row().waiting, fixture.row().absent, fixture.row().next_sequence), (1, 0, 6));
}

#[test]
fn joining_again_is_a_return_with_the_old_sequence() {
    let mut fixture = filled(long_turns(), 4);
    reported(&mut fixture, 10, &[1, 4]);
    assert_eq!(fixture.live(), "1A 2- 3- 4W");
    let (token, ahead) = fixture.joined(3);
    assert_eq!((token.sequence, token.state, ahead, fixture.state().ahead(4)), (3, TokenState::Waiting, 0, Some(1)));
    fixture.run(leave(1));
    assert_eq!(fixture.live(), "2- 3A 4W");
    assert_eq!(fixture.joined(2).1, 0, "before all who wait");
}

#[test]
fn q12_nobody_is_absent_because_of_an_outage() {
    let mut fixture = filled(long_turns(), 4);
    reported(&mut fixture, 6, &[1]);
    // No reports for ten minutes; then only the first is among those that come.
    assert!(fixture.after(600_000).run(tick()).changes.is_empty());
    fixture.run(seen(&[2]));
    assert_eq!((fixture.live().as_str(), fixture.row().presence.now), ("1A 2W 3W 4W", PresenceMs(6_000 + 2 * 1_666)));
    reported(&mut fixture, 1, &[3]);
    assert_eq!(fixture.live(), "1A 2W 3W 4-", "by the presence clock it was long");
}

#[test]
fn a_sighting_that_is_reported_late_counts_from_when_it_was() {
    let mut fixture = filled(long_turns(), 3);
    reported(&mut fixture, 9, &[1]);
    // Kept by a front door that could not report: seen 4 s ago.
    fixture.run(seen_ago(&[(2, 4_000)]));
    reported(&mut fixture, 1, &[]);
    assert_eq!(fixture.live(), "1A 2W 3-");
    reported(&mut fixture, 5, &[]);
    assert_eq!(fixture.live(), "1A 2- 3-");
    fixture.run(seen_ago(&[(2, 10_000), (3, 9_999)]));
    assert_eq!(fixture.live(), "1A 2- 3W", "one was seen too long ago to be there");
}

#[test]
fn q11_a_turn_that_nobody_claims_goes_to_the_next_and_its_place_is_kept() {
    let mut fixture = filled(Limits { claim_after_ms: 3_000, ..long_turns() }, 3);
    // Seen before the admission, and never again.
    fixture.after(1_000).run(leave(1));
    fixture.after(1_000).run(seen_ago(&[(2, 1_001), (3, 0)]));
    reported(&mut fixture, 1, &[3]);
    assert_eq!(fixture.live(), "2A 3W");
    let decision = fixture.after(1_000).run(seen(&[3]));
    assert_eq!((text(&decision.effects.absent), text(&decision.effects.admitted)), ("2-".into(), "3A".into()));
    fixture.run(leave(3));
    assert_eq!(text(&fixture.run(seen(&[2])).effects.admitted), "2A", "with its old sequence");
    reported(&mut fixture, 4, &[2]);
    assert_eq!(fixture.live(), "2A", "a turn that is used is not claimed again");
    assert_eq!(fixture.row().admitted, 4);
}

#[test]
fn q12_a_sighting_of_a_place_that_ended_is_one_of_the_place_that_follows_it() {
    let mut fixture = filled(Limits { max_active: 1, active_ttl_ms: 5_000, ..limits() }, 2);
    reported(&mut fixture, 5, &[1, 2]);
    fixture.run(configure(LimitsPatch { active_ttl_ms: Some(1_000_000), ..LimitsPatch::default() }, None, None));
    fixture.run(tick());
    assert_eq!(fixture.live(), "2A 3W", "requeued");
    // Front doors do not know the new place yet.
    reported(&mut fixture, 30, &[1, 2]);
    assert_eq!(fixture.live(), "2A 3W", "nobody who was seen is absent");
    let reply = fixture.run(seen(&[1])).verdict;
    assert!(
        matches!(reply, Verdict::Decided(Ok(domain::Reply::Queues(Reply::SeenNoted { tokens: 1, .. })))),
        "{reply:?}"
    );
    reported(&mut fixture, 10, &[2]);
    assert_eq!(fixture.live(), "2A 3-");
    assert_eq!(text(&fixture.run(seen(&[1])).effects.returned), "3W");
    fixture.run(leave(1));
    let reply = fixture.run(seen(&[1])).verdict;
    assert!(
        matches!(reply, Verdict::Decided(Ok(domain::Reply::Queues(Reply::SeenNoted { tokens: 0, .. })))),
        "{reply:?}"
    );
}

#[test]
fn a_claim_counts_only_where_turns_are_longer() {
    let mut fixture = filled(Limits { active_ttl_ms: 3_000, claim_after_ms: 3_000, max_active: 1, ..limits() }, 1);
    reported(&mut fixture, 4, &[]);
    assert_eq!(fixture.live(), "1A");
    fixture.run(tick());
    assert_eq!((fixture.live().as_str(), fixture.row().expired), ("1-", 0), "the turn was not used: the place is kept");
}

#[test]
fn q12_a_turn_during_which_the_presence_clock_stood_keeps_its_place() {
    // (ms without reports, what becomes of the turn)
    for (silent_ms, live) in [(3_000, "2A 3W"), (4_000, "1- 2A"), (40_000, "1- 2A")] {
        let mut fixture = filled(Limits { active_ttl_ms: 5_000, max_active: 1, ..limits() }, 2);
        fixture.run(seen(&[1]));
        fixture.after(silent_ms).run(seen(&[1, 2]));
        reported(&mut fixture, 5, &[1, 2]);
        fixture.run(tick());
        assert_eq!(fixture.live(), live, "{silent_ms}");
    }
    let mut fixture = filled(Limits { active_ttl_ms: 5_000, max_active: 1, ..limits() }, 2);
    fixture.run(seen(&[1]));
    fixture.after(5_000).run(tick());
    assert_eq!(fixture.live(), "1- 2A", "it stands still");
    assert_eq!(text(&fixture.run(seen(&[1])).effects.returned), "1W");
}

#[test]
fn f53_an_absence_is_bounded_by_time_on_sale() {
    let mut fixture = filled(Limits { absent_max_ms: 20_000, ..long_turns() }, 2);
    reported(&mut fixture, 10, &[1]);
    let since = fixture.now;
    assert_eq!(fixture.state().next_due(), Some(LogTime(since + 20_000)));
    fixture.after(5_000).run(configure(LimitsPatch::default(), Some(true), None));
    assert_eq!(fixture.state().next_due(), Some(LogTime(since - 10_000 + 1_000_000)), "paused: the first one's turn");
    fixture.after(100_000).run(configure(LimitsPatch::default(), Some(false), None));
    fixture.run(note("main", 1, SaleState::SoldOut));
    fixture.after(100_000).run(note("east", 1, SaleState::SoldOut));
    fixture.after(100_000).run(note("east", 2, SaleState::AllHeld));
    // 100 s passed with one block open.
    assert_eq!(text(&fixture.run(tick()).effects.ended), "2E");
    assert_eq!((fixture.row().expired, fixture.row().absent), (1, 0));
}

#[test]
fn q15_the_absent_make_room_first_those_never_seen() {
    let mut fixture = filled(Limits { max_waiting: 4, ..long_turns() }, 5);
    let full = |fixture: &mut Fixture, number: u32| match fixture.run(join(number)).verdict {
        Verdict::Decided(Err(refusal)) => assert_eq!(refusal.code, Code::QueueFull),
        other => panic!("{other:?}"),
    };
    full(&mut fixture, 6);
    // 2 was seen once and is absent first; 3 and 4 never were.
    fixture.after(1).run(seen(&[2]));
    reported(&mut fixture, 4, &[1, 3, 4, 5]);
    reported(&mut fixture, 7, &[1, 5]);
    assert_eq!(fixture.live(), "1A 2- 3W 4W 5W");
    let mut never = filled(Limits { max_waiting: 3, ..long_turns() }, 4);
    reported(&mut never, 1, &[1, 2, 4]);
    reported(&mut never, 12, &[1, 4]);
    assert_eq!(never.live(), "1A 2- 3- 4W");
    let decision = never.run(join(5));
    assert_eq!((text(&decision.effects.ended).as_str(), never.live().as_str()), ("3E", "1A 2- 4W 5W"));
    never.run(join(6));
    assert_eq!(never.live(), "1A 4W 5W 6W");
    full(&mut never, 7);
}

#[test]
fn leaving_and_paying_end_an_absent_token_too() {
    for (command, ended) in [(leave(2), "2L"), (complete(2), "2C")] {
        let mut fixture = filled(long_turns(), 2);
        reported(&mut fixture, 10, &[1]);
        fixture.run(command);
        assert_eq!((text(fixture.stored.get(&2)).as_str(), fixture.row().absent), (ended, 0));
    }
}

#[test]
fn a_quiet_queue_is_not_taken_for_an_outage() {
    let mut fixture = Fixture::opened(long_turns());
    fixture.after(3_600_000).run(join(1));
    fixture.after(2_000).run(seen_ago(&[(1, 1_500)]));
    reported(&mut fixture, 9, &[]);
    assert_eq!(fixture.live(), "1A");
    let row = fixture.row().clone();
    let turn = fixture.state().token(1).and_then(|token| token.state.turn()).expect("a turn");
    assert!(turn.used && !row.presence.stood_since(turn.admitted_at, &row.limits, LogTime(fixture.now)));
}
