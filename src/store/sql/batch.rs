//! A commit's rows, table by table.

use super::mapping::{interventions, queues, records, reservations, seats, wallets};
use super::tables::{self, Table};
use super::value::Value;
use crate::domain::{Changes, block, queue, wallet};
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
    rows: &[&'a Row],
    values: impl Fn(&'a Row) -> Result<[Value<'a>; N], StoreError>,
) -> Result<(), StoreError>
where
    Sunk: Sink<'a>,
{
    debug_assert_eq!(table.columns.len(), N, "{}", table.name);
    if rows.is_empty() {
        return Ok(());
    }
    sink.table(table, rows.len());
    rows.iter().try_for_each(|row| {
        sink.row(values(row)?);
        Ok(())
    })
}

/// The rows of each kind, to its table.
macro_rules! fill_kinds {
    ($sink:ident, $rows:ident, { $($kind:path => $table:ident, $values:path;)+ }) => {{$({
        let of_kind = $rows.iter().filter_map(|row| if let $kind(row) = row { Some(row) } else { None });
        fill($sink, &tables::$table, &of_kind.collect::<Vec<_>>(), $values)?;
    })+}};
}

/// Everything of the batch but the fence and the completions.
pub(in crate::store) fn fill_from<'a>(batch: &'a CommitBatch, sink: &mut impl Sink<'a>) -> Result<(), StoreError> {
    match &batch.changes {
        Changes::Seats(rows) => fill_kinds!(sink, rows, {
            block::Row::Block => BLOCK, seats::block_values;
            block::Row::Section => SECTION, seats::section_values;
            block::Row::Seat => SEAT, seats::seat_values;
            block::Row::Reservation => RESERVATION, reservations::reservation_values;
            block::Row::Payment => PAYMENT, reservations::payment_values;
        }),
        Changes::Wallets(rows) => fill_kinds!(sink, rows, {
            wallet::Row::Wallet => WALLET, wallets::wallet_values;
            wallet::Row::Entry => WALLET_ENTRY, wallets::entry_values;
            wallet::Row::Answer => PAYMENT_ANSWER, wallets::answer_values;
        }),
        Changes::Queues(rows) => fill_kinds!(sink, rows, {
            queue::Row::Queue => QUEUE, queues::queue_values;
            queue::Row::Token => QUEUE_TOKEN, queues::token_values;
        }),
        Changes::Inbox => {}
    }
    let requests: Vec<_> = batch.requests.iter().collect();
    fill(sink, &tables::REQUEST, &requests, records::request_values)?;
    let outbox: Vec<_> = batch.outbox.iter().collect();
    fill(sink, &tables::OUTBOX, &outbox, |row| records::outbox_values(batch.partition, row))?;
    let letters: Vec<_> = batch.dead_letters.iter().collect();
    fill(sink, &tables::DEAD_LETTER, &letters, records::dead_letter_values)?;
    let applied: Vec<_> = batch.interventions.iter().collect();
    fill(sink, &tables::INTERVENTION, &applied, interventions::values)
}
