//! The commands of the queues lane, and their results.

use std::fmt::Write;

use crate::domain::CommandKind;
use crate::domain::block::SaleNote;
use crate::domain::queue::{
    Command, CompleteToken, ConfigureQueue, DURATION_MS_MAX, Limits, LimitsPatch, NoteSale, OfUser, OpenQueue, Queue,
    Reply, Seen, Sighting, TOKENS_MAX, TOKENS_PER_DECISION_MAX, Token, TokenState,
};
use crate::wire::fields::{DecodeError, Fields, ascending, missing, no_reader};
use crate::wire::json::Object;
use crate::wire::values::OFFSET_MAX;

/// Most blocks of a date with a queue: the queue keeps what each last told it in one row.
pub const BLOCKS_MAX: usize = 256;

pub(super) fn write(o: &mut Object<'_>, command: &Command) {
    o.plain("schedule_id", command.schedule_id());
    match command {
        Command::OpenQueue(c) => {
            o.plains("blocks", &c.blocks).time_if("sales_open_at", c.sales_open_at).time("starts_at", c.starts_at);
            write_limits(o, &c.limits);
        }
        Command::ConfigureQueue(c) => {
            write_patch(o, &c.patch);
            o.bare_if("paused", c.paused).bare_if("admit", c.admit);
        }
        Command::Seen(c) => {
            o.list("seen", &c.sightings, |out, Sighting { first, last, age_ms }| {
                let _ = write!(out, "[{first},{},{age_ms}]", last - first + 1);
            });
        }
        Command::CompleteToken(c) => {
            o.time("paid_at", c.paid_at);
        }
        Command::NoteSale(c) => {
            o.plain("block", &c.block).bare("offset", c.note.version).plain("state", c.note.state);
            o.time_if("sales_open_at", c.note.sales_open_at).time("starts_at", c.note.starts_at);
        }
        Command::JoinQueue(_) | Command::LeaveQueue(_) | Command::Tick(_) => {}
    }
}

/// The readers of this lane.
pub(super) fn read(kind: CommandKind, f: &Fields<'_>) -> Result<Command, DecodeError> {
    Ok(match kind {
        CommandKind::OpenQueue => Command::OpenQueue(read_open_queue(f)?),
        CommandKind::ConfigureQueue => Command::ConfigureQueue(read_configure_queue(f)?),
        CommandKind::JoinQueue => Command::JoinQueue(read_of_user(f)?),
        CommandKind::LeaveQueue => Command::LeaveQueue(read_of_user(f)?),
        CommandKind::Seen => Command::Seen(read_seen(f)?),
        CommandKind::CompleteToken => Command::CompleteToken(read_complete_token(f)?),
        CommandKind::NoteSale => Command::NoteSale(read_note_sale(f)?),
        CommandKind::Tick => Command::Tick(f.required("schedule_id")?),
        other => return Err(no_reader(other)),
    })
}

fn read_open_queue(f: &Fields<'_>) -> Result<OpenQueue, DecodeError> {
    let blocks = f.list("blocks", 1..=BLOCKS_MAX)?.ok_or_else(|| missing("blocks"))?;
    Ok(OpenQueue {
        schedule_id: f.required("schedule_id")?,
        user_id: f.required("user_id")?,
        limits: Limits {
            max_active: f.within("max_active", 0..=TOKENS_MAX)?,
            active_ttl_ms: f.within("active_ttl_ms", 1..=DURATION_MS_MAX)?,
            max_waiting: f.within("max_waiting", 0..=TOKENS_MAX)?,
            admit_per_minute: f.optional_within("admit_per_minute", 1..=TOKENS_MAX)?,
            on_timeout: f.required("on_timeout")?,
            abandon_after_ms: f.within("abandon_after_ms", 1..=DURATION_MS_MAX)?,
            claim_after_ms: f.within("claim_after_ms", 1..=DURATION_MS_MAX)?,
            absent_max_ms: f.within("absent_max_ms", 1..=DURATION_MS_MAX)?,
        },
        sales_open_at: f.optional("sales_open_at")?,
        starts_at: f.required("starts_at")?,
        blocks: ascending("blocks", blocks)?,
    })
}

/// The limits, flat; also part of the queue's outcomes.
fn write_limits(o: &mut Object<'_>, limits: &Limits) {
    o.bare("max_active", limits.max_active).bare("active_ttl_ms", limits.active_ttl_ms);
    o.bare("max_waiting", limits.max_waiting).bare_if("admit_per_minute", limits.admit_per_minute);
    o.plain("on_timeout", limits.on_timeout).bare("abandon_after_ms", limits.abandon_after_ms);
    o.bare("claim_after_ms", limits.claim_after_ms).bare("absent_max_ms", limits.absent_max_ms);
}

