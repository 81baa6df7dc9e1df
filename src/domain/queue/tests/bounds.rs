//! What one decision may do at most, and when the rest is due.

use super::*;
use crate::domain::queue::{EFFECTS_BYTES_MAX, TOKEN_BYTES_MAX};

/// The effects of a decision as an outcome has them.
fn rendered(decision: &Decision<QueueState>) -> String {
    let list = |tokens: &[Token]| {
        let texts = tokens.iter().map(|token| {
            let user = token.user_id.as_str().replace('\\', "\\\\").replace('"', "\\\"");
            let status = token.state.status();
            let (sequence, until) = (token.sequence, "2026-11-21T07:00:00.123Z");
            format!(r#"{{"sequence":{sequence},"user_id":"{user}","status":"{status}","active_until":"{until}"}}"#)
        });
        texts.collect::<Vec<_>>().join(",")
    };
    let effects = &decision.effects;
    let (admitted, ended, requeued) = (list(&effects.admitted), list(&effects.ended), list(&effects.requeued));
    let (absent, returned) = (list(&effects.absent), list(&effects.returned));
    let lists = format!(r#""admitted":[{admitted}],"ended":[{ended}],"absent":[{absent}],"returned":[{returned}]"#);
    format!(r#"{{{lists},"requeued":[{requeued}]}}"#)
}

/// A queue of this many users, as many ACTIVE as one decision admits, whose numbers and names are as long as can be.
fn crowd(users: u32, name: impl Fn(u32) -> String) -> Fixture {
    let wide = Limits { max_active: users, max_waiting: users, ..limits() };
    let mut fixture = Fixture::opened(wide);
    fixture.run(configure(LimitsPatch::default(), Some(true), None));
    if let Some(queue) = &mut fixture.queue {
        queue.row.next_sequence = 10_u64.pow(18);
    }
    for number in 0..users {
        let user_id = name(number).parse().expect("a valid user id");
        fixture.run(Command::JoinQueue(OfUser { schedule_id: SCHEDULE, user_id }));
    }
    fixture
}

fn due_now(fixture: &Fixture) -> bool {
    fixture.state().next_due().is_some_and(|due| due.0 <= fixture.now)
}

#[test]
fn effects_stay_below_200_kib_for_the_longest_user_ids() {
    let longest = |number: u32| format!("{number:04}{}", "😀".repeat(124));
    // As many bytes in quotes that are escaped.
    let escaped = |number: u32| format!("{number:04}{}", "\"".repeat(124));
    for name in [&longest as &dyn Fn(u32) -> String, &escaped] {
        let mut fixture = crowd(1_500, name);
        let resume = fixture.run(configure(LimitsPatch::default(), Some(false), Some(1_500)));
        let admitted = fixture.row().active;
        let bytes = rendered(&resume).len();
        assert!((150 * 1024..EFFECTS_BYTES_MAX).contains(&bytes), "{bytes} for {admitted} admitted");
        assert!(due_now(&fixture), "the rest is due at once");
        while due_now(&fixture) {
            fixture.run(tick());
        }
        assert_eq!(fixture.row().active, 1_500);
        // Now all turns end, having been used, and all users are admitted again.
        let all = Sighting { first: 1, last: u64::MAX, age_ms: 0 };
        fixture.run(Command::Seen(Seen { schedule_id: SCHEDULE, sightings: vec![all] }));
        fixture.now += 1_000;
        let mut ticks = 0;
        while due_now(&fixture) {
            let decision = fixture.run(tick());
            let effects = &decision.effects;
            let bytes = rendered(&decision).len();
            assert!(bytes < EFFECTS_BYTES_MAX, "{bytes}");
            let ended = effects.ended.len();
            assert!(ended == 0 || effects.admitted.len() * 2 >= ended, "endings leave bytes for admissions");
            ticks += 1;
        }
        assert!(ticks > 5, "{ticks}");
        assert_eq!((fixture.row().active, fixture.row().expired), (1_500, 1_500));
    }
}

#[test]
fn a_token_of_a_longest_user_id_takes_what_is_reckoned() {
    let mut fixture = crowd(1, |_| "😀".repeat(128));
    let decision = fixture.run(configure(LimitsPatch::default(), Some(false), None));
    let lists = r#"{"admitted":[],"ended":[],"absent":[],"returned":[],"requeued":[]}"#.len();
    let bytes = rendered(&decision).len() - lists;
    assert!((TOKEN_BYTES_MAX - 32..TOKEN_BYTES_MAX).contains(&bytes), "{bytes}");
}

#[test]
fn with_short_names_one_decision_admits_more_than_a_thousand_and_stays_below_4000_rows() {
    let mut fixture = crowd(4_000, |number| format!("{number:036}"));
    let decision = fixture.run(configure(LimitsPatch::default(), Some(false), None));
    assert_eq!(fixture.row().active, 1_245);
    assert!(decision.changes.len() <= 4_000 && due_now(&fixture));

    let mut fixture = crowd(4_000, |number| number.to_string());
    let decision = fixture.run(configure(LimitsPatch::default(), Some(false), None));
    assert!(fixture.row().active > 1_500 && decision.changes.len() <= 4_000);
}

#[test]
fn more_absences_and_drops_than_a_decision_may_do_are_due_at_once_again() {
    let mut fixture = crowd(3_000, |number| number.to_string());
    let run_all = |fixture: &mut Fixture| {
        let mut ticks = 0;
        while due_now(fixture) {
            let decision = fixture.run(tick());
            assert!(rendered(&decision).len() < EFFECTS_BYTES_MAX);
            ticks += 1;
        }
        ticks
    };
    for _ in 0..4 {
        assert!(!due_now(&fixture));
        fixture.after(3_000).run(seen(&[]));
    }
    assert_eq!((run_all(&mut fixture), fixture.row().absent, fixture.row().waiting), (2, 3_000, 0));
    fixture.run(configure(LimitsPatch::default(), Some(false), None));
    assert_eq!(fixture.state().next_due(), Some(LogTime(fixture.now + 3_600_000)));
    fixture.now += 3_600_000;
    assert_eq!((run_all(&mut fixture), fixture.row().expired, fixture.row().absent), (3, 3_000, 0));
    assert_eq!(fixture.state().next_due(), None);
}

#[test]
fn a_report_of_4000_changes_4000_tokens_and_leaves_the_rest_to_the_tick() {
    let mut fixture = crowd(5_000, |number| number.to_string());
    let first = 10_u64.pow(18);
    for _ in 0..3 {
        fixture.after(3_000).run(seen(&[]));
    }
    let here = Sighting { first, last: first + 3_999, age_ms: 0 };
    let decision = fixture.after(3_000).run(Command::Seen(Seen { schedule_id: SCHEDULE, sightings: vec![here] }));
    assert_eq!((decision.changes.len(), fixture.row().absent), (4_001, 0), "the queue's row and the tokens'");
    assert!(due_now(&fixture));
    fixture.run(tick());
    assert_eq!((fixture.row().absent, fixture.row().waiting), (1_000, 4_000));
}

#[test]
fn a_tick_that_finds_nothing_due_has_no_outcome() {
    let mut fixture = Fixture::opened(limits());
    fixture.run(join(1));
    let decision = fixture.run(tick());
    assert_eq!(decision, Decision::nothing(vec![]));
}

#[test]
fn a_late_tick_does_not_make_every_command_rewrite_the_queues_row() {
    let mut fixture = Fixture::opened(limits());
    (1..=3).for_each(|number| drop(fixture.run(join(number))));
    let due = fixture.state().next_due();
    assert_eq!(due, Some(LogTime(fixture.now + 1_000)), "two turns end");
    for _ in 0..3 {
        let decision = fixture.after(1_000).run(join(3));
        assert!(matches!(decision.changes[..], [Row::Token(_)]), "{:?}", decision.changes);
    }
    assert_eq!(fixture.state().next_due(), due);
}

#[test]
#[should_panic(expected = "not a row of this queue")]
fn another_queues_row_is_never_taken_in() {
    let mut fixture = Fixture::opened(limits());
    let schedule_id = ScheduleId(uuid::Uuid::from_u128(8));
    let row = Queue { schedule_id, ..fixture.row().clone() };
    QueueState::apply(&mut fixture.queue, &Row::Queue(row));
}

#[test]
#[should_panic(expected = "not a row of this queue")]
fn a_token_of_no_queue_is_never_taken_in() {
    let mut fixture = Fixture::opened(limits());
    let (token, _) = fixture.joined(1);
    QueueState::apply(&mut None, &Row::Token(token));
}
