//! Hashes of a queue's rows.

use super::{Bytes, Digest};
use crate::domain::block::SaleNote;
use crate::domain::queue::{Limits, PresenceClock, Queue, Row, Token, TokenState, Turn};

impl Digest for Row {
    fn digest(&self) -> u64 {
        match self {
            Row::Queue(row) => row.digest(),
            Row::Token(row) => row.digest(),
        }
    }
}

impl Digest for Queue {
    fn digest(&self) -> u64 {
        let Queue {
            schedule_id,
            limits,
            sales_open_at,
            starts_at,
            sale,
            paused_since,
            presence,
            on_sale,
            next_sequence,
            waiting,
            absent,
            active,
            admitted,
            completed,
            expired,
            left,
            rate_next_us,
            due_at,
            changed,
        } = self;
        let PresenceClock { now, at, stood_until } = presence;
        write_limits(Bytes::of(20).uuid(schedule_id.0), limits)
            .option(*sales_open_at, Bytes::time)
            .time(*starts_at)
            .list(sale.iter(), |bytes, (block, note)| bytes.text(block.as_str()).option(note.as_ref(), write_note))
            .option(*paused_since, Bytes::time)
            .i64(now.0)
            .time(*at)
            .time(*stood_until)
            .i64(on_sale.now.0)
            .time(on_sale.at)
            .u64(*next_sequence)
            .u64(*waiting)
            .u64(*absent)
            .u64(*active)
            .u64(*admitted)
            .u64(*completed)
            .u64(*expired)
            .u64(*left)
            .i64(*rate_next_us)
            .option(*due_at, Bytes::time)
            .arrival(changed)
            .digest()
    }
}

fn write_limits(bytes: Bytes, limits: &Limits) -> Bytes {
    let Limits {
        max_active,
        active_ttl_ms,
        max_waiting,
        admit_per_minute,
        on_timeout,
        abandon_after_ms,
        claim_after_ms,
        absent_max_ms,
    } = limits;
    bytes
        .u32(*max_active)
        .i64(*active_ttl_ms)
        .u32(*max_waiting)
        .option(*admit_per_minute, Bytes::u32)
        .text(on_timeout.as_str())
        .i64(*abandon_after_ms)
        .i64(*claim_after_ms)
        .i64(*absent_max_ms)
}

fn write_note(bytes: Bytes, note: &SaleNote) -> Bytes {
    let SaleNote { version, state, sales_open_at, starts_at } = note;
    bytes.u64(*version).text(state.as_str()).option(*sales_open_at, Bytes::time).time(*starts_at)
}

