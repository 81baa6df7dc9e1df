//! Any mix of commands, against the naive model.

use proptest::prelude::*;

use super::model::Model;
use super::*;
use crate::domain::Code;
use crate::domain::queue::{LimitsPatch, TokenStatus, WaitingOrder};

const USERS: u32 = 14;

fn any_limits() -> impl Strategy<Value = Limits> {
    (0u32..5, any_duration(), 0u32..8, any_rate(), any::<bool>(), any_duration()).prop_map(
        |(max_active, active_ttl_ms, max_waiting, admit_per_minute, requeue, abandon_after_ms)| Limits {
            max_active,
            active_ttl_ms,
            max_waiting,
            admit_per_minute,
            on_timeout: if requeue { OnTimeout::Requeue } else { OnTimeout::Expire },
            abandon_after_ms,
        },
    )
}

fn any_rate() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![4 => Just(None), 1 => Just(Some(0)), 4 => (1u32..600).prop_map(Some), 1 => (600u32..20_000).prop_map(Some)]
}

/// Milliseconds: some shorter, some longer than the pace of admissions.
fn any_duration() -> impl Strategy<Value = i64> {
    prop_oneof![1i64..150, 1_000i64..20_000]
}

fn any_patch() -> impl Strategy<Value = LimitsPatch> {
    let max_waiting = proptest::option::of(0u32..20);
    (proptest::option::of(0u32..6), max_waiting, proptest::option::of(any_rate()), proptest::option::of(any_duration()))
        .prop_map(|(max_active, max_waiting, admit_per_minute, active_ttl_ms)| LimitsPatch {
            max_active,
            max_waiting,
            admit_per_minute,
            active_ttl_ms,
            ..LimitsPatch::default()
        })
}

fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        8 => (0..USERS).prop_map(join),
        2 => (0..USERS).prop_map(leave),
        2 => (0..USERS).prop_map(complete),
        2 => proptest::collection::vec(0u64..60, 0..10).prop_map(|sequences| seen(&sequences)),
        4 => Just(tick()),
        1 => (any_patch(), proptest::option::of(any::<bool>()), proptest::option::of(0u32..4))
            .prop_map(|(patch, paused, admit)| configure(patch, paused, admit)),
        1 => any_limits().prop_map(open),
    ]
}

/// Milliseconds until the record; now and then until the moment something falls due.
fn any_wait() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![3 => Just(Some(0)), 4 => (0i64..40).prop_map(Some), 2 => (0i64..2_000).prop_map(Some), 3 => Just(None)]
}

fn run_both(fixture: &mut Fixture, model: &mut Model, body: Body) -> Decision {
    let told = model.run(&body, fixture.now);
    let was = fixture.row().clone();
    let statuses: BTreeMap<u64, TokenStatus> = fixture.stored.values().map(|t| (t.sequence, t.status)).collect();
    let decision = fixture.run(body);
    assert_told(&decision, |sequence| statuses.get(&sequence).copied());
    match (&decision.verdict, told) {
        (Verdict::Succeeded(Success::Joined { token, ahead, .. }), Ok(Some(expected))) => {
            assert_eq!((token.sequence, *ahead), expected);
            assert_eq!(fixture.state().token(token.sequence), Some(token));
        }
        (Verdict::Succeeded(Success::Ticked { ended, .. }), Ok(None)) => {
            assert_eq!(ended.iter().map(|token| token.sequence).collect::<Vec<_>>(), model.ended);
        }
        (Verdict::Succeeded(_), Ok(None)) => {}
        (Verdict::Rejected(refusal), Err(code)) => {
            assert_eq!(refusal.code, code);
            assert!(matches!(code, Code::QueueFull | Code::TokenNotFound) && decision.changes.is_empty());
        }
        (verdict, told) => panic!("{verdict:?} but the model says {told:?}"),
    }
    let row = fixture.row();
    assert!(row.active <= was.active.max(row.limits.max_active.into()), "nobody is let in above the limit");
    decision
}

/// Whoever follows the outcomes alone knows every token's sequence, user and status.
fn assert_told(decision: &Decision, seen_status: impl Fn(u64) -> Option<TokenStatus>) {
    let Verdict::Succeeded(success) = &decision.verdict else { return };
    let none = Vec::new();
    let (token, lists): (Option<&Token>, [&Vec<Token>; 3]) = match success {
        Success::QueueConfigured { admitted, .. } => (None, [admitted, &none, &none]),
        Success::Joined { token, admitted, ended, .. } => (Some(token), [admitted, ended, &none]),
        Success::Left { token, admitted } => (Some(token), [admitted, &none, &none]),
        Success::TokenCompleted { token, admitted } => (Some(token), [admitted, &none, &none]),
        Success::Ticked { admitted, ended, requeued, .. } => (None, [admitted, ended, requeued]),
        _ => (None, [&none, &none, &none]),
    };
    let told: BTreeMap<u64, &Token> =
        token.into_iter().chain(lists.into_iter().flatten()).map(|token| (token.sequence, token)).collect();
    assert_eq!(told.len(), usize::from(token.is_some()) + lists.iter().map(|l| l.len()).sum::<usize>(), "told once");
    for change in &decision.changes {
        if let Change::Token(changed) = change
            && seen_status(changed.sequence) != Some(changed.status)
        {
            assert_eq!(told.get(&changed.sequence), Some(&changed));
        }
    }
}

