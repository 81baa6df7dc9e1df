//! A commit's rows, table by table, in an order that suits the foreign keys.

use super::tables::{self, Table};
use super::values::{self, Value};
use crate::domain::Change;
use crate::store::{CommitBatch, StoreError};

/// Takes rows and makes statements of them, in the way of one dialect.
pub(in crate::store) trait Sink<'a> {
    /// The following `rows` rows, at least one, are for this table.
    fn table(&mut self, table: &'static Table, rows: usize);
    fn row(&mut self, values: impl IntoIterator<Item = Value<'a>>);
}

fn fill<'a, Row, Sunk, const N: usize>(
    sink: &mut Sunk,
    table: &'static Table,
    rows: &[Row],
    values: impl Fn(&Row) -> Result<[Value<'a>; N], StoreError>,
) -> Result<(), StoreError>
where
    Sunk: Sink<'a>,
{
    if rows.is_empty() {
        return Ok(());
    }
    sink.table(table, rows.len());
    rows.iter().try_for_each(|row| {
        sink.row(values(row)?);
        Ok(())
    })
}

/// Everything of the batch but the fence and the completions.
pub(in crate::store) fn fill_from<'a>(batch: &'a CommitBatch, sink: &mut impl Sink<'a>) -> Result<(), StoreError> {
    macro_rules! changed {
        ($kind:ident, $table:ident, $values:path) => {
            let rows: Vec<_> = batch
                .changes
                .iter()
                .filter_map(|change| if let Change::$kind(row) = change { Some(row) } else { None })
                .collect();
            fill(sink, &tables::$table, &rows, |row| $values(row))?;
        };
    }
    changed!(Section, SECTION, values::section);
    changed!(Reservation, RESERVATION, values::reservation);
    changed!(Payment, PAYMENT, values::payment);
    changed!(Seat, SEAT, values::seat);
    changed!(Wallet, WALLET, values::wallet);
    changed!(WalletEntry, WALLET_ENTRY, values::wallet_entry);
    changed!(Queue, QUEUE, values::queue);
    changed!(Token, QUEUE_TOKEN, values::token);
    let requests: Vec<_> = batch.requests.iter().collect();
    fill(sink, &tables::REQUEST, &requests, |row| values::request(row))?;
    let outbox: Vec<_> = batch.outbox.iter().collect();
    fill(sink, &tables::OUTBOX, &outbox, |row| values::outbox(batch.partition, row))?;
    let letters: Vec<_> = batch.dead_letters.iter().collect();
    fill(sink, &tables::DEAD_LETTER, &letters, |row| values::dead_letter(row))
}
