//! Queues and tokens.

use crate::domain::queue::{Ending, Limits, Queue, Token, TokenState, TokenStatus, Turn};
use crate::domain::{Lane, LogTime, ScheduleId};
use crate::store::StoreError;
use crate::store::sql::cells::{Cells, corrupt};
use crate::store::sql::json;
use crate::store::sql::value::{Value, arrival, int, optional_time, owned, signed, text, time, uuid};

type Result<T> = std::result::Result<T, StoreError>;

pub fn queue_values(row: &Queue) -> Result<[Value<'_>; 25]> {
    let Queue {
        schedule_id,
        limits,
        sales_open_at,
        starts_at,
        sale,
        paused,
        next_sequence,
        waiting,
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
        Value::Flag(*paused),
        int(*next_sequence)?,
        int(*waiting)?,
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
        paused: row.flag("paused")?,
        next_sequence: row.int("next_sequence")?,
        waiting: row.int("waiting")?,
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

pub fn token_values(row: &Token) -> Result<[Value<'_>; 11]> {
    let Token { schedule_id, sequence, user_id, state, joined_at, last_seen, changed } = row;
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
        time(*last_seen),
        partition,
        offset,
        at,
    ])
}

fn token_state(row: &impl Cells) -> Result<TokenState> {
    let turn = match row.optional_time("admitted_at")? {
        None => None,
        Some(admitted_at) => Some(Turn { admitted_at, until: row.time("active_until")? }),
    };
    let ended = |how| Ok(TokenState::Ended { how, turn });
    match (row.parsed("status")?, turn) {
        (TokenStatus::Waiting, None) => Ok(TokenState::Waiting),
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
        last_seen: row.time("last_seen")?,
        changed: row.changed(Lane::Queues)?,
    })
}
