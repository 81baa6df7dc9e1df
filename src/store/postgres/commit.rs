//! One batch as one statement.
//!
//! The fence is a data-modifying CTE, and every other one selects from it: no row fenced, nothing written. So a commit
//! costs one round trip whatever it holds, no transaction ever stands open between two of them, and a process that is
//! stopped in the middle leaves no lock behind for its successor to wait for.

use std::borrow::Cow;
use std::fmt::Write;

use sqlx::Arguments;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use super::query::add;
use crate::store::sql::batch::{Sink, fill_from};
use crate::store::sql::mapping::records::completion_values;
use crate::store::sql::ownership::fence;
use crate::store::sql::tables::{COMPLETION_COLUMNS, Kind, Table};
use crate::store::sql::value::Value;
use crate::store::{CommitBatch, StoreError};

/// The statement and its parameters. It gives one row, `fenced`: 1 if the batch is committed, 0 if nothing was done.
pub(super) fn statement(batch: &CommitBatch) -> Result<(String, PgArguments), StoreError> {
    let fence = fence(batch)?;
    let sql = format!("with fence as ({} returning 1)", fence.sql);
    let mut statement = Statement { sql, arguments: PgArguments::default(), group: None, error: None };
    fence.parameters.into_iter().try_for_each(|value| add(&mut statement.arguments, value))?;
    fill_from(batch, &mut statement)?;
    statement.end_group();
    if !batch.completions.is_empty() {
        let mut columns = columns(COMPLETION_COLUMNS, batch.completions.len());
        batch.completions.iter().for_each(|row| push(&mut columns, completion_values(row)));
        statement.complete(columns);
    }
    match statement.error {
        Some(error) => Err(error),
        None => Ok((statement.sql + " select count(*) as fenced from fence", statement.arguments)),
    }
}

/// One column of all rows of a table: what `unnest` takes.
enum Column<'a> {
    Uuid(Vec<Option<Uuid>>),
    Text(Vec<Option<Cow<'a, str>>>),
    Int(Vec<Option<i64>>),
    Flag(Vec<bool>),
    Bytes(Vec<Option<&'a [u8]>>),
}

fn columns<'a>(of: &[(&str, Kind)], rows: usize) -> Vec<Column<'a>> {
    let column = |kind| match kind {
        Kind::Uuid => Column::Uuid(Vec::with_capacity(rows)),
        Kind::Text => Column::Text(Vec::with_capacity(rows)),
        Kind::Int => Column::Int(Vec::with_capacity(rows)),
        Kind::Flag => Column::Flag(Vec::with_capacity(rows)),
        Kind::Bytes => Column::Bytes(Vec::with_capacity(rows)),
    };
    of.iter().map(|(_, kind)| column(*kind)).collect()
}

fn push<'a>(columns: &mut [Column<'a>], values: impl IntoIterator<Item = Value<'a>>) {
    for (column, value) in columns.iter_mut().zip(values) {
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

/// Collects rows by table, and appends a CTE for each.
struct Statement<'a> {
    sql: String,
    arguments: PgArguments,
    group: Option<(&'static Table, Vec<Column<'a>>)>,
    error: Option<StoreError>,
}

impl<'a> Sink<'a> for Statement<'a> {
    fn table(&mut self, table: &'static Table, rows: usize) {
        self.end_group();
        self.group = Some((table, columns(table.columns, rows)));
    }

    fn row(&mut self, values: impl IntoIterator<Item = Value<'a>>) {
        if let Some((_, columns)) = &mut self.group {
            push(columns, values);
        }
    }
}

impl<'a> Statement<'a> {
    fn end_group(&mut self) {
        let Some((table, columns)) = self.group.take() else { return };
        let (name, list) = (table.name, table.list());
        let unnest = self.unnest(columns);
        let end = table.on_conflict();
        let insert = format!("insert into {name} ({list}) select new.* from fence, {unnest} as new {end}");
        self.cte(name, &insert);
    }

    /// Decides requests that were stored PENDING. `$5` and `$6` are the fence's lane and partition.
    fn complete(&mut self, columns: Vec<Column<'a>>) {
        let unnest = self.unnest(columns);
        let update = format!(
            "update request set status = done.status, outcome = done.outcome \
             from fence, {unnest} as done (request_id, status, outcome) \
             where request.request_id = done.request_id and request.internal = false \
             and request.lane = $5 and request.partition = $6 and request.status = 'PENDING'"
        );
        self.cte("completion", &update);
    }

    fn cte(&mut self, name: &str, statement: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.sql, ", write_{name} as ({statement})");
    }

    /// Binds the columns; gives `unnest($9::uuid[], …)`.
    fn unnest(&mut self, columns: Vec<Column<'a>>) -> String {
        let places: Vec<String> = columns.into_iter().map(|column| self.bind(column)).collect();
        format!("unnest({})", places.join(", "))
    }

    fn bind(&mut self, column: Column<'a>) -> String {
        let arguments = &mut self.arguments;
        let (added, kind) = match column {
            Column::Uuid(values) => (arguments.add(values), "uuid"),
            Column::Text(values) => (arguments.add(values), "text"),
            Column::Int(values) => (arguments.add(values), "bigint"),
            Column::Flag(values) => (arguments.add(values), "boolean"),
            Column::Bytes(values) => (arguments.add(values), "bytea"),
        };
        if let Err(error) = added {
            self.error = Some(StoreError::Failed(format!("a column cannot be bound: {error}")));
        }
        format!("${}::{kind}[]", self.arguments.len())
    }
}