impl Digest for Token {
    fn digest(&self) -> u64 {
        let Token { schedule_id, sequence, user_id, state, joined_at, last_seen, sighted, follows, changed } = self;
        let absent_since = match state {
            TokenState::Absent { since } => Some(since.0),
            _ => None,
        };
        Bytes::of(21)
            .uuid(schedule_id.0)
            .u64(*sequence)
            .text(user_id.as_str())
            .text(state.status().as_str())
            .option(absent_since, Bytes::i64)
            .option(state.turn(), |bytes, Turn { admitted_at, until, from, used }| {
                bytes.time(admitted_at).time(until).i64(from.0).flag(used)
            })
            .time(*joined_at)
            .i64(last_seen.0)
            .flag(*sighted)
            .option(*follows, Bytes::u64)
            .arrival(changed)
            .digest()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::block::SaleState;
    use crate::domain::queue::{Ending, OnTimeout, PresenceMs, SaleClock, SaleMs};
    use crate::domain::{Arrival, BlockName, Lane, LogTime, Position, ScheduleId};

    fn at(offset: u64) -> Arrival {
        Arrival { position: Position::new(Lane::Queues, 3, offset), time: LogTime(1_000) }
    }

    fn limits() -> Limits {
        Limits {
            max_active: 10,
            active_ttl_ms: 300_000,
            max_waiting: 1000,
            admit_per_minute: Some(60),
            on_timeout: OnTimeout::Requeue,
            abandon_after_ms: 180_000,
            claim_after_ms: 60_000,
            absent_max_ms: 3_600_000,
        }
    }

    fn note() -> SaleNote {
        SaleNote { version: 4, state: SaleState::Open, sales_open_at: None, starts_at: LogTime(9_000) }
    }

    fn queue() -> Queue {
        Queue {
            schedule_id: ScheduleId(Uuid::from_u128(1)),
            limits: limits(),
            sales_open_at: Some(LogTime(500)),
            starts_at: LogTime(9_000),
            sale: [("east".parse().unwrap(), None), (BlockName::main(), Some(note()))].into(),
            paused_since: Some(LogTime(560)),
            presence: PresenceClock { now: PresenceMs(700), at: LogTime(900), stood_until: LogTime(400) },
            on_sale: SaleClock { now: SaleMs(80), at: LogTime(580) },
            next_sequence: 8,
            waiting: 3,
            absent: 2,
            active: 1,
            admitted: 4,
            completed: 2,
            expired: 1,
            left: 0,
            rate_next_us: 1_000_000,
            due_at: Some(LogTime(301_001)),
            changed: at(11),
        }
    }

    fn turn() -> Turn {
        Turn { admitted_at: LogTime(1_001), until: LogTime(301_001), from: PresenceMs(801), used: true }
    }

    fn token() -> Token {
        Token {
            schedule_id: ScheduleId(Uuid::from_u128(1)),
            sequence: 7,
            user_id: "ann".parse().unwrap(),
            state: TokenState::Active(turn()),
            joined_at: LogTime(1_000),
            last_seen: PresenceMs(801),
            sighted: true,
            follows: Some(1),
            changed: at(11),
        }
    }

    /// A store remembers these values.
    #[test]
    fn the_digests_of_these_rows_never_change() {
        let rows = [Row::Queue(queue()), Row::Token(token())];
        assert_eq!(rows.map(|row| row.digest()), [0x4abb_07f1_52c0_f431, 0x2e92_b2db_6466_ccba]);
    }

    #[test]
    fn a_queues_digest_differs_by_every_field() {
        let limited = |limits: Limits| Queue { limits, ..queue() };
        let noted = |note: SaleNote| Queue { sale: [(BlockName::main(), Some(note))].into(), ..queue() };
        let clocked = |presence: PresenceClock| Queue { presence, ..queue() };
        let rows = [
            queue(),
            Queue { schedule_id: ScheduleId(Uuid::from_u128(9)), ..queue() },
            limited(Limits { max_active: 11, ..limits() }),
            limited(Limits { active_ttl_ms: 1, ..limits() }),
            limited(Limits { max_waiting: 1, ..limits() }),
            limited(Limits { admit_per_minute: None, ..limits() }),
            limited(Limits { on_timeout: OnTimeout::Expire, ..limits() }),
            limited(Limits { abandon_after_ms: 1, ..limits() }),
            limited(Limits { claim_after_ms: 1, ..limits() }),
            limited(Limits { absent_max_ms: 1, ..limits() }),
            Queue { sales_open_at: None, ..queue() },
            Queue { starts_at: LogTime(9_001), ..queue() },
            Queue { sale: [].into(), ..queue() },
            Queue { sale: [(BlockName::main(), None)].into(), ..queue() },
            noted(note()),
            noted(SaleNote { version: 5, ..note() }),
            noted(SaleNote { state: SaleState::SoldOut, ..note() }),
            noted(SaleNote { sales_open_at: Some(LogTime(0)), ..note() }),
            noted(SaleNote { starts_at: LogTime(1), ..note() }),
            Queue { paused_since: None, ..queue() },
            Queue { paused_since: Some(LogTime(561)), ..queue() },
            clocked(PresenceClock { now: PresenceMs(701), ..queue().presence }),
            clocked(PresenceClock { at: LogTime(901), ..queue().presence }),
            clocked(PresenceClock { stood_until: LogTime(401), ..queue().presence }),
            Queue { on_sale: SaleClock { now: SaleMs(81), at: LogTime(580) }, ..queue() },
            Queue { on_sale: SaleClock { now: SaleMs(80), at: LogTime(581) }, ..queue() },
            Queue { next_sequence: 9, ..queue() },
            Queue { waiting: 4, ..queue() },
            Queue { absent: 4, ..queue() },
            Queue { active: 2, ..queue() },
            Queue { admitted: 5, ..queue() },
            Queue { completed: 3, ..queue() },
            Queue { expired: 2, ..queue() },
            Queue { left: 1, ..queue() },
            Queue { rate_next_us: 0, ..queue() },
            Queue { due_at: None, ..queue() },
            Queue { changed: at(12), ..queue() },
        ];
        let digests: std::collections::BTreeSet<u64> = rows.iter().map(Queue::digest).collect();
        assert_eq!(digests.len(), rows.len());
    }

    #[test]
    fn a_tokens_digest_differs_by_every_field() {
        let state = |state: TokenState| Token { state, ..token() };
        let ended = |how: Ending, turn: Option<Turn>| state(TokenState::Ended { how, turn });
        let rows = [
            token(),
            Token { schedule_id: ScheduleId(Uuid::from_u128(9)), ..token() },
            Token { sequence: 8, ..token() },
            Token { user_id: "bob".parse().unwrap(), ..token() },
            state(TokenState::Waiting),
            state(TokenState::Absent { since: SaleMs(1) }),
            state(TokenState::Absent { since: SaleMs(2) }),
            state(TokenState::Active(Turn { from: PresenceMs(1), ..turn() })),
            state(TokenState::Active(Turn { used: false, ..turn() })),
            state(TokenState::Active(Turn { admitted_at: LogTime(1), ..turn() })),
            state(TokenState::Active(Turn { until: LogTime(1), ..turn() })),
            ended(Ending::Completed, Some(turn())),
            ended(Ending::Expired, Some(turn())),
            ended(Ending::Left, Some(turn())),
            ended(Ending::Left, None),
            Token { joined_at: LogTime(1), ..token() },
            Token { last_seen: PresenceMs(1), ..token() },
            Token { sighted: false, ..token() },
            Token { follows: None, ..token() },
            Token { changed: at(12), ..token() },
        ];
        let digests: std::collections::BTreeSet<u64> = rows.iter().map(Token::digest).collect();
        assert_eq!(digests.len(), rows.len());
    }
}
