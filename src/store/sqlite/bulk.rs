//! Statements of many rows.
//!
//! sqlx hands each statement to the connection's thread and back, which is most of a small statement's cost. 1000
//! requests in one transaction, 2 cores, release build: one statement a row 45 ms; `insert … select … from json_each`
//! 6.2 ms; many rows a statement 3.0 ms. So rows go out in statements of a few fixed sizes, each prepared once.

use std::sync::{Arc, LazyLock};

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use crate::domain::LanePartition;
use crate::store::sql::batch::{Sink, fill_from};
use crate::store::sql::dialect::{Query, query};
use crate::store::sql::mapping::records::completion_values;
use crate::store::sql::ownership::Claim;
use crate::store::sql::tables::{self, Table};
use crate::store::sql::value::{Value, int, lane_partition};
use crate::store::{CommitBatch, RequestKey, StoreError};

/// Rows of one statement, greatest first. 128 rows of the widest table are far below SQLite's 32766 parameters.
const SIZES: [usize; 5] = [128, 32, 8, 2, 1];

/// A statement that needs nothing from its caller any more.
pub(super) struct Statement {
    pub sql: Arc<str>,
    pub arguments: SqliteArguments,
}

impl Statement {
    pub fn of(query: Query<'_>) -> Result<Self, StoreError> {
        let mut arguments = SqliteArguments::default();
        query.parameters.into_iter().try_for_each(|value| add(&mut arguments, value))?;
        Ok(Statement { sql: query.sql.into(), arguments })
    }
}

/// Columns of a claim as parameters. What is null stays as it is.
const FENCE: &str = "update partition_progress set next_offset = coalesce($5, next_offset), \
     last_time = coalesce($6, last_time), next_outbox_seq = coalesce($7, next_outbox_seq), \
     state_hash = coalesce($8, state_hash), anchor_offset = coalesce($9, anchor_offset), \
     anchor_time = coalesce($10, anchor_time), anchor_hash = coalesce($11, anchor_hash), \
     published_seq = max(published_seq, coalesce($13, 0)) \
     where lane = $1 and partition = $2 and epoch = $3 and ($4 is null or next_offset = $4)";
const PUBLISHED: &str = "delete from outbox where lane = $1 and partition = $2 and seq >= $3 and seq < $4";

/// What a group wants of one partition, as statements.
pub(super) struct Statements {
    /// First; must hit exactly one row.
    pub fence: Statement,
    /// Must hit so many rows together. Before the rest, which may hold a request that they would find: it is none that
    /// was stored PENDING by an earlier batch.
    pub completions: (Vec<Statement>, u64),
    pub rest: Vec<Statement>,
}

impl Statements {
    pub fn of(claim: &Claim<'_>) -> Result<Self, StoreError> {
        let fence = Statement::of(query(FENCE, claim.values()?.into()))?;
        let mut rows = Rows::default();
        let mut completions = (Vec::new(), 0);
        if let Some(batch) = claim.batch {
            fill_from(batch, &mut rows)?;
            completions = (complete(batch)?, batch.completions.len() as u64);
        }
        if let Some(error) = rows.error {
            return Err(error);
        }
        if let Some(published) = claim.published {
            let [lane, partition] = lane_partition(published.partition);
            let (first, end) = (int(published.seqs.start)?, int(published.seqs.end)?);
            rows.done.push(Statement::of(query(PUBLISHED, vec![lane, partition, first, end]))?);
        }
        Ok(Statements { fence, completions, rest: rows.done })
    }
}

/// The insert statements of a table, one for each of [`SIZES`].
struct Texts([Arc<str>; SIZES.len()]);

impl Texts {
    fn insert(table: &Table) -> Self {
        let row = format!("({})", vec!["?"; table.columns.len()].join(","));
        Texts(SIZES.map(|size| {
            let (name, list, rows, end) =
                (table.name, table.list(), vec![row.as_str(); size].join(","), table.on_conflict());
            format!("insert into {name} ({list}) values {rows} {end}").into()
        }))
    }

    fn complete() -> Self {
        let row = format!("({})", vec!["?"; tables::COMPLETION_COLUMNS.len()].join(","));
        Texts(SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(",");
            format!(
                "update request set status = done.column4, outcome = done.column5, decided_at = done.column6 \
                 from (values {rows}) as done \
                 where request.request_id = done.column1 and request.internal = false \
                 and request.lane = done.column2 and request.partition = done.column3 and request.status = 'PENDING'"
            )
            .into()
        }))
    }

    /// The statement for as many of `rows` rows as fit, and how many those are.
    fn for_rows(&self, rows: usize) -> (Arc<str>, usize) {
        let place = SIZES.iter().position(|size| *size <= rows).unwrap_or(SIZES.len() - 1);
        (self.0[place].clone(), SIZES[place])
    }
}

