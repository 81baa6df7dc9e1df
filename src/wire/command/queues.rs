//! The commands of the queues lane.

use super::seats::ascending;
use crate::domain::command::{CompleteToken, ConfigureQueue, JoinQueue, LeaveQueue, OpenQueue, Seen, Tick};
use crate::domain::queue::{DURATION_MS_MAX, Limits, LimitsPatch, TOKENS_MAX};
use crate::domain::{ScheduleId, UserId};
use crate::wire::fields::{DecodeError, Fields};
use crate::wire::json::Object;

/// Most sequence numbers of one `seen` command; the 64 KiB of a record may allow fewer.
pub const SEEN_MAX: usize = 10_000;

pub(super) fn read_open_queue(f: &Fields<'_>) -> Result<OpenQueue, DecodeError> {
    Ok(OpenQueue {
        schedule_id: f.required("schedule_id")?,
        user_id: f.required("user_id")?,
        limits: Limits {
            max_active: f.within("max_active", 0, TOKENS_MAX)?,
            active_ttl_ms: f.within("active_ttl_ms", 1, DURATION_MS_MAX)?,
            max_waiting: f.within("max_waiting", 0, TOKENS_MAX)?,
            admit_per_minute: f.optional_within("admit_per_minute", 1, TOKENS_MAX)?,
            on_timeout: f.required("on_timeout")?,
            abandon_after_ms: f.within("abandon_after_ms", 1, DURATION_MS_MAX)?,
        },
    })
}

pub(super) fn write_open_queue(o: &mut Object<'_>, c: &OpenQueue) {
    write_user(o, c.schedule_id, &c.user_id);
    write_limits(o, &c.limits);
}

/// The limits, flat; also part of the queue's outcomes.
pub(in crate::wire) fn write_limits(o: &mut Object<'_>, limits: &Limits) {
    o.bare("max_active", limits.max_active).bare("active_ttl_ms", limits.active_ttl_ms);
    o.bare("max_waiting", limits.max_waiting);
    if let Some(rate) = limits.admit_per_minute {
        o.bare("admit_per_minute", rate);
    }
    o.plain("on_timeout", limits.on_timeout.as_str()).bare("abandon_after_ms", limits.abandon_after_ms);
}

pub(super) fn read_configure_queue(f: &Fields<'_>) -> Result<ConfigureQueue, DecodeError> {
    let admit_per_minute = match f.nullable::<u32>("admit_per_minute")? {
        Some(Some(_)) => Some(f.optional_within("admit_per_minute", 1, TOKENS_MAX)?),
        absent_or_null => absent_or_null,
    };
    Ok(ConfigureQueue {
        schedule_id: f.required("schedule_id")?,
        user_id: f.required("user_id")?,
        patch: LimitsPatch {
            max_active: f.optional_within("max_active", 0, TOKENS_MAX)?,
            active_ttl_ms: f.optional_within("active_ttl_ms", 1, DURATION_MS_MAX)?,
            max_waiting: f.optional_within("max_waiting", 0, TOKENS_MAX)?,
            admit_per_minute,
            on_timeout: f.optional("on_timeout")?,
            abandon_after_ms: f.optional_within("abandon_after_ms", 1, DURATION_MS_MAX)?,
        },
        paused: f.optional("paused")?,
        admit: f.optional_within("admit", 1, TOKENS_MAX)?,
    })
}

pub(super) fn write_configure_queue(o: &mut Object<'_>, c: &ConfigureQueue) {
    write_user(o, c.schedule_id, &c.user_id);
    let patch = &c.patch;
    if let Some(n) = patch.max_active {
        o.bare("max_active", n);
    }
    if let Some(ms) = patch.active_ttl_ms {
        o.bare("active_ttl_ms", ms);
    }
    if let Some(n) = patch.max_waiting {
        o.bare("max_waiting", n);
    }
    match patch.admit_per_minute {
        Some(Some(n)) => o.bare("admit_per_minute", n),
        Some(None) => o.null("admit_per_minute"),
        None => o,
    };
    if let Some(choice) = patch.on_timeout {
        o.plain("on_timeout", choice.as_str());
    }
    if let Some(ms) = patch.abandon_after_ms {
        o.bare("abandon_after_ms", ms);
    }
    if let Some(paused) = c.paused {
        o.bare("paused", paused);
    }
    if let Some(n) = c.admit {
        o.bare("admit", n);
    }
}

pub(super) fn read_join_queue(f: &Fields<'_>) -> Result<JoinQueue, DecodeError> {
    Ok(JoinQueue { schedule_id: f.required("schedule_id")?, user_id: f.required("user_id")? })
}

pub(super) fn read_leave_queue(f: &Fields<'_>) -> Result<LeaveQueue, DecodeError> {
    Ok(LeaveQueue { schedule_id: f.required("schedule_id")?, user_id: f.required("user_id")? })
}

pub(super) fn read_complete_token(f: &Fields<'_>) -> Result<CompleteToken, DecodeError> {
    Ok(CompleteToken { schedule_id: f.required("schedule_id")?, user_id: f.required("user_id")? })
}

pub(super) fn write_user(o: &mut Object<'_>, schedule: ScheduleId, user: &UserId) {
    o.plain("user_id", user).plain("schedule_id", schedule);
}

pub(super) fn read_seen(f: &Fields<'_>) -> Result<Seen, DecodeError> {
    let sequences: Vec<u64> = ascending("sequences", f.required("sequences")?, SEEN_MAX)?;
    if sequences.last().is_some_and(|&last| last > i64::MAX as u64) {
        return Err(DecodeError::field("sequences", "numbers end at 9223372036854775807"));
    }
    Ok(Seen { schedule_id: f.required("schedule_id")?, sequences })
}

pub(super) fn write_seen(o: &mut Object<'_>, c: &Seen) {
    o.plain("schedule_id", c.schedule_id).numbers("sequences", &c.sequences);
}

pub(super) fn read_tick(f: &Fields<'_>) -> Result<Tick, DecodeError> {
    Ok(Tick { schedule_id: f.required("schedule_id")? })
}
