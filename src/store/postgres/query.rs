//! Parameters and rows of single queries.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Row};
use uuid::Uuid;

use super::error::read_error;
use crate::store::StoreError;
use crate::store::sql::cells::Cells;
use crate::store::sql::dialect::Query;
use crate::store::sql::value::Value;

/// Binds one value. Lists become arrays, a list of pairs or partitions two of them.
pub(super) fn add(arguments: &mut PgArguments, value: Value<'_>) -> Result<(), StoreError> {
    let added = match value {
        Value::Uuid(id) => arguments.add(id),
        Value::Text(text) => arguments.add(text.as_deref()),
        Value::Int(number) => arguments.add(number),
        Value::Flag(flag) => arguments.add(flag),
        Value::Bytes(bytes) => arguments.add(bytes),
        Value::Uuids(ids) => arguments.add(ids),
        Value::Texts(texts) => arguments.add(texts),
        Value::Pairs(pairs) => {
            let (ids, texts): (Vec<Uuid>, Vec<&str>) = pairs.into_iter().unzip();
            arguments.add(ids).and_then(|()| arguments.add(texts))
        }
        Value::Requests(keys) => {
            let ids: Vec<Uuid> = keys.iter().map(|(_, key)| key.id.0).collect();
            let internal: Vec<bool> = keys.iter().map(|(_, key)| key.internal).collect();
            let partitions = Value::Partitions(keys.into_iter().map(|(partition, _)| partition).collect());
            arguments.add(ids).and_then(|()| arguments.add(internal)).map_err(unbound)?;
            return add(arguments, partitions);
        }
        Value::Partitions(partitions) => {
            let lanes: Vec<&str> = partitions.iter().map(|of| of.lane.as_str()).collect();
            let numbers: Vec<i64> = partitions.iter().map(|of| of.partition.into()).collect();
            arguments.add(lanes).and_then(|()| arguments.add(numbers))
        }
    };
    added.map_err(unbound)
}

fn unbound(error: sqlx::error::BoxDynError) -> StoreError {
    StoreError::Failed(format!("a parameter cannot be bound: {error}"))
}

pub(super) fn arguments(query: Query<'_>) -> Result<(String, PgArguments), StoreError> {
    let mut arguments = PgArguments::default();
    query.parameters.into_iter().try_for_each(|value| add(&mut arguments, value))?;
    Ok((query.sql, arguments))
}

impl Cells for PgRow {
    fn optional_uuid(&self, column: &str) -> Result<Option<Uuid>, StoreError> {
        self.try_get(column).map_err(read_error)
    }

    fn optional_text(&self, column: &str) -> Result<Option<&str>, StoreError> {
        self.try_get(column).map_err(read_error)
    }

    fn optional_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.try_get(column).map_err(read_error)
    }

    fn optional_bytes(&self, column: &str) -> Result<Option<&[u8]>, StoreError> {
        self.try_get(column).map_err(read_error)
    }

    fn flag(&self, column: &str) -> Result<bool, StoreError> {
        self.try_get(column).map_err(read_error)
    }
}