macro_rules! insert_texts {
    ($($table:ident),+ $(,)?) => {
        fn insert_texts(table: &Table) -> Option<&'static Texts> {
            $(
                static $table: LazyLock<Texts> = LazyLock::new(|| Texts::insert(&tables::$table));
                if table.name == tables::$table.name {
                    return Some(&$table);
                }
            )+
            None
        }
    };
}

insert_texts!(
    REQUEST,
    OUTBOX,
    SEAT,
    RESERVATION,
    PAYMENT,
    WALLET,
    WALLET_ENTRY,
    PAYMENT_ANSWER,
    QUEUE_TOKEN,
    QUEUE,
    BLOCK,
    SECTION,
    DEAD_LETTER,
    INTERVENTION
);

static COMPLETE: LazyLock<Texts> = LazyLock::new(Texts::complete);

/// Collects rows into statements.
#[derive(Default)]
struct Rows {
    table: Option<&'static Texts>,
    /// Rows of this table still to come.
    left: usize,
    /// Rows still missing in the statement under way.
    size: usize,
    arguments: SqliteArguments,
    done: Vec<Statement>,
    error: Option<StoreError>,
}

impl<'a> Sink<'a> for Rows {
    fn table(&mut self, table: &'static Table, rows: usize) {
        self.table = insert_texts(table);
        (self.left, self.size) = (rows, 0);
        if self.table.is_none() {
            self.error = Some(StoreError::Failed(format!("no statement writes table {}", table.name)));
        }
    }

    fn row(&mut self, values: impl IntoIterator<Item = Value<'a>>) {
        let Some(texts) = self.table else { return };
        if self.size == 0 {
            let (sql, size) = texts.for_rows(self.left);
            self.size = size;
            self.done.push(Statement { sql, arguments: SqliteArguments::default() });
        }
        for value in values {
            if let Err(error) = add(&mut self.arguments, value) {
                self.error = Some(error);
            }
        }
        (self.left, self.size) = (self.left - 1, self.size - 1);
        if self.size == 0
            && let Some(statement) = self.done.last_mut()
        {
            statement.arguments = std::mem::take(&mut self.arguments);
        }
    }
}

fn complete(batch: &CommitBatch) -> Result<Vec<Statement>, StoreError> {
    let (mut statements, mut rest) = (Vec::new(), batch.completions.as_slice());
    while !rest.is_empty() {
        let (sql, size) = COMPLETE.for_rows(rest.len());
        let (now, later) = rest.split_at(size);
        let mut arguments = SqliteArguments::default();
        for value in now.iter().flat_map(|row| completion_values(batch.partition, row)) {
            add(&mut arguments, value)?;
        }
        statements.push(Statement { sql, arguments });
        rest = later;
    }
    Ok(statements)
}

/// Binds one value. Lists become JSON, for `json_each`.
fn add(arguments: &mut SqliteArguments, value: Value<'_>) -> Result<(), StoreError> {
    let hex = |id: &uuid::Uuid| id.simple().to_string();
    let added = match value {
        Value::Uuid(id) => arguments.add(id),
        Value::Text(text) => arguments.add(text.as_deref()),
        Value::Int(number) => arguments.add(number),
        Value::Flag(flag) => arguments.add(flag),
        Value::Bytes(bytes) => arguments.add(bytes),
        Value::Uuids(ids) => arguments.add(serde_json::json!(ids.iter().map(hex).collect::<Vec<_>>()).to_string()),
        Value::Texts(texts) => arguments.add(serde_json::json!(texts).to_string()),
        Value::Pairs(pairs) => {
            let pairs: Vec<(String, &str)> = pairs.iter().map(|(id, text)| (hex(id), *text)).collect();
            arguments.add(serde_json::json!(pairs).to_string())
        }
        Value::Requests(keys) => {
            let key = |(of, key): &(LanePartition, RequestKey)| {
                (hex(&key.id.0), u8::from(key.internal), of.lane.as_str(), of.partition)
            };
            arguments.add(serde_json::json!(keys.iter().map(key).collect::<Vec<_>>()).to_string())
        }
        Value::Partitions(partitions) => {
            let pairs: Vec<(&str, u32)> = partitions.iter().map(|of| (of.lane.as_str(), of.partition)).collect();
            arguments.add(serde_json::json!(pairs).to_string())
        }
    };
    added.map_err(|error| StoreError::Failed(format!("a parameter cannot be bound: {error}")))
}
