//! Statements of many rows.
//!
//! sqlx hands each statement to the connection's thread and back, which is most of a small statement's cost. 1000
//! requests in one transaction, 2 cores, release build: one statement a row 45 ms; `insert … select … from json_each`
//! 6.2 ms; many rows a statement 3.0 ms. So the rows of all partitions of a group go out together, in statements of a few
//! fixed sizes, each prepared once.

use std::sync::{Arc, LazyLock};

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use crate::domain::LanePartition;
use crate::store::sql::batch::{Sink, fill_from};
use crate::store::sql::dialect::Query;
use crate::store::sql::mapping::records::completion_values;
use crate::store::sql::ownership::{CLAIM_COLUMNS, Claim};
use crate::store::sql::tables::{self, Table};
use crate::store::sql::value::{Value, int, lane_partition};
use crate::store::{RequestKey, StoreError};

/// Rows of one statement, greatest first. 128 rows of the widest table are far below SQLite's 32766 parameters.
const SIZES: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];
/// Prepared statements that the writing connection keeps: all of these texts, and what else it is asked.
pub(super) const STATEMENTS: usize = 200;

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
const FENCE: &str = "update partition_progress set next_offset = coalesce(claim.column5, next_offset), \
     last_time = coalesce(claim.column6, last_time), next_outbox_seq = coalesce(claim.column7, next_outbox_seq), \
     state_hash = coalesce(claim.column8, state_hash), anchor_offset = coalesce(claim.column9, anchor_offset), \
     anchor_time = coalesce(claim.column10, anchor_time), anchor_hash = coalesce(claim.column11, anchor_hash), \
     published_seq = max(published_seq, coalesce(claim.column13, 0)) \
     from (values {rows}) as claim where lane = claim.column1 and partition = claim.column2 \
     and epoch = claim.column3 and (claim.column4 is null or next_offset = claim.column4)";
/// Lane, partition, the first outbox row and the end. By what is published, each by the key: `cross join` keeps the order.
const PUBLISHED: &str = "delete from outbox where rowid in (select sent.rowid from (values {rows}) as done \
     cross join outbox as sent on sent.lane = done.column1 and sent.partition = done.column2 \
     and sent.seq >= done.column3 and sent.seq < done.column4)";

/// What a group wants of some partitions, as statements: all of them or none.
pub(super) struct Statements {
    /// First; must hit so many rows together, one a partition.
    pub fence: (Vec<Statement>, u64),
    /// Must hit so many rows together. Before the rest, which may hold a request that they would find: it is none that
    /// was stored PENDING by an earlier batch.
    pub completions: (Vec<Statement>, u64),
    pub rest: Vec<Statement>,
}

impl Statements {
    pub fn of(claims: &[Claim<'_>]) -> Result<Self, StoreError> {
        let mut fence = Values::default();
        let mut completions = Values::default();
        let mut tables = Tables::default();
        let mut published = Values::default();
        for claim in claims {
            fence.row(claim.values()?);
            if let Some(batch) = claim.batch {
                fill_from(batch, &mut tables)?;
                batch.completions.iter().for_each(|row| completions.row(completion_values(batch.partition, row)));
            }
            if let Some(of) = claim.published {
                let [lane, partition] = lane_partition(of.partition);
                published.row([lane, partition, int(of.seqs.start)?, int(of.seqs.end)?]);
            }
        }
        let mut rest = Vec::new();
        for (table, rows) in tables.tables {
            let unknown = || StoreError::Failed(format!("no statement writes table {}", table.name));
            rest.extend(rows.statements(insert_texts(table).ok_or_else(unknown)?)?);
        }
        rest.extend(published.statements(&DELETE_PUBLISHED)?);
        Ok(Statements {
            fence: (fence.statements(&MOVE)?, claims.len() as u64),
            completions: {
                let rows = completions.rows as u64;
                (completions.statements(&COMPLETE)?, rows)
            },
            rest,
        })
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

    /// `{rows}` of the text are the rows.
    fn with_rows(text: &str, columns: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Texts(SIZES.map(|size| text.replace("{rows}", &vec![row.as_str(); size].join(",")).into()))
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

static MOVE: LazyLock<Texts> = LazyLock::new(|| Texts::with_rows(FENCE, CLAIM_COLUMNS.len()));
static DELETE_PUBLISHED: LazyLock<Texts> = LazyLock::new(|| Texts::with_rows(PUBLISHED, 4));
static COMPLETE: LazyLock<Texts> = LazyLock::new(|| {
    let text = "update request set status = done.column4, outcome = done.column5, decided_at = done.column6 \
                from (values {rows}) as done \
                where request.request_id = done.column1 and request.internal = false \
                and request.lane = done.column2 and request.partition = done.column3 and request.status = 'PENDING'";
    Texts::with_rows(text, tables::COMPLETION_COLUMNS.len())
});

/// Rows one behind the other.
#[derive(Default)]
struct Values<'a> {
    values: Vec<Value<'a>>,
    rows: usize,
}

impl<'a> Values<'a> {
    fn row(&mut self, values: impl IntoIterator<Item = Value<'a>>) {
        self.values.extend(values);
        self.rows += 1;
    }

    fn statements(self, texts: &Texts) -> Result<Vec<Statement>, StoreError> {
        if self.rows == 0 {
            return Ok(Vec::new());
        }
        let width = self.values.len() / self.rows;
        let (mut statements, mut left, mut values) = (Vec::new(), self.rows, self.values.into_iter());
        while left > 0 {
            let (sql, size) = texts.for_rows(left);
            let mut arguments = SqliteArguments::default();
            values.by_ref().take(size * width).try_for_each(|value| add(&mut arguments, value))?;
            statements.push(Statement { sql, arguments });
            left -= size;
        }
        Ok(statements)
    }
}

/// The rows of each table.
#[derive(Default)]
struct Tables<'a> {
    tables: Vec<(&'static Table, Values<'a>)>,
    /// The table that rows are for now.
    at: usize,
}

impl<'a> Sink<'a> for Tables<'a> {
    fn table(&mut self, table: &'static Table, rows: usize) {
        let known = self.tables.iter().position(|(known, _)| known.name == table.name);
        self.at = known.unwrap_or_else(|| {
            self.tables.push((table, Values::default()));
            self.tables.len() - 1
        });
        self.tables[self.at].1.values.reserve(rows * table.columns.len());
    }

    fn row(&mut self, values: impl IntoIterator<Item = Value<'a>>) {
        if let Some((_, rows)) = self.tables.get_mut(self.at) {
            rows.row(values);
        }
    }
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
