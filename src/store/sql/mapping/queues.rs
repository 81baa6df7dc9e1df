//! Queues and tokens.

use crate::domain::queue::{
    Ending, Limits, PresenceClock, PresenceMs, Queue, SaleClock, SaleMs, Token, TokenState, TokenStatus, Turn,
};
use crate::domain::{Lane, LogTime, ScheduleId};
use crate::store::StoreError;
use crate::store::sql::cells::{Cells, corrupt};
use crate::store::sql::json;
use crate::store::sql::value::{Value, arrival, int, optional_time, owned, signed, text, time, uuid};

type Result<T> = std::result::Result<T, StoreError>;

pub fn queue_values(row: &Queue) -> Result<[Value<'_>; 31]> {
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
    } = row;
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
    let [partition, offset, at] = arrival(changed)?;
    Ok([
        uuid(schedule_id.0),
        signed(*max_active),
        signed(*active_ttl_ms),
        signed(*max_waiting),
        Value::Int(admit_per_minute.map(i64::from)),
        text(on_timeout.as_str()),
        signed(*abandon_after_ms),
        signed(*claim_after_ms),
        signed(*absent_max_ms),
        optional_time(*sales_open_at),
        time(*starts_at),
        owned(json::sale(sale)),
        optional_time(*paused_since),
        signed(presence.now.0),
        time(presence.at),
        time(presence.stood_until),
        signed(on_sale.now.0),
        time(on_sale.at),
        int(*next_sequence)?,
        int(*waiting)?,
        int(*absent)?,
        int(*active)?,
        int(*admitted)?,
        int(*completed)?,
        int(*expired)?,
        int(*left)?,
        signed(*rate_next_us),
        optional_time(*due_at),
        partition,
        offset,
        at,
    ])
}

pub fn queue(row: &impl Cells) -> Result<Queue> {
    let limits = Limits {
        max_active: row.int("max_active")?,
        active_ttl_ms: row.signed("active_ttl_ms")?,
        max_waiting: row.int("max_waiting")?,
        admit_per_minute: row.optional_narrow("admit_per_minute")?,
        on_timeout: row.parsed("on_timeout")?,
        abandon_after_ms: row.signed("abandon_after_ms")?,
        claim_after_ms: row.signed("claim_after_ms")?,
        absent_max_ms: row.signed("absent_max_ms")?,
    };
    Ok(Queue {
        schedule_id: row.schedule_id()?,
        limits,
        sales_open_at: row.optional_time("sales_open_at")?,
        starts_at: row.time("starts_at")?,
        sale: json::parse_sale(row.text("sale")?)?,
        paused_since: row.optional_time("paused_since")?,
        presence: PresenceClock {
            now: PresenceMs(row.signed("presence_ms")?),
            at: row.time("presence_at")?,
            stood_until: row.time("stood_until")?,
        },
        on_sale: SaleClock { now: SaleMs(row.signed("on_sale_ms")?), at: row.time("on_sale_at")? },
        next_sequence: row.int("next_sequence")?,
        waiting: row.int("waiting")?,
        absent: row.int("absent")?,
        active: row.int("active")?,
        admitted: row.int("admitted_total")?,
        completed: row.int("completed_total")?,
        expired: row.int("expired_total")?,
        left: row.int("left_total")?,
        rate_next_us: row.signed("rate_next_us")?,
        due_at: row.optional_time("due_at")?,
        changed: row.changed(Lane::Queues)?,
    })
}

/// A queue that is due, from its key and `due_at` alone.
pub fn due(row: &impl Cells) -> Result<(ScheduleId, LogTime)> {
    Ok((row.schedule_id()?, row.time("due_at")?))
}

pub fn token_values(row: &Token) -> Result<[Value<'_>; 16]> {
    let Token { schedule_id, sequence, user_id, state, joined_at, last_seen, sighted, follows, changed } = row;
    let absent_since = match state {
        TokenState::Absent { since } => Some(since.0),
        _ => None,
    };
    let turn = state.turn();
    let [partition, offset, at] = arrival(changed)?;
    Ok([
        uuid(schedule_id.0),
        int(*sequence)?,
        text(user_id.as_str()),
        text(state.status().as_str()),
        time(*joined_at),
        optional_time(turn.map(|turn| turn.admitted_at)),
        optional_time(turn.map(|turn| turn.until)),
        Value::Int(turn.map(|turn| turn.from.0)),
        Value::Flag(turn.is_some_and(|turn| turn.used)),
        Value::Int(absent_since),
        signed(last_seen.0),
        Value::Flag(*sighted),
        follows.map_or(Ok(Value::Int(None)), int)?,
        partition,
        offset,
        at,
    ])
}

fn token_state(row: &impl Cells) -> Result<TokenState> {
    let turn = match row.optional_time("admitted_at")? {
        None => None,
        Some(admitted_at) => Some(Turn {
            admitted_at,
            until: row.time("active_until")?,
            from: PresenceMs(row.signed("turn_from")?),
            used: row.flag("turn_used")?,
        }),
    };
    let ended = |how| Ok(TokenState::Ended { how, turn });
    match (row.parsed("status")?, turn) {
        (TokenStatus::Waiting, None) => Ok(TokenState::Waiting),
        (TokenStatus::Absent, None) => Ok(TokenState::Absent { since: SaleMs(row.signed("absent_since")?) }),
        (TokenStatus::Active, Some(turn)) => Ok(TokenState::Active(turn)),
        (TokenStatus::Completed, _) => ended(Ending::Completed),
        (TokenStatus::Expired, _) => ended(Ending::Expired),
        (TokenStatus::Left, _) => ended(Ending::Left),
        (status, _) => Err(corrupt("admitted_at", format!("it does not fit {status}"))),
    }
}

pub fn token(row: &impl Cells) -> Result<Token> {
    Ok(Token {
        schedule_id: row.schedule_id()?,
        sequence: row.int("sequence")?,
        user_id: row.parsed("user_id")?,
        state: token_state(row)?,
        joined_at: row.time("joined_at")?,
        last_seen: PresenceMs(row.signed("last_seen")?),
        sighted: row.flag("sighted")?,
        follows: row.optional_narrow("follows")?,
        changed: row.changed(Lane::Queues)?,
    })
}
