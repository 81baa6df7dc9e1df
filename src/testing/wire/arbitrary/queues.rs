//! The queues lane.

use super::*;
use crate::domain::Body;
use crate::domain::block::{SaleNote, SaleState};
use crate::domain::queue::{
    Command, CompleteToken, ConfigureQueue, DURATION_MS_MAX, Limits, LimitsPatch, NoteSale, OfUser, OnTimeout,
    OpenQueue, Seen, Sighting, TOKENS_MAX,
};

fn limits() -> impl Strategy<Value = Limits> {
    let numbers = (1..=TOKENS_MAX, 0..=TOKENS_MAX, option::of(1..=TOKENS_MAX));
    let duration = || 1..=DURATION_MS_MAX;
    let on_timeout = proptest::sample::select(&OnTimeout::ALL[..]);
    (numbers, on_timeout, [duration(), duration(), duration(), duration()]).prop_map(
        |((max_active, max_waiting, admit_per_minute), on_timeout, durations)| {
            let [active_ttl_ms, abandon_after_ms, claim_after_ms, absent_max_ms] = durations;
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

fn patch() -> impl Strategy<Value = LimitsPatch> {
    (limits(), any::<[bool; 8]>()).prop_map(|(limits, given)| LimitsPatch {
        max_active: given[0].then_some(limits.max_active),
        active_ttl_ms: given[1].then_some(limits.active_ttl_ms),
        max_waiting: given[2].then_some(limits.max_waiting),
        admit_per_minute: given[3].then_some(limits.admit_per_minute),
        on_timeout: given[4].then_some(limits.on_timeout),
        abandon_after_ms: given[5].then_some(limits.abandon_after_ms),
        claim_after_ms: given[6].then_some(limits.claim_after_ms),
        absent_max_ms: given[7].then_some(limits.absent_max_ms),
    })
}

fn open() -> impl Strategy<Value = OpenQueue> {
    let blocks = btree_set(block(), 1..5).prop_map(|blocks| blocks.into_iter().collect());
    (schedule(), user(), limits(), option::of(time()), time(), blocks).prop_map(
        |(schedule_id, user_id, limits, sales_open_at, starts_at, blocks)| OpenQueue {
            schedule_id,
            user_id,
            limits,
            sales_open_at,
            starts_at,
            blocks,
        },
    )
}

fn note() -> impl Strategy<Value = SaleNote> {
    (0..=i64::MAX as u64, proptest::sample::select(&SaleState::ALL[..]), option::of(time()), time())
        .prop_map(|(version, state, sales_open_at, starts_at)| SaleNote { version, state, sales_open_at, starts_at })
}

fn sightings() -> impl Strategy<Value = Vec<Sighting>> {
    let gaps = proptest::collection::vec((1u64..1_000, 1u64..30, 0..=DURATION_MS_MAX), 0..100);
    (0..=i64::MAX as u64 - 1_000_000, gaps).prop_map(|(start, gaps)| {
        let mut last = start;
        let next = |(gap, count, age_ms)| {
            let first = last + gap;
            last = first + count - 1;
            Sighting { first, last, age_ms }
        };
        gaps.into_iter().map(next).collect()
    })
}

pub(super) fn body() -> BoxedStrategy<Body> {
    let of_user = || (schedule(), user()).prop_map(|(schedule_id, user_id)| OfUser { schedule_id, user_id });
    let configure = (schedule(), user(), patch(), option::of(any::<bool>()), option::of(1..=TOKENS_MAX));
    prop_oneof![
        open().prop_map(Command::OpenQueue),
        configure.prop_map(|(schedule_id, user_id, patch, paused, admit)| {
            Command::ConfigureQueue(ConfigureQueue { schedule_id, user_id, patch, paused, admit })
        }),
        of_user().prop_map(Command::JoinQueue),
        of_user().prop_map(Command::LeaveQueue),
        (schedule(), sightings()).prop_map(|(schedule_id, sightings)| Command::Seen(Seen { schedule_id, sightings })),
        (schedule(), user(), time()).prop_map(|(schedule_id, user_id, paid_at)| {
            Command::CompleteToken(CompleteToken { schedule_id, user_id, paid_at })
        }),
        (schedule(), block(), note())
            .prop_map(|(schedule_id, block, note)| { Command::NoteSale(NoteSale { schedule_id, block, note }) }),
        schedule().prop_map(Command::Tick),
    ]
    .prop_map(Body::Queues)
    .boxed()
}