fn read_configure_queue(f: &Fields<'_>) -> Result<ConfigureQueue, DecodeError> {
    let admit_per_minute = match f.nullable::<u32>("admit_per_minute")? {
        Some(Some(_)) => Some(f.optional_within("admit_per_minute", 1..=TOKENS_MAX)?),
        absent_or_null => absent_or_null,
    };
    Ok(ConfigureQueue {
        schedule_id: f.required("schedule_id")?,
        user_id: f.required("user_id")?,
        patch: LimitsPatch {
            max_active: f.optional_within("max_active", 0..=TOKENS_MAX)?,
            active_ttl_ms: f.optional_within("active_ttl_ms", 1..=DURATION_MS_MAX)?,
            max_waiting: f.optional_within("max_waiting", 0..=TOKENS_MAX)?,
            admit_per_minute,
            on_timeout: f.optional("on_timeout")?,
            abandon_after_ms: f.optional_within("abandon_after_ms", 1..=DURATION_MS_MAX)?,
            claim_after_ms: f.optional_within("claim_after_ms", 1..=DURATION_MS_MAX)?,
            absent_max_ms: f.optional_within("absent_max_ms", 1..=DURATION_MS_MAX)?,
        },
        paused: f.optional("paused")?,
        admit: f.optional_within("admit", 1..=TOKENS_MAX)?,
    })
}

fn write_patch(o: &mut Object<'_>, patch: &LimitsPatch) {
    o.bare_if("max_active", patch.max_active).bare_if("active_ttl_ms", patch.active_ttl_ms);
    o.bare_if("max_waiting", patch.max_waiting);
    match patch.admit_per_minute {
        Some(Some(n)) => o.bare("admit_per_minute", n),
        Some(None) => o.null("admit_per_minute"),
        None => o,
    };
    if let Some(choice) = patch.on_timeout {
        o.plain("on_timeout", choice);
    }
    o.bare_if("abandon_after_ms", patch.abandon_after_ms).bare_if("claim_after_ms", patch.claim_after_ms);
    o.bare_if("absent_max_ms", patch.absent_max_ms);
}

fn read_of_user(f: &Fields<'_>) -> Result<OfUser, DecodeError> {
    Ok(OfUser { schedule_id: f.required("schedule_id")?, user_id: f.required("user_id")? })
}

/// `[first, count, age_ms]` each, ascending.
fn read_seen(f: &Fields<'_>) -> Result<Seen, DecodeError> {
    let mut sightings = Vec::new();
    let (mut free_from, mut tokens) = (1, 0);
    for (first, count, age_ms) in f.required::<Vec<(u64, u64, i64)>>("seen")? {
        let refuse = |why: &str| Err(DecodeError::field("seen", format_args!("[{first},{count},{age_ms}] {why}")));
        let Some(last) = first.checked_add(count).and_then(|end| end.checked_sub(1)).filter(|n| *n <= OFFSET_MAX)
        else {
            return refuse("has numbers out of bounds");
        };
        if first < free_from || count == 0 {
            return refuse("is empty, or not behind the one before");
        }
        if !(0..=DURATION_MS_MAX).contains(&age_ms) {
            return refuse("is not at most a day old");
        }
        (free_from, tokens) = (last + 1, tokens + count);
        if tokens > TOKENS_PER_DECISION_MAX as u64 {
            return refuse("is too much for one record");
        }
        sightings.push(Sighting { first, last, age_ms });
    }
    Ok(Seen { schedule_id: f.required("schedule_id")?, sightings })
}

fn read_complete_token(f: &Fields<'_>) -> Result<CompleteToken, DecodeError> {
    Ok(CompleteToken {
        schedule_id: f.required("schedule_id")?,
        user_id: f.required("user_id")?,
        paid_at: f.required("paid_at")?,
    })
}

fn read_note_sale(f: &Fields<'_>) -> Result<NoteSale, DecodeError> {
    Ok(NoteSale {
        schedule_id: f.required("schedule_id")?,
        block: f.required("block")?,
        note: SaleNote {
            version: f.within("offset", 0..=OFFSET_MAX)?,
            state: f.required("state")?,
            sales_open_at: f.optional("sales_open_at")?,
            starts_at: f.required("starts_at")?,
        },
    })
}

/// The result of a success.
pub(in crate::wire) fn write_result(o: &mut Object<'_>, reply: &Reply) {
    match reply {
        Reply::QueueOpened(queue) | Reply::QueueConfigured(queue) => write_queue(o, queue),
        Reply::Joined { token, ahead } => {
            write_place(o, token);
            o.bare("position", token.sequence).bare("ahead", ahead);
        }
        Reply::Left(token) | Reply::TokenCompleted(token) => write_place(o, token),
        Reply::SeenNoted { schedule_id, tokens } => {
            o.plain("schedule_id", schedule_id).bare("tokens", tokens);
        }
        Reply::SaleNoted { schedule_id } | Reply::Ticked { schedule_id } => {
            o.plain("schedule_id", schedule_id);
        }
    }
}

fn write_queue(o: &mut Object<'_>, queue: &Queue) {
    o.plain("schedule_id", queue.schedule_id);
    write_limits(o, &queue.limits);
    o.bare("paused", queue.paused()).time_if("paused_since", queue.paused_since).bare("waiting", queue.waiting);
    o.bare("absent", queue.absent).bare("active", queue.active);
}

fn write_place(o: &mut Object<'_>, token: &Token) {
    o.plain("schedule_id", token.schedule_id).bare("sequence", token.sequence);
    write_status(o, token);
}

/// Also of the tokens among the effects.
pub(in crate::wire) fn write_status(o: &mut Object<'_>, token: &Token) {
    o.plain("status", token.state.status());
    if let TokenState::Active(turn) = token.state {
        o.time("active_until", turn.until);
    }
}
