//! Arbitrary commands within the domain's limits, for property tests.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::domain::command::*;
use crate::domain::queue::{DURATION_MS_MAX, Limits, LimitsPatch, OnTimeout, TOKENS_MAX};
use crate::domain::section::{HOLD_TTL_MS_MAX, SEATS_MAX, SEATS_PER_HOLD_MAX};
use crate::domain::wallet::AMOUNT_MAX;
use crate::domain::{
    Body, Code, Command, LogTime, PaymentId, RequestId, ReservationId, ScheduleId, SectionName, UserId,
};

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn schedule() -> impl Strategy<Value = ScheduleId> {
    uuid().prop_map(ScheduleId)
}

fn section() -> impl Strategy<Value = SectionName> {
    name(32).prop_map(|text| text.parse().unwrap())
}

fn user() -> impl Strategy<Value = UserId> {
    name(64).prop_map(|text| text.parse().unwrap())
}

fn name(max: usize) -> impl Strategy<Value = String> {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(['.', '_', '-']).collect();
    vec(proptest::sample::select(letters), 1..=max).prop_map(|chars| chars.into_iter().collect())
}

fn time() -> impl Strategy<Value = LogTime> {
    (-62_167_219_200_000i64..=253_402_300_799_999).prop_map(LogTime)
}

fn reason() -> impl Strategy<Value = Option<String>> {
    option::of(vec(any::<char>().prop_filter("no control characters", |c| !c.is_control()), 0..=200))
        .prop_map(|chars| chars.map(|chars| chars.into_iter().collect()))
}

fn origin() -> impl Strategy<Value = Origin> {
    (schedule(), section(), uuid(), uuid(), uuid()).prop_map(|(schedule_id, section, reservation, payment, request)| {
        Origin {
            schedule_id,
            section,
            reservation_id: ReservationId(reservation),
            payment_id: PaymentId(payment),
            request_id: RequestId(request),
        }
    })
}

fn settlement() -> impl Strategy<Value = Settlement> {
    prop_oneof![
        any::<i64>().prop_map(|balance| Settlement::Debited { balance }),
        proptest::sample::select(Code::ALL).prop_map(|code| Settlement::Declined { code }),
        any::<i64>().prop_map(|balance| Settlement::Refunded { balance }),
    ]
}

fn on_timeout() -> impl Strategy<Value = OnTimeout> {
    prop_oneof![Just(OnTimeout::Requeue), Just(OnTimeout::Expire)]
}

fn limits() -> impl Strategy<Value = Limits> {
    let tokens = 1..=TOKENS_MAX;
    let duration = 1..=DURATION_MS_MAX;
    (tokens.clone(), duration.clone(), 0..=TOKENS_MAX, option::of(tokens), on_timeout(), duration).prop_map(
        |(max_active, active_ttl_ms, max_waiting, admit_per_minute, on_timeout, abandon_after_ms)| Limits {
            max_active,
            active_ttl_ms,
            max_waiting,
            admit_per_minute,
            on_timeout,
            abandon_after_ms,
        },
    )
}

fn patch() -> impl Strategy<Value = LimitsPatch> {
    (limits(), any::<[bool; 6]>()).prop_map(|(limits, given)| LimitsPatch {
        max_active: given[0].then_some(limits.max_active),
        active_ttl_ms: given[1].then_some(limits.active_ttl_ms),
        max_waiting: given[2].then_some(limits.max_waiting),
        admit_per_minute: given[3].then_some(limits.admit_per_minute),
        on_timeout: given[4].then_some(limits.on_timeout),
        abandon_after_ms: given[5].then_some(limits.abandon_after_ms),
    })
}

