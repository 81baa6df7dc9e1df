//! Interventions of operators.

use crate::store::sql::cells::{Cells, corrupt};
use crate::store::sql::value::{Value, int, lane_partition, optional_time, signed, text, time, uuid};
use crate::store::{Act, Began, Intervention, InterventionKind, Offsets, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

pub fn values(row: &Intervention) -> Result<[Value<'_>; 13]> {
    let Intervention { id, partition, act, reason, by, at, applied_at } = row;
    const NULL: Value<'_> = Value::Int(None);
    let (first, through, value, floor, epoch) = match act {
        Act::Skip(offsets) => (int(offsets.first)?, int(offsets.last)?, NULL, NULL, NULL),
        Act::Time { offsets, time: given } => (int(offsets.first)?, int(offsets.last)?, time(*given), NULL, NULL),
        Act::Acquire => (NULL, NULL, NULL, NULL, NULL),
        Act::Remember { ms, began: None } => (NULL, NULL, signed(*ms), NULL, NULL),
        Act::Remember { ms, began: Some(Began { offset, floor, epoch }) } => {
            (int(*offset)?, NULL, signed(*ms), time(*floor), int(*epoch)?)
        }
    };
    let [lane, partition] = lane_partition(*partition);
    Ok([
        uuid(*id),
        lane,
        partition,
        first,
        through,
        text(act.kind().as_str()),
        value,
        floor,
        epoch,
        text(reason),
        text(by.as_str()),
        time(*at),
        optional_time(*applied_at),
    ])
}

pub fn row(row: &impl Cells) -> Result<Intervention> {
    let kind: InterventionKind = row.parsed("kind")?;
    let first = row.optional_narrow("log_offset")?;
    let through = row.optional_narrow("through")?;
    let value = row.optional_int("value")?;
    let offsets = first.zip(through).map(|(first, last)| Offsets { first, last });
    let act = match (kind, offsets, value) {
        (InterventionKind::Skip, Some(offsets), None) => Act::Skip(offsets),
        (InterventionKind::Time, Some(offsets), Some(ms)) => Act::Time { offsets, time: crate::domain::LogTime(ms) },
        (InterventionKind::Remember, None, Some(ms)) => {
            let (floor, epoch) = (row.optional_time("floor")?, row.optional_narrow("epoch")?);
            let began = first.zip(floor).zip(epoch).map(|((offset, floor), epoch)| Began { offset, floor, epoch });
            Act::Remember { ms, began }
        }
        (InterventionKind::Acquire, None, None) => Act::Acquire,
        (kind, ..) => return Err(corrupt("value", format!("it does not fit {kind}"))),
    };
    Ok(Intervention {
        id: row.uuid("id")?,
        partition: row.lane_partition()?,
        act,
        reason: row.string("reason")?,
        by: row.parsed("by_user")?,
        at: row.time("at")?,
        applied_at: row.optional_time("applied_at")?,
    })
}
