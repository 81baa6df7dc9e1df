//! One example of every command type and outcome shape: what the golden files hold.

use uuid::Uuid;

use crate::domain::command::*;
use crate::domain::decision::Taken;
use crate::domain::queue::{Limits, LimitsPatch, OnTimeout, Queue, Token, TokenStatus};
use crate::domain::section::{Payment, PaymentStatus, Reservation, ReservationStatus};
use crate::domain::wallet::{Entry, EntryKind};
use crate::domain::{
    Arrival, Body, Code, Command, EntryId, Lane, LogTime, PaymentId, Position, Refusal, RequestId, ReservationId,
    ScheduleId, SectionName, Success, UserId, Verdict,
};
use crate::wire::OutcomeRecord;

/// 2026-11-21T07:00:00.123Z
const NOW: LogTime = LogTime(1_795_244_400_123);

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(0x0192_e4b0_0000_7000_8000_0000_0000_0000 | n)
}

fn schedule() -> ScheduleId {
    ScheduleId(uuid(0x5c))
}

fn section() -> SectionName {
    "A".parse().unwrap()
}

fn alice() -> UserId {
    "alice".parse().unwrap()
}

fn admin() -> UserId {
    "admin".parse().unwrap()
}

fn origin() -> Origin {
    Origin {
        schedule_id: schedule(),
        section: section(),
        reservation_id: ReservationId(uuid(0xe1)),
        payment_id: PaymentId(uuid(0xa1)),
        request_id: RequestId(uuid(0x11)),
    }
}

fn limits() -> Limits {
    Limits {
        max_active: 100,
        active_ttl_ms: 300_000,
        max_waiting: 50_000,
        admit_per_minute: Some(600),
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 180_000,
    }
}

fn settle(settlement: Settlement) -> Body {
    Body::SettlePayment(SettlePayment { origin: origin(), user_id: alice(), settlement })
}

fn hold(choice: Choice) -> Body {
    Body::HoldSeats(HoldSeats { schedule_id: schedule(), section: section(), user_id: alice(), choice })
}

fn debit(reason: Option<&str>, origin: Option<Origin>) -> Body {
    Body::DebitWallet(DebitWallet { user_id: alice(), amount: 500, reason: reason.map(str::to_owned), origin })
}

fn configure(patch: LimitsPatch, paused: Option<bool>, admit: Option<u32>) -> Body {
    Body::ConfigureQueue(ConfigureQueue { schedule_id: schedule(), user_id: admin(), patch, paused, admit })
}

fn seats_bodies() -> Vec<(&'static str, Body)> {
    let (schedule_id, reservation_id) = (schedule(), ReservationId(uuid(0xe1)));
    vec![
        (
            "open_section",
            Body::OpenSection(OpenSection {
                schedule_id,
                section: section(),
                user_id: admin(),
                seats: 50,
                price: 1000,
                hold_ttl_ms: 300_000,
                max_seats_per_user: 4,
                sales_open_at: Some(LogTime(NOW.0 - 3_600_000)),
                starts_at: LogTime(NOW.0 + 86_400_000),
                queue: true,
            }),
        ),
        ("hold_seats", hold(Choice::Seats(vec![12, 13]))),
        ("hold_seats_best_available", hold(Choice::BestAvailable(2))),
        (
            "cancel_reservation",
            Body::CancelReservation(CancelReservation {
                schedule_id,
                section: section(),
                user_id: alice(),
                reservation_id,
            }),
        ),
        (
            "pay_reservation",
            Body::PayReservation(PayReservation {
                schedule_id,
                section: section(),
                user_id: alice(),
                reservation_id,
                amount: Some(2000),
            }),
        ),
        ("settle_payment_debited", settle(Settlement::Debited { balance: 3000 })),
        ("settle_payment_declined", settle(Settlement::Declined { code: Code::InsufficientBalance })),
        ("settle_payment_refunded", settle(Settlement::Refunded { balance: 5000 })),
        ("expire_holds", Body::ExpireHolds(ExpireHolds { schedule_id, section: section() })),
    ]
}

fn wallets_bodies() -> Vec<(&'static str, Body)> {
    vec![
        (
            "charge_wallet",
            Body::ChargeWallet(ChargeWallet {
                user_id: alice(),
                amount: 5000,
                reason: Some("Gutschein \"Weihnachten\" für 50 €".to_owned()),
            }),
        ),
        ("debit_wallet", debit(Some("poster"), None)),
        ("debit_wallet_for_payment", debit(None, Some(origin()))),
        (
            "credit_wallet",
            Body::CreditWallet(CreditWallet {
                user_id: alice(),
                amount: 2000,
                reason: Some("cancelled".to_owned()),
                origin: origin(),
            }),
        ),
    ]
}

