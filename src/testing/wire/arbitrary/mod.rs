//! Arbitrary commands and refusals within the domain's limits, for property tests. A file a lane.

mod queues;
mod seats;
mod wallets;

use std::str::FromStr;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use crate::domain::block::Origin;
use crate::domain::{
    Amount, Arrival, Asking, Balance, BlockKey, BlockName, Code, Command, Fingerprint, Lane, LogTime, More, PaymentId,
    Position, Reason, Refusal, RequestId, ReservationId, ScheduleId, UserId,
};

/// Some of what has to be escaped, or looks as if it had to, among any characters.
fn text(max: usize) -> impl Strategy<Value = String> {
    let special = proptest::sample::select(vec!['"', '\\', '/', '-', '\'', ' ', '{', 'a', 'é', '席', '😀', '\u{301}']);
    vec(prop_oneof![special, any::<char>()], 1..=max).prop_map(|chars| chars.into_iter().collect())
}

/// A name of this type, in NFC.
fn name<N: FromStr + std::fmt::Debug>() -> impl Strategy<Value = N> {
    // Short, since the normal form of a text may be three times as long.
    text(20).prop_filter_map("a name", |text| text.nfc().filter(|c| !c.is_control()).collect::<String>().parse().ok())
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn schedule() -> impl Strategy<Value = ScheduleId> {
    uuid().prop_map(ScheduleId)
}

fn block() -> impl Strategy<Value = BlockName> {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(['.', '_', '-']).collect();
    vec(proptest::sample::select(letters), 1..=32)
        .prop_map(|chars| chars.into_iter().collect::<String>().parse().unwrap())
}

fn key() -> impl Strategy<Value = BlockKey> {
    let block = prop_oneof![Just(BlockName::main()), block()];
    (schedule(), block).prop_map(|(schedule_id, block)| BlockKey { schedule_id, block })
}

pub(crate) fn user() -> impl Strategy<Value = UserId> {
    name()
}

fn reservation() -> impl Strategy<Value = ReservationId> {
    uuid().prop_map(ReservationId)
}

/// What the text of a time can say.
fn time() -> impl Strategy<Value = LogTime> {
    (-62_167_219_200_000i64..=253_402_300_799_999).prop_map(LogTime)
}

fn amount() -> impl Strategy<Value = Amount> {
    (0..=100_000_000_000_000i64).prop_map(|n| Amount::new(n).unwrap())
}

fn balance() -> impl Strategy<Value = Balance> {
    (0..=i64::MAX).prop_map(|n| Balance::new(n).unwrap())
}

fn code() -> impl Strategy<Value = Code> {
    proptest::sample::select(&Code::ALL[..])
}

fn reason() -> impl Strategy<Value = Option<Reason>> {
    let reason = vec(any::<char>().prop_filter("no control characters", |c| !c.is_control()), 0..=200);
    option::of(reason.prop_map(|chars| chars.into_iter().collect::<String>().parse().unwrap()))
}

fn asking() -> impl Strategy<Value = Asking> {
    (uuid(), any::<u64>(), option::of(user())).prop_map(|(id, hash, by)| Asking {
        request_id: RequestId(id),
        fingerprint: Fingerprint(hash),
        by,
    })
}

fn origin() -> impl Strategy<Value = Origin> {
    (key(), reservation(), uuid(), option::of(asking())).prop_map(|(key, reservation_id, payment, asking)| Origin {
        key,
        reservation_id,
        payment_id: PaymentId(payment),
        asking,
    })
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let position = (proptest::sample::select(&Lane::ALL[..]), any::<u32>(), 0..=i64::MAX as u64);
    (position, time()).prop_map(|((lane, partition, offset), time)| Arrival {
        position: Position::new(lane, partition, offset),
        time,
    })
}

/// With a sentence of any characters but U+0000, which no name can bring in.
pub(crate) fn refusal() -> impl Strategy<Value = Refusal> {
    let more = prop_oneof![
        Just(More::Nothing),
        (seats::seat(), arrival()).prop_map(|(seat, by)| More::Taken { seat, by }),
        time().prop_map(More::AgainAt),
        arrival().prop_map(More::Used),
    ];
    let detail = text(100).prop_map(|text| text.replace('\0', ""));
    (code(), detail, more).prop_map(|(code, detail, more)| Refusal::new(code, detail).with(more))
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    (uuid(), option::of(user()), prop_oneof![seats::body(), wallets::body(), queues::body()])
        .prop_map(|(id, by, body)| Command { request_id: RequestId(id), by, body })
}
