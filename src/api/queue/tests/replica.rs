//! A replica says what the owner knows.

use proptest::prelude::*;

use super::*;
use crate::api::queue::replica::{Found, Matters};
use crate::domain::queue::{TokenState, TokenStatus};

fn assert_same(owner: &Owner, replica: &Replica) {
    let state = owner.state();
    let counts = (replica.waiting(), replica.absent(), replica.active());
    assert_eq!(counts, (state.row.waiting, state.row.absent, state.row.active));
    for row in owner.rows.values() {
        let found = replica.find(&row.user_id, row.sequence, LogTime(owner.now));
        match (state.token_of(&row.user_id), found) {
            (Some(live), Found::Here(place)) => {
                assert_eq!((place.position, place.status), (live.sequence, live.state.status()));
                if place.status != TokenStatus::Absent {
                    assert_eq!(place.ahead, state.ahead(live.sequence).unwrap_or(0));
                }
                let matters = match live.state {
                    TokenState::Waiting => Matters::Sometime,
                    TokenState::Active(turn) if turn.used => Matters::Sometime,
                    _ => Matters::AtOnce,
                };
                assert_eq!(replica.matters(live.sequence), matters);
                assert_eq!(place.active_until, live.state.turn().map(|turn| turn.until));
            }
            (None, Found::Here(place)) => {
                assert_eq!(place, replica.ended(row.sequence, row.state.status(), LogTime(owner.now)))
            }
            (None, Found::Forgotten) => {}
            (live, found) => panic!("{live:?} {found:?}"),
        }
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    let users = 0u32..12;
    let leave = |n| Command::LeaveQueue(of_user(n));
    let patch = |max_active| LimitsPatch { max_active: Some(max_active), ..LimitsPatch::default() };
    prop_oneof![
        8 => users.clone().prop_map(join),
        2 => users.clone().prop_map(leave),
        2 => users.prop_map(|n| complete(n, i64::MAX)),
        3 => Just(tick()),
        1 => (0u32..6).prop_map(move |max| Command::ConfigureQueue(ConfigureQueue {
            schedule_id: SCHEDULE, user_id: user(0), patch: patch(max), paused: None, admit: None,
        })),
        1 => proptest::collection::vec(1u64..30, 1..5).prop_map(|mut sequences| {
            sequences.sort_unstable();
            sequences.dedup();
            seen(&sequences)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f05_a_replica_says_what_the_owner_knows(
        steps in proptest::collection::vec((0i64..30_000, any_command(), any::<bool>()), 1..60),
    ) {
        let mut owner = Owner::default();
        owner.run(open(Limits { active_ttl_ms: 20_000, abandon_after_ms: 60_000, ..limits(2) }));
        let mut replica = owner.replica();
        for (wait, command, look) in steps {
            owner.now += wait;
            owner.run(command);
            if look {
                owner.refresh(&mut replica);
                assert_same(&owner, &replica);
                assert_same(&owner, &owner.replica());
            }
        }
    }
}

#[test]
fn a_token_that_ended_while_the_pages_were_read_is_found_by_the_changes_after_the_row() {
    let mut owner = Owner::default();
    owner.run(open(limits(1)));
    (1..=3).for_each(|n| drop(owner.run(join(n))));
    let mut replica = Replica::new(owner.state().row.clone());
    let first_page: Vec<Token> = owner.state().tokens().take(2).cloned().collect();
    owner.run(complete(1, 0));
    replica.apply_loaded(first_page);
    replica.apply_loaded(owner.state().tokens().skip(1).cloned().collect());
    owner.refresh(&mut replica);
    assert_same(&owner, &replica);
}

#[test]
fn q5_a_requeued_users_old_token_shows_the_new_place() {
    let mut owner = Owner::default();
    owner.run(open(Limits { active_ttl_ms: 1_000, ..limits(1) }));
    (1..=3).for_each(|n| drop(owner.run(join(n))));
    owner.run(seen(&[1]));
    owner.now += 1_000;
    owner.run(tick());
    let replica = owner.replica();
    let Found::Here(place) = replica.find(&user(1), 1, LogTime(owner.now)) else { panic!() };
    assert_eq!((place.status, place.position, place.ahead), (TokenStatus::Waiting, 4, 1));
    assert_eq!(replica.find(&user(9), 5, LogTime(owner.now)), Found::NotYet);
    assert_eq!(replica.find(&user(9), 2, LogTime(owner.now)), Found::Forgotten);
}