fn queues_bodies() -> Vec<(&'static str, Body)> {
    let schedule_id = schedule();
    let all = LimitsPatch {
        max_active: Some(200),
        active_ttl_ms: Some(240_000),
        max_waiting: Some(60_000),
        admit_per_minute: Some(Some(1200)),
        on_timeout: Some(OnTimeout::Expire),
        abandon_after_ms: Some(120_000),
    };
    let unlimited = LimitsPatch { admit_per_minute: Some(None), ..LimitsPatch::default() };
    vec![
        ("open_queue", Body::OpenQueue(OpenQueue { schedule_id, user_id: admin(), limits: limits() })),
        ("configure_queue", configure(all, Some(false), Some(10))),
        ("configure_queue_no_rate", configure(unlimited, None, None)),
        ("join_queue", Body::JoinQueue(JoinQueue { schedule_id, user_id: alice() })),
        ("leave_queue", Body::LeaveQueue(LeaveQueue { schedule_id, user_id: alice() })),
        ("seen", Body::Seen(Seen { schedule_id, sequences: vec![101, 102, 107] })),
        ("complete_token", Body::CompleteToken(CompleteToken { schedule_id, user_id: alice() })),
        ("tick", Body::Tick(Tick { schedule_id })),
    ]
}

/// Every command, by the name of its golden file.
pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let bodies = seats_bodies().into_iter().chain(wallets_bodies()).chain(queues_bodies());
    bodies.map(|(name, body)| (name, Command { request_id: RequestId(uuid(0x10)), body })).collect()
}

/// What an [`OutcomeRecord`] borrows from.
pub(crate) struct Outcome {
    command: &'static str,
    user_id: Option<UserId>,
    pub(crate) verdict: Verdict,
    lane: Lane,
}

impl Outcome {
    pub(crate) fn record(&self) -> OutcomeRecord<'_> {
        OutcomeRecord {
            request_id: RequestId(uuid(0x10)),
            command: self.command,
            user_id: self.user_id.as_ref(),
            verdict: &self.verdict,
            decided: arrival(self.lane, 1234),
        }
    }
}

fn arrival(lane: Lane, offset: u64) -> Arrival {
    Arrival { position: Position { lane, partition: 3, offset }, time: NOW }
}

fn reservation(status: ReservationStatus) -> Reservation {
    Reservation {
        id: ReservationId(uuid(0xe1)),
        schedule_id: schedule(),
        section: section(),
        user_id: alice(),
        seats: vec![12, 13],
        amount: 2000,
        status,
        expires_at: NOW.plus_ms(300_000),
        payment: None,
        held: arrival(Lane::Seats, 1000),
        changed: arrival(Lane::Seats, 1234),
    }
}

fn token(sequence: u64, status: TokenStatus) -> Token {
    Token {
        schedule_id: schedule(),
        sequence,
        user_id: alice(),
        status,
        joined_at: NOW,
        admitted_at: None,
        active_until: (status == TokenStatus::Active).then(|| NOW.plus_ms(300_000)),
        last_seen: NOW,
        changed: arrival(Lane::Queues, 1234),
    }
}

fn queue() -> Queue {
    Queue {
        schedule_id: schedule(),
        limits: limits(),
        paused: false,
        next_sequence: 43,
        waiting: 32,
        active: 10,
        admitted: 10,
        completed: 0,
        expired: 0,
        left: 0,
        rate_next_us: 0,
        changed: arrival(Lane::Queues, 1234),
    }
}

fn seats_outcomes() -> Vec<(&'static str, &'static str, Success)> {
    let payment = Payment {
        id: PaymentId(uuid(0xa1)),
        reservation_id: ReservationId(uuid(0xe1)),
        user_id: alice(),
        amount: 2000,
        status: PaymentStatus::Completed,
        failure: None,
        request_id: RequestId(uuid(0x10)),
        created_at: NOW,
        changed: arrival(Lane::Seats, 1234),
    };
    let opened = Success::SectionOpened { schedule_id: schedule(), section: section(), seats: 50, price: 1000 };
    let held = |expired| Success::Held { reservation: reservation(ReservationStatus::Held), expired };
    let refunded = Success::Refunded { reservation: reservation(ReservationStatus::Refunded), balance: 5000 };
    let expired = Success::HoldsExpired {
        schedule_id: schedule(),
        section: section(),
        reservations: vec![ReservationId(uuid(0xe0)), ReservationId(uuid(0xe1))],
        seats: vec![11, 12, 13],
    };
    vec![
        ("section_opened", "open_section", opened),
        ("held", "hold_seats", held(vec![])),
        ("held_over_expired", "hold_seats", held(vec![ReservationId(uuid(0xe0))])),
        ("cancelled", "cancel_reservation", Success::Cancelled(reservation(ReservationStatus::Cancelled))),
        ("refunded", "cancel_reservation", refunded),
        ("payment_completed", "pay_reservation", Success::PaymentCompleted { payment, balance: 3000 }),
        ("settled", "settle_payment", Success::Settled(reservation(ReservationStatus::Confirmed))),
        ("holds_expired", "expire_holds", expired),
    ]
}

