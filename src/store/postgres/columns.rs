//! Rows by column: what `unnest` takes.

use std::borrow::Cow;

use sqlx::Arguments;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::sql::tables::Kind;
use crate::store::sql::value::Value;

/// One column of all rows.
enum Column<'a> {
    Uuid(Vec<Option<Uuid>>),
    Text(Vec<Option<Cow<'a, str>>>),
    Int(Vec<Option<i64>>),
    Flag(Vec<bool>),
    Bytes(Vec<Option<&'a [u8]>>),
}

/// Rows of a few named columns, each with the place of its claim in front.
pub(super) struct Rows<'a> {
    columns: &'static [(&'static str, Kind)],
    places: Vec<i64>,
    values: Vec<Column<'a>>,
}

impl<'a> Rows<'a> {
    pub fn of(columns: &'static [(&'static str, Kind)]) -> Self {
        let values = columns.iter().map(|(_, kind)| match kind {
            Kind::Uuid => Column::Uuid(Vec::new()),
            Kind::Text => Column::Text(Vec::new()),
            Kind::Int => Column::Int(Vec::new()),
            Kind::Flag => Column::Flag(Vec::new()),
            Kind::Bytes => Column::Bytes(Vec::new()),
        });
        Rows { columns, places: Vec::new(), values: values.collect() }
    }

    pub fn push(&mut self, place: i64, values: impl IntoIterator<Item = Value<'a>>) {
        self.places.push(place);
        for (column, value) in self.values.iter_mut().zip(values) {
            match (column, value) {
                (Column::Uuid(column), Value::Uuid(value)) => column.push(value),
                (Column::Text(column), Value::Text(value)) => column.push(value),
                (Column::Int(column), Value::Int(value)) => column.push(value),
                (Column::Flag(column), Value::Flag(value)) => column.push(value),
                (Column::Bytes(column), Value::Bytes(value)) => column.push(value),
                // The column stays short, and PostgreSQL refuses the null.
                (_, value) => debug_assert!(false, "{value:?} is of another kind than its column"),
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Column names with an alias before each; without the place.
    pub fn list(&self, alias: &str) -> String {
        self.columns.iter().map(|(name, _)| format!("{alias}.{name}")).collect::<Vec<_>>().join(", ")
    }

    /// Binds the columns; gives `unnest($9::bigint[], …) as alias (place, …)`.
    pub fn unnest(self, alias: &str, arguments: &mut PgArguments) -> Result<String, StoreError> {
        let mut bound = vec![bind(Column::Int(self.places.into_iter().map(Some).collect()), arguments)?];
        for column in self.values {
            bound.push(bind(column, arguments)?);
        }
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        Ok(format!("unnest({}) as {alias} (place, {})", bound.join(", "), names.join(", ")))
    }
}

fn bind(column: Column<'_>, arguments: &mut PgArguments) -> Result<String, StoreError> {
    let (added, kind) = match column {
        Column::Uuid(values) => (arguments.add(values), "uuid"),
        Column::Text(values) => (arguments.add(values), "text"),
        Column::Int(values) => (arguments.add(values), "bigint"),
        Column::Flag(values) => (arguments.add(values), "boolean"),
        Column::Bytes(values) => (arguments.add(values), "bytea"),
    };
    added.map_err(|error| StoreError::Failed(format!("a column cannot be bound: {error}")))?;
    Ok(format!("${}::{kind}[]", arguments.len()))
}
