//! Any mix of commands, against the naive model.

use proptest::prelude::*;

use super::model::Model;
use super::*;
use crate::domain;
use crate::domain::queue::offer::Offer;
use crate::domain::queue::{Reply, WaitingOrder};

const USERS: u32 = 14;

fn any_limits() -> impl Strategy<Value = Limits> {
    let durations = (any_duration(), any_duration(), any_duration(), any_duration());
    (0u32..5, 0u32..8, any_rate(), any::<bool>(), durations).prop_map(
        |(max_active, max_waiting, admit_per_minute, requeue, durations)| {
            let (active_ttl_ms, abandon_after_ms, claim_after_ms, absent_max_ms) = durations;
            let on_timeout = if requeue { OnTimeout::Requeue } else { OnTimeout::Expire };
            Limits {
                max_active,
                active_ttl_ms,
                max_waiting,
                admit_per_minute,
                on_timeout,
                abandon_after_ms,
                claim_after_ms,
                absent_max_ms,
            }
        },
    )
}

fn any_open() -> impl Strategy<Value = OpenQueue> {
    (any_limits(), any_window()).prop_map(|(limits, (sales_open_at, starts_at))| {
        let Command::OpenQueue(opening) = open(limits) else { unreachable!() };
        OpenQueue { sales_open_at, starts_at, ..opening }
    })
}

/// Mostly open for all of a run.
fn any_window() -> impl Strategy<Value = (Option<LogTime>, LogTime)> {
    let time = || (999_000i64..1_060_000).prop_map(LogTime);
    (proptest::option::weighted(0.4, time()), prop_oneof![1 => time(), 3 => Just(LogTime(9_000_000))])
}

fn any_note() -> impl Strategy<Value = Command> {
    let block = prop_oneof![Just("main"), Just("east"), Just("west")];
    let state = prop_oneof![
        4 => Just(SaleState::Open), 2 => Just(SaleState::AllHeld),
        2 => Just(SaleState::SoldOut), 1 => Just(SaleState::Cancelled),
    ];
    (block, 0u64..30, state, any_window()).prop_map(|(block, version, state, (sales_open_at, starts_at))| {
        let note = SaleNote { version, state, sales_open_at, starts_at };
        Command::NoteSale(NoteSale { schedule_id: SCHEDULE, block: block.parse().expect("a block name"), note })
    })
}

fn any_sightings() -> impl Strategy<Value = Command> {
    let age = prop_oneof![Just(0i64), 0i64..200, 0i64..20_000];
    proptest::collection::vec((1u64..20, 1u64..4, age), 0..6).prop_map(|entries| {
        let mut last = 0;
        let next = |(gap, count, age_ms): (u64, u64, i64)| {
            let first = last + gap;
            last = first + count - 1;
            Sighting { first, last, age_ms }
        };
        Command::Seen(Seen { schedule_id: SCHEDULE, sightings: entries.into_iter().map(next).collect() })
    })
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

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        8 => (0..USERS).prop_map(join),
        2 => (0..USERS).prop_map(leave),
        2 => (0..USERS, any_paid_at()).prop_map(|(number, at)| paid(number, at)),
        2 => any_note(),
        4 => any_sightings(),
        4 => Just(tick()),
        1 => (any_patch(), proptest::option::of(any::<bool>()), proptest::option::of(0u32..4))
            .prop_map(|(patch, paused, admit)| configure(patch, paused, admit)),
        1 => any_open().prop_map(Command::OpenQueue),
    ]
}

/// Log time of a payment: before or after a join, or after all of them.
fn any_paid_at() -> impl Strategy<Value = i64> {
    prop_oneof![1_000_000i64..1_010_000, Just(i64::MAX)]
}

/// Milliseconds until the record; now and then until the moment something falls due.
fn any_wait() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![3 => Just(Some(0)), 4 => (0i64..40).prop_map(Some), 2 => (0i64..2_000).prop_map(Some), 3 => Just(None)]
}

fn opened(opening: OpenQueue) -> (Fixture, Model) {
    let mut fixture = Fixture { now: 1_000_000, ..Fixture::default() };
    let (mut model, command) = (Model::default(), Command::OpenQueue(opening));
    assert_eq!(model.run(&command, fixture.now), Ok(None));
    fixture.run(command);
    (fixture, model)
}

fn run_both(fixture: &mut Fixture, model: &mut Model, command: Command) -> Decision<QueueState> {
    let expected = model.run(&command, fixture.now);
    let was = fixture.row().clone();
    let statuses: BTreeMap<u64, TokenStatus> =
        fixture.stored.values().map(|t| (t.sequence, t.state.status())).collect();
    let is_tick = matches!(command, Command::Tick(_));
    let decision = fixture.run(command);
    assert_shown(&decision, |sequence| statuses.get(&sequence).copied());
    match (&decision.verdict, expected) {
        (Verdict::Decided(Ok(domain::Reply::Queues(Reply::Joined { token, ahead }))), Ok(Some(expected))) => {
            assert_eq!((token.sequence, *ahead), expected);
            assert_eq!(fixture.state().token(token.sequence), Some(token));
        }
        (Verdict::Decided(Ok(domain::Reply::Queues(Reply::Ticked { .. }))), Ok(None)) => {
            let ended: Vec<u64> = decision.effects.ended.iter().map(|token| token.sequence).collect();
            assert_eq!(ended, model.ended);
        }
        (Verdict::Nothing, Ok(None)) => {
            assert!(is_tick && decision.effects.is_empty() && decision.changes.is_empty(), "{decision:?}");
        }
        (Verdict::Decided(Ok(_)), Ok(None)) => {}
        (Verdict::Decided(Err(refusal)), Err(code)) => {
            assert_eq!(refusal.code, code);
            let allowed = [Code::QueueFull, Code::TokenNotFound, Code::SalesClosed, Code::ShowCancelled];
            assert!(allowed.contains(&code) && decision.changes.is_empty());
        }
        (verdict, expected) => panic!("{verdict:?} but the model says {expected:?}"),
    }
    let row = fixture.row();
    assert!(row.active <= was.active.max(row.limits.max_active.into()), "nobody is admitted above the limit");
    decision
}

