//! From columns to the domain's types. A row that does not parse is a corrupt store, never a panic.

use std::fmt::Display;
use std::str::FromStr;

use uuid::Uuid;

use crate::domain::{Amount, Arrival, Lane, LanePartition, LogTime, PaymentId, Position, ScheduleId};
use crate::store::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// A row that is not what this program writes.
pub(super) fn corrupt(column: &str, reason: impl Display) -> StoreError {
    StoreError::Failed(format!("column {column} is corrupt: {reason}"))
}

fn there<T>(column: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| corrupt(column, "it is null"))
}

fn parse<T: FromStr>(column: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| corrupt(column, format!("{text:?} is unknown")))
}

fn narrow<N: TryFrom<i64>>(column: &str, number: i64) -> Result<N> {
    N::try_from(number).map_err(|_| corrupt(column, format!("{number} is out of range")))
}

/// Reads a row's columns by name; each driver's row has it.
pub(in crate::store) trait Cells {
    fn optional_uuid(&self, column: &str) -> Result<Option<Uuid>>;
    fn optional_text(&self, column: &str) -> Result<Option<&str>>;
    fn optional_int(&self, column: &str) -> Result<Option<i64>>;
    fn optional_bytes(&self, column: &str) -> Result<Option<&[u8]>>;
    fn flag(&self, column: &str) -> Result<bool>;

    fn uuid(&self, column: &str) -> Result<Uuid> {
        there(column, self.optional_uuid(column)?)
    }

    fn text(&self, column: &str) -> Result<&str> {
        there(column, self.optional_text(column)?)
    }

    fn string(&self, column: &str) -> Result<String> {
        Ok(self.text(column)?.to_owned())
    }

    fn bytes(&self, column: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.optional_bytes(column)?.map(<[u8]>::to_vec))
    }

    fn signed(&self, column: &str) -> Result<i64> {
        there(column, self.optional_int(column)?)
    }

    fn int<N: TryFrom<i64>>(&self, column: &str) -> Result<N> {
        narrow(column, self.signed(column)?)
    }

    fn optional_narrow<N: TryFrom<i64>>(&self, column: &str) -> Result<Option<N>> {
        self.optional_int(column)?.map(|number| narrow(column, number)).transpose()
    }

    fn hash(&self, column: &str) -> Result<u64> {
        Ok(self.signed(column)?.cast_unsigned())
    }

    fn time(&self, column: &str) -> Result<LogTime> {
        Ok(LogTime(self.signed(column)?))
    }

    fn optional_time(&self, column: &str) -> Result<Option<LogTime>> {
        Ok(self.optional_int(column)?.map(LogTime))
    }

    fn parsed<T: FromStr>(&self, column: &str) -> Result<T> {
        parse(column, self.text(column)?)
    }

    fn optional_parsed<T: FromStr>(&self, column: &str) -> Result<Option<T>> {
        self.optional_text(column)?.map(|text| parse(column, text)).transpose()
    }

    fn amount(&self) -> Result<Amount> {
        Amount::new(self.signed("amount")?).map_err(|error| corrupt("amount", error))
    }

    fn schedule_id(&self) -> Result<ScheduleId> {
        Ok(ScheduleId(self.uuid("schedule_id")?))
    }

    fn payment_id(&self) -> Result<PaymentId> {
        Ok(PaymentId(self.uuid("payment_id")?))
    }

    fn lane_partition(&self) -> Result<LanePartition> {
        Ok(LanePartition { lane: self.parsed("lane")?, partition: self.int("partition")? })
    }

    fn position(&self) -> Result<Position> {
        Ok(self.lane_partition()?.at(self.int("log_offset")?))
    }

    /// The lane is the one that writes the table.
    fn arrival(&self, lane: Lane, [partition, offset, time]: [&str; 3]) -> Result<Arrival> {
        let position = Position::new(lane, self.int(partition)?, self.int(offset)?);
        Ok(Arrival { position, time: self.time(time)? })
    }

    /// `None` where the offset is null.
    fn optional_arrival(&self, lane: Lane, columns: [&str; 3]) -> Result<Option<Arrival>> {
        match self.optional_int(columns[1])? {
            None => Ok(None),
            Some(_) => self.arrival(lane, columns).map(Some),
        }
    }

    fn changed(&self, lane: Lane) -> Result<Arrival> {
        self.arrival(lane, ["changed_partition", "changed_offset", "changed_at"])
    }
}