fn seats_body() -> BoxedStrategy<Body> {
    let open = (schedule(), section(), user(), 1..=SEATS_MAX, 1..=AMOUNT_MAX, 1..=HOLD_TTL_MS_MAX);
    let more = (1..=SEATS_PER_HOLD_MAX, option::of(time()), time(), any::<bool>());
    let choice = prop_oneof![
        btree_set(1..=u32::MAX, 1..=SEATS_PER_HOLD_MAX as usize)
            .prop_map(|numbers| Choice::Seats(numbers.into_iter().collect())),
        (1..=SEATS_PER_HOLD_MAX).prop_map(Choice::BestAvailable),
    ];
    let of_user = || (schedule(), section(), user(), uuid().prop_map(ReservationId));
    prop_oneof![
        (open, more).prop_map(|(o, (max_seats_per_user, sales_open_at, starts_at, queue))| {
            let (schedule_id, section, user_id, seats, price, hold_ttl_ms) = o;
            let opened = OpenSection {
                schedule_id,
                section,
                user_id,
                seats,
                price,
                hold_ttl_ms,
                max_seats_per_user,
                sales_open_at,
                starts_at,
                queue,
            };
            Body::OpenSection(opened)
        }),
        (schedule(), section(), user(), choice).prop_map(|(schedule_id, section, user_id, choice)| {
            Body::HoldSeats(HoldSeats { schedule_id, section, user_id, choice })
        }),
        of_user().prop_map(|(schedule_id, section, user_id, reservation_id)| {
            Body::CancelReservation(CancelReservation { schedule_id, section, user_id, reservation_id })
        }),
        (of_user(), option::of(any::<i64>())).prop_map(|((schedule_id, section, user_id, reservation_id), amount)| {
            Body::PayReservation(PayReservation { schedule_id, section, user_id, reservation_id, amount })
        }),
        (origin(), user(), settlement()).prop_map(|(origin, user_id, settlement)| {
            Body::SettlePayment(SettlePayment { origin, user_id, settlement })
        }),
        (schedule(), section())
            .prop_map(|(schedule_id, section)| Body::ExpireHolds(ExpireHolds { schedule_id, section })),
    ]
    .boxed()
}

fn wallets_body() -> BoxedStrategy<Body> {
    prop_oneof![
        (user(), any::<i64>(), reason()).prop_map(|(user_id, amount, reason)| Body::ChargeWallet(ChargeWallet {
            user_id,
            amount,
            reason
        })),
        (user(), any::<i64>(), reason(), option::of(origin())).prop_map(|(user_id, amount, reason, origin)| {
            Body::DebitWallet(DebitWallet { user_id, amount, reason, origin })
        }),
        (user(), any::<i64>(), reason(), origin()).prop_map(|(user_id, amount, reason, origin)| {
            Body::CreditWallet(CreditWallet { user_id, amount, reason, origin })
        }),
    ]
    .boxed()
}

fn queues_body() -> BoxedStrategy<Body> {
    let sequences = btree_set(1..=i64::MAX as u64, 1..=200).prop_map(|set| set.into_iter().collect());
    prop_oneof![
        (schedule(), user(), limits()).prop_map(|(schedule_id, user_id, limits)| Body::OpenQueue(OpenQueue {
            schedule_id,
            user_id,
            limits
        })),
        (schedule(), user(), patch(), option::of(any::<bool>()), option::of(1..=TOKENS_MAX)).prop_map(
            |(schedule_id, user_id, patch, paused, admit)| {
                Body::ConfigureQueue(ConfigureQueue { schedule_id, user_id, patch, paused, admit })
            }
        ),
        (schedule(), user()).prop_map(|(schedule_id, user_id)| Body::JoinQueue(JoinQueue { schedule_id, user_id })),
        (schedule(), user()).prop_map(|(schedule_id, user_id)| Body::LeaveQueue(LeaveQueue { schedule_id, user_id })),
        (schedule(), sequences).prop_map(|(schedule_id, sequences)| Body::Seen(Seen { schedule_id, sequences })),
        (schedule(), user())
            .prop_map(|(schedule_id, user_id)| Body::CompleteToken(CompleteToken { schedule_id, user_id })),
        schedule().prop_map(|schedule_id| Body::Tick(Tick { schedule_id })),
    ]
    .boxed()
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    (uuid(), prop_oneof![seats_body(), wallets_body(), queues_body()])
        .prop_map(|(id, body)| Command { request_id: RequestId(id), body })
}
