//! What every lane writes: requests, outbox, dead letters, progress; and the log they belong to.

use crate::domain::{Fingerprint, LanePartition, RequestId};
use crate::log::{LogIdentity, PartitionCounts, Topic};
use crate::store::sql::cells::{Cells, corrupt};
use crate::store::sql::json;
use crate::store::sql::value::{
    Value, bits, int, lane_partition, optional_text, optional_time, owned, position, text, time, uuid,
};
use crate::store::{
    Anchor, Captured, DeadLetter, DeadLetterView, Decided, DoneBy, OutboxRow, Progress, ProgressView, RecordedLog,
    RequestCompletion, RequestKey, RequestRow, RequestState, RequestStatus, Slot, StoreError,
};

type Result<T> = std::result::Result<T, StoreError>;

pub fn request_values(row: &RequestRow) -> Result<[Value<'_>; 13]> {
    let RequestRow { key, position: at, fingerprint, command, user_id, by, state, at: arrived } = row;
    let [lane, partition, offset] = position(*at)?;
    Ok([
        uuid(key.id.0),
        Value::Flag(key.internal),
        lane,
        partition,
        offset,
        bits(fingerprint.0),
        text(command.as_str()),
        optional_text(user_id.as_ref().map(|user| user.as_str())),
        optional_text(by.as_ref().map(|by| by.as_str())),
        text(state.status().as_str()),
        optional_text(state.outcome()),
        optional_time(state.decided_at()),
        time(*arrived),
    ])
}

pub fn request(row: &impl Cells) -> Result<RequestRow> {
    let decided = match (row.optional_text("outcome")?, row.optional_time("decided_at")?) {
        (Some(outcome), Some(at)) => Some((outcome.to_owned(), at)),
        _ => None,
    };
    let state = match (row.parsed("status")?, decided) {
        (RequestStatus::Pending, None) => RequestState::Pending,
        (RequestStatus::Succeeded, Some((outcome, at))) => {
            RequestState::Decided(Decided { succeeded: true, outcome, at })
        }
        (RequestStatus::Rejected, Some((outcome, at))) => {
            RequestState::Decided(Decided { succeeded: false, outcome, at })
        }
        (status, _) => return Err(corrupt("outcome", format!("it does not fit {status}"))),
    };
    Ok(RequestRow {
        key: RequestKey { id: RequestId(row.uuid("request_id")?), internal: row.flag("internal")? },
        position: row.position()?,
        fingerprint: Fingerprint(row.hash("fingerprint")?),
        command: row.parsed("command")?,
        user_id: row.optional_parsed("user_id")?,
        by: row.optional_parsed("by_user")?,
        state,
        at: row.time("at")?,
    })
}

pub fn completion_values(of: LanePartition, row: &RequestCompletion) -> [Value<'_>; 6] {
    let RequestCompletion { request_id, decided: Decided { succeeded, outcome, at } } = row;
    let status = if *succeeded { RequestStatus::Succeeded } else { RequestStatus::Rejected };
    let [lane, partition] = lane_partition(of);
    [uuid(request_id.0), lane, partition, text(status.as_str()), text(outcome), time(*at)]
}

pub fn outbox_values(of: LanePartition, row: &OutboxRow) -> Result<[Value<'_>; 9]> {
    let OutboxRow { id, seq, topic, key, kind, payload, headers } = row;
    let [lane, partition] = lane_partition(of);
    Ok([
        lane,
        partition,
        int(*seq)?,
        uuid(*id),
        text(topic.as_str()),
        text(key),
        text(kind),
        Value::Bytes(Some(payload)),
        owned(json::headers(headers)),
    ])
}

pub fn outbox(row: &impl Cells) -> Result<OutboxRow> {
    Ok(OutboxRow {
        id: row.uuid("id")?,
        seq: row.int("seq")?,
        topic: row.parsed("aggregatetype")?,
        key: row.string("aggregateid")?,
        kind: row.string("type")?.into(),
        payload: row.bytes("payload")?.unwrap_or_default().into(),
        headers: json::parse_headers(row.text("headers")?)?,
    })
}

