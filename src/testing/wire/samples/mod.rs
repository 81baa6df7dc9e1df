//! One example of every command type and outcome shape: what the golden files hold. A file a lane.

mod queues;
mod seats;
mod wallets;

use uuid::Uuid;

use crate::domain::block::Origin;
use crate::domain::{
    Amount, Arrival, Asking, Balance, BlockKey, Body, Code, Command, CommandKind, Effects, Fingerprint, Lane, LogTime,
    More, PaymentId, Position, Refusal, RequestId, ReservationId, ScheduleId, SeatId, UserId,
};
use crate::wire::outcome::OutcomeRecord;

/// 2026-11-21T07:00:00.123Z
const NOW: LogTime = LogTime(1_795_244_400_123);
const HOUR_MS: i64 = 3_600_000;

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(0x0192_e4b0_0000_7000_8000_0000_0000_0000 | n)
}

fn schedule() -> ScheduleId {
    ScheduleId(uuid(0x5c))
}

fn key() -> BlockKey {
    BlockKey { schedule_id: schedule(), block: "north".parse().unwrap() }
}

fn reservation_id() -> ReservationId {
    ReservationId(uuid(0xe1))
}

fn payment_id() -> PaymentId {
    PaymentId(uuid(0xa1))
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn alice() -> UserId {
    user("alice")
}

fn admin() -> UserId {
    user("admin")
}

/// Staff with a name that has to be escaped.
fn clerk() -> UserId {
    user("Zoë \"desk 7\"")
}

fn seat(text: &str) -> SeatId {
    text.parse().unwrap()
}

fn amount(n: i64) -> Amount {
    Amount::new(n).unwrap()
}

fn balance(n: i64) -> Balance {
    Balance::new(n).unwrap()
}

fn arrival(lane: Lane, offset: u64) -> Arrival {
    Arrival { position: Position::new(lane, 3, offset), time: NOW }
}

fn asking(by: Option<UserId>) -> Asking {
    Asking { request_id: RequestId(uuid(0x11)), fingerprint: Fingerprint(0x0123_4567_89ab_cdef), by }
}

fn origin(asking: Option<Asking>) -> Origin {
    Origin { key: key(), reservation_id: reservation_id(), payment_id: payment_id(), asking }
}

/// A command by the name of its golden file.
struct Sample {
    name: &'static str,
    by: Option<UserId>,
    body: Body,
}

impl Sample {
    fn by(mut self, by: UserId) -> Sample {
        self.by = Some(by);
        self
    }
}

/// Every command, by the name of its golden file.
pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let all = seats::commands().into_iter().chain(wallets::commands()).chain(queues::commands());
    all.map(|Sample { name, by, body }| (name, Command { request_id: RequestId(uuid(0x10)), by, body })).collect()
}

/// What an [`OutcomeRecord`] borrows from.
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    command: CommandKind,
    user_id: Option<UserId>,
    by: Option<UserId>,
    outcome: crate::domain::Outcome,
    effects: Effects,
}

impl Outcome {
    fn of(name: &'static str, command: CommandKind, outcome: crate::domain::Outcome) -> Outcome {
        use CommandKind::*;
        let user_id = (!matches!(command, ExpireHolds | Seen | NoteSale | Tick)).then(alice);
        Outcome { name, command, user_id, by: None, outcome, effects: Effects::default() }
    }

    fn ok(name: &'static str, command: CommandKind, reply: impl Into<crate::domain::Reply>) -> Outcome {
        Outcome::of(name, command, Ok(reply.into()))
    }

    fn with(mut self, effects: Effects) -> Outcome {
        self.effects = effects;
        self
    }

    fn by(mut self, by: UserId) -> Outcome {
        self.by = Some(by);
        self
    }

    pub(crate) fn record(&self) -> OutcomeRecord<'_> {
        let lane = self.command.lane();
        OutcomeRecord {
            request_id: RequestId(uuid(0x10)),
            command: self.command,
            user_id: self.user_id.as_ref(),
            by: self.by.as_ref(),
            fingerprint: Fingerprint(0xabc),
            schedule_id: (lane != Lane::Wallets).then(schedule),
            outcome: &self.outcome,
            effects: &self.effects,
            decided: arrival(lane, 1234),
        }
    }
}

fn refusals() -> Vec<Outcome> {
    let first = || arrival(Lane::Seats, 1000);
    let taken = More::Taken { seat: seat("A-12"), by: first() };
    let refused = |name, command, code, detail: &str, more| {
        Outcome::of(name, command, Err(Refusal::new(code, detail).with(more)))
    };
    use CommandKind::{CheckTicket, DebitWallet, HoldSeats};
    vec![
        refused("rejected_seat_taken", HoldSeats, Code::SeatTaken, "seat A-12 was taken before", taken),
        refused(
            "rejected_hold_cooldown",
            HoldSeats,
            Code::HoldCooldown,
            "a hold of seat A-12 ended a moment ago",
            More::AgainAt(NOW.plus_ms(30_000)),
        ),
        refused("rejected_ticket_used", CheckTicket, Code::TicketUsed, "it was used before", More::Used(first())),
        refused(
            "rejected_insufficient_balance",
            DebitWallet,
            Code::InsufficientBalance,
            "the balance is 100, 500 is needed",
            More::Nothing,
        ),
    ]
}

/// Every shape of an outcome.
pub(crate) fn outcomes() -> Vec<Outcome> {
    let replies = seats::outcomes().into_iter().chain(wallets::outcomes()).chain(queues::outcomes());
    replies.chain(refusals()).collect()
}
