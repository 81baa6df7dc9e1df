//! The queues lane.

use super::*;
use crate::domain::block::{SaleNote, SaleState};
use crate::domain::queue::{
    Command, CompleteToken, ConfigureQueue, Ending, Limits, LimitsPatch, NoteSale, OfUser, OnTimeout, OpenQueue,
    PresenceClock, PresenceMs, Queue, Reply, SaleClock, SaleMs, Seen, Sighting, Token, TokenState, Turn,
};

fn limits() -> Limits {
    Limits {
        max_active: 100,
        active_ttl_ms: 300_000,
        max_waiting: 50_000,
        admit_per_minute: Some(600),
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 180_000,
        claim_after_ms: 60_000,
        absent_max_ms: HOUR_MS,
    }
}

fn note() -> SaleNote {
    SaleNote {
        version: 1234,
        state: SaleState::AllHeld,
        sales_open_at: Some(NOW.plus_ms(-HOUR_MS)),
        starts_at: NOW.plus_ms(24 * HOUR_MS),
    }
}

fn sighting(first: u64, last: u64, age_ms: i64) -> Sighting {
    Sighting { first, last, age_ms }
}

fn configure(patch: LimitsPatch, paused: Option<bool>, admit: Option<u32>) -> Command {
    Command::ConfigureQueue(ConfigureQueue { schedule_id: schedule(), user_id: admin(), patch, paused, admit })
}

pub(super) fn commands() -> Vec<Sample> {
    let schedule_id = schedule();
    let open = OpenQueue {
        schedule_id,
        user_id: admin(),
        limits: limits(),
        sales_open_at: Some(NOW.plus_ms(-HOUR_MS)),
        starts_at: NOW.plus_ms(24 * HOUR_MS),
        blocks: vec!["main".parse().unwrap(), "north".parse().unwrap()],
    };
    let all = LimitsPatch {
        max_active: Some(200),
        active_ttl_ms: Some(240_000),
        max_waiting: Some(60_000),
        admit_per_minute: Some(Some(1200)),
        on_timeout: Some(OnTimeout::Expire),
        abandon_after_ms: Some(120_000),
        claim_after_ms: Some(30_000),
        absent_max_ms: Some(2 * HOUR_MS),
    };
    let unlimited = LimitsPatch { admit_per_minute: Some(None), ..LimitsPatch::default() };
    let of_user = || OfUser { schedule_id, user_id: alice() };
    let note_sale = NoteSale { schedule_id, block: key().block, note: note() };
    let commands = [
        ("open_queue", Command::OpenQueue(open)),
        ("configure_queue", configure(all, Some(false), Some(10))),
        ("configure_queue_no_rate", configure(unlimited, None, None)),
        ("join_queue", Command::JoinQueue(of_user())),
        ("leave_queue", Command::LeaveQueue(of_user())),
        ("seen", Command::Seen(Seen { schedule_id, sightings: vec![sighting(101, 102, 900), sighting(107, 107, 0)] })),
        ("seen_nobody", Command::Seen(Seen { schedule_id, sightings: vec![] })),
        ("complete_token", Command::CompleteToken(CompleteToken { schedule_id, user_id: alice(), paid_at: NOW })),
        ("note_sale", Command::NoteSale(note_sale)),
        ("tick", Command::Tick(schedule_id)),
    ];
    commands.into_iter().map(|(name, command)| Sample { name, by: None, body: Body::Queues(command) }).collect()
}

fn token(sequence: u64, state: TokenState) -> Token {
    Token {
        schedule_id: schedule(),
        sequence,
        user_id: user("o'brien \"bob\""),
        state,
        joined_at: NOW,
        last_seen: PresenceMs(0),
        sighted: false,
        follows: None,
        changed: arrival(Lane::Queues, 1234),
    }
}

fn active(sequence: u64) -> Token {
    token(
        sequence,
        TokenState::Active(Turn { admitted_at: NOW, until: NOW.plus_ms(300_000), from: PresenceMs(0), used: false }),
    )
}

fn ended(sequence: u64, how: Ending) -> Token {
    token(sequence, TokenState::Ended { how, turn: None })
}

fn queue() -> Queue {
    Queue {
        schedule_id: schedule(),
        limits: limits(),
        sales_open_at: None,
        starts_at: NOW.plus_ms(24 * HOUR_MS),
        sale: [(key().block, Some(note()))].into(),
        paused_since: None,
        presence: PresenceClock { now: PresenceMs(0), at: NOW, stood_until: NOW },
        on_sale: SaleClock { now: SaleMs(0), at: NOW },
        next_sequence: 43,
        waiting: 32,
        absent: 3,
        active: 10,
        admitted: 10,
        completed: 0,
        expired: 0,
        left: 0,
        rate_next_us: 0,
        due_at: None,
        changed: arrival(Lane::Queues, 1234),
    }
}

pub(super) fn outcomes() -> Vec<Outcome> {
    let schedule_id = schedule();
    let admitting = || Effects { admitted: vec![active(11)], ..Effects::default() };
    let waiting = |sequence| token(sequence, TokenState::Waiting);
    let paused = Queue { paused_since: Some(NOW.plus_ms(-HOUR_MS)), ..queue() };
    let all = Effects {
        ended: vec![ended(3, Ending::Expired), ended(4, Ending::Expired)],
        requeued: vec![waiting(43)],
        ..admitting()
    };
    let seeing = Effects {
        absent: vec![token(40, TokenState::Absent { since: SaleMs(0) })],
        returned: vec![waiting(7)],
        ..Effects::default()
    };
    let dropping = Effects { ended: vec![ended(3, Ending::Expired)], ..admitting() };
    use CommandKind::*;
    vec![
        Outcome::ok("queue_opened", OpenQueue, Reply::QueueOpened(paused.clone())),
        Outcome::ok("queue_configured", ConfigureQueue, Reply::QueueConfigured(paused)).with(admitting()),
        Outcome::ok("joined_waiting", JoinQueue, Reply::Joined { token: waiting(42), ahead: 31 }),
        Outcome::ok("joined_active", JoinQueue, Reply::Joined { token: active(12), ahead: 0 }).with(dropping),
        Outcome::ok("left", LeaveQueue, Reply::Left(ended(42, Ending::Left))).with(admitting()),
        Outcome::ok("seen_noted", Seen, Reply::SeenNoted { schedule_id, tokens: 3 }).with(seeing),
        Outcome::ok("token_completed", CompleteToken, Reply::TokenCompleted(ended(2, Ending::Completed)))
            .with(admitting()),
        Outcome::ok("sale_noted", NoteSale, Reply::SaleNoted { schedule_id }).with(admitting()),
        Outcome::ok("ticked", Tick, Reply::Ticked { schedule_id }).with(all),
    ]
}