pub fn dead_letter_values(row: &DeadLetter) -> Result<[Value<'_>; 9]> {
    let DeadLetter { position: of, unsent_to, reason, key, value, headers, at } = row;
    let [lane, partition, offset] = position(*of)?;
    Ok([
        lane,
        partition,
        offset,
        optional_text(unsent_to.map(Topic::as_str)),
        text(reason),
        Value::Bytes(key.as_deref()),
        Value::Bytes(value.as_deref()),
        owned(json::headers(headers)),
        time(*at),
    ])
}

pub fn dead_letter(row: &impl Cells) -> Result<DeadLetterView> {
    let letter = DeadLetter {
        position: row.position()?,
        unsent_to: row.optional_parsed("unsent_to")?,
        reason: row.string("reason")?,
        key: row.bytes("record_key")?,
        value: row.bytes("record_value")?,
        headers: json::parse_headers(row.text("headers")?)?,
        at: row.time("at")?,
    };
    let replayed = done_by(row, ["replayed_at", "replayed_by"])?;
    Ok(DeadLetterView { letter, replayed, dismissed: done_by(row, ["dismissed_at", "dismissed_by"])? })
}

fn done_by(row: &impl Cells, [at, by]: [&str; 2]) -> Result<Option<DoneBy>> {
    let Some(at) = row.optional_time(at)? else { return Ok(None) };
    Ok(Some(DoneBy { by: row.parsed(by)?, at }))
}

pub fn anchor_values(anchor: Option<Anchor>) -> Result<[Value<'static>; 3]> {
    let Some(Anchor { offset, time: at, hash }) = anchor else { return Ok([const { Value::Int(None) }; 3]) };
    Ok([int(offset)?, time(at), bits(hash)])
}

fn anchor(row: &impl Cells) -> Result<Option<Anchor>> {
    let Some(offset) = row.optional_narrow("anchor_offset")? else { return Ok(None) };
    Ok(Some(Anchor { offset, time: row.time("anchor_time")?, hash: row.hash("anchor_hash")? }))
}

pub fn progress(row: &impl Cells) -> Result<Progress> {
    Ok(Progress {
        epoch: row.int("epoch")?,
        next_offset: row.int("next_offset")?,
        last_time: row.time("last_time")?,
        next_outbox_seq: row.int("next_outbox_seq")?,
        state_hash: row.hash("state_hash")?,
        anchor: anchor(row)?,
    })
}

pub fn progress_view(row: &impl Cells) -> Result<ProgressView> {
    Ok(ProgressView {
        partition: row.lane_partition()?,
        epoch: row.int("epoch")?,
        owner: row.string("owner")?,
        next_offset: row.int("next_offset")?,
        last_time: row.time("last_time")?,
        outbox_pending: row.int("outbox_pending")?,
        state_hash: row.hash("state_hash")?,
        caught_up: row.signed("caught_up")? != 0,
    })
}

pub fn next_offset(row: &impl Cells) -> Result<(LanePartition, u64)> {
    Ok((row.lane_partition()?, row.int("next_offset")?))
}

pub fn recorded_log(row: &impl Cells) -> Result<RecordedLog> {
    let identity = LogIdentity { log_id: row.string("log_id")?, topics: json::parse_topics(row.text("topics")?)? };
    let partitions = PartitionCounts {
        seats: row.int("seats")?,
        wallets: row.int("wallets")?,
        queues: row.int("queues")?,
        inbox: row.int("inbox")?,
        outcomes: row.int("outcomes")?,
        dead_letters: row.int("dead_letters")?,
    };
    Ok(RecordedLog { remember_ms: row.signed("remember_ms")?, identity, partitions })
}

pub fn captured(row: &impl Cells) -> Result<Captured> {
    let confirmed: Option<u64> = row.optional_narrow("confirmed")?;
    let slot = |confirmed| Ok(Slot { confirmed, active: row.flag("active")?, lost: row.flag("lost")? });
    let slot = confirmed.map(slot).transpose()?;
    Ok(Captured { end: row.int("wal_end")?, slot })
}