fn wallets_outcomes() -> Vec<(&'static str, &'static str, Success)> {
    let changed = |kind, amount, balance_after| {
        Success::WalletChanged(Entry {
            id: EntryId(uuid(0xe5)),
            user_id: alice(),
            number: 7,
            kind,
            amount,
            balance_after,
            reason: None,
            request_id: RequestId(uuid(0x10)),
            at: arrival(Lane::Wallets, 1234),
        })
    };
    vec![
        ("charged", "charge_wallet", changed(EntryKind::Charge, 5000, 6000)),
        ("debited", "debit_wallet", changed(EntryKind::Debit, 500, 5500)),
        ("credited", "credit_wallet", changed(EntryKind::Refund, 2000, 7500)),
    ]
}

fn queues_outcomes() -> Vec<(&'static str, &'static str, Success)> {
    let schedule_id = schedule();
    let active = || vec![token(11, TokenStatus::Active)];
    let configured = Success::QueueConfigured { queue: queue(), admitted: active() };
    let joined = |token, ahead, admitted, ended| Success::Joined { token, ahead, admitted, ended };
    let joined_active = joined(token(12, TokenStatus::Active), 0, active(), vec![token(3, TokenStatus::Expired)]);
    let joined_waiting = joined(token(42, TokenStatus::Waiting), 31, vec![], vec![]);
    let completed = Success::TokenCompleted { token: token(2, TokenStatus::Completed), admitted: active() };
    let ended = vec![token(3, TokenStatus::Expired), token(4, TokenStatus::Expired)];
    let requeued = vec![token(43, TokenStatus::Waiting)];
    vec![
        ("queue_opened", "open_queue", Success::QueueOpened(queue())),
        ("queue_configured", "configure_queue", configured),
        ("joined_waiting", "join_queue", joined_waiting),
        ("joined_active", "join_queue", joined_active),
        ("left", "leave_queue", Success::Left { token: token(42, TokenStatus::Left), admitted: active() }),
        ("seen_noted", "seen", Success::SeenNoted { schedule_id, tokens: 3 }),
        ("token_completed", "complete_token", completed),
        ("ticked", "tick", Success::Ticked { schedule_id, admitted: active(), ended, requeued }),
    ]
}

fn refusals() -> Vec<(&'static str, Outcome)> {
    let taken = Taken { section: section(), seat: 12, by: arrival(Lane::Seats, 1000) };
    let seat_taken =
        Refusal { code: Code::SeatTaken, detail: "Seat A-12 was taken before.".to_owned(), taken: Some(taken) };
    let refused =
        |command, refusal, lane| Outcome { command, user_id: Some(alice()), verdict: Verdict::Rejected(refusal), lane };
    let poor = Refusal::new(Code::InsufficientBalance, "The balance is 100, 500 are needed.");
    vec![
        ("rejected_seat_taken", refused("hold_seats", seat_taken, Lane::Seats)),
        ("rejected_insufficient_balance", refused("debit_wallet", poor, Lane::Wallets)),
    ]
}

/// Every shape of an outcome, by the name of its golden file.
pub(crate) fn outcomes() -> Vec<(&'static str, Outcome)> {
    let internal = |command| matches!(command, "expire_holds" | "seen" | "tick");
    let of_lane = |lane| {
        move |(name, command, success)| {
            let user_id = (!internal(command)).then(alice);
            (name, Outcome { command, user_id, verdict: Verdict::Succeeded(success), lane })
        }
    };
    seats_outcomes()
        .into_iter()
        .map(of_lane(Lane::Seats))
        .chain(wallets_outcomes().into_iter().map(of_lane(Lane::Wallets)))
        .chain(queues_outcomes().into_iter().map(of_lane(Lane::Queues)))
        .chain(refusals())
        .collect()
}
