//! Whole tables in pages, in order of their primary keys: for the audit.

use super::tables::{self, Table};
use super::values::{Value, int, signed, text, uuid};
use super::{Dialect, Side, all, cells, query};
use crate::domain::Change;
use crate::store::{RequestRow, StateTable, StoreError};

fn table_of(table: StateTable) -> &'static Table {
    match table {
        StateTable::Section => &tables::SECTION,
        StateTable::Seat => &tables::SEAT,
        StateTable::Reservation => &tables::RESERVATION,
        StateTable::Payment => &tables::PAYMENT,
        StateTable::Wallet => &tables::WALLET,
        StateTable::WalletEntry => &tables::WALLET_ENTRY,
        StateTable::Queue => &tables::QUEUE,
        StateTable::Token => &tables::QUEUE_TOKEN,
    }
}

/// A row's primary key.
fn key_of(row: &Change) -> Result<Vec<Value<'_>>, StoreError> {
    Ok(match row {
        Change::Section(row) => vec![uuid(row.schedule_id.0), text(row.name.as_str())],
        Change::Seat(row) => vec![uuid(row.schedule_id.0), text(row.section.as_str()), signed(row.number.into())],
        Change::Reservation(row) => vec![uuid(row.id.0)],
        Change::Payment(row) => vec![uuid(row.id.0)],
        Change::Wallet(row) => vec![text(row.user_id.as_str())],
        Change::WalletEntry(row) => vec![text(row.user_id.as_str()), int(row.number)?],
        Change::Queue(row) => vec![uuid(row.schedule_id.0)],
        Change::Token(row) => vec![uuid(row.schedule_id.0), int(row.sequence)?],
    })
}

async fn page<D: Dialect>(
    store: &D,
    table: &Table,
    after: Option<Vec<Value<'_>>>,
    limit: u32,
) -> Result<Vec<D::Row>, StoreError> {
    let key = table.key.join(", ");
    let mut parameters = after.unwrap_or_default();
    let holes: Vec<String> = (1..=parameters.len()).map(|n| format!("${n}")).collect();
    let from = if holes.is_empty() { String::new() } else { format!("where ({key}) > ({})", holes.join(", ")) };
    parameters.push(signed(limit.into()));
    let sql = table.select(&format!("{from} order by {key} limit ${}", parameters.len()));
    store.read(Side::FrontDoor, query(sql, parameters)).await
}

pub(super) async fn state<D: Dialect>(
    store: &D,
    table: StateTable,
    after: Option<&Change>,
    limit: u32,
) -> Result<Vec<Change>, StoreError> {
    let rows = page(store, table_of(table), after.map(key_of).transpose()?, limit).await?;
    all(&rows, |row| {
        Ok(match table {
            StateTable::Section => Change::Section(cells::section(row)?),
            StateTable::Seat => Change::Seat(cells::seat(row)?),
            StateTable::Reservation => Change::Reservation(cells::reservation(row)?),
            StateTable::Payment => Change::Payment(cells::payment(row)?),
            StateTable::Wallet => Change::Wallet(cells::wallet(row)?),
            StateTable::WalletEntry => Change::WalletEntry(cells::wallet_entry(row)?),
            StateTable::Queue => Change::Queue(cells::queue(row)?),
            StateTable::Token => Change::Token(cells::token(row)?),
        })
    })
}

pub(super) async fn requests<D: Dialect>(
    store: &D,
    after: Option<&RequestRow>,
    limit: u32,
) -> Result<Vec<RequestRow>, StoreError> {
    let key = after.map(|row| {
        let position = row.position;
        vec![uuid(row.request_id.0), text(position.lane.as_str()), signed(position.partition.into())]
    });
    all(&page(store, &tables::REQUEST, key, limit).await?, cells::request)
}
