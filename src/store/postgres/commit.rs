//! A group of batches as one statement.
//!
//! Its first parts are the fence: what is claimed of which partition, the rows of `partition_progress` that still match,
//! locked in one order, and their update. That gives a flag for each claim; all other parts keep the rows whose claim has
//! passed. So a commit costs one round trip whatever it holds, no transaction ever stands open between two of them, and a
//! process that is stopped in the middle leaves no lock behind for its successor to wait for.
//!
//! The flags are an array, looked up by place, and no join: there is nothing to plan, however many rows there are.

use std::fmt::Write;

use sqlx::postgres::PgArguments;

use super::columns::Rows;
use crate::store::sql::batch::{Sink, fill_from};
use crate::store::sql::mapping::records::completion_values;
use crate::store::sql::ownership::{CLAIM_COLUMNS, claims};
use crate::store::sql::tables::{COMPLETION_COLUMNS, Table};
use crate::store::sql::value::Value;
use crate::store::{CommitGroup, StoreError};

/// An update alone would lock rows in the order in which its plan finds them, and two commits could wait for each other.
/// The lock is the one that it takes. A row that was waited for is judged, and changed, as it is after the wait.
const FENCE: &str = "\
locked as materialized (\
select p.lane, p.partition, claim.place, claim.end_seq, claim.next_offset, claim.last_time, \
claim.next_outbox_seq, claim.state_hash, claim.anchor_offset, claim.anchor_time, claim.anchor_hash \
from claim join partition_progress as p on p.lane = claim.lane and p.partition = claim.partition \
and p.epoch = claim.epoch and (claim.before_offset is null or p.next_offset = claim.before_offset) \
order by p.lane, p.partition for no key update of p), \
fence as (\
update partition_progress as p set next_offset = coalesce(locked.next_offset, p.next_offset), \
last_time = coalesce(locked.last_time, p.last_time), \
next_outbox_seq = coalesce(locked.next_outbox_seq, p.next_outbox_seq), \
state_hash = coalesce(locked.state_hash, p.state_hash), \
anchor_offset = coalesce(locked.anchor_offset, p.anchor_offset), \
anchor_time = coalesce(locked.anchor_time, p.anchor_time), \
anchor_hash = coalesce(locked.anchor_hash, p.anchor_hash), \
published_seq = greatest(p.published_seq, locked.end_seq) \
from locked where p.lane = locked.lane and p.partition = locked.partition returning locked.place), \
passed as materialized (\
select array_agg(claim.place in (select place from fence) order by claim.place) as flags from claim)";

/// Outbox rows that the log has. Those of this very commit are not among them: it does not see them.
const PUBLISHED: &str = "\
delete from outbox using claim where (select flags from passed)[claim.place] \
and outbox.lane = claim.lane and outbox.partition = claim.partition \
and outbox.seq >= claim.first_seq and outbox.seq < claim.end_seq";

/// The statement and its parameters. It gives one row, `flags`: whether each claim passed, in the order of
/// [`claims`], which begins with the batches.
pub(super) fn statement(group: &CommitGroup) -> Result<(String, PgArguments), StoreError> {
    let mut claim = Rows::of(CLAIM_COLUMNS);
    for (place, of) in (1..).zip(claims(group)?) {
        claim.push(place, of.values()?);
    }
    let mut statement = Statement { sql: String::new(), arguments: PgArguments::default() };
    let list = claim.list("claim");
    let unnest = claim.unnest("claim", &mut statement.arguments)?;
    // Writing to a String cannot fail.
    let _ = write!(statement.sql, "with claim as materialized (select claim.place, {list} from {unnest}), {FENCE}");
    for (table, rows) in tables(group)? {
        statement.insert(table, rows)?;
    }
    if !group.published.is_empty() {
        let _ = write!(statement.sql, ", published as ({PUBLISHED})");
    }
    statement.complete(group)?;
    Ok((statement.sql, statement.arguments))
}

/// The group's rows, table by table.
fn tables(group: &CommitGroup) -> Result<Vec<(&'static Table, Rows<'_>)>, StoreError> {
    let mut tables = Tables { tables: Vec::new(), at: 0, place: 0 };
    for (place, batch) in (1..).zip(&group.batches) {
        tables.place = place;
        fill_from(batch, &mut tables)?;
    }
    Ok(tables.tables)
}

struct Tables<'a> {
    tables: Vec<(&'static Table, Rows<'a>)>,
    /// The table that rows are for now.
    at: usize,
    /// The claim that they are of.
    place: i64,
}

impl<'a> Sink<'a> for Tables<'a> {
    fn table(&mut self, table: &'static Table, _: usize) {
        let known = self.tables.iter().position(|(known, _)| known.name == table.name);
        self.at = known.unwrap_or_else(|| {
            self.tables.push((table, Rows::of(table.columns)));
            self.tables.len() - 1
        });
    }

    fn row(&mut self, values: impl IntoIterator<Item = Value<'a>>) {
        if let Some((_, rows)) = self.tables.get_mut(self.at) {
            rows.push(self.place, values);
        }
    }
}

struct Statement {
    sql: String,
    arguments: PgArguments,
}

impl Statement {
    fn insert(&mut self, table: &Table, rows: Rows<'_>) -> Result<(), StoreError> {
        let (name, list, end) = (table.name, table.list(), table.on_conflict());
        let values = rows.list("new");
        let unnest = rows.unnest("new", &mut self.arguments)?;
        let _ = write!(
            self.sql,
            ", write_{name} as (insert into {name} ({list}) select {values} from {unnest} \
             where (select flags from passed)[new.place] {end})"
        );
        Ok(())
    }

    /// Decides requests that were stored PENDING, and ends the statement. A completion that finds none makes an error of
    /// it: a text that is no number.
    fn complete(&mut self, group: &CommitGroup) -> Result<(), StoreError> {
        let mut rows = Rows::of(COMPLETION_COLUMNS);
        for (place, batch) in (1..).zip(&group.batches) {
            batch.completions.iter().for_each(|row| rows.push(place, completion_values(batch.partition, row)));
        }
        if rows.is_empty() {
            self.sql.push_str(" select flags from passed");
            return Ok(());
        }
        let list = rows.list("done");
        let unnest = rows.unnest("done", &mut self.arguments)?;
        let _ = write!(
            self.sql,
            ", done as materialized (select {list} from {unnest} where (select flags from passed)[done.place]), \
             completed as (update request set status = done.status, outcome = done.outcome, \
              decided_at = done.decided_at from done \
             where request.request_id = done.request_id and request.internal = false \
             and request.lane = done.lane and request.partition = done.partition and request.status = 'PENDING' \
             returning 1), \
             missed as (select (select count(*) from done) - (select count(*) from completed) as completions) \
             select flags from passed, missed \
             where case completions when 0 then true \
             else (completions || ' completions found no pending request')::boolean end"
        );
        Ok(())
    }
}