fn assert_equal(fixture: &Fixture, model: &Model) {
    let unstamped = |token: &Token| Token { changed: model.row.as_ref().expect("open").changed, ..token.clone() };
    let stored: Vec<Token> = fixture.stored.values().map(unstamped).collect();
    assert_eq!(stored, model.tokens, "every row, so sequences run 1..=n without gap or duplicate");
    let state = fixture.state();
    let row = Queue { changed: model.row.as_ref().expect("open").changed, ..state.row.clone() };
    assert_eq!(Some(&row), model.row.as_ref(), "counters as recounted");
    for token in &model.tokens {
        let ahead = (token.status == TokenStatus::Waiting).then(|| model.ahead(token.sequence));
        assert_eq!(state.ahead(token.sequence), ahead);
        assert_eq!(state.token(token.sequence).is_some(), token.status.is_live());
    }
    for number in 0..USERS {
        let live = fixture.stored.values().find(|token| token.status.is_live() && token.user_id == user(number));
        assert_eq!(state.token_of(&user(number)), live);
    }
    let rows = fixture.stored.values().cloned().map(Change::Token);
    let recomputed = rows.chain([Change::Queue(state.row.clone())]).fold(0, |hash, row| hash ^ row.digest());
    assert_eq!(fixture.hash, recomputed, "the hash's differences add up");
    let loaded = QueueState::load(state.row.clone(), fixture.stored.values().cloned().collect());
    assert_eq!((&loaded, loaded.next_due()), (state, state.next_due()));
    assert!(model.tokens.iter().all(|token| loaded.ahead(token.sequence) == state.ahead(token.sequence)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f04_f05_f06_f07_f08_any_history_equals_the_naive_model(
        limits in any_limits(),
        steps in proptest::collection::vec((any_wait(), any_body()), 1..80),
    ) {
        let mut fixture = Fixture::opened(limits.clone());
        let mut model = Model::default();
        prop_assert!(model.run(&open(limits), fixture.now).is_ok());
        for (wait, body) in steps {
            match (wait, fixture.state().next_due()) {
                (Some(ms), _) => fixture.now += ms,
                (None, Some(due)) => fixture.now = fixture.now.max(due.0),
                (None, None) => {}
            }
            run_both(&mut fixture, &mut model, body);
            assert_equal(&fixture, &model);
        }
    }

    #[test]
    fn f08_a_tick_does_something_exactly_when_it_is_due_and_leaves_no_jam(
        limits in any_limits(),
        steps in proptest::collection::vec((any_wait(), any_body()), 1..60),
    ) {
        let mut fixture = Fixture::opened(limits.clone());
        let mut model = Model::default();
        prop_assert!(model.run(&open(limits), fixture.now).is_ok());
        for (wait, body) in steps {
            fixture.now += wait.unwrap_or(7);
            run_both(&mut fixture, &mut model, body);
            if let (None, Some(due)) = (wait, fixture.state().next_due()) {
                fixture.now = fixture.now.max(due.0);
            }
            let due = fixture.state().next_due().is_some_and(|due| due.0 <= fixture.now);
            let decision = run_both(&mut fixture, &mut model, tick());
            prop_assert_eq!(due, !decision.changes.is_empty());
            prop_assert!(fixture.state().next_due().is_none_or(|due| due.0 > fixture.now));
            prop_assert!(fixture.row().waiting == 0 || !model.lets_in(), "a free place and somebody who waits for it");
        }
    }

    #[test]
    fn the_order_counts_like_a_sorted_list(
        steps in proptest::collection::vec((any::<bool>(), 0u64..20_000), 1..400),
    ) {
        let mut order = WaitingOrder::default();
        let mut list = std::collections::BTreeSet::new();
        for (put, sequence) in steps {
            let (said, expected) =
                if put { (order.insert(sequence), list.insert(sequence)) } else { (order.remove(sequence), list.remove(&sequence)) };
            prop_assert_eq!(said, expected);
            for probe in [0, sequence, sequence + 1, sequence / 2, 30_000] {
                prop_assert_eq!(order.before(probe), list.range(..probe).count() as u64);
                prop_assert_eq!(order.at_or_after(probe), list.range(probe..).next().copied());
                prop_assert_eq!(order.contains(probe), list.contains(&probe));
            }
            prop_assert_eq!(order.len(), list.len() as u64);
        }
    }
}
