//! The ETA of a place against how long its holder really waits.

use super::*;
use crate::domain::queue::TokenState;

/// Runs the queue for a time with a refresh every 200 ms; `step` may send commands before each. Returns the ETA of each
/// token at `ask_at`, and how long it really waited.
fn etas_and_waits(mut owner: Owner, ask_at: i64, until: i64, mut step: impl FnMut(&mut Owner)) -> Vec<(f64, f64)> {
    let mut replica = owner.replica();
    let begin = owner.now;
    let mut etas: Vec<(u64, f64)> = Vec::new();
    while owner.now < begin + until {
        owner.now += 200;
        step(&mut owner);
        owner.run(tick());
        owner.refresh(&mut replica);
        if owner.now == begin + ask_at {
            for token in owner.state().tokens().filter(|token| token.state == TokenState::Waiting) {
                let place = replica.place_of(&token.user_id, LogTime(owner.now)).unwrap();
                etas.push((token.sequence, place.eta_seconds.unwrap() as f64));
            }
        }
    }
    let waited = |sequence: u64| {
        let admitted = owner.rows[&sequence].state.turn()?.admitted_at;
        Some((admitted.0 - begin - ask_at) as f64 / 1_000.0)
    };
    etas.into_iter().filter_map(|(sequence, eta)| Some((eta, waited(sequence)?))).collect()
}

fn assert_close(pairs: &[(f64, f64)], enough: usize) {
    assert!(pairs.len() >= enough, "{}", pairs.len());
    for (eta, actual) in pairs {
        // Whole seconds and a pace measured in steps: a second and a half either way.
        assert!((eta - actual).abs() <= 0.2 * actual + 1.5, "ETA {eta} s, waited {actual} s");
    }
}

#[test]
fn f02_eta_and_reality_agree_under_a_steady_rate() {
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    owner.run(open(Limits { admit_per_minute: Some(300), active_ttl_ms: 86_400_000, ..limits(100_000) }));
    (0..2_000).for_each(|n| drop(owner.run(join(n))));
    let pairs = etas_and_waits(owner, 20_000, 170_000, |_| {});
    assert_close(&pairs, 700);
}

#[test]
fn f02_eta_and_reality_agree_under_occupancy_control() {
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    owner.run(open(limits(50)));
    (0..1_500).for_each(|n| drop(owner.run(join(n))));
    // Two users pay in each 200 ms, first come first: ten a second.
    let mut paid = 0;
    let pairs = etas_and_waits(owner, 30_000, 120_000, |owner| {
        for _ in 0..2 {
            owner.run(complete(paid, owner.now));
            paid += 1;
        }
    });
    assert_close(&pairs, 800);
}