/// Whoever follows the outcomes alone knows every token's sequence, user and state.
fn assert_shown(decision: &Decision<QueueState>, status_before: impl Fn(u64) -> Option<TokenStatus>) {
    let own = match &decision.verdict {
        Verdict::Decided(Ok(domain::Reply::Queues(
            Reply::Joined { token, .. } | Reply::Left(token) | Reply::TokenCompleted(token),
        ))) => Some(token),
        _ => None,
    };
    let effects = &decision.effects;
    let others = effects.admitted.iter().chain(&effects.ended).chain(&effects.absent);
    let others = others.chain(&effects.returned).chain(&effects.requeued);
    let shown: BTreeMap<u64, &Token> = own.into_iter().chain(others.clone()).map(|t| (t.sequence, t)).collect();
    assert_eq!(shown.len(), usize::from(own.is_some()) + others.count(), "each once");
    for row in &decision.changes {
        if let Row::Token(changed) = row
            && status_before(changed.sequence) != Some(changed.state.status())
        {
            assert_eq!(shown.get(&changed.sequence), Some(&changed));
        }
    }
}

fn assert_equal(fixture: &Fixture, model: &Model) {
    let unstamped = |token: &Token| Token { changed: model.row.as_ref().expect("open").changed, ..token.clone() };
    let stored: Vec<Token> = fixture.stored.values().map(unstamped).collect();
    assert_eq!(stored, model.tokens, "every row, so sequences run 1..=n without gap or duplicate");
    let state = fixture.state();
    let (kept, now) = (model.row.as_ref().expect("open"), LogTime(fixture.now));
    let row = Queue { changed: kept.changed, due_at: None, on_sale: kept.on_sale, ..state.row.clone() };
    assert_eq!(&row, kept, "counters as recounted");
    assert_eq!(row.waiting + row.absent + row.active, state.tokens().count() as u64);
    let on_sale = Offer::of(&row).read(&state.row.on_sale, row.paused(), now);
    assert_eq!(on_sale, SaleMs(model.on_sale_ms(fixture.now)), "the clock of the sale");
    let sale =
        if row.paused() && matches!(model.sale(), Sale::Open | Sale::AllHeld) { Sale::Paused } else { model.sale() };
    assert_eq!((row.sale_at(now), row.opens_at(now).is_some()), (sale, sale == Sale::Lobby));
    let from_now_on = |time: i64| time.max(fixture.now);
    assert_eq!(state.next_due().map(|due| from_now_on(due.0)), model.due_at().map(from_now_on));
    for token in &model.tokens {
        let ahead = (token.state == TokenState::Waiting).then(|| model.ahead(token.sequence));
        assert_eq!(state.ahead(token.sequence), ahead);
        assert_eq!(state.token(token.sequence).is_some(), token.state.is_live());
    }
    for number in 0..USERS {
        let live = fixture.stored.values().find(|token| token.state.is_live() && token.user_id == user(number));
        assert_eq!(state.token_of(&user(number)), live);
    }
    let rows = fixture.stored.values().cloned().map(Row::Token).chain([Row::Queue(state.row.clone())]);
    let recomputed = rows.fold(0, |hash, row| hash ^ QueueState::digest(&row));
    assert_eq!(fixture.hash, recomputed, "the hash's differences add up");
    let loaded = QueueState::load(state.row.clone(), fixture.stored.values().cloned().collect());
    assert_eq!((&loaded, loaded.next_due()), (state, state.next_due()));
    assert!(model.tokens.iter().all(|token| loaded.ahead(token.sequence) == state.ahead(token.sequence)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f04_f05_f06_f07_f08_any_history_equals_the_naive_model(
        opening in any_open(),
        steps in proptest::collection::vec((any_wait(), any_command()), 1..80),
    ) {
        let (mut fixture, mut model) = opened(opening);
        for (wait, command) in steps {
            match (wait, fixture.state().next_due()) {
                (Some(ms), _) => fixture.now += ms,
                (None, Some(due)) => fixture.now = fixture.now.max(due.0),
                (None, None) => {}
            }
            run_both(&mut fixture, &mut model, command);
            assert_equal(&fixture, &model);
        }
    }

    #[test]
    fn f08_a_tick_does_something_exactly_when_it_is_due_and_leaves_no_jam(
        opening in any_open(),
        steps in proptest::collection::vec((any_wait(), any_command()), 1..60),
    ) {
        let (mut fixture, mut model) = opened(opening);
        for (wait, command) in steps {
            fixture.now += wait.unwrap_or(7);
            run_both(&mut fixture, &mut model, command);
            if let (None, Some(due)) = (wait, fixture.state().next_due()) {
                fixture.now = fixture.now.max(due.0);
            }
            let due = fixture.state().next_due().is_some_and(|due| due.0 <= fixture.now);
            let decision = run_both(&mut fixture, &mut model, tick());
            prop_assert_eq!(due, !decision.changes.is_empty());
            prop_assert_eq!(due, decision.verdict != Verdict::Nothing);
            prop_assert!(fixture.state().next_due().is_none_or(|due| due.0 > fixture.now));
            prop_assert!(fixture.row().waiting == 0 || !model.allows(), "a free place and somebody who waits for it");
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
